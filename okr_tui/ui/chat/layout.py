"""Text laid out as lines of the screen: pieces that wrap, tables, and what a copy of them gives back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from textual.content import Content

EMPTY: Final = Content("")
CODE: Final = "on $surface"
LINK: Final = "okr_link"
"""The name under which a drawn link carries its address."""
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SEPARATOR: Final = " │ "
_LEAST_COLUMN: Final = 3


def safe(text: str) -> str:
    """Return outside text of several lines without what would steer a terminal or reorder the text."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4)


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """One line of the screen. `gap` is what a copy puts before it; None where it begins a line of its own.

    The first `lead` characters are ornament: they repeat or indent, and a copy of a wrapped line leaves them.
    """

    content: Content
    gap: str | None = None
    lead: int = 0
    fill: str = ""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Lines that wrap at words, code anywhere; `first` precedes the first, `rest` the others."""

    body: Content
    first: Content = EMPTY
    rest: Content = EMPTY
    code: bool = False

    def rows(self, width: int) -> Iterator[LayoutRow]:
        """Yield the lines of the piece, at most `width` cells each."""
        room = max(4, width - self.first.cell_length)
        fill, gap = (CODE, "") if self.code else ("", " ")
        lead = self.first
        for line in self.body.split("\n", allow_blank=True):
            for number, part in enumerate(line.fold(room) if self.code else line.wrap(room)):
                yield LayoutRow(lead + part, gap if number else None, len(lead), fill)
                lead = self.rest


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one line each, the first row the head; narrow screens wrap them within their columns."""

    cells: tuple[tuple[Content, ...], ...]
    first: Content = EMPTY
    rest: Content = EMPTY

    def rows(self, width: int) -> Iterator[LayoutRow]:
        """Yield the lines of the table, at most `width` cells each; where no table fits, a line per row."""
        columns = max(map(len, self.cells))
        room = width - self.first.cell_length - len(_SEPARATOR) * (columns - 1)
        if room < _LEAST_COLUMN * columns:
            for cells in self.cells:
                yield from TextPart(Content(_SEPARATOR).join(cells), self.first, self.rest).rows(width)
            return
        widths = self._widths(columns, room)
        lead = self.first
        for number, cells in enumerate(self.cells):
            wrapped = [
                cell.wrap(size) if cell else [EMPTY] for cell, size in zip(cells, widths, strict=False)
            ]
            for line in range(max(map(len, wrapped))):
                parts = [
                    _padded(cell[line] if line < len(cell) else EMPTY, size)
                    for cell, size in zip(wrapped, widths, strict=False)
                ]
                yield LayoutRow(lead + Content.styled(_SEPARATOR, "$text-muted").join(parts))
                lead = self.rest
            if number == 0:
                rule = "─┼─".join("─" * size for size in widths)
                yield LayoutRow(lead + Content.styled(rule, "$text-muted"))

    def _widths(self, columns: int, room: int) -> list[int]:
        widths = [_LEAST_COLUMN] * columns
        for cells in self.cells:
            for place, cell in enumerate(cells):
                widths[place] = max(widths[place], cell.cell_length)
        while (over := sum(widths) - room) > 0:
            largest = max(widths)
            wide = [place for place, size in enumerate(widths) if size == largest]
            below = max([size for size in widths if size < largest], default=0)
            cut = max(1, min(largest - below, over // len(wide)))
            for place in wide[: over // cut]:
                widths[place] -= cut
        return widths


def _padded(cell: Content, width: int) -> Content:
    return cell.pad_right(width - cell.cell_length)


Part = TextPart | Table


def plain(text: str, *, code: bool = False, style: str = "") -> TextPart:
    """Return text as it is, without Markdown."""
    body = Content.styled(safe(text), style) if style else Content(safe(text))
    return TextPart(body, Content(" "), Content(" "), code=True) if code else TextPart(body)


def copied(rows: list[LayoutRow], texts: list[str]) -> str:
    """Return the text of copied rows: `texts` are their selected parts; wrapped lines are whole again."""
    copy = []
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if number:
            copy.append("\n" if row.gap is None else row.gap)
        copy.append(text if row.gap is None else text[row.lead :])
    return "".join(copy)
