"""Whether a project's settings file may have what it asks for."""

from collections.abc import Awaitable, Callable
from typing import Final

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from okr_tui.domain.words import printable
from okr_tui.services.service import TrustQuestion
from okr_tui.ui.lines import one_line
from okr_tui.ui.screens.dialog import Choice, Dialog

WANTS, LETTERS = 20, 160
LATER: Final = "later"


def bounded(text: str) -> str:
    """A project's own words, short and on one line."""
    return printable(one_line(text), LETTERS)


class AskTrust(Dialog):
    """Deciding later comes first, so that an enter meant for something else decides nothing."""

    HEADING = "Trust this project's settings?"
    FOOT = "enter chooses · tab reads on · esc decides later"
    AUTO_FOCUS = "#choice"

    def __init__(self, asked: TrustQuestion, send: Callable[[bool], Awaitable[str]]) -> None:
        super().__init__()
        self.asked = asked
        self.send = send

    def question(self) -> ComposeResult:
        """The file, what it wants, and the answers."""
        yield Static(
            Content.styled(bounded(str(self.asked.project_file)), "bold $text-accent"), classes="key"
        )
        wants = [f"· {bounded(want)}" for want in self.asked.wants[:WANTS]]
        if len(self.asked.wants) > WANTS:
            wants.append(f"· and {len(self.asked.wants) - WANTS} more")
        yield Static(Content("It wants:"))
        with VerticalScroll(classes="wants"):
            yield Static(Content("\n".join(wants)))
        yield Choice(
            (LATER, "decide later: asked again at the next start"),
            ("trust", "trust it, as long as the file stays as it is"),
            ("distrust", "do not trust it: the rest of the file is used"),
        )

    def answer(self) -> Awaitable[str] | None:
        """Remember the decision."""
        decision = self.query_one(Choice).value
        if decision == LATER:
            self.dismiss()
            return None
        return self.send(decision == "trust")
