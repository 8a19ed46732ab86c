"""A list drawn line by line: it repaints only lines that changed and keeps its cursor on its row.

Textual's DataTable repaints every visible row for one changed cell and reads strings as markup; this one
compares plain values instead.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import QUIET, Line, content, fit_line, segments

Row = TypeVar("Row", bound=Hashable)
SCREENS_KEPT: Final = 3
"""Drawn lines kept, in heights of the list: a key press draws most of them again as they were."""


class RowList(ScrollView, Generic[Row], can_focus=True):
    """Rows of one or more lines each, under an optional header, with a cursor.

    Where every row is one line, only those in sight are laid out: a list may have thousands.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", "rows--cursor-blurred"}
    ALLOW_SELECT = False
    ONE_LINE: ClassVar[bool] = False
    """Whether every row is one line."""
    FOLLOWS_END: ClassVar[bool] = False
    """Whether a cursor on the last row moves on to what comes after it, until a person reads further up."""

    cursor: reactive[int] = reactive(0, repaint=False)
    empty: reactive[str] = reactive("", repaint=False)

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        rows: "RowList[Any]"

    @dataclass
    class Chosen(Message):
        """A row was chosen with enter or a second click."""

        rows: "RowList[Any]"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.rows: tuple[Row, ...] = ()
        self._header: Line | None = None
        self._lines: dict[int, Line] = {}
        """The lines that are laid out, by their number from the top."""
        self._owners: Sequence[int] = ()
        """The index of the row that each line belongs to; they ascend."""
        self.following = self.FOLLOWS_END
        self._placing = False
        self._strips: dict[tuple[Line, int, Style], Strip] = {}

    def header(self, width: int) -> Line | None:  # noqa: ARG002
        """Return the header in exactly `width` cells; None for no header."""
        return None

    def lines_of(self, row: Row, width: int) -> Sequence[Line]:
        """Return the lines of one row, each in at most `width` cells."""
        raise NotImplementedError

    def key_of(self, row: Row) -> Hashable:
        """Return what stays the same of a row when its values change."""
        return row

    def keys_of(self, row: Row) -> Iterable[Hashable]:
        """Return every key by which a row can be found again, if it combines several things."""
        return (self.key_of(row),)

    def header_clicked(self, x: int) -> None:
        """Act on a click on the header, `x` cells from its left."""

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Take over new rows; cursor and scroll position stay with the rows they were on."""
        chosen, top = self.selected, self._row_at_top()
        before, top_index = self.cursor, self._owner_of(self.scroll_offset.y)
        self.rows = tuple(rows)
        kept = self._find(chosen, before)
        if self.following:
            kept = max(0, len(self.rows) - 1)
        with self.prevent(RowList.Moved):
            self.set_reactive(RowList.cursor, min(before, max(0, len(self.rows) - 1)))
            if kept is not None:
                self.set_reactive(RowList.cursor, kept)
        self.draw()
        if self.following:
            self._place_at(len(self._owners))
        elif self.scroll_offset.y or self.FOLLOWS_END:
            index = self._find(top, top_index)
            if index is not None:
                self._place_at(bisect_left(self._owners, index))
        if self.selected != chosen:
            self.post_message(self.Moved(self))

    def _find(self, row: Row | None, index: int) -> int | None:
        """Return where a row is now that was at that index; None if it is gone."""
        if row is None:
            return None
        key = self.key_of(row)
        if 0 <= index < len(self.rows) and self.key_of(self.rows[index]) == key:
            return index
        return next((at for at, each in enumerate(self.rows) if key in self.keys_of(each)), None)

    def draw(self) -> None:
        """Lay the lines out again and repaint those that changed."""
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        header, old = self.header(width), self._lines
        self._lay_out(width, bool(header))
        size = Size(width, len(self._owners) + bool(header))
        if header != self._header or size != self.virtual_size:
            resized = size.height != self.virtual_size.height
            self._header = header
            self._resize_content(size)
            self.refresh(layout=resized and self.styles.auto_dimensions)
            return
        for number, line in self._lines.items():
            if line != old.get(number):
                self.refresh_line(number + bool(header))

    def _resize_content(self, size: Size) -> None:
        """Take over how large all lines are: for the attribute alone Textual lays the whole screen out."""
        self.set_reactive(RowList.virtual_size, size)
        self._placing = True
        self._scroll_update(size)
        self._placing = False

    def _lay_out(self, width: int, headed: bool) -> None:
        """Make the lines, of long lists those in sight."""
        if not self.rows:
            self._lines = {0: ((self.empty, QUIET),)} if self.empty else {}
            self._owners = [-1] * len(self._lines)
        elif self.ONE_LINE:
            self._owners = range(len(self.rows))
            self._lines = {}
            top = self.scroll_offset.y
            for number in range(top, min(top + self.size.height - headed, len(self.rows))):
                self._line(number, width)
        else:
            laid = [
                (index, line) for index, row in enumerate(self.rows) for line in self.lines_of(row, width)
            ]
            self._owners = [index for index, _ in laid]
            self._lines = dict(enumerate(line for _, line in laid))

    def _line(self, number: int, width: int) -> Line:
        if number not in self._lines:
            if not (self.ONE_LINE and number < len(self.rows)):
                return ()
            (self._lines[number],) = self.lines_of(self.rows[number], width)
        return self._lines[number]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the height of all lines, for lists that grow with their rows."""
        rows = self.rows
        lines = len(rows) if self.ONE_LINE else sum(len(self.lines_of(row, width)) for row in rows)
        return (lines or bool(self.empty)) + (self.header(width) is not None)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.scrollable_content_region.width
        if y == 0 and self._header:
            line, style = self._header, self.get_visual_style("rows--header")
        else:
            number = y + self.scroll_offset.y - bool(self._header)
            line, style = self._line(number, width), self._style_of(self._owner_of(number))
        key = (line, width, style)
        if (strip := self._strips.get(key)) is None:
            strip = Strip(segments(content(fit_line(line, width)), style, self), width)
            self._strips[key] = strip
            while len(self._strips) > SCREENS_KEPT * self.size.height:
                del self._strips[next(iter(self._strips))]
        return strip

    def _style_of(self, owner: int) -> Style:
        if owner != self.cursor or owner < 0:
            return self.visual_style
        return self.get_visual_style("rows--cursor" if self.has_focus else "rows--cursor-blurred")

    def _place_at(self, line: int) -> None:
        """Scroll without a person having scrolled."""
        self._placing = True
        self.scroll_to(y=line, animate=False, immediate=True)
        self._placing = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Stay where a person scrolls up to read; follow again once they scroll to the end."""
        super().watch_scroll_y(old_value, new_value)
        if self.FOLLOWS_END and not self._placing:
            self.following = new_value >= self.max_scroll_y

    def _owner_of(self, number: int) -> int:
        """Return the index of the row that a line belongs to; -1 for none."""
        return self._owners[number] if 0 <= number < len(self._owners) else -1

    def _row_at_top(self) -> Row | None:
        owner = self._owner_of(self.scroll_offset.y)
        return self.rows[owner] if 0 <= owner < len(self.rows) else None

    def _lines_at(self, index: int) -> range:
        """Return the numbers of a row's lines."""
        return range(bisect_left(self._owners, index), bisect_right(self._owners, index))

    def watch_cursor(self, before: int, after: int) -> None:
        """Repaint both rows, keep the new one in sight and say so."""
        for number in (*self._lines_at(before), *self._lines_at(after)):
            self.refresh_line(number + bool(self._header))
        if self.FOLLOWS_END:
            self.following = after >= len(self.rows) - 1
        self.keep_in_sight()
        self.post_message(self.Moved(self))

    def keep_in_sight(self) -> None:
        """Scroll as far as the row under the cursor needs."""
        mine = self._lines_at(self.cursor)
        room = self.scrollable_content_region.height - bool(self._header)
        if mine and room > 0:
            if mine[0] < self.scroll_offset.y:
                self._place_at(mine[0])
            elif mine[-1] >= self.scroll_offset.y + room:
                self._place_at(mine[-1] - room + 1)

    def watch_empty(self) -> None:
        """Show the new reason for having no rows."""
        self.draw()

    def watch_show_vertical_scrollbar(self) -> None:
        """Draw again, since a scroll bar takes a column."""
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """Lay the lines out for the new width."""
        follows = self.following
        self.draw()
        if follows:
            self.following = True
            self._place_at(len(self._owners))

    def on_focus(self) -> None:
        """Repaint, since the cursor looks different with focus."""
        self.refresh()

    def on_blur(self) -> None:
        """Repaint, since the cursor looks different without focus."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor on a click, choose on a double click. The header does not scroll."""
        at = event.get_content_offset_capture(self)
        if at.y < bool(self._header):
            self.header_clicked(at.x)
            return
        number = at.y + self.scroll_offset.y - bool(self._header)
        if (owner := self._owner_of(number)) >= 0:
            self.cursor = owner
            if event.chain == 2:
                self.post_message(self.Chosen(self))

    def action_cursor_up(self) -> None:
        """One row up."""
        self._move_to(self.cursor - 1)

    def action_cursor_down(self) -> None:
        """One row down."""
        self._move_to(self.cursor + 1)

    def action_cursor_first(self) -> None:
        """To the first row."""
        self._move_to(0)

    def action_cursor_last(self) -> None:
        """To the last row."""
        self._move_to(len(self.rows) - 1)

    def action_cursor_page(self, direction: int) -> None:
        """One page on."""
        self._move_to(self.cursor + direction * max(1, self.size.height - 2))

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.selected is not None:
            self.post_message(self.Chosen(self))

    def _move_to(self, index: int) -> None:
        self.cursor = min(max(0, index), max(0, len(self.rows) - 1))
