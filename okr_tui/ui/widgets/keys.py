"""The pool: one line per key with its state, its quota and when it comes back."""

from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.reactive import var

from okr_tui.domain.view import KeyView, brackets
from okr_tui.domain.words import sentence
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import (
    FAULT,
    NOTICE,
    QUIET,
    STATE_STYLES,
    STRONG,
    Line,
    entitle,
    faded,
    fit,
    fit_line,
    joined,
    length,
)
from okr_tui.ui.widgets.key_words import RESET, last_fault, meters, note, notes, state_text
from okr_tui.ui.widgets.rows import RowList

KEY, LABEL, ACCOUNT, PLAN, STATE, METER, RUNS = 9, 8, 8, 4, 13, 9, 5
WIDEST: Final = 108
"""From this width on the account and the percents have columns of their own."""
WIDE: Final = 82
"""From this width on each window says when it resets, and what runs and what failed last have a column."""
FULL: Final = 76
"""From this width on bars and note stand side by side; below, a note takes the place of the bars."""
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
        """The column titles."""
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
        """The one line of a key."""
        lost = STATE_STYLES[row.state] in (FAULT, QUIET)
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
        """The windows and what else is worth saying, as much as there is room for."""
        wide = width >= WIDE
        percent = width >= (WIDEST if wide else FULL)
        first, second = meters(row.balance, self.now, percent=percent, resets=wide)
        if STATE_STYLES[row.state] in (FAULT, QUIET):
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
        """A key stays the same key wherever it stands."""
        return row.fingerprint

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
        """Let the countdowns go on."""
        self.draw()

    def on_row_list_moved(self) -> None:
        """Say all about the key under the cursor."""
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
        told = ""
        for part in more:
            longer = f"{told} · {part}" if part else told
            told = longer if len(longer) <= room else told
        entitle(self, subtitle=((words, STATE_STYLES[row.state]), (told, QUIET)))


def _window_width(width: int) -> int:
    """The cells of a window's column that also says when it resets."""
    return 4 + (5 if width >= WIDEST else 0) + 1 + RESET


def _title(snapshot: Snapshot) -> Line:
    strategy = snapshot.pool.strategy
    return (("Keys", STRONG), (f" {strategy}", QUIET)) if strategy != "sticky" else (("Keys", STRONG),)
