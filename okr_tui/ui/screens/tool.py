"""Asks whether a model may use a tool."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from okr_tui.ui.actions import bindings
from okr_tui.ui.keyed import LeaveByKey
from okr_tui.ui.lines import QUIET, STRONG, content, one_line
from okr_tui.ui.parts import safe
from okr_tui.ui.widgets.choice import Choice
from okr_tui.ui.widgets.rows import RowList

if TYPE_CHECKING:
    from okr_tui.services.chat_events import ToolAsked

DEAF: Final = 0.5
"""Seconds in which keys are not taken for an answer: they were meant for what stood here before."""
SHOWN: Final = 3000
"""Characters of the arguments that are drawn."""
ANSWERS: Final = (
    ("once", "allow once                          y"),
    ("always", "allow always in this conversation   a"),
    ("refuse", "refuse                              n"),
)


def arguments_words(arguments: Mapping[str, object]) -> str:
    """The arguments as indented JSON, bounded."""
    text = safe(json.dumps(dict(arguments), ensure_ascii=False, indent=2))
    left = len(text) - SHOWN
    return f"{text[:SHOWN]}\n… {left:,} more characters" if left > 0 else text


class ConfirmTool(LeaveByKey, ModalScreen[None]):
    """Answers the call: once, for the rest of the conversation, or not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        Binding("y", "decide('once')", "allow once", show=False),
        Binding("a", "decide('always')", "allow always", show=False),
        Binding("n", "decide('refuse')", "refuse", show=False),
    ]

    def __init__(self, asked: "ToolAsked") -> None:
        super().__init__()
        self.asked = asked
        self.deaf = True

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.asked.decision.done()

    def compose(self) -> ComposeResult:
        """Who asks for what, and the three answers."""
        call, server = self.asked.call, self.asked.server
        where = f"  of the tool server {one_line(safe(server))[:40]}" if server else "  built in"
        with Vertical(classes="box"):
            yield Static(Content("The model wants to use a tool"), classes="box-heading")
            yield Static(content(((one_line(safe(call.name))[:80], STRONG), (where, QUIET))), classes="key")
            with VerticalScroll(classes="arguments", can_focus=False):
                yield Static(content(((arguments_words(call.arguments), QUIET),)))
            yield Choice(*ANSWERS)
            yield Static(Content("enter answers · esc refuses"), classes="box-foot")

    def on_mount(self) -> None:
        """Listen in a moment."""
        self.set_timer(DEAF, self.listen)

    def listen(self) -> None:
        """Take keys for an answer from now on."""
        self.deaf = False

    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """The marked answer."""
        self.action_decide(self.query_one(Choice).value)

    def action_leave(self) -> None:
        """Refuse."""
        self.action_decide("refuse")

    def action_decide(self, answer: str) -> None:
        """Let the model know."""
        if self.deaf:
            return
        if not self.gone:
            self.asked.decide(allow=answer != "refuse", always=answer == "always")
        self.dismiss()
