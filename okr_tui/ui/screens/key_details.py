"""Everything about one key over the whole screen: its facts, and its last lines of the log as they come."""

from collections.abc import Callable, Iterator, Sequence
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

from okr_tui.domain.alerts import DEFAULT_RULES, AlertRules
from okr_tui.domain.feed import FeedFilter
from okr_tui.domain.forecast import burn_rate, empty_at
from okr_tui.domain.history import CREDITS, HOURS, KeyHistory, sparkline, tally_slots, used_slots
from okr_tui.domain.quota import Balance, Credits, Sample, Window
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import WINDOW_WORDS, moment, sentence, span
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings, borrowed
from okr_tui.ui.keymap import ActiveKeymap, KeyOf
from okr_tui.ui.lines import (
    FAULT,
    GOOD,
    NOTICE,
    QUIET,
    STATE_STYLES,
    STRONG,
    WARNING,
    Line,
    content,
    entitle,
    length,
    one_line,
    wrapped,
)
from okr_tui.ui.screens.text import record_screen
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME as PROGRAM
from okr_tui.ui.widgets.keys import bar, fullness
from okr_tui.ui.widgets.live import FeedList
from okr_tui.ui.widgets.rows import RowList

NAME: Final = 11
BAR: Final = 20


def fact_lines(
    row: KeyView,
    pool: PoolView,
    history: KeyHistory | None,
    now: float,
    zone: tzinfo,
    width: int,
    key_of: KeyOf,
    rules: AlertRules = DEFAULT_RULES,
) -> list[Line]:
    """Return the facts in at most `width` cells; `now` is epoch seconds."""
    lines: list[Line] = []

    def add(name: str, words: str, style: str = "") -> None:
        lines.extend(_wrapped(name, words, style, width))

    back = row.verdict.until is not None and not row.verdict.eligible
    words = sentence(row.verdict, now, zone)
    until = f", in {span(row.verdict.until - now)}" if back and row.verdict.until else ""
    glyph, state = row.state.traits.glyph, row.state.value
    # "5h spent, back 10:00" says the state itself.
    named = words if state in words.partition(",")[0].split() else f"{state}: {words}"
    add("state", f"{glyph} {named}{until}", STATE_STYLES[row.state])
    takes = pool.active == row.index
    add(
        "next", f"the next request takes it: {pool.why}" if takes else f"not taken: {row.reason or 'unknown'}"
    )
    lines.append(())
    others = [f"#{index}" for index in row.account_keys if index != row.index]
    verb = "shares" if len(others) == 1 else "share"
    shared = f"; {', '.join(others)} {verb} its quota" if others else ""
    add("account", (row.account or "not known yet") + shared)
    slots = f"{row.in_flight} of {row.slots} requests running"
    add("plan", f"{row.plan or 'unknown'} · {slots}{' · preferred' if row.preferred else ''}")
    add("from", f"{row.origin}{f' · label {one_line(row.label)}' if row.label else ''}")
    lines.append(())
    if row.balance is None or not (row.balance.windows or row.balance.credits):
        add("used", f"no quota read yet; {key_of('test-key')} reads it", QUIET)
    else:
        lines += _quota(row.balance, history or KeyHistory(), pool.forecast_least, rules, now, zone, width)
    lines += _traffic(history, now, width)
    lines.append(())
    for name, verdict in row.models:
        add("blocked", f"{one_line(name)}: {sentence(verdict, now, zone)}", WARNING)
    if row.last_fault and row.last_fault_at is not None:
        fault = f"{row.last_fault.word}, {span(now - row.last_fault_at)} ago: {row.last_fault.text}"
        add("last fault", fault, FAULT)
    add("counted", f"requests {row.requests}, faults {row.faults}")
    add("quota", f"read {_age(row.read_at, now, zone)}", QUIET)
    add("identity", f"read {_age(row.identity_at, now, zone)}", QUIET)
    return lines


def _wrapped(name: str, words: str, style: str, width: int) -> Iterator[Line]:
    room = max(10, width - NAME)
    for number, part in enumerate(wrapped(one_line(words), room) or [""]):
        yield ((f"{'' if number else name:<{NAME}}", QUIET), (part, style))


def _age(at: float | None, now: float, zone: tzinfo) -> str:
    return "not yet" if at is None else f"{span(now - at)} ago, {moment(at, now, zone)}"


