"""Sums of the log's attempts that outlive the log: documents of each day, and one that says how far they go.

Each hour has a document of its cells, so that what is added now rewrites no other: a busy day has tens of
thousands of cells. A day has three more, for readers who need no more: the sums of its series over the hours,
and the sums of its hours by key and over all series. An old day, whose hours were joined, has a document of
its cells in place of those of the hours and of the series. Earlier versions wrote one for every day; what it
holds counts as well.

Each attempt is counted exactly once, whoever sums and whatever is killed. The argument:

1. The document HEAD holds the position W of the last record that is in the sums. The sums of a step and the
   new W are saved in one atomic operation of the store, `save_if`, which does nothing unless HEAD is still
   the text that the step began with. So the sums always hold the records up to W and no other: a process that
   is killed has either done its step or not, and of two that sum the same records one is refused and starts
   again from the other's W.
2. Positions only grow, and a store's records become visible in the order of their positions; so no record
   can turn up later at or below W.
3. Trimming goes no further than a W that was read before (`summed_through`), and W never shrinks. So a record
   that is gone is in the sums.
4. A reader adds the records after W to the sums. It reads HEAD, the days, the log, and HEAD again; when HEAD
   is still the same text, days and log belonged to this W. Otherwise it reads again.
"""

import io
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from okr_tui.domain.usage import (
    DAY,
    HOUR,
    Accounts,
    Cell,
    Series,
    Usage,
    UsageCounter,
    UsageSum,
    merged,
    rolled_up,
    summed_by,
)

if TYPE_CHECKING:
    from okr_tui.domain.records import Record
    from okr_tui.store.base import LogEntry, Store

HEAD: Final = "usage"
Detail = Literal["all", "series", "hours", "keys"]
JOINED: Final[tuple[Detail, ...]] = ("series", "hours", "keys")
"""In how much detail a day's documents are beside those of its cells."""
OPENING: Final = '"cells":['
HOURS: Final = DAY // HOUR
SERIES: Final = re.compile(r'\[(?:null|"(?:[^"\\]|\\.)*")(?:,(?:null|"(?:[^"\\]|\\.)*")){2,3}\]')
ROW: Final = re.compile(r"\[(-?\d+),(\d+),([-\d,]*)\]")
EVERYONE: Final = Series("", None, "")
"""In place of a series where the sum is over all of them."""
HOURS_KEPT: Final = 200
"""Days whose hours are kept; older ones are whole days. A pool with 24 series, always busy, needs 90 kB a
day for hours, and 4 kB for a day."""
PAGE: Final = 100
"""Records that are read at a time."""
STEP: Final = 50_000
"""Records after which a step is worth its end, in which the documents of their days are rewritten."""
CELLS: Final = 15_000
"""Cells that end a step in any case: they and their documents take thirty megabytes."""
FEW_CELLS: Final = 500
"""Cells that end a step where few records are behind: more would need memory that Python keeps. Each step
rewrites the documents of its hour, which matters where a whole log is summed."""
AT_ONCE: Final = 1000
"""Cells whose documents are written without giving others their turn: a hundredth of a second."""
BEHIND: Final = 500
"""Records that may be behind the sums: reading them costs little, and summing writes."""


