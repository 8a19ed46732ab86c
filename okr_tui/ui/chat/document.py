"""A Markdown text while it grows: what waits, what is made into parts, and the block that is still open."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from textual.content import Content

from okr_tui.ui.chat.markdown_blocks import Block, Blocks

EMPTY: Final = Content("")
CODE: Final = "on $surface"
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SEPARATOR: Final = " │ "
_LEAST_COLUMN: Final = 3


def safe(text: str) -> str:
    """Outside text of several lines without what would steer a terminal or turn the reading order around."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the screen. `gap` is what a copy puts before it; None where it begins a line of its own.

    The first `lead` characters are ornament: they repeat or indent, and a copy of a wrapped line leaves them.
    """

    content: Content
    gap: str | None = None
    lead: int = 0
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that wrap at words, code anywhere; `first` stands before the first, `rest` before others."""

    body: Content
    first: Content = EMPTY
    rest: Content = EMPTY
    code: bool = False

    def rows(self, width: int) -> Iterator[Row]:
        """The piece in at most `width` cells."""
        room = max(4, width - self.first.cell_length)
        fill, gap = (CODE, "") if self.code else ("", " ")
        lead = self.first
        for line in self.body.split("\n", allow_blank=True):
            for number, part in enumerate(line.fold(room) if self.code else line.wrap(room)):
                yield Row(lead + part, gap if number else None, len(lead), fill)
                lead = self.rest


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of one line each, the first row the head; narrow screens wrap them within their columns."""

    cells: tuple[tuple[Content, ...], ...]
    first: Content = EMPTY
    rest: Content = EMPTY

    def rows(self, width: int) -> Iterator[Row]:
        """The table in at most `width` cells; where no table fits, a line per row."""
        columns = max(map(len, self.cells))
        room = width - self.first.cell_length - len(_SEPARATOR) * (columns - 1)
        if room < _LEAST_COLUMN * columns:
            for cells in self.cells:
                yield from Piece(Content(_SEPARATOR).join(cells), self.first, self.rest).rows(width)
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
                yield Row(lead + Content.styled(_SEPARATOR, "$text-muted").join(parts))
                lead = self.rest
            if number == 0:
                rule = "─┼─".join("─" * size for size in widths)
                yield Row(lead + Content.styled(rule, "$text-muted"))

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


Part = Piece | Table


def plain(text: str, *, code: bool = False, style: str = "") -> Piece:
    """Text as it is."""
    body = Content.styled(safe(text), style) if style else Content(safe(text))
    return Piece(body, Content(" "), Content(" "), code=True) if code else Piece(body)


def copied(rows: list[Row], texts: list[str]) -> str:
    """What a copy of rows says: `texts` are their selected parts; wrapped lines are whole again."""
    said = []
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if number:
            said.append("\n" if row.gap is None else row.gap)
        said.append(text if row.gap is None else text[row.lead :])
    return "".join(said)


SLICE: Final = 4096
GAP: Final = Piece(EMPTY)


@dataclass
class Document:
    """A text with what was made of it; it outlives its widget, so an old answer comes back at once."""

    waiting: str = ""
    whole: bool = False
    blocks: Blocks = field(default_factory=Blocks)
    finished: deque[Block] = field(default_factory=deque)
    parts: list[Part] = field(default_factory=list)
    last: Block | None = None
    _texts: list[str] = field(default_factory=list)

    def append(self, text: str) -> None:
        """More text came."""
        self._texts.append(text)
        self.waiting += text

    @property
    def text(self) -> str:
        """All that came. Joined when asked for: adding to one long text for every token costs its length."""
        self._texts[:] = ["".join(self._texts)]
        return self._texts[0]

    @property
    def settled(self) -> bool:
        """Whether all that came is made into parts, but for the open block."""
        return not (self.waiting or self.finished or (self.whole and self.blocks.open.text))

    def work(self, seconds: float) -> None:
        """Go on with what waits for about this long, at least one step."""
        # Parsers and highlighters take 50 ms to load: the first paint does not wait for them.
        from okr_tui.ui.chat.markdown import parts_of

        until = perf_counter() + seconds
        while not self.settled:
            if self.finished:
                block = self.finished.popleft()
                self.parts.extend((*self._gap(block), *parts_of(block)))
                self.last = block
            elif self.waiting:
                piece, self.waiting = self.waiting[:SLICE], self.waiting[SLICE:]
                self.finished.extend(self.blocks.feed(piece))
            else:
                self.finished.extend(self.blocks.close())
            if perf_counter() >= until:
                return

    def open_parts(self) -> list[Part]:
        """The block that still grows, as plain text; nothing while finished ones wait before it."""
        from okr_tui.ui.chat.markdown import open_parts

        block = self.blocks.open
        parts = [] if self.finished else open_parts(block)
        return [*self._gap(block), *parts] if parts else []

    def _gap(self, block: Block) -> list[Part]:
        last = self.last
        if last is None or not block.begins or not block.text.strip():
            return []
        together = last.kind == block.kind == "item" and not last.loose
        return [] if together else [GAP]
