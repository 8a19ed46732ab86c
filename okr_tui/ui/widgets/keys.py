"""The pool: one line per key with its state, its quota and when it comes back."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import tzinfo
from typing import ClassVar, Final, Literal

from textual.binding import BindingType
from textual.reactive import var
from textual.widgets import Input

from okr_tui.domain.alerts import DEFAULT_RULES, AlertRules
from okr_tui.domain.health import State
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.values import dataclass
from okr_tui.domain.view import KeyView, brackets
from okr_tui.domain.words import WINDOW_WORDS, sentence, span
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import (
    FAULT,
    GOOD,
    NOTICE,
    QUIET,
    STATE_STYLES,
    STRONG,
    WARNING,
    Line,
    cell_width,
    entitle,
    faded,
    fit,
    fit_line,
    joined,
    length,
)
from okr_tui.ui.widgets.rows import RowList

RESET: Final = 7
"""The cells of the time until a window resets, with the blank before it."""
PERCENT: Final = 5
"""The cells of a percent, with the blank before it."""


def bar(used: float, cells: int = 4) -> str:
    """How full a window is; a little use is never shown as none."""
    full = min(cells, max(round(used * cells / 100), 1 if used > 0 else 0))
    return "▇" * full + "▁" * (cells - full)


def fullness(used: float, rules: AlertRules = DEFAULT_RULES) -> str:
    """Return the style for a window that is so full."""
    return FAULT if used >= rules.critical_percent else WARNING if used >= rules.amber_percent else GOOD


@dataclass(frozen=True, slots=True)
class Gauges:
    """How the two quota columns are drawn: the cells of their bars, and whether they say when they reset."""

    first: int
    second: int
    resets: bool = False

    @property
    def widths(self) -> tuple[int, int]:
        """The cells of both columns."""
        more = PERCENT + (RESET if self.resets else 0)
        return self.first + more, self.second + more if self.second else PERCENT - 1

    @property
    def width(self) -> int:
        """The cells of both columns and the blank between them."""
        return sum(self.widths) + 1


GAUGES: Final = (
    Gauges(10, 10, resets=True),
    Gauges(8, 8, resets=True),
    Gauges(4, 4, resets=True),
    Gauges(8, 8),
    Gauges(4, 4),
    Gauges(4, 0),
    Gauges(0, 0),
)
"""The first for which there is room is taken."""
NOTE, SHORT_NOTE = 12, 7
"""The cells that a note needs with the blank before it: "back 2h 14m", or "2h 14m" where there is little."""
RECENT_FAULT: Final = 3600
"""Seconds for which the last fault is worth a note in the table; the details keep it."""
MARKS, KEY, ACCOUNT, PLAN, STATE = 2, 9, 8, 4, 13
LABEL_LEAST, LABEL_MOST = 7, 32
WITH_PLAN, WITH_ACCOUNT = 68, 108
"""The width from which on plan and account have columns of their own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the table at a width: the cells of number and label, what is shown, and what is left."""

    number: int
    label: int
    plan: bool
    account: bool
    gauges: Gauges
    note: int

    @classmethod
    def of(cls, width: int, rows: Sequence[KeyView]) -> "Layout":
        """Return what fits in so many cells: quota first, then what a note needs, then whole labels."""
        number = max(2, len(str(max((row.index for row in rows), default=0))))
        plan, account = width >= WITH_PLAN, width >= WITH_ACCOUNT
        names = [_name(row, account=account) for row in rows]
        longest = min(max(map(cell_width, names), default=0), LABEL_MOST)
        label = max(5, min(longest, LABEL_LEAST))
        fixed = MARKS + number + 1 + KEY + 1 + label + 1 + STATE + 1
        room = width - fixed - (PLAN + 1) * plan - (ACCOUNT + 1) * account
        fitting = [each for note in (NOTE, SHORT_NOTE) for each in GAUGES if each.width + note <= room]
        gauges = next((each for each in fitting if each.first), GAUGES[-1])
        spare = room - gauges.width - (NOTE if gauges.width + NOTE <= room else SHORT_NOTE)
        grown = max(label, min(longest, label + spare))
        return cls(number, grown, plan, account, gauges, max(0, room - (grown - label) - gauges.width))


def _name(row: KeyView, *, account: bool) -> str:
    """Return the text of the column of labels."""
    return row.label or ("-" if account else row.account or "-")


def gauge(
    window: Window | None, cells: int, now: float, *, resets: bool, rules: AlertRules = DEFAULT_RULES
) -> Line:
    """Return a window's bar with its number, and the time until it resets where that is wanted."""
    if window is None or window.used_percent is None:
        return (("-", QUIET),)
    used = window.used_percent
    number = (
        f"{used:.0f}%".rjust(PERCENT if cells else PERCENT - 1),
        QUIET if cells else fullness(used, rules),
    )
    drawn: Line = ((bar(used, cells), fullness(used, rules)), number) if cells else (number,)
    if not resets or window.resets_at is None or window.resets_at <= now:
        return drawn
    return (*drawn, (span(window.resets_at - now).rjust(RESET), QUIET))


