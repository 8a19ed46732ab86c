"""What answers when no key can take a request: another model of the cloud, or one of a local Ollama.

Nothing does unless `okr-tui.models.fallback` says so. It happens only before any output, is shown in the log,
and the caller can tell it from `Exchange.answered_by`.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from okr_tui.cloud.client import Call
from okr_tui.domain.errors import CloudError, NoKeyError, OkrError, PoolBlockedError
from okr_tui.domain.faults import ClientCause, Scope
from okr_tui.domain.health import pool_cause
from okr_tui.domain.keys import Key
from okr_tui.domain.models import LOCAL, ModelNames
from okr_tui.domain.records import Client, FellBack
from okr_tui.services.current_cloud import CurrentCloud
from okr_tui.services.dispatcher import Dispatcher
from okr_tui.services.exchange import Exchange, RefusedError
from okr_tui.services.live_pool import LivePool
from okr_tui.settings.table import ModelSettings

if TYPE_CHECKING:
    import httpx

ANY_MODEL: Final = "*"
CAUSES: Final = frozenset(
    {
        ClientCause.QUOTA,
        ClientCause.NO_PLAN,
        ClientCause.NO_MODEL,
        ClientCause.NO_VALID_KEY,
        ClientCause.OUTAGE,
    }
)
"""Why no key can take a request for a longer time; all else passes, or is the request's own fault."""
LISTED_SECONDS: Final = 60.0
"""How old the local Ollama's list of models may be."""
LIST_PATIENCE: Final = 2.0
KEYLESS: Final = Key.absent(LOCAL, "local", LOCAL, None, "a local model needs no key")


