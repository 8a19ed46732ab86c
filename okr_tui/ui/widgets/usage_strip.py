"""The strip of usage: the tokens of each account, hour by hour, where there is room for it."""

from datetime import UTC, tzinfo
from typing import Final

from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.forecast import full_at
from okr_tui.domain.history import sparkline
from okr_tui.domain.status_line import short_count
from okr_tui.domain.traffic import HOURS, UsageStrip
from okr_tui.domain.view import KeyView
from okr_tui.domain.words import moment
from okr_tui.services.service import Snapshot
from okr_tui.ui.lines import (
    NOTICE,
    QUIET,
    STRONG,
    WARNING,
    Line,
    cell_width,
    content,
    entitle,
    fit,
    fit_line,
    length,
)

ACCOUNTS: Final = 4
"""Accounts that have a line of their own; the others are one."""
NAME: Final = 12
COUNT: Final = 9
"""The cells of "1.2M tok"."""


def strip_lines(snapshot: Snapshot, now: float, zone: tzinfo, width: int) -> list[Line]:
    """Return the lines in at most `width` cells, the account that used most first."""
    usage = snapshot.usage
    if usage is None:
        return [(("reading the log…", QUIET),)]
    if not usage.strips:
        return [((f"no tokens in the last {HOURS} hours", QUIET),)]
    strips = list(usage.strips[:ACCOUNTS])
    if rest := usage.strips[ACCOUNTS:]:
        summed = tuple(map(sum, zip(*(each.tokens for each in (strips.pop(), *rest)), strict=True)))
        strips.append(UsageStrip(f"{len(rest) + 1} others", summed))
    named = [(_name(strip, snapshot), strip) for strip in strips]
    name = min(NAME, max(cell_width(words) for words, _ in named))
    each = max(1, min(3, (width - name - COUNT - 16) // HOURS))
    most = max(max(strip.tokens) for strip in strips)
    return [_line(words, strip, name, each, most, snapshot, now, zone, width) for words, strip in named]


def _name(strip: UsageStrip, snapshot: Snapshot) -> str:
    row = _row(strip, snapshot)
    if row is not None:
        return row.label or row.account or f"#{row.index}"
    return strip.account if strip.account.endswith("others") else "not in pool"


def _row(strip: UsageStrip, snapshot: Snapshot) -> KeyView | None:
    return next((row for row in snapshot.pool.keys if strip.account in (row.account, row.fingerprint)), None)


def _line(
    words: str,
    strip: UsageStrip,
    name: int,
    each: int,
    most: int,
    snapshot: Snapshot,
    now: float,
    zone: tzinfo,
    width: int,
) -> Line:
    drawn = "".join(level * each for level in sparkline([count or None for count in strip.tokens], most))
    line: Line = (
        (fit(words, name), ""),
        (" ", ""),
        (drawn, NOTICE),
        (f" {short_count(strip.total)} tok".rjust(COUNT + 1), QUIET),
    )
    row = _row(strip, snapshot)
    if row is None or not row.verdict.eligible:
        return fit_line(line, width)
    full = full_at(row.balance, row.samples, least=snapshot.pool.forecast_least)
    ahead: Line = (("  empty ~", QUIET), (moment(full, now, zone), WARNING)) if full and full > now else ()
    whole = (*line, *ahead)
    return fit_line(whole if length(whole) <= width else line, width)


class UsageStripPane(Static):
    """Draws `strip_lines`, and only when they say something else."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="usage-strip", classes="pane")
        self.zone = zone
        self._lines: list[Line] = []

    def on_mount(self) -> None:
        """Name the pane."""
        entitle(self, title=(("Usage", STRONG), (f" {HOURS} h", QUIET)))

    def draw(self) -> None:
        """Draw the sums for the width, where they are new."""
        width = self.content_size.width
        if self.snapshot is None or width <= 0:
            return
        lines = strip_lines(self.snapshot, self.snapshot.at, self.zone, width)
        if lines != self._lines:
            self._lines = lines
            self.update(content(tuple(part for line in lines for part in (*line, ("\n", "")))[:-1]))

    watch_snapshot = on_resize = draw
