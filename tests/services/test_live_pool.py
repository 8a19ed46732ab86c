"""The fold kept beside the log: a start from a kept state equals a start from the whole log."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import StoreError
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.fold import fold
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt, Record, SettingsRead
from okr_tui.domain.usage import total
from okr_tui.services import live_pool as pools
from okr_tui.services import log_writer
from okr_tui.services.live_pool import ENTRIES, LivePool
from okr_tui.services.log_writer import COMPACT_AFTER, LOG_SECONDS
from okr_tui.services.service import LOG_PROGRESS
from okr_tui.store.base import AppendToken, LogEntry, Store
from okr_tui.store.memory import MemoryStore
from okr_tui.store.sqlite import SqliteStore
from okr_tui.store.usage import BEHIND, read_usage, summed_through
from tests.harness import START, ManualClock, set_log_patience
from tests.waiting import LIMIT, let_pass, until

KEYS = tuple(Key.of(f"a synthetic key number {index}", "global") for index in range(3))
SPENT = Fault(FaultKind.SPENT, Scope.ACCOUNT, "session", 429, "session")


def attempt(index: int, at: float) -> Attempt:
    fault = SPENT if index % 7 == 0 else None
    return Attempt(
        at=at,
        started=at - 1,
        client="cli",
        fingerprint=KEYS[index % 3].fingerprint,
        path="/api/chat",
        outcome="fault" if fault else "ok",
        fault=fault,
    )


async def opened(store: Store, clock: ManualClock) -> LivePool:
    pool = LivePool(store, PoolConfig(KEYS, KEYS[0].fingerprint), Policy(), clock)
    await pool.open()
    return pool


async def test_a_start_from_a_kept_state_equals_a_start_from_the_whole_log() -> None:
    clock, store, whole = ManualClock(), MemoryStore(), MemoryStore()
    records = [attempt(index, START + index) for index in range(COMPACT_AFTER + 2 * ENTRIES + 17)]
    await store.append(records)
    await whole.append(records)
    await (await opened(store, clock)).compact()
    again = await opened(store, clock)
    assert await store.load("snapshot")
    assert again.state == (await opened(whole, clock)).state
    assert len(again.entries) == ENTRIES


async def test_a_pool_without_a_screen_makes_no_lines_and_knows_the_same() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(index, START + index) for index in range(20)])
    shown = await opened(store, clock)
    bare = LivePool(store, shown.config, Policy(), clock, lines=0)
    await bare.open()
    await bare.append(attempt(20, START + 20))
    await shown.catch_up()
    assert shown.entries[-1].sequence == 21
    assert not bare.entries
    assert [*bare.recent_times] == [*shown.recent_times]
    assert bare.state == shown.state


async def test_a_long_log_is_read_page_by_page_and_says_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PAGE", 100)
    monkeypatch.setattr(pools, "TELLING", -1.0)
    reported: list[str] = []
    LOG_PROGRESS.set(reported.append)
    read = SettingsRead(at=START, keys=3, cloud_url="https://cloud.example")
    records: list[Record] = [read, *(attempt(index, START + index) for index in range(2 * ENTRIES + 49))]
    store = MemoryStore()
    await store.append(records)
    pool = await opened(store, ManualClock())
    assert reported[0] == "reading the log: 100 of 1,050 records"
    assert reported[-1] == "reading the log: 1,050 of 1,050 records"
    assert pool.state == fold(records, Policy())
    assert pool.settings_read == read
    assert pool.sequence == len(records)
    assert [entry.sequence for entry in pool.entries][-1] == len(records)


@pytest.mark.parametrize(("long", "said"), [(300, 1), (301, 0)])
async def test_of_a_long_log_is_told_at_once(monkeypatch: pytest.MonkeyPatch, long: int, said: int) -> None:
    monkeypatch.setattr(pools, "PAGE", 100)
    monkeypatch.setattr(pools, "LONG", long)
    monkeypatch.setattr(pools, "TELLING", 1e9)
    reported: list[str] = []
    LOG_PROGRESS.set(reported.append)
    store = MemoryStore()
    await store.append([attempt(index, START + index) for index in range(300)])
    await opened(store, ManualClock())
    assert reported == ["reading the log: 100 of 300 records"] * said


async def test_a_short_log_is_read_without_a_word() -> None:
    reported: list[str] = []
    LOG_PROGRESS.set(reported.append)
    store = MemoryStore()
    await store.append([attempt(index, START + index) for index in range(20)])
    await opened(store, ManualClock())
    assert not reported


async def test_records_of_a_later_version_do_not_end_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PAGE", 10)
    store = await SqliteStore.open(tmp_path / "log.db")
    await store.append([attempt(index, START + index) for index in range(12)])
    log = sqlite3.connect(tmp_path / "log.db")
    log.executemany("insert into log (at, body) values (1, ?)", [('{"kind": "unheard of"}',)] * 30)
    log.commit()
    log.close()
    await store.append([attempt(index, START + index) for index in range(12, 30)])
    pool = await opened(store, ManualClock())
    await store.close()
    assert sum(key.requests for key in pool.state.keys.values()) == 30


async def test_only_records_in_a_kept_state_are_dropped_and_only_when_old() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(index, START) for index in range(COMPACT_AFTER + 2 * ENTRIES)])
    await (await opened(store, clock)).compact()
    assert len(await store.read()) == COMPACT_AFTER + 2 * ENTRIES
    await clock.advance(LOG_SECONDS + 60)
    await store.append([attempt(index, clock.time()) for index in range(COMPACT_AFTER + ENTRIES)])
    await (await opened(store, clock)).compact()
    left = await store.read()
    assert ENTRIES <= len(left) < 2 * COMPACT_AFTER
    assert (await opened(store, clock)).state.key(KEYS[0].fingerprint).requests == 1000 + 834


async def test_what_is_left_to_be_dropped_is_dropped_in_the_background() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(index, START) for index in range(COMPACT_AFTER + 2 * ENTRIES)])
    await clock.advance(LOG_SECONDS + 60)
    pool = await opened(store, clock)
    await pool.compact(trim=False)
    assert len(await store.read()) == COMPACT_AFTER + 2 * ENTRIES
    keeping = asyncio.ensure_future(pool.keep_small())
    await until(lambda: len(store._log) < 2 * ENTRIES)
    keeping.cancel()


async def returned(pool: LivePool) -> None:
    """Wait until the pool has its log back."""
    async with asyncio.timeout(LIMIT):
        async for _ in pool.changes():
            if pool.problem is None:
                return


class Counting(MemoryStore):
    """Counts how often it is read."""

    reads = 0

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        self.reads += 1
        return await super().read(after, limit)


async def test_what_a_process_appends_is_not_read_back_unless_others_wrote_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 0)
    clock, store = ManualClock(), Counting()
    one, two = await opened(store, clock), await opened(store, clock)
    before = store.reads
    await one.append(attempt(1, START))
    await one.append(attempt(2, START), attempt(3, START))
    assert store.reads == before
    await two.append(attempt(0, START))
    assert store.reads == before + 1
    await one.catch_up()
    assert one.state == two.state
    assert one.sequence == two.sequence == 4


async def test_an_append_without_other_writers_counts_as_a_look_at_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 3600)
    store = Counting()
    pool, other = await opened(store, ManualClock()), await opened(store, ManualClock())
    await pool.append(attempt(1, START))
    before = store.reads
    await pool.catch_up()
    assert store.reads == before
    await other.catch_up()
    assert store.reads == before + 1


async def test_a_look_writes_what_waits_and_reads_only_what_others_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 0)
    monkeypatch.setattr(log_writer, "GATHER", 3600)
    store = Counting()
    pool, other = await opened(store, ManualClock()), await opened(store, ManualClock())
    pool.note_soon(attempt(1, START))
    pool.note_soon(attempt(2, START))
    before = store.reads
    await pool.catch_up()
    assert (pool.sequence, store.reads) == (2, before)
    await other.append(attempt(0, START))
    pool.note_soon(attempt(4, START))
    before = store.reads
    await pool.catch_up()
    assert (pool.sequence, store.reads) == (4, before + 1)
    assert [pool.state.key(key.fingerprint).requests for key in KEYS] == [1, 2, 1]
    await pool.settled()


class Gated(MemoryStore):
    """Writes once it may, and notes how many records come together."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.batches: list[int] = []

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        self.batches.append(len(records))
        await self.may.wait()
        return await super().append(records, token)


