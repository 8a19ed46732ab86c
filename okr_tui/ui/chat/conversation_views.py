"""The conversations on the screen, one or two side by side: their turns, and the answers as they come."""

from dataclasses import replace
from itertools import count
from typing import Final

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.reactive import var
from textual.widgets import Static

from okr_tui.chat.conversation import Conversation, RoundEvent
from okr_tui.ui.chat.markdown import safe
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.chat.turn import TurnView
from okr_tui.ui.chat.turn_state import reopened, turn_states
from okr_tui.ui.lines import NOTICE, QUIET, Line, one_line, show_line

Rival = tuple[str, int | None]
"""A model, and the index of the one key it is asked with; None for the pool's choice."""

numbers: Final = count(1)


class ConversationView(Vertical):
    """Draws its conversation. `only` is the index of the one key it uses, None for the pool's choice.

    `number` changes with what is shown: late parts of an answer for an earlier number are dropped.
    """

    unfolded: var[bool] = var(False)

    def __init__(self, conversation: Conversation, *, only: int | None = None) -> None:
        super().__init__(classes="conversation")
        self.number = next(numbers)
        self.conversation = conversation
        self.transcript = Transcript()
        self.only = only
        self.running: TurnView | None = None
        self.pending = False
        self.via: int | None = None

    def compose(self) -> ComposeResult:
        """Yield a heading, shown where there are two, and the turns."""
        yield Static(classes="side")
        yield self.transcript.data_bind(ConversationView.unfolded)

    @property
    def busy(self) -> bool:
        """Whether an answer comes or is about to."""
        return self.pending or self.running is not None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read."""
        return not self.transcript.children

    @property
    def can_continue(self) -> bool:
        """Whether the last answer has a word and was cut off."""
        return not self.busy and (self.conversation.incomplete is not None or self.conversation.unfinished)

    @property
    def can_ask_again(self) -> bool:
        """Whether the last question still waits for a whole answer."""
        return self.can_continue or (not self.busy and self.conversation.unanswered)

    def show_heading(self, *, shown: bool) -> None:
        """Show the model above the turns, and the key where only one is used; or hide that line."""
        model = one_line(safe(self.conversation.model or ""))
        words: Line = ((f" {model}", f"bold {NOTICE}"), (f" · #{self.only}" if self.only else "", QUIET))
        side = self.query_one(".side", Static)
        show_line(side, words if shown else ())
        side.display = shown

    async def show(self, conversation: Conversation) -> None:
        """Show another conversation, under another number."""
        self.number = next(numbers)
        self.conversation, self.running, self.via, self.pending = conversation, None, None, False
        await self.transcript.show(turn_states(conversation))

    async def begin(self, conversation: Conversation) -> None:
        """Begin to answer the end of this conversation; a branch is shown as a whole."""
        state = reopened(conversation)
        if self.conversation.id in ("", conversation.id):
            await self.transcript.cut(state.place or 1)
        else:
            await self.transcript.show(turn_states(conversation)[:-1])
        self.conversation, self.pending = conversation, False
        self.running = await self.transcript.begin(state)

    def show_event(self, event: RoundEvent, at: float) -> bool:
        """Draw a part of the running answer; return whether another key now answers."""
        if self.running is None:
            return False
        self.running.show_event(event, at)
        before, self.via = self.via, self.running.state.index or self.via
        return self.via != before

    def finish(self, conversation: Conversation) -> None:
        """Mark the answer as whole; model, options and title may have been changed while it came."""
        self.conversation = replace(self.conversation, turns=conversation.turns, updated=conversation.updated)
        if self.running:
            self.running.finish()
        self.running = None

    def stop(self) -> str:
        """Mark the answer as stopped, keeping its text; return the question if there is none."""
        question = self._question_without_answer()
        if self.running:
            self.running.stop()
        self.running = None
        return question

    def fail(self, reason: str) -> str:
        """Mark the answer as failed, keeping its text; return the question if there is none."""
        question = self._question_without_answer()
        if self.running:
            self.running.fail(reason)
        self.running = None
        return question

    def _question_without_answer(self) -> str:
        turn = self.running
        return turn.state.question if turn and not turn.state.steps else ""

    def offer(self, words: str) -> None:
        """Show under the last turn alone which actions it offers."""
        last = self.transcript.last
        for turn in self.transcript.turns:
            turn.offer(words if turn is last else "")


class ConversationViews(Container):
    """One conversation, or two that are compared. The pane around them has the prompt."""

    unfolded: var[bool] = var(False)

    def __init__(self) -> None:
        super().__init__(id="conversations")
        self.rivals: tuple[Rival, ...] = ()
        """The models to compare from the next question on; () for a single conversation."""
        self._before: Conversation | None = None

    def compose(self) -> ComposeResult:
        """Yield the new conversation."""
        yield ConversationView(Conversation(""))

    @property
    def all(self) -> list[ConversationView]:
        """The conversations that are shown, one or two."""
        return [child for child in self.children if isinstance(child, ConversationView)]

    @property
    def current(self) -> ConversationView:
        """The focused conversation, else the first that can continue, else the first."""
        views = self.all
        focused = self.screen.focused
        mine = [view for view in views if focused is not None and view in focused.ancestors]
        return (mine + [view for view in views if view.can_ask_again] + views)[0]

    @property
    def running(self) -> bool:
        """Whether an answer comes or is about to."""
        return any(view.busy for view in self.all)

    def of(self, side: int) -> ConversationView | None:
        """Return the view of that number, unless it is gone."""
        return next((view for view in self.all if view.number == side), None)

    def stop(self) -> list[str]:
        """Stop the running answers, keeping their text; return the questions without any answer."""
        returned = []
        for view in self.all:
            if view.running:
                returned.append(view.stop())
                # Until the service has finished with it, it accepts no other question.
                view.pending = True
        return [question for question in returned if question]

    async def compare(self, conversations: tuple[Conversation, ...]) -> None:
        """Show conversations side by side from now on, each with its rival's key."""
        first, *others = conversations
        self._before = self.current.conversation
        await self.all[0].show(first)
        for conversation in others:
            view = ConversationView(conversation)
            view.unfolded = self.unfolded
            await self.mount(view)
            await view.show(conversation)
        for view, (_, only) in zip(self.all, self.rivals, strict=False):
            view.only = only

    async def leave_comparison(self, keep: ConversationView | None = None) -> None:
        """Keep one side alone; None goes back to the conversation before the comparison."""
        self.rivals = ()
        first, *others = self.all
        kept = keep.conversation if keep is not None else self._before
        for view in others:
            await view.remove()
        first.only, self._before = None, None
        if kept is not None and others:
            await first.show(kept)

    def next_side(self, direction: int) -> bool:
        """Focus the other of two conversations, where it comes next; return whether it did."""
        views = self.all
        focused = [index for index, view in enumerate(views) if view.transcript is self.screen.focused]
        following = focused[0] + direction if focused else -1
        if not 0 <= following < len(views):
            return False
        self.screen.set_focus(views[following].transcript)
        return True

    def watch_unfolded(self) -> None:
        """Show or fold the thoughts on every side."""
        for view in self.all:
            view.unfolded = self.unfolded
