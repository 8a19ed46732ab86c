"""A tool that a model called, on one line; its arguments and its result unfold."""

from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Static

from okr_tui.ui.chat.document import safe
from okr_tui.ui.chat.turn_model import Tool, ToolState
from okr_tui.ui.lines import FAULT, NOTICE, QUIET, Line, content, one_line

SHOWN: Final = 4000
"""Characters of arguments and result that are drawn; the model gets all of them."""
WORDS: Final = 60
FEW_WORDS: Final = 30
STATES: Final[dict[ToolState, tuple[str, str]]] = {
    "running": ("⚙", NOTICE),
    "done": ("⚙", QUIET),
    "failed": ("✖", FAULT),
    "stopped": ("⚙", QUIET),
}


def tool_line(tool: Tool, *, unfolded: bool) -> Line:
    """What is said of a call: `▸ ⚙ web_search "tides" … 1.2 s, 5 results`."""
    mark, style = STATES[tool.state]
    seconds = f"{tool.seconds:.1f} s" if tool.seconds is not None else ""
    told = ", ".join(part for part in (seconds, _short(tool.summary)) if part)
    if tool.state == "stopped":
        told = told or "stopped"
    fold = "" if tool.state == "running" else "▾ " if unfolded else "▸ "
    end = f" … {told}" if told else " …" if tool.state == "running" else ""
    return (
        (fold, QUIET),
        (f"{mark} {_short(tool.name)}", style),
        (f" {_short(tool.arguments, FEW_WORDS)}", QUIET),
        (end, FAULT if tool.state == "failed" else QUIET),
    )


def _short(text: str, longest: int = WORDS) -> str:
    words = one_line(safe(text[: 4 * longest]))
    return f"{words[: longest - 1]}…" if len(words) > longest else words


class ToolLine(Vertical, can_focus=True):
    """One call; enter or a click shows what was asked and answered. Draw it anew when its tool changed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "unfold", "unfold", show=False)]

    unfolded: var[bool] = var(False)

    def __init__(self, tool: Tool) -> None:
        super().__init__(classes="tool")
        self.tool = tool

    def compose(self) -> ComposeResult:
        """The line, and what it hides."""
        yield Static(content(tool_line(self.tool, unfolded=False)), classes="call")
        yield Static(classes="result")

    def draw(self) -> None:
        """Show the call as it stands."""
        if not self.is_mounted:
            return
        self.query_one(".call", Static).update(content(tool_line(self.tool, unfolded=self.unfolded)))
        shown = self.query_one(".result", Static)
        shown.display = self.unfolded and self.tool.state != "running"
        if shown.display:
            whole = f"{self.tool.arguments}\n\n{self.tool.result}".strip()
            left = len(whole) - SHOWN
            more = f"\n… {left:,} more characters" if left > 0 else ""
            shown.update(content(((safe(whole[:SHOWN]) + more, QUIET),)))

    def watch_unfolded(self) -> None:
        """Show or fold."""
        self.draw()

    def action_unfold(self) -> None:
        """Unfold what is folded, fold what is not."""
        self.unfolded = not self.unfolded

    def on_click(self, event: events.Click) -> None:
        """A click does as enter does."""
        event.stop()
        self.action_unfold()
