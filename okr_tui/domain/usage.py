"""What was spent: requests, faults, tokens and times, summed by hour, key, model and client. Pure.

A cell is a stretch of time and who used what in it. Cells are hours of UTC, and days of UTC once they are
old; people see the days of their own zone. An hour belongs to the day, and an old day to the date, that it
begins in. Sums of cells merge in any order and grouping, so that sums of sums are the sums of the records.

The account of a key is no part of a cell: it is learned from other records, often later, and then holds for
what the key did before as well.
"""

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, get_args

if TYPE_CHECKING:
    from okr_tui.domain.records import Attempt


HOUR: Final = 3600
DAY: Final = 86400
LAST_HOUR: Final = 253_402_128_000 // HOUR
"""Hours from 1970 to the last that calendars of all zones have."""

Name = TypeVar("Name")
Value = TypeVar("Value")
By = Literal["day", "hour", "model", "key", "account", "client"]
GROUPINGS: Final[tuple[By, ...]] = get_args(By)
NO_MODEL: Final = "(no model)"
"""Requests such as a web search name none."""


class Series(NamedTuple):
    """Who used what: a key by its fingerprint, a model, our client and the name of the gateway's caller."""

    fingerprint: str
    model: str | None
    client: str
    caller: str | None = None


class Cell(NamedTuple):
    """A stretch of time, from epoch seconds on for so many seconds (HOUR or DAY), of one series."""

    start: int
    seconds: int
    series: Series


class UsageSum(NamedTuple):
    """What a number of attempts add up to. Every request that was sent counts, retries and hops too.

    faults: attempts that failed; hops: those after which another key was used.
    answers, duration_ms, longest_ms: attempts that ended well, how long they took in all and at most.
    first_bytes, first_byte_ms, latest_first_byte_ms: the same of their first bytes, where known.
    streamed_tokens, streaming_ms: tokens, and the time from first byte to end, of answers that have both.
    """

    requests: int = 0
    faults: int = 0
    hops: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    answers: int = 0
    duration_ms: int = 0
    first_bytes: int = 0
    first_byte_ms: int = 0
    streamed_tokens: int = 0
    streaming_ms: int = 0
    longest_ms: int = 0
    latest_first_byte_ms: int = 0

    def plus(self, other: "UsageSum") -> "UsageSum":
        """Return the sum of both; the order does not matter."""
        *added, _, _ = map(int.__add__, self, other)
        return UsageSum._make([*added, max(self[-2], other[-2]), max(self[-1], other[-1])])

    @property
    def tokens(self) -> int:
        """Tokens in and out, cached ones included."""
        return self.input_tokens + self.output_tokens

    @property
    def mean_first_byte_ms(self) -> int | None:
        """Milliseconds to the first byte of an answer, in the mean; None without one."""
        return round(self.first_byte_ms / self.first_bytes) if self.first_bytes else None

    @property
    def tokens_per_second(self) -> float | None:
        """How fast answers came once they had begun; None where nothing says so."""
        return round(1000 * self.streamed_tokens / self.streaming_ms, 1) if self.streaming_ms else None


NOTHING: Final = UsageSum()
Usage = dict[Cell, UsageSum]
Accounts = Mapping[str, str]
"""The account of each key, by fingerprint."""


Counted = tuple[int, str, str | None, str, str | None]
"""An hour since 1970, and the fields of a series."""