async def test_what_comes_during_a_write_waits_for_others_unless_it_is_hurried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_writer, "GATHER", 3600)
    set_log_patience(monkeypatch, LIMIT)
    store = Gated()
    pool = await opened(store, ManualClock())
    first = asyncio.create_task(pool.note(attempt(1, START)))
    await until(lambda: store.batches)
    pool.note_soon(attempt(2, START))
    store.may.set()
    await first
    await let_pass(0.01)
    assert store.batches == [1]
    pool.note_soon(attempt(4, START))
    await pool.note(attempt(5, START))
    assert store.batches == [1, 3]
    store.may.clear()
    first = asyncio.create_task(pool.note(attempt(1, START)))
    await until(lambda: len(store.batches) == 3)
    hurried = asyncio.create_task(pool.note(attempt(2, START)))
    await let_pass(0.01)
    store.may.set()
    await asyncio.gather(first, hurried)
    assert store.batches == [1, 3, 1, 1]
    await pool.settled()


async def test_what_waits_for_others_is_written_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "REST", 3600)  # a look at rest would write it too
    set_log_patience(monkeypatch, LIMIT)
    store = Gated()
    pool = await opened(store, ManualClock())
    pool.note_soon(attempt(1, START))
    await until(lambda: store.batches)
    pool.note_soon(attempt(2, START))
    store.may.set()
    await until(lambda: pool.sequence == 2)
    pool.note_soon(attempt(3, START))
    await until(lambda: pool.sequence == 3)
    assert store.batches == [1, 1, 1]
    await pool.settled()


