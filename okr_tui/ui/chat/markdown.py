"""A Markdown text made into parts to lay out while it arrives. It is data, never console markup.

A finished block is parsed once; the block that still grows is plain text until it ends.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import field
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Final, Literal

from textual.content import Content, Span
from textual.style import Style

from okr_tui.domain.values import dataclass

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


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
            for index, cell in enumerate(cells):
                widths[index] = max(widths[index], cell.cell_length)
        while (over := sum(widths) - room) > 0:
            largest = max(widths)
            wide = [index for index, size in enumerate(widths) if size == largest]
            below = max([size for size in widths if size < largest], default=0)
            cut = max(1, min(largest - below, over // len(wide)))
            for index in wide[: over // cut]:
                widths[index] -= cut
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


Kind = Literal["text", "item", "fence"]

LIMIT: Final = 4096
"""Characters after which a paragraph or a line is finished, wherever that is."""
LONG_LIMIT: Final = 8192
"""The same for tables and list items, which lose their form when they are cut."""
FENCE_LIMIT: Final = 2048
"""The same for a part of a fence: colouring code costs most."""

_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*([^\s`]*)")
_HEADING: Final = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_BULLET: Final = re.compile(r" {0,3}[-*+][ \t]+\S")
_NUMBER: Final = re.compile(r" {0,3}(\d{1,9})[.)][ \t]+\S")
_NESTED: Final = 2
"""Columns of indentation that keep a line inside the list item above it."""


@dataclass(frozen=True, slots=True)
class MarkdownBlock:
    """A part of a text that is drawn on its own.

    `begins` is False where it continues the block before, `ends` is False where the next one continues it.
    """

    text: str
    kind: Kind = "text"
    language: str = ""
    begins: bool = True
    ends: bool = True

    @property
    def loose(self) -> bool:
        """Whether a blank line follows."""
        return self.text.endswith("\n") and not self.text[:-1].rpartition("\n")[2].strip()

    @property
    def code(self) -> str:
        """The text between the marks of a fence."""
        lines = self.text.split("\n") if not self.begins else self.text.lstrip().split("\n")[1:]
        if lines and not lines[-1].strip():
            lines.pop()
        if self.ends and lines:
            lines.pop()
        return "\n".join(lines)


class Blocks:
    """The state of the cut: the block that still grows, and the line that has not ended."""

    def __init__(self) -> None:
        self._done: list[MarkdownBlock] = []
        self._line = ""
        self._within_line = False
        self._begins = True
        self._fence = ""
        self._language = ""
        self._start("text")

    def _start(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._parts: list[str] = []
        self._size = 0
        self._written = False
        self._blank = False

    @property
    def open(self) -> MarkdownBlock:
        """What is not finished yet; its text may be empty."""
        return MarkdownBlock(
            "".join(self._parts) + self._line, self._kind, self._language, self._begins, ends=False
        )

    def feed(self, text: str) -> list[MarkdownBlock]:
        """Take in a piece of text; return the blocks that it finished."""
        whole, offset = self._line + text, 0
        while True:
            end = whole.find("\n", offset, offset + LIMIT) + 1
            if not end:
                if len(whole) - offset < LIMIT:
                    break
                end = offset + LIMIT
            self._take(whole[offset:end])
            offset = end
        self._line = whole[offset:]
        return self._handed_over()

    def close(self) -> list[MarkdownBlock]:
        """End the text; return the blocks that were left."""
        if self._line:
            self._take(self._line)
            self._line = ""
        self._finish(ends=not self._fence)
        self._fence = self._language = ""
        return self._handed_over()

    def _handed_over(self) -> list[MarkdownBlock]:
        done, self._done = self._done, []
        return done

    def _take(self, line: str) -> None:
        within, self._within_line = self._within_line, not line.endswith("\n")
        if self._fence:
            self._add(line)
            bare = line.strip()
            if not within and len(bare) >= len(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
                self._finish()
                self._language = ""
            return
        if within:
            self._add(line)
        elif not line.strip():
            self._add(line)
            self._blank = True
            if self._kind == "text" and self._written:
                self._finish()
        else:
            self._take_written(line)

    def _take_written(self, line: str) -> None:
        indent = len(line) - len(line.lstrip(" \t"))
        nested = self._kind == "item" and (indent >= _NESTED or line.startswith("\t"))
        if nested:
            self._add(line)
        elif fence := _FENCE.match(line.rstrip("\r\n")):
            self._begin("fence")
            self._fence, self._language = fence[1], fence[2]
            self._add(line)
        elif _HEADING.match(line):
            self._begin("text")
            self._add(line)
            self._finish()
        elif self._starts_item(line):
            self._begin("item")
            self._add(line)
        else:
            if self._kind == "item" and self._blank:
                self._begin("text")
            self._add(line)

    def _starts_item(self, line: str) -> bool:
        number = _NUMBER.match(line)
        interrupts = self._kind == "item" or not self._written
        return bool(_BULLET.match(line) or (number and (interrupts or int(number[1]) == 1)))

    def _begin(self, kind: Kind) -> None:
        if self._written:
            self._finish()
        kept, size = self._parts, self._size
        self._start(kind)
        self._parts, self._size = kept, size

    def _add(self, line: str) -> None:
        self._parts.append(line)
        self._size += len(line)
        if line.strip():
            self._written, self._blank = True, False
        opened = self._kind != "fence" or self._fence
        if self._size >= self._limit() and opened:
            self._finish(ends=False)

    def _limit(self) -> int:
        if self._kind == "fence":
            return FENCE_LIMIT
        long = self._kind == "item" or self._parts[0].lstrip().startswith("|")
        return LONG_LIMIT if long else LIMIT

    def _finish(self, *, ends: bool = True) -> None:
        if self._parts:
            block = MarkdownBlock("".join(self._parts), self._kind, self._language, self._begins, ends)
            self._done.append(block)
        self._begins = ends
        self._start("fence" if self._fence else "text")


# Parsers and highlighters take 50 ms to load: the first paint does not wait for them.

_STYLES: Final = {"em_open": "italic", "strong_open": "bold", "s_open": "strike"}
_CODE_SPAN: Final = "$text-warning on $surface"
_BULLETS: Final = "•◦▪"


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("gfm-like", {"html": False})
    # A definition would vanish from the screen, and the blocks that refer to it are parsed separately.
    parser.disable("reference")
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return parser


def parts_of(block: MarkdownBlock) -> list[Part]:
    """Return the parts of a finished block."""
    if block.kind == "fence":
        return [_code(block.code, block.language)]
    tokens = _parser().parse(safe(block.text))
    return _Reader().read(tokens)


def _code(code: str, language: str) -> TextPart:
    from textual.highlight import highlight

    body = highlight(safe(code), language=language.lower() or "text")
    return TextPart(body, Content(" "), Content(" "), code=True)


class _Reader:
    """Goes through a block's tokens; `leads` are the marks before a line at this depth."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.leads: list[tuple[Content, Content]] = []
        self.fresh: set[int] = set()
        self.ordered: list[bool] = []

    def read(self, tokens: "list[Token]") -> list[Part]:
        """Return the parts of a block."""
        heading = ""
        table: list[list[Content]] = []
        for token in tokens:
            match token.type:
                case "heading_open":
                    heading = "bold $text-accent" + (" underline" if token.tag == "h1" else "")
                case "heading_close":
                    heading = ""
                case "paragraph_open" if not token.hidden:
                    self._part_from_last()
                case "bullet_list_open" | "ordered_list_open":
                    self.ordered.append(token.type == "ordered_list_open")
                case "bullet_list_close" | "ordered_list_close":
                    self.ordered.pop()
                case "list_item_open":
                    self._begin_item(token)
                case "blockquote_open":
                    bar = Content.styled("▌ ", "$text-muted")
                    self._push(bar, bar)
                case "list_item_close" | "blockquote_close":
                    self.fresh.discard(len(self.leads) - 1)
                    self.leads.pop()
                case "table_open":
                    self._part_from_last()
                    table = []
                case "tr_open":
                    table.append([])
                case "table_close":
                    self.parts.append(Table(tuple(map(tuple, table)), *self._lead()))
                    table = []
                case "inline":
                    body = inline(token.children or [])
                    if table:
                        style = "bold" if len(table) == 1 else ""
                        table[-1].append(body.stylize(style) if style else body)
                    else:
                        self.parts.append(TextPart(body.stylize(heading) if heading else body, *self._lead()))
                case "fence" | "code_block":
                    self._part_from_last()
                    code = _code(token.content.rstrip("\n"), token.info.partition(" ")[0])
                    first, rest = self._lead()
                    self.parts.append(TextPart(code.body, first + " ", rest + " ", code=True))
                case "hr":
                    self.parts.append(TextPart(Content.styled("─" * 24, "$text-muted"), *self._lead()))
        return self.parts

    def _begin_item(self, token: "Token") -> None:
        depth = sum(not ordered for ordered in self.ordered) - 1
        mark = f"{token.info}{token.markup} " if self.ordered[-1] else f"{_BULLETS[depth % len(_BULLETS)]} "
        self._push(Content.styled(mark, "$text-accent"), Content(" " * len(mark)))

    def _push(self, first: Content, rest: Content) -> None:
        self.leads.append((first, rest))
        self.fresh.add(len(self.leads) - 1)

    def _lead(self) -> tuple[Content, Content]:
        """Return the prefix of the first line and of the others; a mark is drawn once."""
        first = [mark if index in self.fresh else rest for index, (mark, rest) in enumerate(self.leads)]
        self.fresh.clear()
        return EMPTY.join(first), EMPTY.join([rest for _, rest in self.leads])

    def _part_from_last(self) -> None:
        """Add a blank line, unless a mark has just been set that waits for its line."""
        if self.parts and not self.fresh:
            rest = EMPTY.join([rest for _, rest in self.leads])
            self.parts.append(TextPart(EMPTY, rest, rest))


