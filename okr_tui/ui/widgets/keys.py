"""The pool: one line per key with its state, its quota and when it comes back."""

from collections.abc import Hashable, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.reactive import var

from okr_tui.domain.health import WINDOW_WORDS, State
from okr_tui.domain.quota import Balance
from okr_tui.domain.view import KeyView
from okr_tui.domain.words import GLYPHS, sentence, span
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

KEY, LABEL, PLAN, STATE, METER = 9, 8, 5, 13, 9
FULL: Final = 76
"""From this width on bars and note stand side by side; below, a note takes the place of the bars."""
WITH_PLAN: Final = 55
RETRIED: Final = frozenset({State.INVALID, State.SUSPENDED, State.SHAKY, State.OUTAGE})


def bar(used: float, cells: int = 4) -> str:
    """How full a window is; a little use is never shown as none."""
    full = min(cells, max(round(used * cells / 100), 1 if used > 0 else 0))
    return "▇" * full + "▁" * (cells - full)


def meter(used: float | None, *, percent: bool) -> Line:
    """A window's bar, with the number where there is room."""
    if used is None:
        return (("-", QUIET),)
    style = FAULT if used >= 95 else WARNING if used >= 75 else GOOD
    number = ((f" {used:>2.0f}%", QUIET),) if percent else ()
    return ((bar(used), style), *number)


def meters(balance: Balance | None, *, percent: bool) -> tuple[Line, Line]:
    """The two quota columns: session and week, or the dollars that are left."""
    if balance is None:
        return (("-", QUIET),), (("-", QUIET),)
    session, weekly = balance.window("session"), balance.window("weekly")
    first = meter(session.used_percent if session else None, percent=percent)
    if weekly is None and balance.credits:
        dollars = balance.credits.balance_usd + (balance.credits.purchased_usd or 0.0)
        return first, ((f"${dollars:.2f}", WARNING if dollars < 1 else GOOD),)
    return first, meter(weekly.used_percent if weekly else None, percent=percent)


def state_text(row: KeyView) -> str:
    """Glyph and word of a key's state, with the window that is spent."""
    words = f"{GLYPHS[row.state]} {row.state.value}"
    window = WINDOW_WORDS.get(row.verdict.window or "") if row.state is State.SPENT else None
    return f"{words} {'$' if window == 'credits' else window}" if window else words


def countdown(row: KeyView, now: float) -> str:
    """When a blocked key is used or tried again."""
    verdict = row.verdict
    if verdict.eligible or verdict.until is None:
        return ""
    return f"{'retry' if row.state in RETRIED else 'back'} {span(verdict.until - now)}"


def note(row: KeyView, now: float) -> str:
    """The short note that replaces the bars where there is no room for both."""
    if not row.verdict.eligible:
        plain = "" if row.state in (State.OFF, State.BUSY) else row.verdict.reason
        return countdown(row, now) or plain
    return f"same as #{row.same_as}" if row.same_as else ""


def notes(row: KeyView, now: float, room: int) -> str:
    """Everything worth a note that has room, the most useful first."""
    parts = [
        countdown(row, now),
        f"same as #{row.same_as}" if row.same_as else "",
        f"{row.in_flight} of {row.slots} running" if row.in_flight else "",
        row.verdict.reason if row.verdict.trial or row.state in RETRIED else "",
    ]
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text and part else text or part
        text = longer if len(longer) <= room else text
    return text


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

    def header(self, width: int) -> Line:
        """The column titles."""
        titles = ["  #", fit("key", KEY), fit("label", LABEL)]
        if width >= WITH_PLAN:
            titles.append(fit("plan", PLAN))
        titles.append(fit("state", STATE))
        if width >= FULL:
            titles += [fit("5h used", METER), fit("week", METER), ""]
        else:
            titles.append("5h   week")
        return fit_line(((" ".join(titles), ""),), width)

    def lines_of(self, row: KeyView, width: int) -> Sequence[Line]:
        """The one line of a key."""
        lost = STATE_STYLES[row.state] in (FAULT, QUIET)
        active = self.snapshot is not None and self.snapshot.pool.active == row.index
        mark = "▶" if active else "▷" if row.preferred else " "
        cells: list[Line] = [
            ((mark, NOTICE), (f"{row.index:>2}", STRONG if active else "")),
            ((fit(row.masked, KEY), QUIET if lost else STRONG if active else ""),),
            ((fit(row.label or row.account or "-", LABEL), QUIET if lost else ""),),
        ]
        if width >= WITH_PLAN:
            cells.append(((fit(row.plan or "-", PLAN), QUIET),))
        cells.append(((fit(state_text(row), STATE), STATE_STYLES[row.state]),))
        first, second = meters(row.balance, percent=width >= FULL)
        if lost:
            first, second = faded(first), faded(second)
        if width >= FULL:
            room = width - length(joined(cells, (" ", ""))) - 2 * METER - 3
            cells += [fit_line(first, METER), fit_line(second, METER), ((notes(row, self.now, room), QUIET),)]
        elif text := note(row, self.now):
            cells.append(((text, QUIET if row.verdict.eligible else STATE_STYLES[row.state]),))
        else:
            cells.append((*fit_line(first, 4), (" ", ""), *second))
        return (fit_line(joined(cells, (" ", "")), width),)

    def key_of(self, row: KeyView) -> Hashable:
        """A key stays the same key wherever it stands."""
        return row.fingerprint

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Draw the new pool."""
        if snapshot is not None:
            self.empty = "no keys"
            entitle(self, title=_title(snapshot))
            self.show_rows(snapshot.pool.keys)
            self.say_why()

    def watch_now(self) -> None:
        """Let the countdowns go on."""
        self.draw()

    def on_row_list_moved(self) -> None:
        """Say all about the key under the cursor."""
        self.say_why()

    def say_why(self) -> None:
        """Spell out the selected key's state on the lower border, where no column cuts it."""
        row = self.selected
        words = f"#{row.index} {sentence(row.verdict, self.now, self.zone)}" if row else ""
        entitle(self, subtitle=((words, STATE_STYLES[row.state] if row else ""),))


def _title(snapshot: Snapshot) -> Line:
    strategy = snapshot.pool.strategy
    return (("Keys", STRONG), (f" {strategy}", QUIET)) if strategy != "sticky" else (("Keys", STRONG),)
