"""One side of the chat: a conversation, its turns, and the answer that comes."""

from itertools import count
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Static

from okr_tui.chat.conversation import Conversation
from okr_tui.chat.messages import Finished, Routed
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.document import safe
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.chat.turn import Turn
from okr_tui.ui.chat.turn_model import ToolState, arguments_text, exchanges_of, reopened, result_summary
from okr_tui.ui.lines import NOTICE, QUIET, Line, content, one_line

if TYPE_CHECKING:
    from okr_tui.chat.events import ConversationEvent

numbers: Final = count(1)


class ConversationView(Vertical):
    """Draws its conversation. `only` is the place of the one key it uses, None for the pool's choice."""

    unfolded: var[bool] = var(False)

    def __init__(self, conversation: Conversation, *, only: int | None = None) -> None:
        super().__init__(classes="talk")
        self.number = next(numbers)
        self.conversation = conversation
        self.only = only
        self.running: Turn | None = None
        self.pending = False
        self.via: int | None = None

    def compose(self) -> ComposeResult:
        """Its name, shown where there are two, and the turns."""
        yield Static(classes="side")
        yield Transcript().data_bind(ConversationView.unfolded)

    @property
    def transcript(self) -> Transcript:
        """The turns."""
        return self.query_one(Transcript)

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

    def name_it(self, words: Line) -> None:
        """Say over the turns whose they are; nothing hides the line."""
        side = self.query_one(".side", Static)
        side.update(content(words))
        side.display = bool(words)

    async def show(self, conversation: Conversation) -> None:
        """Another conversation, under another number: what still comes of the one before is not for it."""
        self.number = next(numbers)
        self.conversation, self.running, self.via, self.pending = conversation, None, None, False
        await self.transcript.show(exchanges_of(conversation))

    async def began(self, conversation: Conversation) -> None:
        """The end of this conversation is being answered; a branch is shown as a whole."""
        exchange = reopened(conversation)
        if self.conversation.id in ("", conversation.id):
            await self.transcript.cut(exchange.place or 1)
        else:
            await self.transcript.show(exchanges_of(conversation)[:-1])
        self.conversation, self.pending = conversation, False
        self.running = await self.transcript.begin(exchange)

    def show_event(self, event: "ConversationEvent", at: float) -> None:
        """Draw a part of the running answer."""
        from okr_tui.chat.events import Noted, ToolAsked, ToolRan

        turn = self.running
        if turn is None:
            return
        match event:
            case Routed() | Finished():
                self.via = event.index or self.via
                turn.show_event(event, at)
            case Delta():
                turn.show_event(event, at)
                for call in event.tool_calls:
                    turn.ask_tool(call.name, arguments_text(call.arguments))
            case ToolAsked():
                turn.wait_for_person(event.call.name)
            case ToolRan(call, result, seconds):
                tool = turn.exchange.running_tool(call.name)
                tool = tool or turn.ask_tool(call.name, arguments_text(call.arguments))
                summary = result_summary(result.text, failed=result.failed)
                state: ToolState = "failed" if result.failed else "done"
                taken = seconds or None
                turn.tool_ended(tool, state, result.text, summary=summary, seconds=taken)
            case Noted(text):
                turn.note(text)

    def finish(self) -> None:
        """The answer is whole."""
        if self.running:
            self.running.finish()
        self.running = None

    def stop(self) -> None:
        """The person stopped it; what came is kept."""
        if self.running:
            self.running.stop()
        self.running = None

    def fail(self, reason: str) -> None:
        """It broke; what came is kept."""
        if self.running:
            self.running.fail(reason)
        self.running = None

    def offer(self, words: str) -> None:
        """Say under the last turn what can be done about it, and under no other."""
        for turn in self.query(Turn):
            turn.offer(words if turn is self.transcript.last else "")

    def heading(self) -> Line:
        """Its model, and its key where it has one of its own."""
        model = one_line(safe(self.conversation.model or ""))
        return ((f" {model}", f"bold {NOTICE}"), (f" · #{self.only}" if self.only else "", QUIET))