def inline(tokens: "list[Token]") -> Content:
    """Return text with its styles; links to http and https carry their address."""
    texts: list[str] = []
    spans: list[Span] = []
    opened: list[tuple[int, str | Style]] = []
    offset = 0

    def add(text: str, *styles: str | Style) -> None:
        nonlocal offset
        texts.append(text)
        spans.extend(Span(offset, offset + len(text), style) for style in styles)
        offset += len(text)

    for token in tokens:
        match token.type:
            case "em_open" | "strong_open" | "s_open":
                opened.append((offset, _STYLES[token.type]))
            case "link_open":
                opened.append((offset, _link(str(token.attrs.get("href", "")))))
            case "em_close" | "strong_close" | "s_close" | "link_close":
                start, style = opened.pop()
                spans.append(Span(start, offset, style))
                if isinstance(style, Style):
                    spans.append(Span(start, offset, "$text-accent underline"))
            case "code_inline":
                add(token.content, _CODE_SPAN)
            case "image":
                add(f"[image: {token.content}]", _link(str(token.attrs.get("src", ""))), "$text-accent")
            case "softbreak" | "hardbreak":
                add("\n")
            case _:
                add(token.content)
    return Content("".join(texts), spans)


def _link(address: str) -> str | Style:
    return Style.from_meta({LINK: address}) if address.startswith(("https://", "http://")) else "underline"