def _quota(
    balance: Balance,
    history: KeyHistory,
    least: float,
    rules: AlertRules,
    now: float,
    zone: tzinfo,
    width: int,
) -> Iterator[Line]:
    for window in balance.windows:
        yield from _window(window, history.samples.get(window.name, ()), least, rules, now, zone, width)
    if balance.credits:
        yield from _credits(balance.credits, history.samples.get(CREDITS, ()), least, rules, now, zone, width)


def _window(
    window: Window,
    samples: Sequence[Sample],
    least: float,
    rules: AlertRules,
    now: float,
    zone: tzinfo,
    width: int,
) -> Iterator[Line]:
    name = WINDOW_WORDS.get(window.name, window.name)
    used = window.used_percent
    resets = ""
    if window.resets_at is not None:
        resets = f"resets {moment(window.resets_at, now, zone)}, in {span(window.resets_at - now)}"
    if used is None:
        yield from _wrapped(name, f"use unknown  {resets}", "", width)
        return
    yield from _gauge(name, used, rules, f"{used:.0f}%", resets, width)
    yield from _pace(samples, least, window.resets_at, now, zone, width)
    yield from _history(samples, now, width)


def _gauge(name: str, used: float, rules: AlertRules, number: str, words: str, width: int) -> Iterator[Line]:
    lead: Line = (
        (f"{name:<{NAME}}", QUIET),
        (bar(used, BAR), fullness(used, rules)),
        (f" {number:>4}", STRONG),
    )
    if NAME + BAR + 7 + len(words) <= width:
        yield (*lead, (f"  {words}", ""))
        return
    yield lead
    yield from _wrapped("", words, "", width)


def _pace(
    samples: Sequence[Sample], least: float, resets: float | None, now: float, zone: tzinfo, width: int
) -> Iterator[Line]:
    """Say how fast a limit fills, and whether it is full before it resets.

    `least` is the policy's: a key is forecast from the same readings as the pool.
    """
    rate = burn_rate(samples, least=least)
    if rate is None or not samples:
        return
    full = empty_at(samples, least=least)
    if full is None:
        yield from _wrapped("", "not rising", QUIET, width)
        return
    words = f"{rate * 3600:.1f}% an hour, "
    if resets is not None and full > resets:
        yield from _wrapped("", f"{words}lasts until it resets", GOOD, width)
    else:
        yield from _wrapped("", f"{words}full {moment(full, now, zone)} at this pace", WARNING, width)


def _history(samples: Sequence[Sample], now: float, width: int) -> Iterator[Line]:
    if samples:
        line = sparkline(used_slots(samples, now), 100)
        yield _drawn("", line, NOTICE, f"used, {HOURS} h", width)


def _drawn(name: str, line: str, style: str, words: str, width: int) -> Line:
    """Return a sparkline after its name; where there is no room its words go first, then its oldest part."""
    line = line[-max(1, width - NAME) :]
    trailing = f"  {words}" if NAME + len(line) + 2 + len(words) <= width else ""
    return ((f"{name:<{NAME}}", QUIET), (line, style), (trailing, QUIET))


def _credits(
    dollars: Credits,
    samples: Sequence[Sample],
    least: float,
    rules: AlertRules,
    now: float,
    zone: tzinfo,
    width: int,
) -> Iterator[Line]:
    words = f"${dollars.balance_usd:.2f}"
    words += f" of ${dollars.allowance_usd:.2f}" if dollars.allowance_usd else ""
    words += (
        f" included and ${dollars.purchased_usd:.2f} bought are left" if dollars.purchased_usd else " left"
    )
    until = ""
    if dollars.until is not None:
        until = f"new ones {moment(dollars.until, now, zone)}, in {span(dollars.until - now)}"
    if (used := dollars.used_percent) is None:
        yield from _wrapped("credits", f"{words} {until}", "", width)
        return
    yield from _gauge("credits", used, rules, f"{used:.0f}%", words, width)
    if until:
        yield from _wrapped("", until, "", width)
    yield from _pace(samples, least, dollars.until, now, zone, width)
    yield from _history(samples, now, width)


def _traffic(history: KeyHistory | None, now: float, width: int) -> Iterator[Line]:
    if history is None:
        yield from _wrapped("requests", "reading the log…", QUIET, width)
        return
    tallies = tally_slots(history, now)
    requests, faults = sum(t.requests for t in tallies), sum(t.faults for t in tallies)
    if not requests:
        yield from _wrapped("requests", f"none in {HOURS} h", QUIET, width)
        return
    most = max(t.requests for t in tallies)
    line = sparkline([t.requests or None for t in tallies], most)
    yield _drawn("requests", line, GOOD, f"{requests} in {HOURS} h", width)
    if faults:
        line = sparkline([t.faults or None for t in tallies], most)
        yield _drawn("faults", line, FAULT, f"{faults} in {HOURS} h", width)


