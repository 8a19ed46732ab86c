"""The pool: one line per key with its state, its quota and when it comes back."""

from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.reactive import var

from okr_tui.domain.alerts import DEFAULT_RULES, AlertRules
from okr_tui.domain.health import State
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.view import KeyView, brackets
from okr_tui.domain.words import WINDOW_WORDS, sentence, span
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import (
    FAULT,
    GOOD,
    NOTICE,
    QUIET,
    STATE_STYLES,
    STRONG,
    WARNING,
    Line,
    entitle,
    faded,
    fit,
    fit_line,
    joined,
    length,
)
from okr_tui.ui.widgets.rows import RowList

RESET: Final = 6
"""The cells of the time until a window resets."""


def bar(used: float, cells: int = 4) -> str:
    """How full a window is; a little use is never shown as none."""
    full = min(cells, max(round(used * cells / 100), 1 if used > 0 else 0))
    return "▇" * full + "▁" * (cells - full)


def fullness(used: float, rules: AlertRules = DEFAULT_RULES) -> str:
    """Return the style for a window that is so full."""
    return FAULT if used >= rules.critical_percent else WARNING if used >= rules.amber_percent else GOOD


def meter(
    window: Window | None, now: float, *, percent: bool, resets: bool, rules: AlertRules = DEFAULT_RULES
) -> Line:
    """Return a window's bar, with the number and the time until it resets where there is room."""
    if window is None or window.used_percent is None:
        return (("-", QUIET),)
    used = window.used_percent
    number = ((f" {used:>3.0f}%" if resets else f" {used:>2.0f}%", QUIET),) if percent else ()
    return ((bar(used), fullness(used, rules)), *number, *(_left(window.resets_at, now) if resets else ()))


def _left(at: float | None, now: float) -> Line:
    return ((f" {span(at - now):>{RESET}}", QUIET),) if at is not None and at > now else ()


def meters(
    balance: Balance | None,
    now: float,
    *,
    percent: bool,
    resets: bool,
    rules: AlertRules = DEFAULT_RULES,
) -> tuple[Line, Line]:
    """Return the two quota columns: session and week, or the dollars that are left."""
    if balance is None:
        return (("-", QUIET),), (("-", QUIET),)
    first = meter(balance.window("session"), now, percent=percent, resets=resets, rules=rules)
    weekly = balance.window("weekly")
    if weekly is None and balance.credits:
        dollars = balance.credits.balance_usd + (balance.credits.purchased_usd or 0.0)
        return first, ((f"${dollars:.2f}", WARNING if dollars < rules.low_dollars else GOOD),)
    return first, meter(weekly, now, percent=percent, resets=resets, rules=rules)


def last_fault(row: KeyView, now: float) -> str:
    """Return the last fault with its age: "429 9s ago"."""
    if row.last_fault is None or row.last_fault_at is None:
        return ""
    return f"{row.last_fault.word} {span(now - row.last_fault_at)} ago"


def state_text(row: KeyView) -> str:
    """Glyph and word of a key's state, with the window that is spent."""
    words = f"{row.state.traits.glyph} {row.state.value}"
    window = WINDOW_WORDS.get(row.verdict.window or "") if row.state is State.SPENT else None
    return f"{words} {'$' if window == 'credits' else window}" if window else words


def countdown(row: KeyView, now: float) -> str:
    """When a blocked key is used or tried again."""
    verdict = row.verdict
    if verdict.eligible or verdict.until is None:
        return ""
    return f"{'retry' if row.state.traits.retried else 'back'} {span(verdict.until - now)}"


def note(row: KeyView, now: float) -> str:
    """Return the short note that replaces the bars where there is no room for both."""
    if not row.verdict.eligible:
        plain = "" if row.state.traits.plain else row.verdict.reason
        return countdown(row, now) or plain
    return f"same as #{row.same_as}" if row.same_as else ""


def notes(row: KeyView, now: float, room: int, *, runs: bool = False) -> str:
    """Everything worth a note that has room, the most useful first; `runs`: what runs has its own column."""
    parts = [
        countdown(row, now),
        f"same as #{row.same_as}" if row.same_as else "",
        f"{row.in_flight} of {row.slots} running" if row.in_flight and not runs else "",
        row.verdict.reason if row.verdict.trial or row.state.traits.retried else "",
        last_fault(row, now),
    ]
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text and part else text or part
        text = longer if len(longer) <= room else text
    return text


KEY, LABEL, ACCOUNT, PLAN, STATE, METER, RUNS = 9, 8, 8, 4, 13, 9, 5
WIDEST: Final = 108
"""From this width on the account and the percents have columns of their own."""
WIDE: Final = 82
"""From this width on each window says when it resets, and what runs and what failed last have a column."""
FULL: Final = 76
"""From this width on bars and note are side by side; below, a note replaces the bars."""
WITH_PLAN: Final = 55