class Head(NamedTuple):
    """How far the sums go.

    through: the position of the last record that is in them; first: the first day with a document, in days
    since 1970; rolled: the last day whose hours were joined; accounts: the account of each key, and when it
    was learned.
    """

    through: int = 0
    first: int | None = None
    rolled: int | None = None
    accounts: Mapping[str, tuple[float, str]] = {}

    @classmethod
    def read(cls, text: str | None) -> "Head":
        """Read what `write` wrote; no text is no sums."""
        if text is None:
            return cls()
        document = json.loads(text)
        known = {key: (float(at), str(account)) for key, (at, account) in document["accounts"].items()}
        return cls(document["through"], document["first"], document["rolled"], known)

    def write(self) -> str:
        """Return it as text."""
        return json.dumps(self._asdict(), separators=(",", ":"), ensure_ascii=False)

    def days(self, since: float, until: float) -> Sequence[int]:
        """Return the days between two moments that may have documents, and one more on either side."""
        if self.first is None:
            return ()
        return range(max(self.first, int(since // DAY) - 1), int(until // DAY) + 2)

    def names(self, detail: Detail, since: float, until: float) -> list[str]:
        """Return the names of the documents with this much detail of the time between two moments.

        Old days, which are kept whole, are read where any zone's date of them may be meant.
        """
        days = self.days(since, until)
        match detail:
            case "all":
                return [name for day in days for name in self.cell_names(day)]
            case "series":
                old = self.rolled or 0
                return [
                    name
                    for day in days
                    # Of a day that is not meant whole the hours of each series are needed; an old day has no
                    # documents but of its cells.
                    for name in (
                        self.cell_names(day) if day * DAY < since or day < old else [day_name(detail, day)]
                    )
                ]
            case "hours":
                return [day_name("hours", day) for day in days]
            case "keys":
                return [day_name(each, day) for day in days for each in ("keys", "hours")]

    def cell_names(self, day: int) -> list[str]:
        """Return the names of the documents that a day's cells may be in."""
        return [day_name("all", day)] if day < (self.rolled or 0) else cell_names(day)

    @property
    def account_of(self) -> Accounts:
        """The account of each key, by fingerprint."""
        return {key: account for key, (_, account) in self.accounts.items()}


def day_name(detail: Detail, day: int) -> str:
    """Return the name of a document of a day, counted from 1970."""
    return f"usage-{detail}:{day}"


def hour_name(hour: int) -> str:
    """Return the name of the document of the cells of an hour, counted from 1970."""
    return f"usage-hour:{hour}"


def joined(detail: Detail, usage: Usage) -> Usage:
    """Return sums in so much detail."""
    match detail:
        case "series":
            return rolled_up(usage, math.inf)
        case "hours":
            return summed_by(usage.items(), lambda cell: Cell(cell.start, cell.seconds, EVERYONE))
        case "keys":
            return summed_by(usage.items(), lambda cell: Cell(cell.start, cell.seconds, of_key(cell.series)))
        case _:
            return usage


def of_key(series: Series) -> Series:
    """Return the series of all that a key sent, for whomever."""
    return Series(series.fingerprint, None, "")


def cell_names(day: int) -> list[str]:
    """Return the names of the documents of the cells of a day, of which hours are kept."""
    return [day_name("all", day), *map(hour_name, range(day * HOURS, (day + 1) * HOURS))]


def day_documents(day: int, usage: Usage) -> dict[str, str]:
    """Return the documents of a day's cells, by name."""
    texts = {day_name(detail, day): encode_day(joined(detail, usage)) for detail in JOINED}
    if all(cell.seconds == DAY for cell in usage):
        texts[day_name("series", day)] = ""  # of an old day it would be the document of the cells once more
    return texts | {name: encode_day(cells) for name, cells in _by_document(day, usage).items()}


def _by_document(day: int, usage: Usage) -> dict[str, Usage]:
    """Return the cells of a day by the name of the document that they are in."""
    found: dict[str, Usage] = {}
    for cell, each in usage.items():
        name = hour_name(cell.start // HOUR) if cell.seconds == HOUR else day_name("all", day)
        found.setdefault(name, {})[cell] = each
    return found


def can_grow(day: int, texts: Mapping[str, str]) -> bool:
    """Return whether none of a day's documents but those of its cells is missing or out of date."""
    return bool(texts.get(day_name("series", day))) and keys_of_day(day, texts) is not None


def grown_documents(day: int, texts: Mapping[str, str], added: Usage) -> dict[str, str]:
    """Return the documents of a day that change when hours are added to it. The day `can_grow`."""
    joint = ((day_name(detail, day), joined(detail, added)) for detail in JOINED)
    return {
        name: _grown(text, part) if (text := texts.get(name)) else encode_day(part)
        for name, part in chain(joint, _by_document(day, added).items())
    }


def keys_of_day(day: int, texts: Mapping[str, str]) -> str | None:
    """Return a day's document of keys; None where an earlier version of the program wrote others alone."""
    keys, hours = (texts.get(day_name(detail, day)) for detail in ("keys", "hours"))
    if not keys or not hours:
        return None
    same = joined("hours", dict(decode_day(day, keys))) == dict(decode_day(day, hours))
    return keys if same else None


def _grown(text: str, added: Usage) -> str:
    """Return a document of a day with more added, without reading cells that stay the same."""
    begin = text.rindex(OPENING)
    known = [found[0] for found in SERIES.finditer(text, 0, begin)]
    series = {each: index for index, each in enumerate(known)}
    left = {
        (_hour(cell), series.setdefault(_dumps(cell.series), len(series))): each
        for cell, each in added.items()
    }
    written = io.StringIO()
    written.write(text[: begin - 2])
    written.write("," if known and len(series) > len(known) else "")
    written.write(",".join(islice(series, len(known), None)))
    done = begin - 2
    for row in ROW.finditer(text, begin):
        key = (int(row[1]), int(row[2]))
        if more := left.pop(key, None):
            grown = UsageSum._make([*map(int, row[3].split(","))]).plus(more)
            written.write(text[done : row.start()])
            written.write(_dumps([*key, *grown]))
            done = row.end()
    written.write(text[done:-2])
    between = "" if text.endswith(f"{OPENING}]}}") else ","
    for key, each in left.items():
        written.write(between)
        written.write(_dumps([*key, *each]))
        between = ","
    written.write("]}")
    return written.getvalue()


def _hour(cell: Cell) -> int:
    """Return the hour of a cell in its day, -1 for a whole day."""
    return cell.start % DAY // HOUR if cell.seconds == HOUR else -1


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def encode_day(usage: Mapping[Cell, UsageSum]) -> str:
    """Write cells of one day: their series once; of each cell hour (-1: whole day), series and counts."""
    series: dict[Series, int] = {}
    cells = [
        [_hour(cell), series.setdefault(cell.series, len(series)), *added] for cell, added in usage.items()
    ]
    return _dumps({"series": list(series), "cells": cells})


def decode_day(day: int, text: str) -> Iterable[tuple[Cell, UsageSum]]:
    """Read what `encode_day` wrote."""
    document = json.loads(text)
    series = [Series(*each) for each in document["series"]]
    begin = day * DAY
    for hour, index, *counts in document["cells"]:
        start, seconds = (begin, DAY) if hour < 0 else (begin + hour * HOUR, HOUR)
        yield Cell(start, seconds, series[index]), UsageSum._make(counts)


async def pages(store: "Store", after: int, size: int) -> "AsyncIterator[list[LogEntry]]":
    """Yield the records after a position, oldest first, about `size` at a time: never the whole log."""
    # Records of later versions are skipped, so that a page of them is empty.
    while page := await store.read(after, size) or await store.read(after):
        yield page
        after = page[-1].sequence


async def summed_through(store: "Store") -> int:
    """Return the position up to which records are in the sums, and may be dropped."""
    return Head.read(await store.load(HEAD)).through


async def first_moment(store: "Store") -> float | None:
    """Return when the first day with usage began, in epoch seconds; None while nothing is summed up."""
    first = Head.read(await store.load(HEAD)).first
    return None if first is None else float(first * DAY)


class Tail:
    """What the records after the sums add up to. `through`: the position of the last one, if known."""

    def __init__(self, head: Head) -> None:
        self.counter = UsageCounter()
        self.through = head.through
        self._head = head
        self._accounts = dict(head.accounts)

    def add(self, records: "Iterable[Record]") -> None:
        """Add records; of what they say of the accounts of keys, the latest holds."""
        for record in records:
            if record.kind == "attempt":
                self.counter.add(record)
            elif record.kind == "identity" and record.account:
                known = self._accounts.get(record.fingerprint, (0.0, ""))
                self._accounts[record.fingerprint] = max(known, (record.at, record.account))

    def add_logged(self, logged: "Sequence[LogEntry]") -> None:
        """Add records of the log."""
        self.add(item.record for item in logged)
        self.through = logged[-1].sequence

    @property
    def head(self) -> Head:
        """The head of the sums that have these records in them."""
        return self._head._replace(through=self.through, accounts=self._accounts)


class Summing:
    """Adds the records after the sums to them, in steps, while someone reads the log.

    unsaved: records that were added since the last step. overtaken: whether another process was first, which
    ends it.
    """

    def __init__(self, store: "Store", text: str | None, now: float, cells: int) -> None:
        self._cells = cells
        self._store = store
        self._identity = store.identity
        self._text = text
        self._now = now
        self._tail = Tail(Head.read(text))
        self._day = 0.0
        self.unsaved = 0
        self.overtaken = False

    @classmethod
    async def begin(cls, store: "Store", now: float, last: int | None = None) -> Self:
        """Begin after what is in the sums; `now` is epoch seconds, `last` the position of the last record."""
        text = await store.load(HEAD)
        few = last is not None and last - Head.read(text).through < STEP
        return cls(store, text, now, FEW_CELLS if few else CELLS)

    @property
    def through(self) -> int:
        """The position of the last record that is in the sums or was added."""
        return self._tail.through

    async def add(self, logged: "Sequence[LogEntry]") -> None:
        """Add the next records of the log; those that are in the sums already are skipped.

        A step ends with a day, whose documents are then written once. Raises StoreError if it cannot be kept.
        """
        through = self.through
        fresh = [item for item in logged if item.sequence > through]
        if not fresh or self.overtaken:
            return
        self._tail.add_logged(fresh)
        self.unsaved += len(fresh)
        day = fresh[-1].record.at // DAY
        if (self.unsaved >= STEP and day > self._day) or len(self._tail.counter) >= self._cells:
            await self.save()
        self._day = max(self._day, day)

    async def save(self) -> None:
        """Keep what was added, unless another process was first. After StoreError it is of no more use."""
        if not self.unsaved:
            return
        documents = await _documents(self._store, self._tail, self._now)
        # The log may be another one by now, which has nothing summed up either.
        same = self._identity in (None, self._store.identity)
        self.overtaken = not (same and await self._store.save_if(HEAD, self._text, documents))
        self._text = None if self.overtaken else documents[HEAD]
        self._tail, self.unsaved = Tail(Head.read(self._text)), 0


async def sum_up(store: "Store", now: float, last: int | None = None, *, behind: int = BEHIND) -> None:
    """Add the records that are not in the sums yet, once there are more than `behind` of them.

    last: the position of the last record, where it is known: then the log is not read without need.
    """
    while True:
        summing = await Summing.begin(store, now, last)
        if last is not None and last - summing.through <= behind:
            return
        async for logged in pages(store, summing.through, PAGE):
            await summing.add(logged)
            if summing.overtaken:
                break
        else:
            if summing.unsaved <= behind:
                return
            await summing.save()


async def _documents(store: "Store", tail: Tail, now: float) -> dict[str, str]:
    """Return HEAD and the documents of days with the sums of some records, which are taken, added to them."""
    import asyncio

    head, many = tail.head, len(tail.counter) > AT_ONCE
    sums = tail.counter.take_by_day()
    kept_from = int(now // DAY) - HOURS_KEPT
    first = min([*sums, *([] if head.first is None else [head.first])], default=None)
    days = set(sums)
    if first is not None:
        days |= set(range(max(first, head.rolled or first), kept_from))  # grown old since the last step
    known = await store.load_all([day_name(detail, day) for day in sorted(days) for detail in JOINED])
    growing = {day for day in days if day >= kept_from and can_grow(day, known)}
    known |= await store.load_all(
        [
            name
            for day in sorted(days)
            for name in (_by_document(day, sums[day]) if day in growing else head.cell_names(day))
        ]
    )
    work = partial(_changed, days, growing, sums, known, kept_from)
    # A busy day takes a fifth of a second, in which the screen is to answer.
    changed = await asyncio.to_thread(work) if many else work()
    return {**changed, HEAD: head._replace(first=first, rolled=max(kept_from, head.rolled or 0)).write()}


def _changed(
    days: Iterable[int],
    growing: Collection[int],
    sums: Mapping[int, Usage],
    known: Mapping[str, str],
    kept_from: int,
) -> dict[str, str]:
    """Return the documents of days that sums are added to, or whose hours are joined now.

    known: of days that grow the documents that change, of others all.
    """
    changed: dict[str, str] = {}
    for day in days:
        usage = sums.get(day, {})
        if day in growing:
            changed |= grown_documents(day, known, usage)
            continue
        texts = {name: text for name in cell_names(day) if (text := known.get(name))}
        usage = merged(chain(usage.items(), *(decode_day(day, text) for text in texts.values())))
        rolls = day < kept_from and any(cell.seconds == HOUR for cell in usage)
        if day in sums or rolls:  # of a busy day there is one copy at a time: it takes megabytes
            usage = rolled_up(usage, kept_from * DAY) if rolls else usage
            changed |= dict.fromkeys(texts, "") | day_documents(day, usage)
    return changed


class UsageReading(NamedTuple):
    """The sums between two moments, with what is not in the documents yet, and the accounts of keys.

    through: the position of the last record that was looked at, where the whole log was; else 0.
    """

    usage: Usage
    accounts: Accounts
    through: int = 0


async def read_usage(
    store: "Store",
    since: float,
    until: float,
    detail: Detail = "all",
) -> UsageReading:
    """Return what was spent between two moments, and perhaps some of before, in as much detail as needed.

    detail: "all"; "series", with whole days where those are meant; "hours", of all series together; or
    "keys", hours of each key, for whomever and with whatever model.
    """
    text = await store.load(HEAD)
    while True:
        head = Head.read(text)
        days = await store.load_all(head.names(detail, since, until))
        if detail == "keys":
            days = await _of_keys(store, head, head.days(since, until), days)
        tail = Tail(head)
        async for logged in pages(store, head.through, PAGE):
            tail.add_logged(logged)
        before, text = text, await store.load(HEAD)
        if text == before:
            reading = _reading(days, tail, of_key if detail == "keys" else None)
            return reading._replace(through=tail.through)


async def _of_keys(
    store: "Store", head: Head, days: Sequence[int], texts: Mapping[str, str]
) -> dict[str, str]:
    """Return the documents of days by key, of days without one all cells."""
    found = {day_name("keys", day): text for day in days if (text := keys_of_day(day, texts))}
    others = [name for day in days if day_name("keys", day) not in found for name in head.cell_names(day)]
    return found | await store.load_all(others)


def combine(head: Head, days: Mapping[str, str], records: "Iterable[Record]") -> UsageReading:
    """Return the sums of the days' documents and of the records after them."""
    tail = Tail(head)
    tail.add(records)
    return _reading(days, tail)


def _reading(
    days: Mapping[str, str], tail: Tail, join: Callable[[Series], Series] | None = None
) -> UsageReading:
    parts: Iterable[tuple[Cell, UsageSum]] = chain(
        (part for name, text in days.items() if text for part in decode_day(_day_of(name), text)),
        tail.counter.usage.items(),
    )
    if join:
        parts = ((cell._replace(series=join(cell.series)), added) for cell, added in parts)
    return UsageReading(merged(parts), tail.head.account_of)


def _day_of(name: str) -> int:
    kind, _, number = name.partition(":")
    return int(number) // HOURS if kind == "usage-hour" else int(number)