def gauges(
    balance: Balance | None, form: Gauges, now: float, rules: AlertRules = DEFAULT_RULES
) -> tuple[Line, Line]:
    """Return the two quota columns: the session and the longer window, or the dollars that are left."""
    if balance is None:
        return (("-", QUIET),), (("-", QUIET),)
    first = gauge(balance.window("session"), form.first, now, resets=form.resets, rules=rules)
    longer = balance.window("weekly") or balance.window("monthly")
    if longer is None and balance.credits:
        left = f"${max(0.0, balance.credits.balance_usd):.2f}"
        style = WARNING if balance.dollars_left < rules.low_dollars else GOOD
        return first, ((f"{left} left" if form.widths[1] > len(left) + 5 else left, style),)
    return first, gauge(longer, form.second, now, resets=form.resets, rules=rules)


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


def bought(row: KeyView) -> str:
    """Return the bought credit that is left: "$3.50 bought"."""
    return f"${row.bought_usd:.2f} bought" if row.bought_usd > 0 else ""


def notes(row: KeyView, now: float, room: int, *, titled: bool = False) -> str:
    """Return everything worth a note that has room, the most useful first.

    titled: the column says "back", so that the note need not.
    """
    back = countdown(row, now)
    if len(back) > room or titled:
        back = back.partition(" ")[2]
    dollars = bought(row)
    if len(dollars) > room:
        dollars = dollars.partition(" ")[0]
    explained = row.verdict.trial or (not row.verdict.eligible and not back and not row.state.traits.plain)
    parts = [
        back,
        dollars,
        row.verdict.reason if explained else "",
        f"{row.in_flight} of {row.slots} running" if row.in_flight else "",
        row.verdict.reason if row.state.traits.retried and not explained else "",
        last_fault(row, now) if now - (row.last_fault_at or 0) < RECENT_FAULT else "",
    ]
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text and part else text or part
        text = longer if len(longer) <= room else text
    return text


Order = Literal["", "label", "plan", "state", "used", "back"]
ORDERS: Final[tuple[Order, ...]] = ("", "label", "plan", "state", "used", "back")
"""What keys are sorted by; "" is their position in the pool."""
GRAVE: Final = tuple(State)
"""The states as they are counted in the header: the good ones first."""


def ordered(rows: Iterable[KeyView], order: Order, *, falling: bool) -> list[KeyView]:
    """Return the keys sorted; those of which the value is not known come last in both directions."""
    known: list[tuple[float | str, KeyView]] = []
    unknown: list[KeyView] = []
    for row in rows:
        value = _value(row, order)
        if value is None:
            unknown.append(row)
        else:
            known.append((value, row))
    known.sort(key=lambda pair: pair[0], reverse=falling)
    return [row for _, row in known] + unknown


def _value(row: KeyView, order: Order) -> float | str | None:
    match order:
        case "label":
            return (row.label or row.account or "").lower() or None
        case "plan":
            return row.plan
        case "state":
            return GRAVE.index(row.state)
        case "used":
            return row.balance.included_percent if row.balance else None
        case "back":
            return None if row.verdict.eligible else row.verdict.until
        case _:
            return row.index


def matches(row: KeyView, words: str) -> bool:
    """Return whether a key has every word in label, account, plan, state or mask: "faulty", "#3", "!free"."""
    text = " ".join(
        (
            row.masked,
            row.label or "",
            row.account or "",
            row.plan or "",
            state_text(row),
            "" if row.verdict.eligible else "faulty",
            "preferred" if row.preferred else "",
        )
    ).lower()

    def has(word: str) -> bool:
        if word.startswith("!") and len(word) > 1:
            return not has(word[1:])
        return word == f"#{row.index}" or (not word.startswith("#") and word in text)

    return all(map(has, words.lower().split()))