class UsageCounter:
    """Adds attempts up: much faster than merging what each of them adds."""

    def __init__(self) -> None:
        self._counts: dict[Counted, list[int]] = {}
        """The fields of a UsageSum."""
        self._texts: dict[str, str] = {}
        """The texts of all series: every record has its own copies."""

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._counts)

    def add(self, attempt: "Attempt") -> None:
        """Add an attempt, unless it is a probe, or at a time that no calendar has."""
        client, hour = attempt.client, attempt.at // HOUR
        if client == "probe" or not 0 <= hour < LAST_HOUR:
            return
        fingerprint, following = attempt.fingerprint, attempt.next_fingerprint
        first, took, output = attempt.first_byte_ms, attempt.duration_ms, attempt.output_tokens or 0
        well = attempt.outcome == "ok"
        longest, latest = (took, first or 0) if well else (0, 0)
        name = (int(hour), fingerprint, attempt.model, client, attempt.caller)
        counts = self._counts.get(name)
        if counts is None:
            same = self._same
            model, caller = attempt.model and same(attempt.model), attempt.caller and same(attempt.caller)
            name = (int(hour), same(fingerprint), model, client, caller)
            self._counts[name] = counts = [0] * 12 + [longest, latest]
        counts[0] += 1
        if attempt.fault is not None:
            counts[1] += 1
        if following is not None and following != fingerprint:
            counts[2] += 1
        counts[3] += attempt.input_tokens or 0
        counts[4] += attempt.cached_tokens or 0
        counts[5] += output
        if well:
            counts[6] += 1
            counts[7] += took
            if first is not None:
                counts[8] += 1
                counts[9] += first
                if output and took > first:
                    counts[10] += output
                    counts[11] += took - first
        if longest > counts[12]:
            counts[12] = longest
        if latest > counts[13]:
            counts[13] = latest

    def _same(self, text: str) -> str:
        return self._texts.setdefault(text, text)

    @property
    def usage(self) -> Usage:
        """The sums so far."""
        return dict(self._cells(self._counts.items()))

    def take_by_day(self) -> dict[int, Usage]:
        """Return the sums so far by day since 1970, and begin anew. No sum is there twice meanwhile."""
        days: dict[int, Usage] = {}
        for cell, each in self._cells((name, self._counts.pop(name)) for name in list(self._counts)):
            days.setdefault(cell.start // DAY, {})[cell] = each
        return days

    @staticmethod
    def _cells(counted: Iterable[tuple[Counted, list[int]]]) -> Iterator[tuple[Cell, UsageSum]]:
        known: dict[Series, Series] = {}
        for (hour, *fields), counts in counted:
            series = Series._make(fields)
            yield Cell(hour * HOUR, HOUR, known.setdefault(series, series)), UsageSum._make(counts)


def addition(attempt: "Attempt") -> tuple[Cell, UsageSum] | None:
    """Return what an attempt adds and to which cell; None for one that adds nothing to any."""
    counter = UsageCounter()
    counter.add(attempt)
    return next(iter(counter.usage.items()), None)


def merged(parts: Iterable[tuple[Cell, UsageSum]]) -> Usage:
    """Return the sums of any number of cells, each of which may come more than once."""
    usage: Usage = {}
    for cell, added in parts:
        known = usage.get(cell)
        usage[cell] = added if known is None else known.plus(added)
    return usage


def summed_by(
    parts: Iterable[tuple[Cell, UsageSum]], name_of: Callable[[Cell], Name]
) -> dict[Name, UsageSum]:
    """Return the sums of all cells that have the same name, by name."""
    groups: dict[Name, list[UsageSum]] = {}
    for cell, added in parts:
        groups.setdefault(name_of(cell), []).append(added)
    return {name: summed(group) for name, group in groups.items()}


def rolled_up(usage: Mapping[Cell, UsageSum], before: float) -> Usage:
    """Return the sums with the hours of days of UTC that ended by `before` joined to whole days."""

    def rolled(cell: Cell) -> Cell:
        start = cell.start // DAY * DAY
        return Cell(start, DAY, cell.series) if start + DAY <= before else cell

    return summed_by(usage.items(), rolled)


class UsageRow(NamedTuple):
    """The sum of a group."""

    name: str
    sum: UsageSum


def grouped(
    usage: Mapping[Cell, UsageSum],
    by: By,
    since: float,
    until: float,
    *,
    zone: tzinfo = UTC,
    accounts: Accounts | None = None,
) -> list[UsageRow]:
    """Return the sums of each group between two moments in epoch seconds, as rows.

    Days ("2026-03-29") and hours ("2026-03-29T03:00:00+02:00") of the zone come in order, those without any
    request included from the first with one to `until`; an old day that is not kept by hours is among the
    hours as a day. Other groups come largest first; a client is a caller's name, or one of ours. Time is cut
    at whole cells: those count that reach past `since` and begin by `until`; of days, whole ones.
    """
    naming = Naming(zone)
    included = _included(by, since, until, naming)
    cells = [(cell, added) for cell, added in usage.items() if included(cell)]
    sums = summed_by(cells, _namer(by, naming, accounts or {}))
    if by == "day":
        first = min(sums, default=None)
        names = _dates(first, naming.day_at(until)) if first else ()
        return [UsageRow(name, sums.get(name, NOTHING)) for name in names]
    if by == "hour":
        return _hours(cells, sums, until, naming)
    rows = [UsageRow(name, each) for name, each in sums.items()]
    return sorted(rows, key=lambda row: (-row.sum.tokens, -row.sum.requests, row.name))


class Naming:
    """The names of days and hours in a zone, each worked out once."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._days: dict[int, str] = {}

    def day(self, cell: Cell) -> str:
        """Return the date of a cell: an hour's in the zone, an old day's own."""
        if cell.seconds == DAY:
            return datetime.fromtimestamp(cell.start, UTC).date().isoformat()
        name = self._days.get(cell.start)
        if name is None:
            name = self._days[cell.start] = self.day_at(cell.start)
        return name

    def day_at(self, at: float) -> str:
        """Return the date that a moment has in the zone."""
        return datetime.fromtimestamp(at, self._zone).date().isoformat()

    def hour(self, cell: Cell) -> str:
        """Return the time with which an hour begins in the zone; an old day's date."""
        return self.day(cell) if cell.seconds == DAY else self.hour_at(cell.start)

    def hour_at(self, start: int) -> str:
        """Return the local time of the beginning of an hour, in epoch seconds, with its distance from UTC."""
        return datetime.fromtimestamp(start, self._zone).isoformat()


def _included(by: By, since: float, until: float, naming: Naming) -> Callable[[Cell], bool]:
    if by == "day":
        first, last = naming.day_at(since), naming.day_at(until)
        return lambda cell: first <= naming.day(cell) <= last
    return lambda cell: cell.start <= until and cell.start + cell.seconds > since


def _namer(by: By, naming: Naming, accounts: Accounts) -> Callable[[Cell], str]:
    match by:
        case "day":
            return naming.day
        case "hour":
            return naming.hour
        case "model":
            return lambda cell: cell.series.model or NO_MODEL
        case "key":
            return lambda cell: cell.series.fingerprint
        case "account":
            return lambda cell: accounts.get(cell.series.fingerprint, cell.series.fingerprint)
        case _:
            return lambda cell: client_of(cell.series)


def client_of(series: Series) -> str:
    """Return who sent: the gateway's caller by name, else our own client."""
    return series.caller or series.client


def _dates(first: str, last: str) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(1)


def _hours(
    cells: list[tuple[Cell, UsageSum]], sums: Mapping[str, UsageSum], until: float, naming: Naming
) -> list[UsageRow]:
    days = sorted({naming.day(cell) for cell, _ in cells if cell.seconds == DAY})
    first = min((cell.start for cell, _ in cells if cell.seconds == HOUR), default=None)
    hours = () if first is None else range(first, int(until) + 1, HOUR)
    names = [*days, *map(naming.hour_at, hours)]
    return [UsageRow(name, sums.get(name, NOTHING)) for name in names]


def summed(sums: Collection[UsageSum]) -> UsageSum:
    """Return the sum of any number of sums; of many much faster than one `plus` after the other."""
    if len(sums) < 2:
        return next(iter(sums), NOTHING)
    *added, longest, latest = zip(*sums, strict=True)
    return UsageSum._make([*map(sum, added), max(longest), max(latest)])


def total(usage: Mapping[Cell, UsageSum]) -> UsageSum:
    """Return the sum of everything."""
    return summed(usage.values())


def spent_on_day(usage: Mapping[Cell, UsageSum], at: float, zone: tzinfo = UTC) -> UsageSum:
    """Return the sum of the day that a moment belongs to in a zone."""
    return summed(on_day(usage, at, zone))


def on_day(cells: Mapping[Cell, Value], at: float, zone: tzinfo = UTC) -> list[Value]:
    """Return what cells hold of the day that a moment belongs to in a zone."""
    naming = Naming(zone)
    today = naming.day_at(at)
    return [value for cell, value in cells.items() if naming.day(cell) == today]


class Budget(NamedTuple):
    """How many tokens, in and out, a caller of the gateway, a client of ours or a model may use a day.

    A soft budget warns; a hard one is to be enforced.
    """

    name: str
    tokens_per_day: int
    hard: bool = False


class BudgetState(NamedTuple):
    """A budget, the tokens used of it on the day, and when the next day begins in epoch seconds."""

    budget: Budget
    used: int
    resets_at: float

    @property
    def left(self) -> int:
        """The tokens left of the day; never below 0."""
        return max(0, self.budget.tokens_per_day - self.used)

    @property
    def used_percent(self) -> float:
        """How much is used, in percent; above 100 once it is exceeded. An empty budget is always used up."""
        most = self.budget.tokens_per_day
        return round(100 * self.used / most, 1) if most > 0 else 100.0

    @property
    def exceeded(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.budget.tokens_per_day


def budget_states(
    budgets: Iterable[Budget], usage: Mapping[Cell, UsageSum], now: float, zone: tzinfo = UTC
) -> tuple[BudgetState, ...]:
    """Return how much of each budget is used on the day of `now` in a zone. Days begin at midnight there."""
    naming = Naming(zone)
    today = naming.day_at(now)
    used: dict[str, int] = {}
    for cell, added in usage.items():
        if naming.day(cell) != today:
            continue
        series = cell.series
        for name in {client_of(series), series.model}:
            if name is not None:
                used[name] = used.get(name, 0) + added.tokens
    resets_at = next_midnight(now, zone)
    return tuple(BudgetState(budget, used.get(budget.name, 0), resets_at) for budget in budgets)


def midnight(at: float, zone: tzinfo = UTC) -> float:
    """Return when the day of a moment began in a zone, in epoch seconds."""
    day = datetime.fromtimestamp(at, zone).date()
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def next_midnight(at: float, zone: tzinfo = UTC) -> float:
    """Return when the day after a moment's begins in a zone, in epoch seconds."""
    day = datetime.fromtimestamp(at, zone).date() + timedelta(1)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


CLOUD_USAGE: Final = tuple(f"cloud-usage {number}" for number in range(64))
"""The names of the documents in the store that hold the last reading of each account.

They are many, so that a reading of one account does not write those of a thousand.
"""


class CloudCounts(NamedTuple):
    """Counts of a stretch of time; None is what the account's plan does not report."""

    requests: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    usage_usd: float | None = None


class CloudBucket(NamedTuple):
    """The counts of a day of UTC, from and until in epoch seconds; the last day is not over yet."""

    since: float
    until: float
    counts: CloudCounts


class CloudReading(NamedTuple):
    """A reading of an account's days, made at a moment in epoch seconds."""

    at: float
    buckets: tuple[CloudBucket, ...]

    def between(self, since: float, until: float) -> CloudBucket | None:
        """Return the sum of the days that reach into a stretch of time; None without any."""
        days = [day for day in self.buckets if day.until > since and day.since <= until]
        if not days:
            return None
        counts = CloudCounts._make(_sum(column) for column in zip(*(day.counts for day in days), strict=True))
        return CloudBucket(days[0].since, days[-1].until, counts)


def _sum(column: tuple[float | None, ...]) -> float | None:
    known = [value for value in column if value is not None]
    return round(sum(known), 5) if len(known) == len(column) else None


def cloud_usage_of(account: str) -> str:
    """Return the name of the document with the last reading of an account."""
    return CLOUD_USAGE[zlib.crc32(account.encode(errors="replace")) % len(CLOUD_USAGE)]


def write_readings(readings: Mapping[str, CloudReading]) -> str:
    """Return the readings of accounts as text."""
    return json.dumps(readings, separators=(",", ":"), ensure_ascii=False)


def read_readings(*texts: str | None) -> dict[str, CloudReading]:
    """Read what `write_readings` wrote into some documents; nothing from any other text."""
    return {account: reading for text in texts for account, reading in _readings(text).items()}


def _readings(text: str | None) -> dict[str, CloudReading]:
    try:
        return {
            account: CloudReading(
                _number(at),
                tuple(
                    CloudBucket(_number(since), _number(until), CloudCounts(*map(_count, counts)))
                    for since, until, counts in buckets
                ),
            )
            for account, (at, buckets) in json.loads(text or "{}").items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    return value


def _count(value: object) -> Any:
    return None if value is None else _number(value)
