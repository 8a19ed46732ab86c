"""Everything about one key over the whole screen: its facts, and its last lines of the log as they come."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Static

from okr_tui.domain.feed_filter import FeedFilter
from okr_tui.domain.trail import Trail
from okr_tui.domain.view import KeyView
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.keyed import keys_of
from okr_tui.ui.lines import QUIET, STRONG, Line, content, entitle, one_line
from okr_tui.ui.screens.record import record_screen
from okr_tui.ui.widgets.feed_list import FeedList
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME
from okr_tui.ui.widgets.key_facts import fact_lines
from okr_tui.ui.widgets.rows import RowList

WIDTHS = [(0, "-stacked"), (120, "-beside")]
LEAST_LINES: Final = 20
"""Lines of the log that are looked for at once."""


class Facts(VerticalScroll):
    """The facts, scrolled with the keys of any list."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    def action_cursor_up(self) -> None:
        """One line up."""
        self.scroll_up(animate=False)

    def action_cursor_down(self) -> None:
        """One line down."""
        self.scroll_down(animate=False)

    def action_cursor_first(self) -> None:
        """To the top."""
        self.scroll_home(animate=False)

    def action_cursor_last(self) -> None:
        """To the end."""
        self.scroll_end(animate=False)

    def action_cursor_page(self, direction: int) -> None:
        """One page on."""
        self.scroll_relative(y=direction * max(1, self.size.height - 1), animate=False)

    def action_choose(self) -> None:
        """There is nothing to choose here."""


class KeyDetails(Screen[None]):
    """Follows the newest snapshot. The history is asked for when the key's readings or requests changed."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("key"), *bindings("pool")]
    HORIZONTAL_BREAKPOINTS = WIDTHS

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    @dataclass
    class TrailAsked(Message):
        """What the key did changed."""

        details: "KeyDetails"
        fingerprint: str

    def __init__(self, fingerprint: str, zone: tzinfo, clock: Callable[[], float]) -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.zone = zone
        self.clock = clock
        self._trail = Trail()
        self._lines: list[Line] = []
        self._asked: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, facts, the key's lines, the keys that apply."""
        yield Static(id="header")
        with Container(id="key-details"):
            with Facts(id="key-facts", classes="pane"):
                yield Static(id="key-facts-text")
            with Container(id="key-log", classes="pane"):
                yield FeedList(self.zone, id="key-feed")
        yield FootLine("key").data_bind(KeyDetails.snapshot)

    def on_mount(self) -> None:
        """Follow the application's snapshot and clock."""
        self.query_one(FeedList).want(FeedFilter(fingerprint=self.fingerprint))
        self.query_one(FeedList).empty = "nothing in the log yet"
        self.watch(self.app, "snapshot", self._take_over)
        self.watch(self.app, "now", self._take_time)
        self.query_one(Facts).focus()

    @property
    def row(self) -> KeyView | None:
        """The key, or None when it was removed."""
        rows = self.snapshot.pool.keys if self.snapshot else ()
        return next((row for row in rows if row.fingerprint == self.fingerprint), None)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot

    def _take_time(self, now: float) -> None:
        self.now = now

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Draw the new state; a key that is gone takes its screen with it."""
        if snapshot is None:
            return
        if self.row is None:
            self.dismiss()
            return
        feed = self.query_one(FeedList)
        feed.show_news(snapshot.entries, datetime.fromtimestamp(snapshot.at, self.zone).date())
        if feed.matched < LEAST_LINES:
            feed.look_back()
        self._ask()
        self._draw()

    def watch_now(self) -> None:
        """Let countdowns and ages go on."""
        self._draw()

    def on_resize(self) -> None:
        """Arrange anew."""
        self.call_after_refresh(self._draw)

    def show_trail(self, fingerprint: str, trail: Trail) -> None:
        """Take over what was asked for."""
        if fingerprint == self.fingerprint:
            self._trail = trail
            self._draw()

    def _ask(self) -> None:
        row = self.row
        mark = row and (row.fingerprint, row.read_at, row.requests, row.faults)
        if mark and mark != self._asked:
            self._asked = mark
            self.post_message(self.TrailAsked(self, self.fingerprint))

    def _draw(self) -> None:
        row, snapshot = self.row, self.snapshot
        facts = self.query_one(Facts)
        width = facts.scrollable_content_region.width
        if row is None or snapshot is None or width <= 0:
            return
        key_of = keys_of(self.app)
        lines = fact_lines(row, snapshot.pool, self._trail, self.now, self.zone, width, key_of)
        if lines != self._lines:
            self._lines = lines
            self.query_one("#key-facts-text", Static).update(Content("\n").join(content(x) for x in lines))
        label = f" {one_line(row.label)}" if row.label else ""
        title: Line = (*NAME, ("   key ", QUIET), (f"#{row.index}", STRONG), (f" {row.masked}{label}", ""))
        others = f"{key_of('other-key-back')} {key_of('other-key')} the others"
        heading = content((*title, (f"   {row.index} of {len(snapshot.pool.keys)}, {others}", QUIET)))
        header = self.query_one("#header", Static)
        if header.content != heading:
            header.update(heading, layout=False)
        entitle(facts, title=(("Key", STRONG),))

    @on(FeedList.Changed)
    def _feed_changed(self, event: FeedList.Changed) -> None:
        feed = event.feed
        more = "reading the log …" if feed.reading else "paused" if feed.paused else ""
        new = f" · {feed.unseen} new" if feed.unseen else ""
        plural = "" if feed.matched == 1 else "s"
        words = f" {feed.matched} line{plural}{new}{f' · {more}' if more else ''}"
        entitle(self.query_one("#key-log"), title=(("Log", STRONG), (words, QUIET)))

    @on(RowList.Chosen)
    def _line_chosen(self, event: RowList.Chosen) -> None:
        if isinstance(event.rows, FeedList) and event.rows.selected and self.snapshot:
            pool = self.snapshot.pool
            self.app.push_screen(record_screen(event.rows.selected, pool, self.clock(), self.zone))

    def action_other_key(self, direction: int) -> None:
        """The key before or behind this one in the pool."""
        rows = self.snapshot.pool.keys if self.snapshot else ()
        here = next((place for place, row in enumerate(rows) if row.fingerprint == self.fingerprint), None)
        if here is None or len(rows) < 2:
            return
        self.fingerprint = rows[(here + direction) % len(rows)].fingerprint
        self._trail = Trail()
        self.query_one(Facts).scroll_home(animate=False)
        self.query_one(FeedList).want(FeedFilter(fingerprint=self.fingerprint))
        self.watch_snapshot(self.snapshot)

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()
