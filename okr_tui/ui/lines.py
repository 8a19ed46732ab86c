"""A line of the screen as plain values: parts of text, each with a style; compared, cut and padded by cells.

Outside text only ever enters a part's text, so nothing in it is read as markup.
"""

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from okr_tui.domain.faults import Tone
from okr_tui.domain.health import STATES, State
from okr_tui.domain.view import KeyView

Part = tuple[str, str]
"""A text and its style; styles name theme variables."""
Line = tuple[Part, ...]

GOOD = "$text-success"
NOTICE = "$text-primary"
WARNING = "$text-warning"
FAULT = "$text-error"
QUIET = "$text-muted"
STRONG = "bold"
STAR = "✶"
"""Marks a favourite; unlike the usual stars it is one cell wide everywhere."""

TONES: dict[Tone, tuple[str, str]] = {
    "fault": ("✖", FAULT),
    "warning": ("▲", WARNING),
    "good": ("●", GOOD),
    "info": ("○", NOTICE),
    "quiet": ("·", QUIET),
}
STATE_STYLES: dict[State, str] = {state: TONES[traits.tone][1] for state, traits in STATES.items()}


def one_line(text: str) -> str:
    """Outside text on one line."""
    return " ".join(text.split())


def cell_width(text: str) -> int:
    """Return how many cells a text takes. Rich caches each answer; printable ASCII needs no cache."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return a text in exactly `width` cells: padded, or cut with an ellipsis."""
    text = one_line(text)
    if cell_width(text) > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    pad = " " * (width - cell_width(text))
    return pad + text if right else text + pad


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` cells, broken between words where that is possible."""
    if cell_width(text) == len(text):
        return textwrap.wrap(text, width)
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= width:
            line = longer
            continue
        whole = [line] if line else []
        *parts, line = chop_cells(word, width)
        lines += [*whole, *parts]
    return [*lines, line] if line else lines


def faded(line: Line) -> Line:
    """Return a line without its colours."""
    return tuple((text, QUIET) for text, _ in line)


def length(line: Line) -> int:
    """How many cells a line takes."""
    return sum(cell_width(text) for text, _ in line)


def fit_line(line: Line, width: int) -> Line:
    """Return a line in exactly `width` cells: padded, or cut with an ellipsis."""
    if (spare := width - length(line)) >= 0:
        return (*line, (" " * spare, "")) if spare else line
    left = width - 1
    fitted: list[Part] = []
    for text, style in line:
        if cell_width(text) > left:
            fitted.append((set_cell_size(text, left) + "…" if left >= 0 else "", style))
            break
        fitted.append((text, style))
        left -= cell_width(text)
    return tuple(fitted)


def joined(lines: Sequence[Line], gap: Part = ("  ", "")) -> Line:
    """Lines side by side with a gap between; empty ones leave none."""
    parts: list[Part] = []
    for line in lines:
        if line:
            parts.extend((gap, *line) if parts else line)
    return tuple(parts)


def content(line: Line) -> Content:
    """Return a line as a widget takes it."""
    return Content.assemble(*line)


def segments(words: Content, style: Style, widget: Widget) -> list[Segment]:
    """Return words as a widget draws them over a style.

    Unlike `Visual.to_strips` it does not wrap, and gives the segments no offsets: selectable text needs them,
    and they make every style unique.
    """
    return [
        Segment(text, (style + each).rich_style) for text, each in words.render(style, "", widget._get_style)
    ]


def show_line(widget: Static, line: Line) -> None:
    """Show a line in a widget where it is new: the whole screen is laid out for each."""
    words, before = content(line), widget.content
    if not (isinstance(before, Content) and words.is_same(before)):
        widget.update(words)


def entitle(widget: Widget, *, title: Line | None = None, subtitle: Line | None = None) -> None:
    """Set the words on a pane's border where they are new, and draw that line of it again.

    Textual's own attributes for these words would draw the whole pane.
    """
    for name, line, y in (("_border_title", title, 0), ("_border_subtitle", subtitle, -1)):
        if line is None:
            continue
        words, before = content(line), getattr(widget, name)
        if before is None or not words.is_same(before):
            setattr(widget, name, words)
            size = widget.outer_size
            border = Region(0, y % max(1, size.height), size.width, 1)
            widget.refresh(border.translate(-widget.content_offset))


def called(row: KeyView) -> str:
    """Return a key's number, mask and label on one line."""
    return f"#{row.index} {row.masked}{f' {one_line(row.label)}' if row.label else ''}"
