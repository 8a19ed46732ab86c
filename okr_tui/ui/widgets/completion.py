"""The list above the prompt: what a command may go on to."""

from typing import Final

from textual.content import Content
from textual.widgets import Static

from okr_tui.domain.slash import BY_NAME
from okr_tui.ui.lines import QUIET, Line, content, fit

SHOWN: Final = 6


class Completion(Static):
    """A window of the candidates around the marked one, each command with its help."""

    def __init__(self) -> None:
        super().__init__(id="completion")

    def show(self, candidates: tuple[str, ...], marked: int) -> None:
        """Draw them; without any there is no list."""
        self.display = bool(candidates)
        if not candidates:
            return
        first = min(max(0, marked - SHOWN + 2), max(0, len(candidates) - SHOWN))
        lines: list[Line] = []
        for place, text in enumerate(candidates[first : first + SHOWN], first):
            lines.append(self._line(text, marked=place == marked))
        hidden = len(candidates) - first - len(lines)
        keys = "tab completes · ↑↓ choose · enter runs"
        lines.append(((f"{f'{hidden} more · ' if hidden else ''}{keys}", QUIET),))
        self.update(Content("\n").join([content(line) for line in lines]))

    def _line(self, text: str, *, marked: bool) -> Line:
        name, blank, argument = text.removeprefix("/").partition(" ")
        command = BY_NAME.get(name)
        style = "bold $text-accent" if marked else "$text-primary"
        mark = ("▸ " if marked else "  ", style)
        if command is None or (blank and argument):
            return (mark, (text, style))
        return (mark, (fit(command.line, 24), style), (f" {command.help}", QUIET))
