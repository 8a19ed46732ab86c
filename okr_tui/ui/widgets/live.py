"""The live pane: the feed under its filter."""

import textwrap
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import ClassVar, Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input

from okr_tui.domain.faults import Tone
from okr_tui.domain.feed import Entry, FeedFilter
from okr_tui.domain.feed_groups import Group, grouped
from okr_tui.domain.feed_pages import FeedWindow, Page
from okr_tui.domain.traffic import RunningRequest
from okr_tui.domain.words import span
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import (
    QUIET,
    STRONG,
    TONES,
    WARNING,
    Line,
    cell_width,
    entitle,
    length,
    one_line,
    wrapped,
)
from okr_tui.ui.widgets.rows import RowList

RUNNING: Final = "◌"
HEALED: Final = "△"
"""Marks what went wrong and heals by itself."""


class Drawn(NamedTuple):
    """What of a group is drawn, and how: its records, of which a run has hundreds, are not in it."""

    tone: Tone
    glyph: str
    at: float
    text: str
    detail: str
    more: str
    width: int
    today: date
    zone: tzinfo


def drawn(group: Group, width: int, today: date, zone: tzinfo, now: float) -> Drawn:
    """Return what `drawn_lines` needs to know of a group.

    Of a request that runs they say for how long, at `now` (epoch seconds), and how fast its answer comes.
    """
    detail, more, glyph = group.detail, group.more, HEALED if group.healed else TONES[group.tone][0]
    if run := group.running:
        speed = run.tokens_per_second(now)
        detail = f"{detail} · running {span(now - run.since)}"
        more = "" if speed is None else f"{speed:.0f} tok/s"
        glyph = RUNNING
    return Drawn(group.tone, glyph, group.at, group.text, detail, more, width, today, zone)


def drawn_lines(group: Drawn) -> tuple[Line, ...]:
    """Return the lines of a group; its detail follows the text, or is below where there is no room."""
    tone, glyph, at, text, detail, more, width, today, zone = group
    style = TONES[tone][1]
    moment = datetime.fromtimestamp(at, zone)
    day = "" if moment.date() == today else f"{moment:%d %b} "
    lead: Line = ((f"{day}{moment:%H:%M:%S} ", QUIET), (f"{glyph} ", style))
    indent = (" " * length(lead), "")
    room = max(10, width - length(lead))
    text_style = QUIET if tone == "quiet" else "" if tone == "info" else style
    first, *others = wrapped(text, room) or [""]
    lines: list[Line] = [(*lead, (first, text_style))]
    lines += [(indent, (line, text_style)) for line in others]
    detail = one_line(detail)
    for suffix in (" · ".join(part for part in (detail, more) if part), detail):
        if not suffix:
            break
        if length(lines[-1]) + 2 + cell_width(suffix) <= width:
            lines[-1] = (*lines[-1], (f"  {suffix}", QUIET))
            break
    else:
        lines += [(indent, (line, QUIET)) for line in wrapped_parts(detail, room)]
    return tuple(lines)


