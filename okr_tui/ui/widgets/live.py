"""The live feed: the log's lines, newest on top."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from itertools import groupby

from textual.reactive import var

from okr_tui.domain.feed import Entry
from okr_tui.domain.words import span
from okr_tui.services.service import Snapshot
from okr_tui.ui.lines import QUIET, STRONG, TONES, Line, entitle, length, one_line
from okr_tui.ui.widgets.rows import RowList

FAULTS = frozenset({"fault", "warning"})
ALIKE = 3


def folded(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Runs of requests that went well as one line each, so that what matters stays in sight."""
    for tone, run in groupby(entries, key=lambda entry: entry.tone):
        alike = list(run)
        if tone != "quiet" or len(alike) < ALIKE:
            yield from alike
            continue
        first, last = alike[0], alike[-1]
        counts = Counter(entry.key for entry in alike)
        keys = " ".join(f"#{key or '?'} ×{count}" for key, count in counts.most_common(6))
        text = f"{len(alike)} requests ok"
        yield Entry(first.at, "quiet", text, f"{keys} · in {span(first.at - last.at)}")


def entries_from(entries: Sequence[Entry], *, faults_only: bool) -> list[Entry]:
    """The lines of the feed, newest first."""
    newest = reversed(entries)
    return [entry for entry in newest if entry.tone in FAULTS] if faults_only else list(folded(newest))


@lru_cache(maxsize=4096)
def entry_lines(entry: Entry, width: int, today: date, zone: tzinfo) -> tuple[Line, ...]:
    """One entry; its detail stands beside the text where it fits, else below if it matters."""
    glyph, style = TONES[entry.tone]
    moment = datetime.fromtimestamp(entry.at, zone)
    time = f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%d %b}  "
    lead: Line = ((f"{time} ", QUIET), (f"{glyph} ", style))
    indent = (" " * length(lead), "")
    room = max(10, width - length(lead))
    calm = entry.tone in ("quiet", "info")
    text_style = QUIET if entry.tone == "quiet" else "" if calm else style
    first, *more = textwrap.wrap(entry.text, room) or [""]
    lines: list[Line] = [(*lead, (first, text_style))]
    lines += [(indent, (line, text_style)) for line in more]
    detail = f"  {one_line(entry.detail)}" if entry.detail else ""
    if length(lines[-1]) + len(detail) <= width:
        lines[-1] = (*lines[-1], (detail, QUIET))
    elif not calm:
        wrapped = textwrap.wrap(entry.detail, room, max_lines=2, placeholder=" …")
        lines += [(indent, (line, QUIET)) for line in wrapped]
    return tuple(lines)


class LivePane(RowList[Entry]):
    """What happened, newest first; it stays put while a person reads further down."""

    FOLLOWS_TOP = True

    snapshot: var[Snapshot | None] = var(None)
    faults_only: var[bool] = var(False)

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="live", classes="pane")
        self.zone = zone
        self.border_title = "Live"

    def lines_of(self, row: Entry, width: int) -> Sequence[Line]:
        """Time, glyph and text, then the detail."""
        moment = self.snapshot.at if self.snapshot else row.at
        return entry_lines(row, width, datetime.fromtimestamp(moment, self.zone).date(), self.zone)

    def watch_snapshot(self) -> None:
        """Draw new entries."""
        self._show()

    def watch_faults_only(self) -> None:
        """Draw the other selection."""
        self._show()

    def _show(self) -> None:
        entries = self.snapshot.entries if self.snapshot else ()
        shown = entries_from(entries, faults_only=self.faults_only)
        if not self.faults_only:
            self.empty = "no requests, faults or recoveries yet" if self.snapshot else ""
        else:
            self.empty = "no faults; f shows all traffic"
        count = f" faults {len(shown)} of {len(entries)}" if self.faults_only else " all traffic"
        entitle(self, title=(("Live", STRONG), (count, QUIET)))
        self.show_rows(shown)
