"""An answer kept while it comes: a process that is killed loses at most the last second of it."""

import asyncio
from dataclasses import replace
from typing import Final

from okr_tui.chat.conversation import Answered, Conversation, Turn
from okr_tui.chat.events import RoundEvent, ToolRan
from okr_tui.chat.messages import Finished, Message, Routed
from okr_tui.chat.repository import ConversationRepository
from okr_tui.chat.tool_loop import result_message, whole
from okr_tui.cloud.dialects import Delta
from okr_tui.services.clock import Clock

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
        """Store what came; `error` says why there is no more. An answer without a word is no turn."""
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
        answered = Answered(self._model, event.fingerprint, event.index, event.hops, thinking_ms=thought)
        self._pieces = [Delta(message.content, message.thinking)] if continued else []
        self._thinking = None
        self._growing = Turn(place, message, self._clock.time(), answered)

    def _think(self, delta: Delta) -> None:
        """How long it thought: from the first thought to the first word behind it, or to the last thought."""
        now = self._clock.time()
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
        message = replace(whole(self._pieces), incomplete=incomplete)
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
