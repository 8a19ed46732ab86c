"""What the usage screen draws: sums and readings as series over time or by model, each also a table. Pure.

Buckets of time are hours, days, weeks from Monday, or months of the viewer's zone. They follow each other
without a gap: one without any request is a zero, one without a reading of quota unknown.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final, Literal, NamedTuple

from okr_tui.domain.quota import SESSION, Sample, next_reset
from okr_tui.domain.usage import (
    DAY,
    HOUR,
    NO_MODEL,
    Accounts,
    By,
    Cell,
    CloudReading,
    Naming,
    Series,
    UsageSum,
    client_of,
    summed,
)
from okr_tui.domain.values import dataclass

Unit = Literal["hour", "day", "week", "month"]
Kind = Literal["tokens", "left", "requests", "speed"]
Value = float | None
KINDS: Final[tuple[Kind, ...]] = ("tokens", "left", "requests", "speed")
STACKS: Final[tuple[By, ...]] = ("model", "account", "key", "client")
MOST_SERIES: Final = 5
OTHERS: Final = "others"
NOW_MARK: Final = "now"
RESET_MARK: Final = "reset"
UNKNOWN: Final = Series("", None, "")
MEASURES: Final = ("tokens/s", "first token s")


class Period(NamedTuple):
    """How far a chart reaches back, and its buckets."""

    name: str
    seconds: float
    unit: Unit


PERIODS: Final = (
    Period("24 h", DAY, "hour"),
    Period("7 d", 7 * DAY, "day"),
    Period("30 d", 30 * DAY, "day"),
    Period("90 d", 90 * DAY, "week"),
    Period("12 mo", 365 * DAY, "month"),
    Period("all", 40_000 * DAY, "month"),
)


class Line(NamedTuple):
    """One series: a value for each bucket or model; None is unknown."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the same labels, oldest first.

    unit: what a label is, None where the labels are models. stacked: the series add up. partial: the last
    bucket is not over yet. marks: the indexes of labels at which something happened, such as a reset, with
    its name. ahead: how many labels at the end are of the future, for a forecast.
    """

    title: str
    column: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    stacked: bool = False
    partial: bool = False
    unit: Unit | None = None
    marks: tuple[tuple[int, str], ...] = ()
    ahead: int = 0

    @property
    def over_time(self) -> bool:
        """Whether the labels are stretches of time."""
        return self.unit is not None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for line in self.lines for value in line.values)

    @property
    def totals(self) -> tuple[float, ...]:
        """The sum of all series for each label."""
        return tuple(sum(value or 0 for value in column) for column in self._by_label())

    def _by_label(self) -> Iterator[tuple[Value, ...]]:
        for index in range(len(self.labels)):
            yield tuple(line.values[index] for line in self.lines)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table: the label's, the sum's where there is one, one for each series."""
        return (self.column, *(("total",) if self.stacked else ()), *(line.name for line in self.lines))

    @property
    def rows(self) -> tuple[tuple[str | Value, ...], ...]:
        """The rows of the table, in the order of the labels."""
        extra = ((total,) for total in self.totals) if self.stacked else iter(() for _ in self.labels)
        joined = zip(self.labels, extra, self._by_label(), strict=True)
        return tuple((label, *total, *values) for label, total, values in joined)

    def as_csv(self) -> str:
        """Return the table as CSV; unknown values are empty."""
        import csv
        import io

        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()

    def as_json(self) -> str:
        """Return the table as one JSON document, a row as an object."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return (
            json.dumps({"schema": 1, "title": self.title, "rows": rows}, ensure_ascii=False, indent=2) + "\n"
        )


class Buckets:
    """The stretches of time between two moments (epoch seconds) in a zone, and the one that a cell is in."""

    def __init__(self, unit: Unit, since: float, until: float, zone: tzinfo) -> None:
        self.unit = unit
        self._naming = Naming(zone)
        self.since, self.until = since, until
        self.labels = tuple(self._all())
        self._indexes = {label: index for index, label in enumerate(self.labels)}
        self._known: dict[tuple[int, int], int | None] = {}

    def index(self, cell: Cell) -> int | None:
        """Return the index of a cell's bucket; None where it is outside, or an old day among hours."""
        key = (cell.start, cell.seconds)
        if key not in self._known:
            self._known[key] = self._indexes.get(self._label(cell))
        return self._known[key]

    def at(self, moment: float) -> int | None:
        """Return the index of a moment's bucket."""
        return self.index(Cell(int(moment // HOUR) * HOUR, HOUR, UNKNOWN))

    def _label(self, cell: Cell) -> str:
        if self.unit == "hour":
            return "" if cell.seconds == DAY else self._naming.hour_at(cell.start)
        return _named(self.unit, self._naming.day(cell))

    def _all(self) -> Iterator[str]:
        if self.unit == "hour":
            for start in range(int(self.since // HOUR) * HOUR, int(self.until) + 1, HOUR):
                yield self._naming.hour_at(start)
            return
        day, last = (date.fromisoformat(self._naming.day_at(at)) for at in (self.since, self.until))
        before = ""
        while day <= last:
            if (label := _named(self.unit, day.isoformat())) != before:
                yield label
            before = label
            day += timedelta(1)


def _named(unit: Unit, day: str) -> str:
    match unit:
        case "week":
            there = date.fromisoformat(day)
            return (there - timedelta(there.weekday())).isoformat()
        case "month":
            return day[:7]
        case _:
            return day


def begin(period: Period, until: float, first: float | None, zone: tzinfo) -> float:
    """Return where a period's first whole bucket begins (epoch seconds).

    No period reaches back beyond the bucket of `first`, the log's first moment; None where there is none.
    """
    since = until - period.seconds
    if period.unit == "hour":
        whole = (since // HOUR + 1) * HOUR
        return whole if first is None else max(whole, first // HOUR * HOUR)
    if first is not None:
        since = max(since, first)
    named = _named(period.unit, datetime.fromtimestamp(max(0.0, since), zone).date().isoformat())
    day = date.fromisoformat(f"{named}-01" if period.unit == "month" else named)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


Usage = Mapping[Cell, UsageSum]
Shown = Callable[[By, str], str]


def _namer(by: By, accounts: Accounts) -> Callable[[Cell], str]:
    match by:
        case "account":
            return lambda cell: accounts.get(cell.series.fingerprint, cell.series.fingerprint)
        case "key":
            return lambda cell: cell.series.fingerprint
        case "client":
            return lambda cell: client_of(cell.series)
        case _:
            return lambda cell: cell.series.model or NO_MODEL


def tokens(
    usage: Usage, by: By, buckets: Buckets, accounts: Accounts, shown: Shown = lambda _, name: name
) -> Chart:
    """Return the tokens in and out of each bucket, stacked by model, account, key or client.

    The largest groups come first, and have a series each; the rest are one.
    """
    name_of = _namer(by, accounts)
    found: dict[str, list[int]] = {}
    for cell, added in usage.items():
        index = buckets.index(cell)
        if index is not None:
            values = found.setdefault(name_of(cell), [0] * len(buckets.labels))
            values[index] += added.tokens
    order = sorted(found, key=lambda name: (-sum(found[name]), name))
    kept = order if len(order) <= MOST_SERIES + 1 else order[:MOST_SERIES]
    lines = [Line(shown(by, name), tuple(found[name])) for name in kept]
    if rest := order[len(kept) :]:
        lines.append(Line(OTHERS, tuple(map(sum, zip(*(found[name] for name in rest), strict=True)))))
    return Chart(
        "tokens", "time", buckets.labels, tuple(lines), stacked=True, partial=True, unit=buckets.unit
    )


def requests(usage: Usage, buckets: Buckets) -> Chart:
    """Return requests, faults and hops of each bucket."""
    sums: list[list[UsageSum]] = [[] for _ in buckets.labels]
    for cell, added in usage.items():
        if (index := buckets.index(cell)) is not None:
            sums[index].append(added)
    totals = [summed(each) for each in sums]
    lines = (
        Line("requests", tuple(each.requests for each in totals)),
        Line("faults", tuple(each.faults for each in totals)),
        Line("hops", tuple(each.hops for each in totals)),
    )
    return Chart("requests", "time", buckets.labels, lines, partial=True, unit=buckets.unit)


def speed(usage: Usage, buckets: Buckets) -> Chart:
    """Return how fast each model answered: tokens a second, and seconds to the first token, in the mean.

    The most used model comes first; one that has neither is left out.
    """
    sums: dict[str, list[UsageSum]] = {}
    for cell, added in usage.items():
        if buckets.index(cell) is not None:
            sums.setdefault(cell.series.model or NO_MODEL, []).append(added)
    totals = {name: summed(each) for name, each in sums.items()}
    names = [
        name
        for name, each in totals.items()
        if each.tokens_per_second is not None or each.mean_first_byte_ms is not None
    ]
    names.sort(key=lambda name: (-totals[name].requests, name))

    def seconds(milliseconds: int | None) -> Value:
        return None if milliseconds is None else milliseconds / 1000

    lines = (
        Line(MEASURES[0], tuple(totals[name].tokens_per_second for name in names)),
        Line(MEASURES[1], tuple(seconds(totals[name].mean_first_byte_ms) for name in names)),
        Line("slowest first token s", tuple(seconds(totals[name].latest_first_byte_ms) for name in names)),
        Line("answers", tuple(totals[name].answers for name in names)),
    )
    return Chart("speed", "model", tuple(names), lines)


class QuotaHistory(NamedTuple):
    """The readings of one window: a name for people, percent used over time, its reset, when it is empty."""

    name: str
    samples: tuple[Sample, ...]
    resets_at: float | None = None
    empty_at: float | None = None


AHEAD: Final = 6
"""Buckets of the future that a forecast may have."""


def left(histories: Iterable[QuotaHistory], buckets: Buckets, now: float, zone: tzinfo) -> Chart:
    """Return what was left of each window at the end of each bucket, in percent, and its forecast.

    Before its first reading a window is unknown; between two readings it is as at the earlier. The marks are
    the ends of sessions or weeks, and the forecast reaches AHEAD hours on.
    """
    future = _future(now, buckets.unit, zone)
    size = len(buckets.labels)
    lines: list[Line] = []
    marks: list[tuple[int, str]] = []
    for each in sorted(histories, key=lambda each: each.name):
        values: list[Value] = [None] * size
        for sample in each.samples:
            if (index := buckets.at(sample.at)) is not None:
                values[index] = 100 - sample.used_percent
        known: Value = None
        for index, value in enumerate(values):
            known = values[index] = value if value is not None else known
        lines.append(Line(each.name, (*values, *_forecast(each, known, now, len(future)))))
    if buckets.unit == "hour":
        marks += [
            (index, RESET_MARK)
            for index, label in enumerate((*buckets.labels, *future))
            if datetime.fromisoformat(label).timestamp() % SESSION < HOUR
        ]
    else:
        marks += [(index, RESET_MARK) for index in _weeks(buckets)]
    labels = (*buckets.labels, *future)
    marks.append((size - 1, NOW_MARK))
    return Chart(
        "left",
        "time",
        labels,
        tuple(lines),
        partial=True,
        unit=buckets.unit,
        marks=tuple(marks),
        ahead=len(future),
    )


def _weeks(buckets: Buckets) -> Iterator[int]:
    """Yield the indexes of the buckets in which a week begins: Monday 00:00 UTC, for all accounts."""
    monday = next_reset("weekly", buckets.since - 1)
    while monday is not None and monday <= buckets.until:
        if (index := buckets.at(monday)) is not None:  # pragma: no branch: it lies within the buckets
            yield index
        monday = next_reset("weekly", monday)


def _future(now: float, unit: Unit, zone: tzinfo) -> tuple[str, ...]:
    if unit != "hour":
        return ()
    naming = Naming(zone)
    start = int(now // HOUR) * HOUR
    return tuple(naming.hour_at(start + HOUR * step) for step in range(1, AHEAD + 1))


def _forecast(history: QuotaHistory, known: Value, now: float, count: int) -> Iterator[Value]:
    """Yield what will be left at the ends of the next hours: ever less until it is empty, all at a reset."""
    start = now // HOUR * HOUR
    for step in range(1, count + 1):
        at = start + HOUR * (step + 1)
        if known is None or (history.empty_at is None and history.resets_at is None):
            yield None
        elif history.resets_at is not None and at > history.resets_at:
            yield 100.0
        elif history.empty_at is None:
            yield known
        elif at >= history.empty_at:
            yield 0.0
        else:
            yield round(known * (history.empty_at - at) / max(1.0, history.empty_at - now), 1)


def cloud_note(
    readings: Mapping[str, CloudReading], since: float, until: float, usage: Usage, accounts: Accounts
) -> str:
    """Return what the cloud itself counted between two moments, and the log for the same accounts.

    "" where there is nothing to compare. Its days are those of UTC, and it counts every client of an account.
    """
    theirs = 0
    counted = set()
    for account, each in readings.items():
        bucket = each.between(since, until)
        if bucket and bucket.counts.input_tokens is not None and bucket.counts.output_tokens is not None:
            theirs += bucket.counts.input_tokens + bucket.counts.output_tokens
            counted.add(account)
    if not counted:
        return ""
    ours = sum(
        added.tokens for cell, added in usage.items() if accounts.get(cell.series.fingerprint) in counted
    )
    words = "1 account" if len(counted) == 1 else f"{len(counted)} accounts"
    return f"the cloud counts {theirs:,} tokens of {words}, the log {ours:,}"


def sort_rows(
    rows: Sequence[tuple[str | Value, ...]], column: int, *, reverse: bool = False
) -> list[tuple[str | Value, ...]]:
    """Return rows by a column; what is unknown comes last either way."""
    known = [row for row in rows if row[column] is not None]
    unknown = [row for row in rows if row[column] is None]
    return sorted(known, key=lambda row: row[column], reverse=reverse) + unknown  # type: ignore[arg-type,return-value]


def compact(value: float) -> str:
    """Return a number in few letters for an axis or a cell: "0.4", "61", "1.2k", "4.1M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def label_words(label: str, unit: Unit | None) -> str:
    """Return a bucket's label as people write it in little room: "14:00", "28 Nov", "Nov 2026"."""
    if unit == "hour":
        there = datetime.fromisoformat(label)
        return f"{there:%H:%M}"
    if unit == "month":
        return f"{date.fromisoformat(f'{label}-01'):%b %Y}"
    there_day = date.fromisoformat(label)
    return f"{there_day.day} {there_day:%b}"
