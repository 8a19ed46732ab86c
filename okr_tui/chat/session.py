"""One question of a conversation from the keyboard to the store: sent, answered, kept."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.answer_recorder import AnswerRecorder
from okr_tui.chat.conversation import UNTITLED, Conversation, Turn, gauge, title
from okr_tui.chat.events import Answering, Began, Ended, Noted
from okr_tui.chat.fallback import ConversationRepository
from okr_tui.chat.images import check_sight
from okr_tui.chat.mcp import McpServer
from okr_tui.chat.messages import ChatEvent, Message
from okr_tui.chat.options import think_refusal
from okr_tui.chat.tool_loop import Consent, rounds
from okr_tui.chat.tools import Post, Toolbox
from okr_tui.domain.errors import ChatError, CloudError, OkrError
from okr_tui.domain.faults import ClientCause
from okr_tui.domain.models import Model, bare_name
from okr_tui.services.pool_service import PoolService

CONTINUE: Final = "Continue exactly where your last message stopped. Repeat nothing and add no remark."


@dataclass(frozen=True, slots=True)
class Request:
    """The conversation whose end is to be answered; `avoid` as in Dispatcher.send."""

    conversation: Conversation
    avoid: Collection[str] = ()


class ChatSession:
    """Sends questions and keeps the answers. One answer at a time comes in each conversation."""

    def __init__(self, service: PoolService, client: PoolClient, repository: ConversationRepository) -> None:
        self._client = client
        self._service = service
        self._repository = repository
        self._running: set[str] = set()
        self._consents: dict[str, Consent] = {}
        self._box: Toolbox | None = None
        self._told: str | None = None
        self._boxes = contextlib.AsyncExitStack()
        self._keeping: set[asyncio.Future[None]] = set()

    async def question(
        self, request: Request, text: str, images: tuple[str, ...], *, stored: bool
    ) -> Answering:
        """Store a question, to be answered. One that was never answered gives way to it.

        `stored` says whether the conversation itself is. Raises ChatError for what cannot be asked.
        """
        conversation, now = request.conversation, self._service.clock.time()
        if not text.strip() and not images:
            raise ChatError("there is nothing to ask")
        check_sight(self.model(conversation.model), len(images))
        self._check(conversation)
        if conversation.unanswered:
            withdrawn = conversation.turns[-1].place
            conversation = conversation.before(withdrawn)
            await self._repository.cut(conversation, withdrawn)
        turn = Turn(conversation.next_place, Message("user", text, images=images), now)
        name = conversation.title if conversation.title != UNTITLED else title(text)
        conversation = replace(conversation, title=name, turns=(*conversation.turns, turn), updated=now)
        if stored:
            await self._repository.put(conversation, turn)
            await self._repository.change(conversation)
        else:
            await self._repository.create(conversation)
        return self.answer(replace(request, conversation=conversation), turn)

    def resume(self, request: Request) -> Answering:
        """Let the last answer go on. Thoughts without a word yet are thought anew.

        The request ends with the answer as it is: Ollama's templates leave such a message open, so that the
        model writes on (ollama/ollama#6778, model/renderers/qwen3coder.go). A model that refuses it, which is
        told by 400, is asked in words instead.
        """
        last = request.conversation.incomplete
        if last is None or last.message.content:
            return self.answer(request, continued=last)
        return self.answer(replace(request, conversation=request.conversation.before(last.place)))

    async def answer(
        self, request: Request, turn: Turn | None = None, continued: Turn | None = None
    ) -> Answering:
        """Answer what the conversation ends with, and keep the answer as it comes."""
        conversation = request.conversation
        model = self._check(conversation)
        self._running.add(conversation.id)
        recorder = AnswerRecorder(
            self._repository, conversation, bare_name(model), self._service.clock, continued
        )
        error: str | None = "stopped"
        try:
            yield Began(conversation, turn)
            for said in self._notes(conversation):
                yield Noted(said)
            consent = self._consents.setdefault(conversation.id, Consent())
            messages = _sent(conversation, continued)
            ask = partial(self._chat, conversation, model, request.avoid)
            box = await self._tools(conversation)
            async with contextlib.aclosing(
                rounds(ask, messages, box, consent, self._service.clock)
            ) as events:
                async for event in events:
                    await recorder.take(event)
                    yield event
            error = None
        except OkrError as failure:
            error = str(failure)
            if too_long := _too_long(failure):
                raise too_long from failure
            raise
        finally:
            self._running.discard(conversation.id)
            keeping = asyncio.ensure_future(recorder.close(error))
            self._keeping.add(keeping)
            keeping.add_done_callback(self._keeping.discard)
            await asyncio.shield(keeping)
        if note := self._news():
            yield Noted(note)
        yield Ended(recorder.conversation, gauge(recorder.conversation, self.model(model)))

    async def close(self) -> None:
        """Wait for what is being kept, and end the tool servers."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._boxes.aclose()

    def model(self, name: str | None) -> Model | None:
        """What the list says of a model."""
        wanted = bare_name(name or "")
        return next((model for model in self._service.catalog.models if model.id == wanted), None)

    def _check(self, conversation: Conversation) -> str:
        if conversation.model is None:
            raise ChatError("no model is chosen for this conversation")
        if conversation.id in self._running:
            raise ChatError("an answer of this conversation is still coming: stop it first")
        return conversation.model

    def _notes(self, conversation: Conversation) -> list[str]:
        """What is not done as asked, a line each."""
        model, options = self.model(conversation.model), conversation.options
        notes = [self._news(), think_refusal(model, options.think)]
        if options.tools and model and not _may_call(model):
            notes.append(f"{model.id} calls no tools; it answers without")
        return [note for note in notes if note]

    def _news(self) -> str | None:
        """That nothing is saved any more, once."""
        if self._repository.notice == self._told:
            return None
        self._told = self._repository.notice
        return self._told

    async def _chat(
        self,
        conversation: Conversation,
        model: str,
        avoid: Collection[str],
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
    ) -> AsyncGenerator[ChatEvent, None]:
        """One round; a model that takes no open answer at the end is told to go on."""
        options = conversation.options
        think = None if think_refusal(self.model(model), options.think) else options.think
        begun = False
        for sent in (messages, [*messages, Message("user", CONTINUE)]):
            answer = self._client.chat(
                model,
                sent,
                conversation=conversation.id,
                think=think,
                sampling=options.sampling(),
                tools=tools,
                avoid=avoid,
            )
            try:
                async with contextlib.aclosing(answer):
                    async for event in answer:
                        begun = True
                        yield event
            except CloudError as error:
                if (
                    begun
                    or error.fault.traits.cause is not ClientCause.REQUEST
                    or sent[-1].role != "assistant"
                ):
                    raise
            else:
                return

    async def _tools(self, conversation: Conversation) -> Toolbox | None:
        """The tools of this conversation, or None; settings that changed make new ones."""
        settings = self._service.configuration.chat
        if self._box is None or self._box.settings != settings:
            environment = self._service.configuration.environment
            box = Toolbox(
                settings,
                self._post_of(conversation),
                lambda server, chosen: McpServer(server, chosen, environment),
            )
            self._box = await self._boxes.enter_async_context(box)
        box = self._box
        wanted = conversation.options.tools
        model = self.model(conversation.model)
        on = bool(box.settings.tools) if wanted is None else wanted
        may = on and (model is None or _may_call(model))
        return box.asking(self._post_of(conversation)) if may else None

    def _post_of(self, conversation: Conversation) -> Post:
        """Tools ask with the key that serves the conversation."""
        return partial(self._client.post, conversation=conversation.id)


def _may_call(model: Model) -> bool:
    return model.capabilities is None or model.can("tools")


def _sent(conversation: Conversation, continued: Turn | None) -> tuple[Message, ...]:
    """The messages, an open answer at the end without its thoughts: it is the words that go on."""
    if continued is None:
        return conversation.messages()
    return (*conversation.before(continued.place).messages(), Message("assistant", continued.message.content))


def _too_long(error: OkrError) -> CloudError | None:
    """What to do about a conversation that the model has no room for."""
    if not isinstance(error, CloudError) or "context length" not in error.fault.text:
        return None
    words = "the model has no room for this conversation: /new starts over, editing a question branches"
    return CloudError(f"{words} ({error.fault.text})", error.fault)