class Fallback:
    """Sends requests as the dispatcher does, and what it cannot send to what the settings name instead."""

    def __init__(
        self,
        pool: LivePool,
        cloud: CurrentCloud,
        dispatcher: Dispatcher,
        names: Callable[[], ModelNames],
        settings: Callable[[], ModelSettings],
    ) -> None:
        self._pool = pool
        self._cloud = cloud
        self._dispatcher = dispatcher
        self._names = names
        self._settings = settings
        self._local_models: tuple[float, str, frozenset[str]] = (-math.inf, "", frozenset())

    def send(
        self,
        call: Call,
        client: Client,
        conversation: str | None = None,
        *,
        avoid: Collection[str] = (),
        allows: Callable[[str], bool] = lambda _: True,
    ) -> AbstractAsyncContextManager[Exchange]:
        """Open an exchange as `Dispatcher.send` does, with another model where that fails for long.

        `allows` says of each other model whether it may answer. Raises what Dispatcher.send raised for the
        model asked for, when none of the others can answer either.
        """
        sending = self._dispatcher.send(call, client, conversation, avoid=avoid)
        if not self._settings().fallback:
            return sending
        return self._send(sending, call, client, conversation, avoid, allows)

    @asynccontextmanager
    async def _send(
        self,
        sending: AbstractAsyncContextManager[Exchange],
        call: Call,
        client: Client,
        conversation: str | None,
        avoid: Collection[str],
        allows: Callable[[str], bool],
    ) -> AsyncGenerator[Exchange, None]:
        if call.model in self.named:
            async with AsyncExitStack() as stack:
                yield await self._asked_for(stack, call, client)
            return
        begun = False
        try:
            async with sending as exchange:
                begun = True
                yield exchange
                return
        except (NoKeyError, PoolBlockedError, RefusedError) as error:
            others = () if begun or avoid else self._others(call.model, error)
            if not others:
                raise
            failure = error
        async with AsyncExitStack() as stack:
            found = await self._first(stack, call, client, conversation, filter(allows, others))
            if found is None:
                raise failure
            yield found

    async def local_models(self) -> tuple[str, ...]:
        """Return the models that the settings name, as `local:NAME`, of those that the local Ollama has.

        It is asked once a minute; where it does not answer, there are none.
        """
        named = self.named
        if not named:
            return ()
        now, url = self._pool.clock.monotonic(), self._settings().local
        at, known_at, known = self._local_models
        if known_at != url or now - at > LISTED_SECONDS:
            known = frozenset()
            with contextlib.suppress(CloudError, TimeoutError):
                async with asyncio.timeout(LIST_PATIENCE), self._cloud.client_at(url) as cloud:
                    known = frozenset(model.id for model in (await cloud.models()).models)
            self._local_models = now, url, known
        return tuple(name for name in named if {(bare := name.removeprefix(LOCAL)), f"{bare}:latest"} & known)

    async def show_local(self, model: str, body: bytes) -> "httpx.Response | None":
        """Pass on `POST /api/show` for a local model; None for another one. Raises CloudError."""
        if model not in self.named:
            return None
        async with self._cloud.client_at(self._settings().local) as cloud:
            return await cloud.show(_renamed(body, model.removeprefix(LOCAL)))

    @property
    def named(self) -> tuple[str, ...]:
        """The local models that the settings name, as `local:NAME`."""
        lists = self._settings().fallback.values()
        return tuple(dict.fromkeys(name for names in lists for name in names if name.startswith(LOCAL)))

    def _others(self, model: str | None, error: OkrError) -> tuple[str, ...]:
        """Return what the settings name instead of a model that failed with an error, in order."""
        cause = _cause(error)
        if model is None or cause not in CAUSES:
            return ()
        listed, resolve = self._settings().fallback, self._names().resolve
        own = next((others for name, others in listed.items() if resolve(name) == model), None)
        others = listed.get(ANY_MODEL, ()) if own is None else own
        overloaded = isinstance(error, CloudError) and error.fault.scope is Scope.MODEL
        if cause is ClientCause.OUTAGE and not (overloaded or self._pool.state.model(model).block):
            return tuple(other for other in others if other.startswith(LOCAL))
        return others

    async def _first(
        self,
        stack: AsyncExitStack,
        call: Call,
        client: Client,
        conversation: str | None,
        others: Iterable[str],
    ) -> Exchange | None:
        """Return an exchange with the first other model that answers, to be closed by the stack."""
        for other in others:
            is_local = other.startswith(LOCAL)
            model = other.removeprefix(LOCAL) if is_local else self._names().resolve(other)
            if not is_local and model == call.model:
                continue
            body = await asyncio.to_thread(_renamed, call.body, model)
            renamed = replace(call, body=body, model=model)
            try:
                exchange = await (
                    self._local(stack, renamed)
                    if is_local
                    else stack.enter_async_context(self._dispatcher.send(renamed, client, conversation))
                )
            except OkrError:
                continue  # the next one may do; the caller learns why the model itself could not answer
            exchange.answered_by = f"{LOCAL}{model}" if is_local else model
            await self._note(call, client, exchange.answered_by)
            return exchange
        return None

    async def _asked_for(self, stack: AsyncExitStack, call: Call, client: Client) -> Exchange:
        """Open an exchange with the local model that a call names. Raises CloudError."""
        asked = call.model or ""
        model = asked.removeprefix(LOCAL)
        body = await asyncio.to_thread(_renamed, call.body, model)
        exchange = await self._local(stack, replace(call, body=body, model=model))
        await self._note(call, client, asked)
        return exchange

    async def _note(self, call: Call, client: Client, answered_by: str) -> None:
        await self._pool.note(
            FellBack(
                at=self._pool.clock.time(),
                client=client,
                caller=call.caller,
                model=call.model or "",
                answered_by=answered_by,
            )
        )

    async def _local(self, stack: AsyncExitStack, call: Call) -> Exchange:
        """Open an exchange with the local Ollama. Raises CloudError where it does not answer."""
        cloud = await stack.enter_async_context(self._cloud.client_at(self._settings().local))
        exchange = Exchange(cloud, call, KEYLESS, self._pool.policy, self._pool.clock, self._pool.timers)
        await stack.enter_async_context(exchange)
        if exchange.fault:
            raise CloudError(f"{call.model}: {exchange.fault.text}", exchange.fault)
        return exchange


def _cause(error: OkrError) -> ClientCause | None:
    if isinstance(error, PoolBlockedError):
        return pool_cause(error.states)
    if isinstance(error, NoKeyError):
        return ClientCause.NO_VALID_KEY
    return error.fault.traits.cause if isinstance(error, CloudError) else None


def _renamed(body: bytes, model: str) -> bytes:
    document = {**json.loads(body), "model": model}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
