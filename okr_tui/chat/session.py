"""One question of a conversation on its way: stored, sent, answered, and the answer stored as it comes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from okr_tui.chat.answer import ChatPool, Request
from okr_tui.chat.conversation import (
    UNTITLED,
    Answered,
    Answering,
    Began,
    Conversation,
    Ended,
    Noted,
    RoundEvent,
    ToolRan,
    Turn,
    gauge,
    title,
)
from okr_tui.chat.mcp import McpServer
from okr_tui.chat.messages import ChatEvent, Finished, Message, Routed, check_sight
from okr_tui.chat.options import think_refusal
from okr_tui.chat.repository import ConversationRepository
from okr_tui.chat.tools import Consent, Toolbox, ToolServers, message_of, result_message, run_tool_loop
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import ChatError, CloudError, OkrError
from okr_tui.domain.faults import ClientCause
from okr_tui.domain.models import Model, bare_name, listed_model
from okr_tui.services.background import Clock

SAVE_EVERY: Final = 1.0


class AnswerRecorder:
    """Turns events into turns. `conversation` is always as it stands, with the growing answer."""

    def __init__(
        self,
        repository: ConversationRepository,
        conversation: Conversation,
        model: str,
        clock: Clock,
        continued: Turn | None = None,
    ) -> None:
        self.conversation = conversation
        self._repository = repository
        self._model = model
        self._clock = clock
        self._continued = continued
        self._pieces: list[Delta] = []
        self._growing: Turn | None = None
        self._thinking: tuple[float, float] | None = None
        self._spoke = False
        self._timer: asyncio.Task[None] | None = None
        self._unsaved = False

    async def take(self, event: RoundEvent) -> None:
        """Keep an event. What ends a turn is stored at once, the rest within SAVE_EVERY seconds."""
        match event:
            case Routed():
                self._begin(event)
            case Delta():
                self._pieces.append(event)
                self._unsaved = True
                self._think(event)
                if self._timer is None:
                    self._timer = asyncio.create_task(self._save_later())
            case Finished():
                await self._finish(event)
            case ToolRan():
                await self._add(result_message(event))

    async def close(self, error: str | None = None) -> None:
        """Store what came; `error` says why there is no more. An answer without a word is not stored."""
        if self._timer:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
            self._timer = None
        if self._growing is None or not self._pieces:
            return
        await self._grow(incomplete=True, error=error)
        self._growing = None

    def _begin(self, event: Routed) -> None:
        continued, self._continued = self._continued, None
        message = continued.message if continued else Message("assistant", "")
        place = continued.place if continued else self.conversation.next_place
        thought = continued.answered.thinking_ms if continued and continued.answered else None
        model = event.answered_by or self._model
        answered = Answered(model, event.fingerprint, event.index, event.hops, thinking_ms=thought)
        self._pieces = [Delta(message.content, message.thinking)] if continued else []
        self._thinking = None
        self._growing = Turn(place, message, self._clock.time(), answered)

    def _think(self, delta: Delta) -> None:
        """Note how long it thinks: from the first thought to the first word after it, or the last thought."""
        now = self._clock.monotonic()
        if delta.thinking:
            self._thinking = (self._thinking[0] if self._thinking else now, now)
            self._spoke = False
        elif self._thinking and delta.content and not self._spoke:
            self._thinking = (self._thinking[0], now)
            self._spoke = True

    async def _finish(self, end: Finished) -> None:
        if self._growing is None or self._growing.answered is None:
            return
        self._growing = replace(self._growing, answered=self._growing.answered.finished(end))
        await self._grow(incomplete=False)
        self._growing = None

    async def _add(self, message: Message) -> None:
        turn = Turn(self.conversation.next_place, message, self._clock.time())
        self._set(turn)
        await self._repository.put(self.conversation, turn)

    async def _save_later(self) -> None:
        while self._unsaved:
            await self._clock.sleep(SAVE_EVERY)
            await self._grow(incomplete=True)
        self._timer = None

    async def _grow(self, *, incomplete: bool, error: str | None = None) -> None:
        """Store the answer as it stands; one that another process finds unfinished was cut off."""
        if self._growing is None or self._growing.answered is None:
            return
        self._unsaved = False
        answered = replace(self._growing.answered, thinking_ms=self._thought(), error=error)
        message = replace(message_of(self._pieces), incomplete=incomplete)
        turn = replace(self._growing, message=message, answered=answered)
        self._set(turn)
        await self._repository.put(self.conversation, turn)

    def _thought(self) -> int | None:
        """Milliseconds of thinking, with those before the answer was cut off."""
        before = self._growing.answered.thinking_ms if self._growing and self._growing.answered else None
        if self._thinking is None:
            return before
        return (before or 0) + round(1000 * (self._thinking[1] - self._thinking[0]))

    def _set(self, turn: Turn) -> None:
        kept = self.conversation.before(turn.place).turns
        self.conversation = replace(self.conversation, turns=(*kept, turn), updated=turn.at)


CONTINUE: Final = "Continue exactly where your last message stopped. Repeat nothing and add no remark."


class ChatSession:
    """Sends questions and keeps the answers. One answer at a time comes in each conversation."""

    def __init__(self, pool: ChatPool, repository: ConversationRepository) -> None:
        self._pool = pool
        self._repository = repository
        self._running: set[str] = set()
        self._consents: dict[str, Consent] = {}
        self._noted: str | None = None
        self._servers = ToolServers(lambda server: McpServer(server, pool.environment))
        self._unfollow = pool.follow_settings(self._servers.apply)
        self._keeping: set[asyncio.Future[None]] = set()

    async def question(
        self, request: Request, text: str, images: tuple[str, ...], *, stored: bool
    ) -> Answering:
        """Store a question and return its answer. A question before it that was never answered is replaced.

        `stored` says whether the conversation itself is. Raises ChatError for what cannot be asked.
        """
        conversation, now = request.conversation, self._pool.clock.time()
        if not text.strip() and not images:
            raise ChatError("there is nothing to ask")
        check_sight(listed_model(self._pool.models, conversation.model), len(images))
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
        """Continue the last answer. One that has only thoughts starts over.

        The request ends with the answer as it is: Ollama's templates leave such a message open, so that the
        model writes on (ollama/ollama#6778, model/renderers/qwen3coder.go). A model that refuses it, with
        status 400, is asked in words instead.
        """
        last = request.conversation.incomplete
        if last is None or last.message.content:
            return self.answer(request, continued=last)
        return self.answer(replace(request, conversation=request.conversation.before(last.place)))

    async def answer(
        self, request: Request, turn: Turn | None = None, continued: Turn | None = None
    ) -> Answering:
        """Answer what the conversation ends with, and store the answer as it comes."""
        conversation = request.conversation
        model = self._check(conversation)
        self._running.add(conversation.id)
        recorder = AnswerRecorder(
            self._repository, conversation, bare_name(model), self._pool.clock, continued
        )
        error: str | None = "stopped"
        try:
            yield Began(conversation, turn)
            for note in self._notes(conversation):
                yield Noted(note)
            consent = self._consents.setdefault(conversation.id, Consent())
            messages = _sent(conversation, continued)
            ask = partial(self._chat, conversation, model, request.avoid)
            with self._toolbox(conversation) as box:
                answering = run_tool_loop(ask, messages, box, consent, self._pool.clock)
                async with contextlib.aclosing(answering) as events:
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
        if notice := self._unsaved_notice():
            yield Noted(notice)
        listed = listed_model(self._pool.models, model)
        yield Ended(recorder.conversation, gauge(recorder.conversation, listed))

    async def close(self) -> None:
        """Wait for what is being stored, and end the tool servers."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._unfollow()
        await self._servers.close()

    def _check(self, conversation: Conversation) -> str:
        if conversation.model is None:
            raise ChatError("no model is chosen for this conversation")
        if conversation.id in self._running:
            raise ChatError("an answer in this conversation is still coming: stop it first")
        return conversation.model

    def _notes(self, conversation: Conversation) -> list[str]:
        """Return what of the options cannot be followed, a line each."""
        model, options = listed_model(self._pool.models, conversation.model), conversation.options
        notes = [self._unsaved_notice(), think_refusal(model, options.think)]
        if options.tools and model and not _may_call(model):
            notes.append(f"{model.id} cannot call tools; it answers without them")
        return [note for note in notes if note]

    def _unsaved_notice(self) -> str | None:
        """Return, once, that nothing is saved any more."""
        if self._repository.notice == self._noted:
            return None
        self._noted = self._repository.notice
        return self._noted

    async def _chat(
        self,
        conversation: Conversation,
        model: str,
        avoid: Collection[str],
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
    ) -> AsyncGenerator[ChatEvent, None]:
        """Ask for one round; a model that takes no open answer at the end is asked in words to continue."""
        options = conversation.options
        think = (
            None if think_refusal(listed_model(self._pool.models, model), options.think) else options.think
        )
        begun = False
        for sent in (messages, [*messages, Message("user", CONTINUE)]):
            answer = self._pool.chat(
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

    @contextlib.contextmanager
    def _toolbox(self, conversation: Conversation) -> Iterator[Toolbox | None]:
        """Hold the tools of an answer; None where the model calls none, or is not to."""
        settings, wanted = self._pool.settings, conversation.options.tools
        model = listed_model(self._pool.models, conversation.model)
        if not (settings.tools if wanted is None else wanted) or (model and not _may_call(model)):
            yield None
            return
        # Tools ask with the key that serves the conversation.
        post = partial(self._pool.post, conversation=conversation.id)
        with self._servers.used(settings) as servers:
            yield Toolbox(settings, post, servers)


def _may_call(model: Model) -> bool:
    return model.capabilities is None or model.can("tools")


def _sent(conversation: Conversation, continued: Turn | None) -> tuple[Message, ...]:
    """Return the messages; an answer to be continued comes last, without its thoughts."""
    if continued is None:
        return conversation.messages()
    return (*conversation.before(continued.place).messages(), Message("assistant", continued.message.content))


def _too_long(error: OkrError) -> CloudError | None:
    """Return the error with what to do, when the model has no room for the conversation."""
    if not isinstance(error, CloudError) or "context length" not in error.fault.text:
        return None
    words = "this conversation is too long for the model: /new starts over, editing a question branches"
    return CloudError(f"{words} ({error.fault.text})", error.fault)