class Slow(MemoryStore):
    """Answers a read once it may, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.may.set()
        self.broken = False

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        await self.may.wait()
        if self.broken:
            raise StoreError("the log is gone")
        return await super().read(after, limit)


async def test_who_comes_while_the_log_is_read_waits_for_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 3600)
    store = Slow()
    pool = await opened(store, ManualClock())
    await store.append([attempt(0, START)])
    store.may.clear()
    looks = [asyncio.ensure_future(pool.catch_up())]
    await let_pass(0.01)
    looks.append(asyncio.ensure_future(pool.catch_up()))
    await let_pass(0.01)
    assert not any(look.done() for look in looks)
    store.may.set()
    await asyncio.gather(*looks)
    assert pool.sequence == 1


async def test_a_look_that_fails_is_reported_stops_no_request_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 3600)
    store = Slow()
    pool = await opened(store, ManualClock())
    await store.append([attempt(0, START)])
    store.broken = True
    await pool.catch_up()
    assert (pool.sequence, pool.problem) == (0, f"the log is gone; {pools.ALONE} 07:33:20")
    store.broken = False
    await returned(pool)
    assert pool.sequence == 1


async def test_a_record_that_is_in_the_log_counts_once_though_it_could_not_be_read_back() -> None:
    store = Slow()
    pool = await opened(store, ManualClock())
    await store.append([attempt(1, START)])
    store.broken = True
    await pool.note(attempt(2, START))
    assert pool.problem
    assert pool.problem.startswith("the log is gone; ")
    store.broken = False
    await returned(pool)
    assert [pool.state.key(key.fingerprint).requests for key in KEYS] == [0, 1, 1]


async def test_a_log_whose_mark_stayed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "CATCH_UP_AFTER", 0)
    clock, store = ManualClock(), Counting()
    pool = await opened(store, clock)
    await store.append([attempt(0, START)])
    await pool.catch_up()
    before = store.reads
    await pool.catch_up()
    assert store.reads == before
    await store.append([attempt(1, START)])
    await pool.catch_up()
    assert (store.reads, pool.sequence) == (before + 1, 2)


async def test_a_process_behind_does_not_replace_a_newer_state_with_its_older_one() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(index, START) for index in range(COMPACT_AFTER + 2 * ENTRIES)])
    behind = await opened(store, clock)
    await clock.advance(LOG_SECONDS + 60)
    await store.append([attempt(index, START) for index in range(2 * COMPACT_AFTER)])
    ahead = await opened(store, clock)
    await ahead.compact()
    await behind.compact()
    assert (await opened(store, clock)).state == ahead.state


async def test_a_kept_state_of_another_version_is_skipped() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(0, START)])
    await store.save("snapshot", '{"sequence": 9, "state": "of old"}')
    assert (await opened(store, clock)).state.key(KEYS[0].fingerprint).faults == 1


async def test_what_was_spent_is_known_after_the_log_has_dropped_it() -> None:
    clock, store = ManualClock(), MemoryStore()
    await store.append([attempt(index, START) for index in range(COMPACT_AFTER + 2 * ENTRIES)])
    await clock.advance(LOG_SECONDS + 60)
    await store.append([attempt(index, clock.time()) for index in range(COMPACT_AFTER + ENTRIES)])
    await (await opened(store, clock)).compact()
    assert len(await store.read()) < 2 * COMPACT_AFTER
    usage = (await read_usage(store, 0, clock.time())).usage
    assert total(usage).requests == 2 * COMPACT_AFTER + 3 * ENTRIES


async def test_nothing_is_dropped_that_could_not_be_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = ManualClock(), MemoryStore()
    count = COMPACT_AFTER + 3 * ENTRIES
    await store.append([attempt(index, START) for index in range(count)])
    await clock.advance(LOG_SECONDS + 60)

    pool = await opened(store, clock)
    monkeypatch.setattr(pool, "sum_usage", AsyncMock())
    await pool.compact()
    assert await store.load("snapshot")
    assert len(await store.read()) == count


async def test_a_busy_log_is_summed_every_minute() -> None:
    clock, store = ManualClock(), MemoryStore()
    pool = await opened(store, clock)
    keeping = asyncio.ensure_future(pool.keep_summed())
    await asyncio.sleep(0)
    await pool.append(*(attempt(index, START) for index in range(BEHIND)))
    await clock.advance(60)
    await asyncio.sleep(0)
    assert await summed_through(store) == 0
    await pool.append(attempt(1, START))
    await clock.advance(60)
    await asyncio.sleep(0)
    assert await summed_through(store) == BEHIND + 1
    keeping.cancel()


@pytest.mark.parametrize(("count", "interval"), [(3, 0.05), (50, 0.05), (1000, 1.0), (100_000, 2.0)])
def test_looks_at_very_many_keys_are_further_apart(count: int, interval: float) -> None:
    pool = LivePool(MemoryStore(), PoolConfig(KEYS[:1] * count), Policy(), ManualClock())
    assert pool.interval(0.05) == pytest.approx(interval)


async def test_after_a_rest_a_request_does_not_read_a_log_that_no_one_else_wrote(
    tmp_path: Path,
) -> None:
    store = await SqliteStore.open(tmp_path / "log.db")
    pool = await opened(store, ManualClock())
    read = store.read = AsyncMock(wraps=store.read)  # type: ignore[method-assign]
    await until(lambda: store.change_token())
    await pool.catch_up()
    await pool.append(attempt(1, START))
    before = read.await_count
    await until(lambda: read.await_count > before)
    await until(lambda: pool.store.change_token() == pool._change_token)
    before = read.await_count
    await pool.catch_up()
    assert read.await_count == before
    other = await SqliteStore.open(tmp_path / "log.db")
    await other.append([attempt(2, START)])
    await until(lambda: asyncio.get_running_loop().time() - pool._caught_up > pools.CATCH_UP_AFTER)
    await pool.catch_up()
    assert pool.sequence == 2
    await pool.settled()
    await other.close()
    await store.close()
