"""A long log without a kept state: read once, for the state and the sums of usage, whatever goes on."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.fold import fold
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt, Record
from okr_tui.domain.usage import DAY, HOUR, Usage, addition, merged, rolled_up
from okr_tui.services import live_pool
from okr_tui.services.live_pool import LivePool
from okr_tui.store import usage as sums
from okr_tui.store.base import LogEntry, Store, UnreachableLogError, encode
from okr_tui.store.factory import open_store
from okr_tui.store.memory import MemoryStore
from okr_tui.store.usage import read_usage, sum_up, summed_through
from tests.domain.facts import NOW
from tests.domain.histories import HISTORIES, attempts
from tests.harness import ManualClock

DAMAGED = (
    "",
    "{",
    "null",
    '{"kind":"attempt"}',
    '{"kind":"unheard of","at":1}',
    '{"at":"soon","kind":"attempt","started":1,"client":"cli","fingerprint":"a","path":"/","outcome":"ok"}',
    '{"at":1,"kind":"attempt","started":1,"client":"nobody","fingerprint":"a","path":"/","outcome":"ok"}',
)


@contextlib.contextmanager
def small_steps() -> Any:
    """Pages and steps so small that every history has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_pool, "PAGE", 3)
        patch.setattr(live_pool, "BEHIND", 1)
        patch.setattr(live_pool, "ENTRIES", 2)
        patch.setattr(live_pool, "MARK_EVERY", 2)
        patch.setattr(sums, "PAGE", 3)
        patch.setattr(sums, "STEP", 4)
        patch.setattr(sums, "CELLS", 5)
        patch.setattr(sums, "AT_ONCE", 2)
        yield


def direct(records: Sequence[Record]) -> Usage:
    return merged(part for each in records if isinstance(each, Attempt) and (part := addition(each)))


async def opened(store: Store) -> LivePool:
    pool = LivePool(store, PoolConfig(), Policy(), ManualClock())
    await pool.open()
    return pool


async def usage(store: Store) -> Usage:
    return (await read_usage(store, 0, 2e9)).usage


class Busy(MemoryStore):
    """A store on which other processes append, and sum up, while a page is read."""

    def __init__(self, others: Sequence[Sequence[Record] | None]) -> None:
        super().__init__()
        self.others = list(others)

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Read a page, after others had their turn; None stands for one that sums up."""
        if limit and self.others:
            other = self.others.pop(0)
            if other is None:
                self.others, others = [], self.others
                await sum_up(self, NOW + 20 * DAY, behind=0)
                self.others = others
            elif other:
                await self.append(other)
        return await super().read(after, limit)


@pytest.mark.slow(reason="makes thousands of records")
@settings(max_examples=150)
@given(HISTORIES, st.lists(st.none() | st.lists(attempts(), max_size=3), max_size=8))
async def test_whatever_others_do_meanwhile_state_and_sums_are_those_of_the_log(
    records: list[Record], others: list[list[Record] | None]
) -> None:
    store = Busy(others)
    await store.append(records)
    with small_steps():
        pool = await opened(store)
        store.others.clear()
        logged = [item.record for item in await store.read()]
        assert pool.state == fold(logged, Policy())
        assert rolled_up(await usage(store), 3e9) == rolled_up(direct(logged), 3e9)
        await pool.compact()
        assert rolled_up(await usage(store), 3e9) == rolled_up(direct(logged), 3e9)
        again = await opened(store)
        assert again.state == pool.state


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = {"memory": "memory:", "sqlite": f"sqlite:{tmp_path / 'log.db'}"}.get(request.param)
    made = await open_store(url or request.getfixturevalue("redis_url"))
    yield made
    await made.close()


async def test_each_record_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [attempt(NOW + turn * HOUR / 3) for turn in range(40)]
    await store.append(records)
    seen = 0
    read = store.read

    async def counted(*arguments: Any) -> list[LogEntry]:
        nonlocal seen
        found = await read(*arguments)
        seen += len(found)
        return found

    monkeypatch.setattr(store, "read", counted)
    with small_steps():
        pool = await opened(store)
        await pool.compact()
    assert seen == len(records)
    assert await summed_through(store) == len(records)
    assert pool.state == fold(records, Policy())
    assert await usage(store) == direct(records)


def attempt(at: float) -> Attempt:
    return Attempt(
        at=at, started=at, client="cli", fingerprint="a", path="/api/chat", outcome="ok", output_tokens=3
    )


async def test_damaged_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    good = [attempt(NOW + index * HOUR) for index in range(30)]
    bodies = [
        body
        for index, each in enumerate(good)
        for body in (encode(each), *([] if index % 2 else DAMAGED[index % len(DAMAGED) :]))
    ]
    await (await open_store(f"sqlite:{path}")).close()
    with contextlib.closing(sqlite3.connect(path)) as log, log:
        log.executemany("insert into log (at, body) values (1, ?)", [(body,) for body in bodies])
    async with contextlib.AsyncExitStack() as stack:
        store = await open_store(f"sqlite:{path}")
        stack.push_async_callback(store.close)
        with small_steps():
            pool = await opened(store)
            await pool.compact()
        assert pool.state == fold(good, Policy())
        assert await usage(store) == direct(good)


class Unwritable(MemoryStore):
    """A log on a full disk."""

    async def save_if(self, *_: object) -> bool:
        """Fail."""
        raise UnreachableLogError("the disk is full")


async def test_a_log_that_cannot_be_written_is_read_all_the_same() -> None:
    store = Unwritable()
    records = [attempt(NOW + index * HOUR) for index in range(40)]
    await store.append(records)
    with small_steps():
        pool = await opened(store)
        await pool.compact()
    assert pool.state == fold(records, Policy())
    assert pool.problem is None
    assert await usage(store) == direct(records)


async def test_sums_that_end_before_the_kept_state_are_not_continued_behind_it() -> None:
    store = MemoryStore()
    records = [attempt(NOW + index * HOUR) for index in range(40)]
    await store.append(records[:20])
    with small_steps(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_pool, "BEHIND", 100)
        patch.setattr("okr_tui.services.log_writer.COMPACT_AFTER", 1)
        patch.setattr("okr_tui.services.log_writer.MARK_EVERY", 2)
        pool = await opened(store)
        await pool._checkpoints.keep()
        assert await summed_through(store) == 0
        patch.setattr(live_pool, "BEHIND", 1)
        await store.append(records[20:])
        pool = await opened(store)
        await pool.compact()
    assert pool.state == fold(records, Policy())
    assert await usage(store) == direct(records)


async def test_sums_of_a_log_that_was_replaced_meanwhile_are_not_kept_in_the_new_one() -> None:
    store = MemoryStore()
    records = [attempt(NOW + index * HOUR) for index in range(9)]
    await store.append(records)
    summing = await sums.Summing.begin(store, NOW)
    await summing.add(await store.read())
    store.identity = "another"
    await summing.save()
    assert summing.overtaken
    assert await summed_through(store) == 0