WIDTHS = [(0, "-stacked"), (120, "-beside")]
LEAST_LINES: Final = 20
"""Lines of the log to look for at once."""


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
        """Do nothing: facts cannot be chosen."""


class KeyDetails(Screen[None]):
    """Follows the newest snapshot. The history is requested when the key's readings or requests changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("key"),
        *borrowed("key-details", "close"),
        *bindings("pool"),
    ]
    HORIZONTAL_BREAKPOINTS = WIDTHS

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    @dataclass
    class HistoryRequested(Message):
        """The key's history has to be read again."""

        details: "KeyDetails"
        fingerprint: str

    def __init__(
        self, fingerprint: str, zone: tzinfo, clock: Callable[[], float], keymap: ActiveKeymap
    ) -> None:
        super().__init__()
        self._keymap = keymap
        self.fingerprint = fingerprint
        self.zone = zone
        self.clock = clock
        self._key_history: KeyHistory | None = None
        self._lines: list[Line] = []
        self._requested: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, facts, the key's lines, the keys that apply."""
        yield Static(id="header")
        with Container(id="key-details"):
            with Facts(id="key-facts", classes="pane"):
                yield Static(id="key-facts-text")
            with Container(id="key-log", classes="pane"):
                yield FeedList(self.zone, id="key-feed")
        yield FootLine(self._keymap, "key").data_bind(KeyDetails.snapshot)

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
        """Draw the new state; close the screen if the key is gone."""
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
        """Update countdowns and ages."""
        self._draw()

    def on_resize(self) -> None:
        """Lay the facts out for the new width."""
        self.call_after_refresh(self._draw)

    def show_history(self, fingerprint: str, history: KeyHistory) -> None:
        """Draw the history that was read."""
        if fingerprint == self.fingerprint:
            self._key_history = history
            self._draw()

    def _ask(self) -> None:
        row = self.row
        mark = row and (row.fingerprint, row.read_at, row.requests, row.faults)
        if mark and mark != self._requested:
            self._requested = mark
            self.post_message(self.HistoryRequested(self, self.fingerprint))

    def _draw(self) -> None:
        row, snapshot = self.row, self.snapshot
        facts = self.query_one(Facts)
        width = facts.scrollable_content_region.width
        if row is None or snapshot is None or width <= 0:
            return
        key_of = self._keymap.key_of
        history, rules = self._key_history, snapshot.rules
        lines = fact_lines(row, snapshot.pool, history, self.now, self.zone, width, key_of, rules)
        if lines != self._lines:
            self._lines = lines
            self.query_one("#key-facts-text", Static).update(Content("\n").join(content(x) for x in lines))
        label = f" {one_line(row.label)}" if row.label else ""
        title: Line = (*PROGRAM, ("   key ", QUIET), (f"#{row.index}", STRONG), (f" {row.masked}{label}", ""))
        count = f"   {row.index} of {len(snapshot.pool.keys)}"
        others = f", {key_of('other-key-back')} {key_of('other-key')} other keys"
        room = self.size.width - 2 - length(title) - len(count)
        heading = content((*title, (f"{count}{others}" if len(others) <= room else count, QUIET)))
        header = self.query_one("#header", Static)
        if header.content != heading:
            header.update(heading, layout=False)
        entitle(facts, title=(("Key", STRONG),))

    @on(FeedList.Changed)
    def _feed_changed(self, event: FeedList.Changed) -> None:
        feed = event.feed
        more = "reading the log…" if feed.reading else "paused" if feed.paused else ""
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
        """Show the key before or after this one in the pool."""
        rows = self.snapshot.pool.keys if self.snapshot else ()
        here = next((index for index, row in enumerate(rows) if row.fingerprint == self.fingerprint), None)
        if here is None or len(rows) < 2:
            return
        self.fingerprint = rows[(here + direction) % len(rows)].fingerprint
        self._key_history = None
        self.query_one(Facts).scroll_home(animate=False)
        self.query_one(FeedList).want(FeedFilter(fingerprint=self.fingerprint))
        self.watch_snapshot(self.snapshot)

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()