def wrapped_parts(detail: str, room: int) -> list[str]:
    """Return a detail on at most two lines, broken between its parts where that is possible."""
    first, *rest = detail.split(" · ")
    lines = [first]
    for part in rest:
        longer = f"{lines[-1]} · {part}"
        if cell_width(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(part)
    if len(lines) <= 2 and all(cell_width(line) <= room for line in lines):
        return lines
    return textwrap.wrap(detail, room, max_lines=2, placeholder=" …")


class FeedList(RowList[Group]):
    """The lines that a filter wants. While a person reads further up or has paused it, it stays put."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("live")]
    FOLLOWS_END = True

    @dataclass
    class CopyRequested(Message):
        """Everything about a line is to be copied."""

        group: Group

    @dataclass
    class PageRequested(Message):
        """The user reached an edge of the loaded lines; `before` or `after` may be a position in the log."""

        feed: "FeedList"
        wanted: FeedFilter
        before: int | None = None
        after: int | None = None

    @dataclass
    class Changed(Message):
        """Other lines are shown, or others wait."""

        feed: "FeedList"

    def __init__(self, zone: tzinfo = UTC, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.zone = zone
        self.wanted = FeedFilter()
        self.paused = False
        self.window = FeedWindow()
        self.today = date.min
        self.reading = False
        """Whether a page was requested and has not arrived."""
        self._news: tuple[Entry, ...] = ()
        self._under_way: tuple[RunningRequest, ...] = ()
        self._now = 0.0
        self._groups: list[Group] = []
        self._laid_out: dict[Drawn, Sequence[Line]] = {}
        """The lines of what is shown."""
        self._laid_out_before: dict[Drawn, Sequence[Line]] = {}
        """The lines of what was shown before that: most are shown still."""

    @property
    def total(self) -> int:
        """How many lines were looked at for those that are shown."""
        return len(self.window.entries) + self.window.left_out

    @property
    def matched(self) -> int:
        """How many of the held lines are wanted; a run counts each of its lines."""
        return sum(len(row.entries) for row in self.rows)

    @property
    def unseen(self) -> int:
        """How many of the newest lines are held back."""
        waiting = self.window.unseen(self._news)
        return sum(map(self.wanted.matches, self._news[len(self._news) - waiting :])) if waiting else 0

    def show_news(
        self, news: tuple[Entry, ...], today: date, running: tuple[RunningRequest, ...] = (), now: float = 0.0
    ) -> None:
        """Take over the newest lines, oldest first, and the requests under way at `now` (epoch seconds)."""
        self._now = now
        if news == self._news and today == self.today and running == self._under_way:
            return
        self._news, self.today, self._under_way = news, today, running
        self._take_over()

    def show_time(self, now: float) -> None:
        """Count on for how long requests run."""
        self._now = now
        if self._under_way and not self.paused:
            self.draw()

    def want(self, wanted: FeedFilter) -> None:
        """Show other lines, beginning with the newest."""
        if wanted != self.wanted:
            self.wanted = wanted
            self.window = FeedWindow(self._news)
            self._show()

    def take(self, page: Page, *, older: bool) -> None:
        """Add a page that was requested."""
        self.reading = False
        if older:
            self.window = self.window.with_older(page)
        else:
            self.window = self.window.with_newer(page, self._news)
        self._show()

    def look_back(self) -> None:
        """Read an older page without leaving the newest line."""
        # Deferred, so that the message is posted by this widget and bubbles up from here.
        self.call_later(self._look_back)

    def _look_back(self) -> None:
        follows = self.following
        self._read_older()
        self.following = follows

    def failed(self) -> None:
        """Note that a page that was requested will not come."""
        self.reading = False
        self.post_message(self.Changed(self))

    def action_copy_line(self) -> None:
        """Ask for a copy of the selected line, with everything that is known of it."""
        if self.selected is not None:
            self.post_message(self.CopyRequested(self.selected))

    def action_pause(self) -> None:
        """Pause while new lines are collected, or show them."""
        self.paused = not self.paused
        self._take_over()

    def action_cursor_last(self) -> None:
        """To the newest line, and follow again."""
        self.following = True
        self.window = FeedWindow(self._news) if not self.paused else self.window
        self._show()

    def _take_over(self) -> None:
        if self.paused:
            self.post_message(self.Changed(self))
            return
        if self.following and self.window.first is None:
            self.window = FeedWindow(self._news)
        else:
            self.window = self.window.with_news(self._news)
            if self.following and not self.window.latest:
                self.window = FeedWindow(self._news)
        self._show()

    def _show(self) -> None:
        running = self._under_way if self.window.latest else ()
        self._groups = list(grouped(self.window.entries, running, self._groups))
        self._laid_out, self._laid_out_before = {}, self._laid_out
        self.show_rows([row for row in self._groups if self._wants(row)])
        self.post_message(self.Changed(self))

    def _wants(self, row: Group) -> bool:
        if self.wanted.everything:
            return True
        if row.running:
            return self.wanted.matches(row.newest)
        return any(map(self.wanted.matches, row.entries))

    def key_of(self, row: Group) -> Hashable:
        """Return a line's position in the log; for a run, the position of its first."""
        return _identity(row.requests[0][0]) if row.requests else row.running and row.running.trace

    def keys_of(self, row: Group) -> Iterable[Hashable]:
        """Return the positions of all lines of a run, so that one that grew is still found."""
        return map(_identity, row.entries) if row.requests else (self.key_of(row),)

    def lines_of(self, row: Group, width: int) -> Sequence[Line]:
        """Time, glyph and text, then the detail."""
        group = drawn(row, width, self.today, self.zone, self._now)
        lines = self._laid_out.get(group) or self._laid_out_before.get(group) or drawn_lines(group)
        self._laid_out[group] = lines
        return lines

    def watch_cursor(self, before: int, after: int) -> None:
        """Read on where the person comes to an edge."""
        super().watch_cursor(before, after)
        if after == 0 and before > 0:
            self._read_older()
        if after >= len(self.rows) - 1 and after > before:
            self._read_newer()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read on where the person scrolls to an edge."""
        super().watch_scroll_y(old_value, new_value)
        if self._placing:
            return
        if new_value <= 0 < old_value:
            self._read_older()
        elif new_value >= self.max_scroll_y:
            self._read_newer()

    def action_cursor_up(self) -> None:
        """One line up; from the first on, into the log."""
        if self.cursor == 0:
            self._read_older()
        super().action_cursor_up()

    def action_cursor_first(self) -> None:
        """To the first line that is held; from there on, into the log."""
        if self.cursor == 0:
            self._read_older()
        super().action_cursor_first()

    def action_cursor_page(self, direction: int) -> None:
        """One page on; from the first line on, into the log."""
        if direction < 0 and self.cursor == 0:
            self._read_older()
        super().action_cursor_page(direction)

    def _read_older(self) -> None:
        if self.window.whole or self.reading:
            return
        self.reading = True
        self.following = False
        self.post_message(self.PageRequested(self, self.wanted, before=self.window.before))

    def _read_newer(self) -> None:
        if self.window.latest or self.paused or self.reading or self.window.after is None:
            return
        self.reading = True
        self.following = False
        self.post_message(self.PageRequested(self, self.wanted, after=self.window.after))


def _identity(entry: Entry) -> Hashable:
    return (entry.sequence, entry.at, entry.text)


class FeedWords(Input):
    """The words a line has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="429 #3 gateway gpt, !ok", id="feed-words", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the lines."""
        self.screen.query_one("#feed", FeedList).focus()


class LivePane(Vertical):
    """What happened, the newest at the end; filtered by words, by key, to faults only; paused."""

    ALLOW_MAXIMIZE = True

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    faults_only: var[bool] = var(False)
    fingerprint: var[str | None] = var(None)
    log_progress: var[str] = var("")
    """How far the log was read, while the service opens."""

    def __init__(self, zone: tzinfo, key_of: KeyOf) -> None:
        super().__init__(id="live", classes="pane")
        self._key_of = key_of
        self.zone = zone
        self.border_title = "Live"

    def compose(self) -> ComposeResult:
        """Yield the filter, hidden until it is opened, and the lines."""
        yield FeedWords()
        yield FeedList(self.zone, id="feed")

    @property
    def feed(self) -> FeedList:
        """The lines."""
        return self.query_one(FeedList)

    @property
    def words(self) -> str:
        """The words of the filter."""
        return self.query_one(FeedWords).value

    def open_filter(self) -> None:
        """Show the filter and type into it."""
        self.add_class("-filtering")
        self.query_one(FeedWords).focus()

    def clear_filter(self) -> None:
        """Show every line again."""
        self.query_one(FeedWords).value = ""
        self.remove_class("-filtering")
        self.fingerprint = None
        self.faults_only = False
        self.feed.focus()

    @property
    def filtering(self) -> bool:
        """Whether lines are left out, or a filter is being typed."""
        return self.has_class("-filtering") or not self.feed.wanted.everything

    def watch_log_progress(self) -> None:
        """Show how far the log was read."""
        self.show_titles()

    def next_key(self) -> None:
        """Show only the first key's lines, then the next's, finally all."""
        keys = [row.fingerprint for row in self.snapshot.pool.keys] if self.snapshot else []
        index = keys.index(self.fingerprint) + 1 if self.fingerprint in keys else 0
        self.fingerprint = keys[index] if index < len(keys) else None

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Take over new lines."""
        if snapshot is not None:
            self.feed.empty = self._nothing()
            today = datetime.fromtimestamp(snapshot.at, self.zone).date()
            self.feed.show_news(snapshot.entries, today, snapshot.running, snapshot.at)
            self.show_titles()

    def watch_now(self, now: float) -> None:
        """Count on for how long requests run."""
        if self.is_mounted:
            self.feed.show_time(now)

    def watch_faults_only(self) -> None:
        """Draw the other selection."""
        self._want()

    def watch_fingerprint(self) -> None:
        """Draw the other selection."""
        self._want()

    @on(Input.Changed, "#feed-words")
    def _words_changed(self) -> None:
        self._want()

    @on(FeedList.Changed)
    def _feed_changed(self) -> None:
        self.show_titles()

    @property
    def _wanted(self) -> FeedFilter:
        return FeedFilter(self.faults_only, self.fingerprint, self.words)

    def _want(self) -> None:
        if self.is_mounted:
            self.feed.empty = self._nothing()
            self.feed.want(self._wanted)
            self.show_titles()

    def _nothing(self) -> str:
        if self.snapshot is None:
            return ""
        wanted = self._wanted
        if wanted.everything:
            return "no requests yet"
        key_of = self._key_of
        if not (wanted.words or wanted.fingerprint):
            return f"no faults; {key_of('faults')} shows all traffic"
        return f"no lines match; {key_of('cursor-up')} looks further back, {key_of('back')} shows all"

    def show_titles(self) -> None:
        """Show in the title how many lines match, and how many are held back."""
        feed = self.feed
        words = self._selection()
        if not feed.wanted.everything:
            words.append(f"{feed.matched} of {feed.total}")
        waiting = f" · {feed.unseen} new" if feed.unseen else ""
        held = ""
        if feed.paused:
            held = f" · paused{waiting}"
        elif not feed.following and (waiting or not feed.window.latest):
            held = f" · reading back{waiting}"
        entitle(self, title=(("Live", STRONG), (f" {' · '.join(words)}", QUIET), (held, WARNING)))
        reading = self.log_progress or ("reading the log…" if feed.reading else "")
        entitle(self, subtitle=((reading, QUIET),))

    def _selection(self) -> list[str]:
        words = ["faults"] if self.faults_only else []
        keys = self.snapshot.pool.keys if self.snapshot else ()
        words += [f"#{row.index}" for row in keys if row.fingerprint == self.fingerprint]
        words += [f"“{self.words.strip()}”"] if self.words.strip() else []
        return words or ["all traffic"]


class Filter(Input):
    """The words a model has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="name, vision, think, tools, fav, gone", id="filter", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the list."""
        self.screen.query_one("#model-table").focus()
