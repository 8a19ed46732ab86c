"""The chat's view of the pool: a model's answer as events, and what a conversation needs to know of keys."""

import json
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from typing import Protocol

from okr_tui.chat.conversation import Conversation
from okr_tui.chat.messages import ChatEvent, Finished, Message, Routed
from okr_tui.chat.options import think_value
from okr_tui.cloud.client import Call
from okr_tui.cloud.dialects import Delta
from okr_tui.cloud.endpoints import CHAT
from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import Model
from okr_tui.domain.values import dataclass
from okr_tui.services.background import Clock
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.table import ChatSettings

POST_LONGEST = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """The conversation whose end is to be answered; `avoid` as in Dispatcher.send."""

    conversation: Conversation
    avoid: Collection[str] = ()


class ChatPool(Protocol):
    """What the chat asks of a pool of keys."""

    @property
    def clock(self) -> Clock:
        """The clock of the pool."""

    @property
    def models(self) -> Sequence[Model]:
        """The models of the newest list."""

    @property
    def settings(self) -> ChatSettings:
        """The settings of the chat in force."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that references in the settings are resolved with."""

    @property
    def fingerprints(self) -> Sequence[str]:
        """The fingerprints of all keys, in their order."""

    def fingerprint(self, index: int) -> str:
        """Return the fingerprint of the key at a 1-based index. Raises an OkrError when there is none."""

    def account_of(self, fingerprint: str) -> str:
        """Return the account that a key belongs to, as `avoid` takes it."""

    def follow_settings(self, changed: Callable[[ChatSettings], None]) -> Callable[[], None]:
        """Call `changed` when the settings of the chat have changed; return what ends that."""

    def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        conversation: str,
        think: str | None = None,
        sampling: Mapping[str, object] | None = None,
        tools: Sequence[Mapping[str, object]] = (),
        avoid: Collection[str] = (),
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield Routed, then Deltas, then Finished; closing the iterator stops the answer.

        Raises what Dispatcher.send raises. `think` is a level of the model, or None to leave it to the
        model; `sampling` goes into the request's `options`; `tools` are descriptions of functions;
        `avoid` as in Dispatcher.send.
        """

    async def post(self, path: str, document: Mapping[str, object], *, conversation: str) -> object:
        """Post a document to an endpoint that answers with one JSON document, with a key of the pool.

        Raises what Dispatcher.send raises, ChatError when the answer is no JSON or too long.
        """


@dataclass(frozen=True, slots=True)
class _SettingsFollower:
    changed: Callable[[ChatSettings], None]

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        if old.chat != new.chat:
            self.changed(new.chat)


class PoolClient:
    """The pool of a service, as the chat sees it. `caller` names who asks, in the log."""

    def __init__(self, service: PoolService, caller: str | None = None) -> None:
        self._service = service
        self._caller = caller

    @property
    def clock(self) -> Clock:
        """The service's clock."""
        return self._service.clock

    @property
    def models(self) -> Sequence[Model]:
        """The models of the newest list."""
        return self._service.catalog.models

    @property
    def settings(self) -> ChatSettings:
        """The settings of the chat in force."""
        return self._service.configuration.chat

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment the settings were read with."""
        return self._service.configuration.environment

    @property
    def fingerprints(self) -> Sequence[str]:
        """The fingerprints of all keys, in their order."""
        return [key.fingerprint for key in self._service.pool.config.keys]

    def fingerprint(self, index: int) -> str:
        """Return the fingerprint of the key at a 1-based index. Raises an OkrError when there is none."""
        return self._service.key(index).fingerprint

    def account_of(self, fingerprint: str) -> str:
        """Return the account that a key belongs to, as the log knows it."""
        return self._service.pool.state.account_of(fingerprint)

    def follow_settings(self, changed: Callable[[ChatSettings], None]) -> Callable[[], None]:
        """Call `changed` when the settings of the chat have changed; return what ends that."""
        return self._service.subscribe(_SettingsFollower(changed))

    async def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        conversation: str,
        think: str | None = None,
        sampling: Mapping[str, object] | None = None,
        tools: Sequence[Mapping[str, object]] = (),
        avoid: Collection[str] = (),
    ) -> AsyncGenerator[ChatEvent, None]:
        """Ask the cloud, or a model that stands in for this one, and yield the answer as it comes."""
        name = self._service.model_names.resolve(model)
        document: dict[str, object] = {
            "model": name,
            "messages": [message.wire() for message in messages],
            "stream": True,
        }
        if think is not None:
            document["think"] = think_value(think)
        if sampling:
            document["options"] = dict(sampling)
        if tools:
            document["tools"] = list(tools)
        call = Call(CHAT.path, _encoded(document), name, caller=self._caller)
        began = self._service.clock.monotonic()
        first_token: int | None = None
        done_reason = ""
        came = Delta()
        sending = self._service.fallback.send(call, self._service.client, conversation, avoid=avoid)
        async with sending as exchange:
            yield Routed(exchange.key.fingerprint, exchange.index, exchange.hops, exchange.answered_by)
            async for piece in exchange:
                for record in piece.records:
                    if record.delta:
                        if first_token is None:
                            first_token = round(1000 * (self._service.clock.monotonic() - began))
                        came = _first_of_each(came, record.delta)
                        yield record.delta
                    done_reason = record.done_reason or done_reason
        yield Finished(
            done_reason=done_reason or "stop",
            input_tokens=exchange.input_tokens,
            output_tokens=exchange.output_tokens,
            first_token_ms=first_token,
            duration_ms=round(1000 * (self._service.clock.monotonic() - began)),
            hops=exchange.hops,
            fingerprint=exchange.key.fingerprint,
            index=exchange.index,
            lack=_lack(came, done_reason, exchange.unreadable),
        )

    async def post(self, path: str, document: Mapping[str, object], *, conversation: str) -> object:
        """Post a document to an endpoint that answers with one JSON document, with a key of the pool.

        Raises what Dispatcher.send raises, ChatError when the answer is no JSON or over POST_LONGEST bytes.
        """
        call = Call(path, _encoded(document), streams=False)
        body = bytearray()
        async with self._service.dispatcher.send(call, self._service.client, conversation) as exchange:
            async for piece in exchange:
                body += piece.data
                if len(body) > POST_LONGEST:
                    raise ChatError(f"{path} answered with more than {POST_LONGEST // 1024 // 1024} MB")
        try:
            return json.loads(body)
        except ValueError:
            raise ChatError(f"{path} answered with something that is not JSON") from None


def _first_of_each(came: Delta, delta: Delta) -> Delta:
    """Return what kinds of output have come, without keeping all of it."""
    return Delta(
        came.content or delta.content.strip(),
        came.thinking or delta.thinking.strip(),
        came.tool_calls or delta.tool_calls,
    )


def _lack(came: Delta, done_reason: str, unreadable: int) -> str:
    """Return what is missing of an answer, in one line; "" when it is whole."""
    if unreadable:
        pieces = "a piece" if unreadable == 1 else f"{unreadable} pieces"
        return f"{pieces} of the answer could not be read and {'is' if unreadable == 1 else 'are'} missing"
    if done_reason == "length":
        return "the answer was cut off at the length limit: raise num_predict for more"
    if came.content or came.tool_calls:
        return ""
    return "the model only thought and gave no answer" if came.thinking else "the answer is empty"


def _encoded(document: Mapping[str, object]) -> bytes:
    # A model may have sent halves of characters, which no body takes.
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")
