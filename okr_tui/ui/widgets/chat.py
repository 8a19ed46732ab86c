"""The conversation: turns that follow the answer, and the prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message as Signal
from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.chat import ChatEvent, Finished, Message, Routed
from okr_tui.services.service import Snapshot
from okr_tui.ui.lines import QUIET, STRONG, content, entitle
from okr_tui.ui.widgets.prompt import Prompt
from okr_tui.ui.widgets.turn import Turn

SHOWN_TURNS = 50


class ChatPane(Vertical):
    """One conversation. It asks upward with `Asked` and is told the answer part by part."""

    ALLOW_MAXIMIZE = True

    snapshot: var[Snapshot | None] = var(None)
    model: var[str | None] = var(None)
    via: var[int | None] = var(None)
    unfolded: var[bool] = var(False)

    @dataclass
    class Asked(Signal):
        """A question is to be sent: the whole conversation, its last message the question."""

        model: str
        messages: tuple[Message, ...]
        conversation: str

    @dataclass
    class StopAsked(Signal):
        """The running answer is to be stopped."""

    @dataclass
    class RunningChanged(Signal):
        """An answer began or ended."""

        running: bool

    @dataclass
    class NoModel(Signal):
        """A question was sent before a model was chosen."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(id="chat", classes="pane")
        self.clock = clock
        self.history: list[Message] = []
        self.conversation = uuid4().hex
        self.running: Turn | None = None

    def compose(self) -> ComposeResult:
        """The turns, or what to do while there are none, above the prompt."""
        yield Static(content(()), id="chat-empty")
        yield VerticalScroll(id="turns")
        yield Prompt()

    def on_mount(self) -> None:
        """Follow the newest text unless scrolled up."""
        self.query_one("#turns").anchor()
        self._say_empty()

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.query_one(Prompt)

    def choose(self, model: str) -> None:
        """Talk to this model from now on; the conversation goes on."""
        self.model = model
        self.prompt.focus()

    def show_event(self, event: ChatEvent, at: float) -> None:
        """Draw a part of the running answer."""
        if self.running is None:
            return
        if isinstance(event, (Routed, Finished)) and event.index:
            self.via = event.index
        self.running.show_event(event, at)

    def finish(self) -> None:
        """The answer is whole."""
        if self.running:
            self._keep(incomplete=False)

    def stop(self) -> None:
        """The person stopped the answer; what came is kept."""
        if self.running:
            self.running.stop()
            self._keep(incomplete=True)

    def fail(self, reason: str) -> None:
        """The answer failed; what came is kept, and a question without any answer returns to the prompt."""
        if self.running:
            self.running.fail(reason)
            self._keep(incomplete=True)

    def _keep(self, *, incomplete: bool) -> None:
        turn, self.running = self.running, None
        if turn is None:
            return
        self.post_message(self.RunningChanged(running=False))
        if turn.text or not incomplete:
            self.history.append(turn.answer_message(incomplete=incomplete))
            return
        self.history.pop()
        if not self.prompt.text:
            self.prompt.text = turn.question
            self.prompt.move_cursor(self.prompt.document.end)

    @on(Prompt.Sent)
    async def _ask(self, event: Prompt.Sent) -> None:
        event.stop()
        if self.running:
            return
        if self.model is None:
            self.post_message(self.NoModel())
            return
        self.prompt.clear()
        self.running = Turn(self.model, event.text, self.clock())
        self.running.unfolded = self.unfolded
        self.history.append(Message("user", event.text))
        turns = self.query_one("#turns")
        self.add_class("-talking")
        await turns.mount(self.running)
        turns.anchor()
        for old in list(turns.query(Turn))[:-SHOWN_TURNS]:
            await old.remove()
        self.post_message(self.RunningChanged(running=True))
        self.post_message(self.Asked(self.model, tuple(self.history), self.conversation))

    async def begin_anew(self) -> None:
        """Forget the conversation; the model stays."""
        if self.running:
            self.post_message(self.StopAsked())
            self.post_message(self.RunningChanged(running=False))
        self.running = None
        self.history.clear()
        self.conversation = uuid4().hex
        await self.query_one("#turns").remove_children()
        self.remove_class("-talking")

    def watch_unfolded(self) -> None:
        """Show or fold the thoughts of every turn."""
        for turn in self.query(Turn):
            turn.unfolded = self.unfolded

    def watch_model(self) -> None:
        """Name the model in title and prompt."""
        self._say_title()
        if self.is_mounted and self.model:
            self.prompt.placeholder = content(((f"ask {self.model}", QUIET),))
            self._say_empty()

    def watch_via(self) -> None:
        """Name the key that answered last."""
        self._say_title()

    def watch_snapshot(self) -> None:
        """Name the key that the first question would take."""
        self._say_title()

    def _say_title(self) -> None:
        via = self.via or (self.snapshot.pool.active if self.snapshot else None)
        parts = [("Chat", STRONG), (f" {self.model}" if self.model else "", "")]
        if self.model and via:
            parts.append((f" · via #{via}", QUIET))
        entitle(self, title=tuple(parts))

    def _say_empty(self) -> None:
        if self.model:
            words = f"Ask {self.model} something."
        else:
            words = "No model chosen.\nenter on a line of Models, then type below."
        self.query_one("#chat-empty", Static).update(content(((words, QUIET),)))
