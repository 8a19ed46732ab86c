"""What the screen says between the turns: plain lines, whose columns hold where a line is folded."""

import re
from collections.abc import Iterator
from typing import Final

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from okr_tui.ui.parts import Piece, safe

COLUMN: Final = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")
"""A line up to its second column: two blanks or more part them."""


class Aside(Static):
    """A block that belongs to the screen alone: it is no part of the conversation."""

    def __init__(self, text: str, style: str) -> None:
        super().__init__(classes="aside")
        # Terminals differ on how wide a sign with a variation selector is.
        self._said = safe(text.replace("\ufe0f", "")).splitlines()
        self._style = style

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many lines as it takes to say it."""
        return sum(1 for _ in self._lines(width))

    def render(self) -> Content:
        """The lines at this width."""
        return Content("\n").join(self._lines(self.size.width)).stylize(self._style)

    def _lines(self, width: int) -> Iterator[Content]:
        for line in self._said:
            found = COLUMN.match(line)
            head = found[0] if found and 2 * len(found[0]) <= width else ""
            first = Content(head)
            piece = Piece(Content(line[len(head) :]), first, Content(" " * first.cell_length))
            yield from (row.content for row in piece.rows(width))