def open_parts(block: MarkdownBlock) -> list[Part]:
    """Return the parts of a block that still grows: plain text, which costs next to nothing."""
    if block.kind == "fence":
        return [plain(block.code, code=True)] if block.code else []
    return [plain(block.text.strip("\n"))] if block.text.strip() else []


SLICE: Final = 4096
GAP: Final = TextPart(EMPTY)


@dataclass
class MarkdownDocument:
    """A text with what was made of it; it outlives its widget, so an old answer comes back at once."""

    waiting: str = ""
    whole: bool = False
    blocks: Blocks = field(default_factory=Blocks)
    finished: deque[MarkdownBlock] = field(default_factory=deque)
    parts: list[Part] = field(default_factory=list)
    last: MarkdownBlock | None = None
    _texts: list[str] = field(default_factory=list)

    def append(self, text: str) -> None:
        """Add text at the end."""
        self._texts.append(text)
        self.waiting += text

    @property
    def text(self) -> str:
        """The whole text. Joined when asked for: adding to one long text for every token costs its length."""
        self._texts[:] = ["".join(self._texts)]
        return self._texts[0]

    @property
    def settled(self) -> bool:
        """Whether all that came is made into parts, but for the open block."""
        return not (self.waiting or self.finished or (self.whole and self.blocks.open.text))

    def work(self, seconds: float) -> None:
        """Make parts of what waits for about this many seconds, at least one step."""
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
        """Return the block that still grows, as plain text; nothing while finished ones wait before it."""
        block = self.blocks.open
        parts = [] if self.finished else open_parts(block)
        return [*self._gap(block), *parts] if parts else []

    def _gap(self, block: MarkdownBlock) -> list[Part]:
        last = self.last
        if last is None or not block.begins or not block.text.strip():
            return []
        together = last.kind == block.kind == "item" and not last.loose
        return [] if together else [GAP]
