"""A text laid over the dashboard: help and the answers of the original's commands."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from okr_tui.ui.actions import ACTIONS, Action, borrowed, groups
from okr_tui.ui.base_app import LeaveByKey
from okr_tui.ui.lines import STAR


class TextScreen(LeaveByKey, ModalScreen[None]):
    """Shows a text until escape, q or enter. No right border: terminals differ on how wide emoji are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "close", show=False),
        *borrowed("help", "close"),
    ]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self.heading = title
        self.text = text

    def compose(self) -> ComposeResult:
        """Heading, scrolling text, the way out."""
        with VerticalScroll(classes="box"):
            yield Static(Content(self.heading), classes="box-heading")
            yield Static(self.text, id="text-body")
            yield Static(Content(self.foot()), classes="box-foot")

    def foot(self) -> str:
        """Which keys do what here."""
        return "esc closes"

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()


def help_text(actions: Sequence[Action] = ACTIONS) -> Content:
    """Every action under its heading, and what the marks mean."""
    lines: list[Content] = []
    for heading, members in groups(actions).items():
        lines.append(Content.assemble("\n" if lines else "", (heading, "bold $text-primary")))
        lines += [
            Content.assemble((f"  {action.shown:<10}", "bold $text-accent"), f" {action.tooltip}")
            for action in members
        ]
    lines.append(
        Content.assemble(
            ("\nMarks\n", "bold $text-primary"),
            ("  ▶", "$text-primary"),
            "          the key that the next request takes\n",
            ("  ▷", "$text-primary"),
            "          the key you prefer, while another one has to stand in\n",
            ("  ▇▁▁▁", "$text-success"),
            "       how much of a quota window is used\n",
            (f"  {STAR}", "$text-primary"),
            "          a favourite model, which pi cycles through too\n",
            ("  †", "$text-warning"),
            "          a model that is gone, or has a successor to move to",
        )
    )
    return Content("\n").join(lines)
