"""Sums of usage outlive the log: nothing is lost or counted twice, whoever sums, whatever is killed."""

import asyncio
import random
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okr_tui.domain.records import Attempt, Record
from okr_tui.domain.usage import (
    DAY,
    GROUPINGS,
    HOUR,
    By,
    Cell,
    Series,
    Usage,
    UsageSum,
    addition,
    grouped,
    merged,
    rolled_up,
    total,
)
from okr_tui.store import usage as usage_module
from okr_tui.store.base import LogEntry, Store
from okr_tui.store.factory import open_store
from okr_tui.store.memory import MemoryStore
from okr_tui.store.usage import (
    HEAD,
    HOURS_KEPT,
    Detail,
    Head,
    can_grow,
    cell_names,
    combine,
    day_documents,
    day_name,
    decode_day,
    encode_day,
    grown_documents,
    read_usage,
    sum_up,
    summed_through,
)
from tests.domain.facts import NOW, A, B, belongs, went_well
from tests.domain.histories import RECORDS, attempts


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'log.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = await open_store(url)
    yield made
    await made.close()


NOW_DAY = int(NOW // DAY)


def used(count: int, at: float = NOW, key: str = A) -> list[Record]:
    return [replace(went_well(at, key), output_tokens=1)] * count


def direct(records: list[Record]) -> Usage:
    """The sums of records, from the records."""
    return merged(part for r in records if isinstance(r, Attempt) and (part := addition(r)))


async def everything(store: Store) -> Usage:
    return (await read_usage(store, 0, 2e9)).usage


async def test_documents_are_saved_together_if_one_is_as_it_was(store: Store) -> None:
    assert await store.save_if("head", None, {"head": "1", "a": "x"})
    assert not await store.save_if("head", None, {"head": "2", "b": "x"})
    assert not await store.save_if("head", "", {"head": "2", "b": "x"})
    assert await store.load_all(["head", "a", "b"]) == {"head": "1", "a": "x"}
    assert await store.save_if("head", "1", {"head": "2", "a": "y", "b": "z"})
    assert await store.load_all(["b", "a", "head", "none"]) == {"head": "2", "a": "y", "b": "z"}
    assert await store.load_all([]) == {}


async def test_many_documents_are_saved_and_loaded_at_once(store: Store) -> None:
    texts = {day_name("all", day): "x" for day in range(2001)}
    assert await store.save_if(HEAD, None, texts)
    assert await store.load_all(list(texts)) == texts


async def test_sums_survive_the_log(store: Store) -> None:
    await store.append([belongs(A, "amber"), *used(3), *used(2, NOW - DAY, B)])
    before = await read_usage(store, 0, NOW)
    await sum_up(store, NOW, behind=0)
    await store.trim(await summed_through(store), float("inf"), 0)
    assert await store.read() == []
    after = await read_usage(store, 0, NOW)
    assert after == before
    assert (total(after.usage).requests, after.accounts) == (5, {A: "amber"})
    await store.append(used(1))
    assert total(await everything(store)).requests == 6


async def test_only_the_days_asked_for_are_read(store: Store) -> None:
    for days in range(10):
        await store.append(used(1, NOW - days * DAY))
    await sum_up(store, NOW, behind=0)
    starts = {cell.start // DAY for cell in (await read_usage(store, NOW - DAY, NOW)).usage}
    today = NOW_DAY
    assert {today, today - 1} <= starts <= {today + 1, today, today - 1, today - 2}


async def test_a_few_records_wait_for_more(store: Store) -> None:
    await store.append(used(3))
    await sum_up(store, NOW, behind=3)
    assert await store.load(HEAD) is None
    await store.append(used(1))
    await sum_up(store, NOW, behind=3)
    assert await summed_through(store) == 4


async def test_long_logs_are_summed_by_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "PAGE", 10)
    for _ in range(5):
        await store.append(used(7))
    await sum_up(store, NOW, behind=2)
    assert await summed_through(store) == 35
    assert total(await everything(store)).requests == 35


@pytest.mark.parametrize(
    ("name", "least", "apart", "last", "steps"),
    [
        ("STEP", 40, HOUR, None, 3),
        ("STEP", 40, 1, None, 1),
        ("CELLS", 20, HOUR, None, 5),
        ("CELLS", 20, 1, None, 1),
        ("FEW_CELLS", 20, HOUR, 95, 5),
        ("FEW_CELLS", 20, 1, 95, 1),
        ("FEW_CELLS", 20, HOUR, 50_000, 1),
        ("FEW_CELLS", 20, HOUR, None, 1),
    ],
)
async def test_a_step_ends_with_a_day_or_when_it_is_large(
    monkeypatch: pytest.MonkeyPatch, name: str, least: int, apart: int, last: int | None, steps: int
) -> None:
    monkeypatch.setattr(usage_module, "PAGE", 10)
    monkeypatch.setattr(usage_module, name, least)
    store, saved = MemoryStore(), 0
    save = store.save_if

    async def count(*arguments: Any) -> bool:
        nonlocal saved
        saved += 1
        return await save(*arguments)

    monkeypatch.setattr(store, "save_if", count)
    records = [record for index in range(95) for record in used(1, NOW + index * apart)]
    await store.append(records)
    await sum_up(store, NOW, last, behind=2)
    assert saved == steps
    assert await everything(store) == direct(records)


async def test_hours_are_joined_once_a_day_is_old_and_late_records_still_count(store: Store) -> None:
    old, later = NOW - 3 * DAY, NOW + (HOURS_KEPT - 1) * DAY
    records = [*used(1, old), *used(1, old + HOUR), *used(1, NOW), *used(1, NOW + HOUR)]
    await store.append(records)
    await sum_up(store, NOW, behind=0)
    assert {cell.seconds for cell in await everything(store)} == {HOUR}
    await store.append(used(1, later))
    await sum_up(store, later, behind=0)
    usage = await everything(store)
    assert sorted((cell.seconds, added.requests) for cell, added in usage.items()) == [
        (HOUR, 1),
        (HOUR, 1),
        (HOUR, 1),
        (DAY, 2),
    ]
    await store.append(used(1, old))
    await sum_up(store, later, behind=0)
    assert max((cell.seconds, added.requests) for cell, added in (await everything(store)).items()) == (
        DAY,
        3,
    )


async def test_what_an_account_learns_later_holds_for_what_was_before(store: Store) -> None:
    await store.append([belongs(A, "birch", NOW + 9), *used(1), belongs(A, "amber", NOW + 3)])
    assert (await read_usage(store, 0, NOW)).accounts == {A: "birch"}
    await sum_up(store, NOW, behind=0)
    await store.append([belongs(A, "cedar", NOW + 8), belongs(B, "amber")])
    assert (await read_usage(store, 0, NOW)).accounts == {A: "birch", B: "amber"}


async def test_of_two_that_sum_at_once_one_begins_again(store: Store) -> None:
    await store.append(used(5))
    await asyncio.gather(*(sum_up(store, NOW, behind=0) for _ in range(4)))
    assert total(await everything(store)).requests == 5
    assert await summed_through(store) == 5


class Interrupted(MemoryStore):
    """A store in which another process sums and trims whenever the log is read."""

    rounds = 2

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Read, after the other process was at work."""
        logged = await super().read(after, limit)
        if limit is None and self.rounds:
            self.rounds -= 1
            await sum_up(self, NOW, behind=0)
            await self.trim(await summed_through(self), float("inf"), 0)
            await self.append(used(1))
        return logged


async def test_a_reader_that_another_process_overtakes_reads_again() -> None:
    store = Interrupted()
    await store.append(used(5))
    assert total(await everything(store)).requests == 7


@pytest.mark.slow(reason="makes thousands of records")
@settings(max_examples=60)
@given(st.lists(RECORDS, max_size=12), st.data())
async def test_whatever_is_summed_and_trimmed_the_sums_are_those_of_the_records(
    records: list[Record], data: st.DataObject
) -> None:
    store = MemoryStore()
    now = NOW + 20 * DAY
    for record in records:
        await store.append([record])
        for act in data.draw(st.lists(st.sampled_from(["sum", "trim", "later"]), max_size=3)):
            if act == "later":
                now += 150 * DAY
            elif act == "sum":
                await sum_up(store, now, behind=0)
            else:
                await store.trim(await summed_through(store), data.draw(st.floats(0, NOW + 30 * DAY)), 10**9)
    usage = await everything(store)
    assert rolled_up(usage, 3e9) == rolled_up(direct(records), 3e9)
    assert total(usage) == total(direct(records))


@given(st.lists(attempts(), max_size=8), st.booleans())
def test_a_day_survives_being_written_down(records: list[Attempt], whole: bool) -> None:
    usage = rolled_up(direct(list(records)), 3e9 if whole else 0)
    for day in {cell.start // DAY for cell in usage}:
        of_day = {cell: added for cell, added in usage.items() if cell.start // DAY == day}
        assert dict(decode_day(day, encode_day(of_day))) == of_day


@pytest.mark.slow(reason="makes thousands of records")
@given(st.lists(st.lists(attempts(), max_size=5), max_size=4))
def test_a_day_that_grows_is_the_day_of_all_its_records(steps: list[list[Attempt]]) -> None:
    usages = [direct(list(records)) for records in steps]
    for day in {cell.start // DAY for usage in usages for cell in usage}:
        parts = [{cell: each for cell, each in usage.items() if cell.start // DAY == day} for usage in usages]
        first, *others = [part for part in parts if part]
        texts = day_documents(day, first)
        for part in others:
            assert can_grow(day, texts)
            texts |= grown_documents(day, texts, part)
        whole = day_documents(day, merged(item for part in parts for item in part.items()))
        assert {name: dict(decode_day(day, text)) for name, text in texts.items()} == {
            name: dict(decode_day(day, text)) for name, text in whole.items()
        }


NAMES = st.none() | st.text()
CELLS = st.dictionaries(
    st.builds(
        lambda hour, *names: Cell(NOW_DAY * DAY + hour * HOUR, HOUR, Series(A, *names)),
        st.integers(0, 23),
        NAMES,
        st.just("gateway"),
        NAMES,
    ),
    st.builds(UsageSum, requests=st.integers(1, 9), longest_ms=st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


@given(CELLS, CELLS)
def test_a_day_grows_whatever_the_names_are(first: Usage, second: Usage) -> None:
    texts = day_documents(NOW_DAY, first)
    texts |= grown_documents(NOW_DAY, texts, second)
    whole = day_documents(NOW_DAY, merged([*first.items(), *second.items()]))
    assert {name: dict(decode_day(NOW_DAY, text)) for name, text in texts.items()} == {
        name: dict(decode_day(NOW_DAY, text)) for name, text in whole.items()
    }


@pytest.mark.slow(reason="makes thousands of records")
async def test_adding_to_a_busy_day_takes_little_more_room_than_its_documents(store: Store) -> None:
    """Its cells as values would take ten times as much, and the process would never give it back."""
    day = NOW // DAY * DAY
    busy = [
        replace(went_well(day + hour * HOUR, f"{key:012x}"), model=f"model-{model}")
        for hour in range(24)
        for key in range(20)
        for model in range(15)
    ]
    await store.append(busy)
    await sum_up(store, NOW, behind=0)
    day_texts = await store.load_all(cell_names(NOW_DAY))
    size = sum(map(len, day_texts.values()))
    await store.append(used(1))
    tracemalloc.start()
    try:
        await sum_up(store, NOW, behind=0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * size
    assert total(await everything(store)).requests == len(busy) + 1


async def test_a_day_that_an_earlier_version_wrote_counts(store: Store) -> None:
    """It wrote all cells of a day into one document."""
    day = NOW_DAY
    usage = direct(used(3))
    texts = {name: text for name, text in day_documents(day, usage).items() if name not in cell_names(day)}
    assert len(texts) == 3
    texts |= {HEAD: Head(first=day).write(), day_name("all", day): encode_day(usage)}
    assert await store.save_if(HEAD, None, texts)
    await store.append([*used(1), *used(1, NOW + HOUR)])
    await sum_up(store, NOW, behind=0)
    assert await everything(store) == direct([*used(4), *used(1, NOW + HOUR)])
    later = NOW + (HOURS_KEPT + 2) * DAY
    await store.append(used(1, later))
    await sum_up(store, later, behind=0)
    of_day = {name: text for name, text in (await store.load_all(cell_names(day))).items() if text}
    assert list(of_day) == [day_name("all", day)]
    assert total(dict(decode_day(day, of_day[day_name("all", day)]))).requests == 5
    assert total(await everything(store)).requests == 6


async def test_what_an_earlier_version_added_counts_for_keys_too(store: Store) -> None:
    """It writes the other documents alone."""
    day = NOW_DAY
    await store.append([*used(2), *used(1, key=B)])
    await sum_up(store, NOW, behind=0)
    head = await store.load(HEAD)
    newer = day_documents(day, direct([*used(3), *used(1, key=B)]))
    del newer[day_name("keys", day)]
    assert await store.save_if(HEAD, head, {HEAD: head or "", **newer})
    await store.append(used(1))
    for _ in range(2):
        usage = (await read_usage(store, NOW - DAY, NOW, "keys")).usage
        assert {cell.series.fingerprint: each.requests for cell, each in usage.items()} == {A: 4, B: 1}
        assert {(cell.series.model, cell.series.client) for cell in usage} == {(None, "")}
        await sum_up(store, NOW, behind=0)


def test_a_head_survives_being_written_down() -> None:
    head = Head(7, 20_000, 20_100, {A: (NOW, "amber")})
    assert Head.read(head.write()) == head
    assert Head.read(None) == Head()


def test_years_of_a_busy_pool_take_a_few_megabytes() -> None:
    """Four keys, five models, ten hours a day, six series an hour."""
    dice = random.Random(17)
    series = [
        went_well(key=f"{key:012x}", model=f"a-model-of-{size}b")
        for key in range(4)
        for size in (20, 120, 235, 480, 671)
    ]
    day: list[Record] = []
    for hour in range(10):
        for each in dice.sample(series, 6):
            for _ in range(20):
                day.append(
                    replace(
                        each,
                        at=NOW // DAY * DAY + hour * HOUR,
                        input_tokens=dice.randrange(50_000),
                        output_tokens=dice.randrange(5000),
                        first_byte_ms=dice.randrange(2000),
                        duration_ms=dice.randrange(2000, 60_000),
                    )
                )
    usage = direct(day)
    recent, old = (
        sum(len(name) + len(text) for name, text in day_documents(NOW_DAY, each).items())
        for each in (usage, rolled_up(usage, 3e9))
    )
    assert recent * HOURS_KEPT + old * 3 * 365 < 6_500_000


async def spawn(url: str, most: int) -> asyncio.subprocess.Process:
    script = Path(__file__).with_name("usage_writer.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, script, url, str(most), stdout=asyncio.subprocess.PIPE
    )


async def killed(url: str, lines: int) -> int:
    """Let a writer tell of some appends, kill it, and return how many attempts it told of."""
    process = await spawn(url, 10**6)
    assert process.stdout
    reported = [int(await process.stdout.readline()) for _ in range(lines)]
    process.kill()
    reported += [int(line) for line in (await process.stdout.read()).split(b"\n")[:-1]]
    await process.wait()
    return reported[-1]


@pytest.mark.slow(reason="makes thousands of records")
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_writers_killed_side_by_side_lose_and_double_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}" if kind == "sqlite" else request.getfixturevalue("redis_url")
    dice = random.Random(5)
    reported = 0
    for _ in range(3):
        reported += sum(await asyncio.gather(*(killed(url, dice.randint(5, 40)) for _ in range(2))))
    store = await open_store(url)
    appended = await store.append(used(1, time.time()))
    assert reported < appended <= reported + 1 + 6 * 3
    usage = await everything(store)
    assert total(usage) == UsageSum(appended, output_tokens=appended, answers=appended)
    await sum_up(store, time.time(), behind=0)
    assert await everything(store) == usage
    assert await summed_through(store) == appended
    await store.close()


@pytest.mark.slow(reason="makes thousands of records")
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_two_processes_that_sum_at_once_count_each_record_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}" if kind == "sqlite" else request.getfixturevalue("redis_url")
    writers = [await spawn(url, 40) for _ in range(2)]
    for writer in writers:
        await writer.communicate()
        assert writer.returncode == 0
    store = await open_store(url)
    assert total(await everything(store)).requests == 240
    head = Head.read(await store.load(HEAD))
    days = await store.load_all(head.names("all", 0, time.time()))
    in_documents = total(combine(head, days, []).usage).requests
    assert in_documents + len(await store.read(head.through)) == 240
    await store.close()


@pytest.mark.slow(reason="makes thousands of records")
@given(
    st.lists(attempts(), max_size=12),
    st.integers(-2, 12),
    st.sampled_from(GROUPINGS),
    st.sampled_from([0, HOURS_KEPT + 3, HOURS_KEPT + 20]),
)
@settings(max_examples=60)
async def test_less_detail_gives_the_same_rows(records: list[Attempt], days: int, by: By, age: int) -> None:
    store = MemoryStore()
    await store.append(records) if records else None
    await sum_up(store, NOW + age * DAY, behind=0)
    since, until = (NOW + days * DAY) // HOUR * HOUR, NOW + 20 * DAY
    detail: Detail = "hours" if by in ("day", "hour") else "series"
    less, everything = [(await read_usage(store, since, until, each)).usage for each in (detail, "all")]
    assert grouped(less, by, since, until) == grouped(everything, by, since, until)
