"""The dialog that changes one setting."""

from collections.abc import Awaitable, Callable, Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from okr_tui.services.service import SettingLine
from okr_tui.ui.lines import QUIET, STRONG, content, one_line
from okr_tui.ui.screens.dialog import Dialog
from okr_tui.ui.screens.keys import field
from okr_tui.ui.widgets.choice import Choice

DEFAULT = ""


class ChangeSetting(Dialog):
    """Asks for a value, or for one of a few; nothing, or the last choice, means the default."""

    HEADING = "Change a setting"
    FOOT = "enter saves · nothing means the default · esc leaves"

    def __init__(
        self, line: SettingLine, options: Sequence[str], send: Callable[[str | None], Awaitable[str]]
    ) -> None:
        super().__init__()
        self.line = line
        self.options = options
        self.send = send

    def question(self) -> ComposeResult:
        """The setting, where it comes from now, and the field or the choice."""
        line = self.line
        yield Static(content(((line.name, STRONG),)), classes="key")
        yield field("Now", Static(Content(f"{one_line(line.value) or '-'}  ({line.origin})")))
        if self.options:
            choice = Choice(*((name, name) for name in self.options), (DEFAULT, "back to the default"))
            choice.select(line.value)
            yield field("Then", choice)
        else:
            # A long value is not shown whole, so it is not there to be edited.
            value = "" if line.origin == "default" or line.value.endswith("…") else line.value
            entry = Input(value, placeholder=line.value or "none", id="value", compact=True)
            entry.cursor_blink = False
            yield field("Then", entry)
        for place in line.shadowed:
            yield Static(content(((f"{place} also sets it and would decide after this one", QUIET),)))

    def answer(self) -> Awaitable[str]:
        """Write the value."""
        text = self.query_one(Choice).value if self.options else self.query_one("#value", Input).value
        return self.send(text.strip() or None)