class KeysPane(RowList[KeyView]):
    """The pool as a list; 1 to 9 pick a key, the cursor says which one the other actions on keys mean."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("pool")]

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="keys", classes="pane")
        self.zone = zone
        self.border_title = "Keys"
        self.empty = "opening …"
        self._brackets: dict[str, str] = {}

    def header(self, width: int) -> Line:
        """Return the column titles."""
        titles = ["   #", fit("key", KEY), fit("label", LABEL)]
        if width >= WIDEST:
            titles.append(fit("account", ACCOUNT))
        if width >= WITH_PLAN:
            titles.append(fit("plan", PLAN))
        titles.append(fit("state", STATE))
        if width >= WIDE:
            size = _window_width(width)
            titles += [fit("5h  resets", size), fit("week resets", size), fit("runs", RUNS), "last"]
        elif width >= FULL:
            titles += [fit("5h used", METER), fit("week", METER), ""]
        else:
            titles.append("5h   week")
        return fit_line(((" ".join(titles), ""),), width)

    def lines_of(self, row: KeyView, width: int) -> Sequence[Line]:
        """Return the one line of a key."""
        lost = row.state.traits.needs_person
        active = self.snapshot is not None and self.snapshot.pool.active == row.index
        mark = "▶" if active else "▷" if row.preferred else " "
        bracket = self._brackets.get(row.fingerprint, " ")
        cells: list[Line] = [
            ((mark, NOTICE), (bracket, QUIET), (f"{row.index:>2}", STRONG if active else "")),
            ((fit(row.masked, KEY), QUIET if lost else STRONG if active else ""),),
        ]
        account = row.account or "-"
        named = row.label or (account if width < WIDEST else "-")
        cells.append(((fit(named, LABEL), QUIET if lost else ""),))
        if width >= WIDEST:
            cells.append(((fit(account, ACCOUNT), QUIET),))
        if width >= WITH_PLAN:
            cells.append(((fit(row.plan or "-", PLAN), QUIET),))
        cells.append(((fit(state_text(row), STATE), STATE_STYLES[row.state]),))
        return (fit_line(joined([*cells, *self._quota(row, width, cells)], (" ", "")), width),)

    def _quota(self, row: KeyView, width: int, before: Sequence[Line]) -> Iterator[Line]:
        """Return the windows and what else is worth saying, as much as there is room for."""
        wide = width >= WIDE
        percent = width >= (WIDEST if wide else FULL)
        first, second = meters(row.balance, self.now, percent=percent, resets=wide, rules=self._rules)
        if row.state.traits.needs_person:
            first, second = faded(first), faded(second)
        size = _window_width(width) if wide else METER
        room = width - length(joined(before, (" ", ""))) - 2 * size - 3
        if wide:
            runs = f"{row.in_flight}/{row.slots}"
            yield from (fit_line(first, size), fit_line(second, size))
            yield ((fit(runs, RUNS), "" if row.in_flight else QUIET),)
            yield ((notes(row, self.now, room - RUNS - 1, runs=True), QUIET),)
        elif width >= FULL:
            yield from (fit_line(first, size), fit_line(second, size))
            yield ((notes(row, self.now, room), QUIET),)
        elif text := note(row, self.now):
            yield ((text, QUIET if row.verdict.eligible else STATE_STYLES[row.state]),)
        else:
            yield (*fit_line(first, 4), (" ", ""), *second)

    def key_of(self, row: KeyView) -> Hashable:
        """Return the fingerprint, which stays the same when the key moves."""
        return row.fingerprint

    @property
    def _rules(self) -> AlertRules:
        return self.snapshot.rules if self.snapshot else DEFAULT_RULES

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Draw the new pool."""
        if snapshot is not None:
            self.empty = "no keys"
            entitle(self, title=_title(snapshot))
            rows = snapshot.pool.keys
            self._brackets = dict(zip((row.fingerprint for row in rows), brackets(rows), strict=True))
            self.show_rows(rows)
            self.say_why()

    def watch_now(self) -> None:
        """Update the countdowns."""
        self.draw()

    def on_row_list_moved(self) -> None:
        """Show everything about the key under the cursor."""
        self.say_why()

    def say_why(self) -> None:
        """Spell out the selected key's state on the lower border, where no column cuts it."""
        row = self.selected
        if row is None:
            entitle(self, subtitle=(("", ""),))
            return
        words = f"#{row.index} {sentence(row.verdict, self.now, self.zone)}"
        more = [f"{row.in_flight} of {row.slots} running" if row.in_flight else "", last_fault(row, self.now)]
        room = self.size.width - len(words) - 2
        shown = ""
        for part in more:
            longer = f"{shown} · {part}" if part else shown
            shown = longer if len(longer) <= room else shown
        entitle(self, subtitle=((words, STATE_STYLES[row.state]), (shown, QUIET)))


def _window_width(width: int) -> int:
    """Return the width of a window's column that also says when it resets, in cells."""
    return 4 + (5 if width >= WIDEST else 0) + 1 + RESET


def _title(snapshot: Snapshot) -> Line:
    strategy = snapshot.pool.strategy
    return (("Keys", STRONG), (f" {strategy}", QUIET)) if strategy != "sticky" else (("Keys", STRONG),)
