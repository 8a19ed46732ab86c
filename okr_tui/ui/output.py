"""The door by which everything leaves for the terminal: cells that steer nothing, a file that may be gone."""

from typing import IO, Final

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from okr_tui.domain.text import drawable

PLAIN: Final = Style()


class DrawableFilter(LineFilter):
    """Removes from drawn text what a terminal would act on, whatever widget drew it.

    It comes before Textual's filters, one of which (NO_COLOR) fails on text without a style.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return the segments with only drawable text; their widths in cells stay."""
        if all(
            style is not None and style.link is None and text.isascii() and text.isprintable()
            for text, style, _ in segments
        ):
            return segments
        return [Segment(drawable(text), _safe(style), control) for text, style, control in segments]


def _safe(style: Style | None) -> Style:
    """Return a style whose link ends no sequence: of the address, which is written as it is, ASCII stays."""
    if style is None:
        return PLAIN
    if style.link is None:
        return style
    link = "".join(letter for letter in style.link if "!" <= letter <= "~")
    return style if link == style.link else style.update_link(link or None)


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