class KeysFilter(Input):
    """The words a key has to have."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="label, plan, state, #3, faulty, !free", id="keys-words", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the keys."""
        self.screen.query_one(KeysPane).focus()


class KeysPane(RowList[KeyView]):
    """The pool as a list; the cursor says which key the actions on keys mean, unless some are marked."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("pool"), *bindings("keys")]
    ONE_LINE = True

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    words: var[str] = var("")
    """What the filter asks for."""

    def __init__(self, zone: tzinfo, key_of: KeyOf) -> None:
        super().__init__(id="keys", classes="pane")
        self.zone = zone
        self._key_of = key_of
        self.border_title = "Keys"
        self.empty = "opening …"
        self.order: Order = ""
        self.falling = False
        self.marked: frozenset[str] = frozenset()
        """The fingerprints of the keys that are marked."""
        self._brackets: dict[str, str] = {}
        self._layouts: dict[int, Layout] = {}

    def header(self, width: int) -> Line:
        """Return the column titles, the sorted one with its direction."""
        form = self._layout(width)
        first, second = form.gauges.widths
        titles = [" " * MARKS + "#".rjust(form.number), fit("key", KEY), self._title("label", form.label)]
        if form.account:
            titles.append(fit("account", ACCOUNT))
        if form.plan:
            titles.append(self._title("plan", PLAN))
        titles.append(self._title("state", STATE))
        used = "5h used" if first >= 7 else "5h".rjust(first)
        if form.gauges.resets:
            used += "resets".rjust(first - len(used))
        titles.append(fit(used + self._arrow("used"), first))
        titles.append(fit("week used" if second >= 9 else "week".rjust(second), second))
        if self._has_back(form):
            titles.append(self._title("back", max(0, form.note - 1)))
        return fit_line(((" ".join(titles), ""),), width)

    def _title(self, order: Order, width: int) -> str:
        return fit(order + self._arrow(order), width)

    def _arrow(self, order: Order) -> str:
        return "" if order != self.order else "▼" if self.falling else "▲"

    def _layout(self, width: int) -> Layout:
        if width not in self._layouts:
            if len(self._layouts) > 2:
                self._layouts.clear()
            self._layouts[width] = Layout.of(width, self.rows)
        return self._layouts[width]

    def lines_of(self, row: KeyView, width: int) -> Sequence[Line]:
        """Return the one line of a key."""
        form = self._layout(width)
        lost = row.state.traits.needs_person
        active = self.snapshot is not None and self.snapshot.pool.active == row.index
        mark = ("▶", NOTICE) if active else ("▷", NOTICE) if row.preferred else (" ", "")
        joint = (
            ("+", NOTICE)
            if row.fingerprint in self.marked
            else (self._brackets.get(row.fingerprint, " "), QUIET)
        )
        cells: list[Line] = [
            (mark, joint, (str(row.index).rjust(form.number), STRONG if active else "")),
            ((fit(row.masked, KEY), QUIET if lost else STRONG if active else ""),),
            ((fit(_name(row, account=form.account), form.label), QUIET if lost else ""),),
        ]
        if form.account:
            cells.append(((fit(row.account or "-", ACCOUNT), QUIET),))
        if form.plan:
            cells.append(((fit(row.plan or "-", PLAN), QUIET),))
        cells.append(((fit(state_text(row), STATE), STATE_STYLES[row.state]),))
        return (fit_line(joined([*cells, *self._quota(row, form)], (" ", "")), width),)

    def _quota(self, row: KeyView, form: Layout) -> Iterable[Line]:
        """Return the windows, which every state keeps, and what else is worth saying where there is room."""
        style = QUIET if row.verdict.eligible else STATE_STYLES[row.state]
        first, second = form.gauges.widths
        room, titled = form.note - 1, self._has_back(form)
        if row.same_as:
            same = f"same as #{row.same_as}"
            taken = max(form.gauges.width, len(same))
            yield ((fit(same, taken), QUIET),)
            yield ((notes(row, self.now, room - taken + form.gauges.width, titled=titled), style),)
            return
        left, right = gauges(row.balance, form.gauges, self.now, self._rules)
        if row.state.traits.needs_person:
            left, right = faded(left), faded(right)
        # What is too long for its column takes what is free in the one before, then of the note.
        early = min(max(0, length(right) - second), max(0, first - length(left)))
        yield fit_line(left, first - early)
        taken = max(second + early, length(right))
        yield fit_line(right, taken)
        yield ((notes(row, self.now, room - taken + second + early, titled=titled), style),)

    def _has_back(self, form: Layout) -> bool:
        """Return whether the notes have a title, which says what the times in them are."""
        return self.order == "back" or form.note < NOTE

    @property
    def _rules(self) -> AlertRules:
        return self.snapshot.rules if self.snapshot else DEFAULT_RULES

    def key_of(self, row: KeyView) -> Hashable:
        """Return the fingerprint, which stays the same when the key moves."""
        return row.fingerprint

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Draw the new pool."""
        if snapshot is not None:
            self._show(snapshot)

    def watch_words(self) -> None:
        """Show the keys that match."""
        if self.snapshot is not None:
            self._show(self.snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        pool = snapshot.pool
        found = pool.keys
        if self.words.strip():
            found = tuple(row for row in pool.keys if matches(row, self.words))
        rows = ordered(found, self.order, falling=self.falling) if self.order or self.falling else found
        self.empty = f"no key matches; {self._key_of('back')} shows all" if pool.keys else "no keys"
        if self.marked:
            self.marked &= {row.fingerprint for row in pool.keys}
        self._brackets = dict(zip((row.fingerprint for row in rows), brackets(rows), strict=True))
        self._layouts.clear()
        self.show_rows(rows)
        self.say_why()

    def sort_by_next(self) -> None:
        """Sort by the next column, after the last by the position in the pool."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.falling = self.order in ("used", "state")
        self._sorted()

    def sort_reverse(self) -> None:
        """Sort the other way round."""
        self.falling = not self.falling
        self._sorted()

    def _sorted(self) -> None:
        if self.snapshot is not None:
            self._show(self.snapshot)
            self.keep_in_sight()

    def mark_selected(self) -> None:
        """Mark the key under the cursor, or take its mark away, and move to the next."""
        if row := self.selected:
            self.marked ^= {row.fingerprint}
            self.draw()
            self.action_cursor_down()
            self.say_why()

    def unmark_all(self) -> None:
        """Take all marks away."""
        self.marked = frozenset()
        self.draw()
        self.say_why()

    @property
    def chosen(self) -> tuple[KeyView, ...]:
        """The marked keys in pool order; without any, the one under the cursor."""
        rows = self.snapshot.pool.keys if self.snapshot else ()
        found = tuple(row for row in rows if row.fingerprint in self.marked)
        return found or ((self.selected,) if self.selected else ())

    def watch_now(self) -> None:
        """Update the countdowns."""
        self.draw()

    def on_row_list_moved(self) -> None:
        """Show everything about the key under the cursor."""
        self.say_why()

    def say_why(self) -> None:
        """Spell out the selected key's state on the lower border, where no column cuts it."""
        if self.snapshot is not None:
            entitle(self, title=self._heading(self.snapshot))
        row = self.selected
        if row is None:
            entitle(self, subtitle=(("", ""),))
            return
        words = f"#{row.index} {sentence(row.verdict, self.now, self.zone)}"
        more = [
            bought(row),
            f"{row.in_flight} of {row.slots} running" if row.in_flight else "",
            "quota not read yet" if row.balance is None and row.verdict.eligible else "",
            last_fault(row, self.now),
        ]
        room = self.size.width - cell_width(words) - 2
        shown = ""
        for part in more:
            longer = f"{shown} · {part}" if part else shown
            shown = longer if cell_width(longer) <= room else shown
        entitle(self, subtitle=((words, STATE_STYLES[row.state]), (shown, QUIET)))

    def _heading(self, snapshot: Snapshot) -> Line:
        pool = snapshot.pool
        words = [pool.strategy] if pool.strategy != "sticky" else []
        if self.words:
            words.append(f"“{self.words.strip()}” · {len(self.rows)} of {len(pool.keys)}")
        if self.order:
            words.append(f"by {self.order}")
        if self.marked:
            words.append(f"{len(self.marked)} marked")
        working = [row for row in pool.keys if not row.state.traits.needs_person]
        unread = {row.account or row.fingerprint for row in working if row.balance is None}
        if unread and any(row.balance for row in working):
            words.append(f"quota of {len(unread)} not read yet")
        return (("Keys", STRONG), (f" {' · '.join(words)}" if words else "", QUIET))
