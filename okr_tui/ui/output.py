"""The door by which everything leaves for the terminal: cells that steer nothing, a file that may be gone."""

from typing import IO

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from okr_tui.domain.text import drawable


class DrawableFilter(LineFilter):
    """Removes from drawn text what a terminal would act on, whatever widget drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return the segments with only drawable text; their widths in cells stay."""
        if all(text.isascii() and text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(drawable(text), style, control) for text, style, control in segments]


class TerminalFile:
    """A file of the terminal that drops what is written once the terminal is gone."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        if not self._gone:
            try:
                self._file.write(text)
            except UnicodeEncodeError:
                self._file.write(text.encode("ascii", "replace").decode())
            except (OSError, ValueError):
                self._gone = True
        return len(text)

    def flush(self) -> None:
        """Send what is buffered."""
        if not self._gone:
            try:
                self._file.flush()
            except (OSError, ValueError):
                self._gone = True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self._file.isatty()
