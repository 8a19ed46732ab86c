"""The log cannot be used for a while: requests go on, and what was learned reaches it once, in order."""

import asyncio
import errno
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from redis.asyncio import Redis

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import StoreError
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Record
from okr_tui.services import live_pool, log_writer
from okr_tui.services.live_pool import LivePool
from okr_tui.store import unsent
from okr_tui.store.base import AppendToken, LogEntry, Store, UnreachableLogError
from okr_tui.store.factory import locate_store
from okr_tui.store.memory import MemoryStore
from okr_tui.store.unsent import UnsentFile, _folder, _read
from tests.chaos.mishaps import Proxy
from tests.harness import START, ManualClock, set_log_patience
from tests.redis_server import RedisServer
from tests.services.test_live_pool import KEYS, attempt, returned
from tests.waiting import LIMIT


@asynccontextmanager
async def process(store: Store, *, following: bool = True) -> AsyncIterator[LivePool]:
    """A pool that follows the log, as each process has one."""
    pool = LivePool(store, PoolConfig(KEYS, KEYS[0].fingerprint), Policy(), ManualClock())
    await pool.open()
    tail = asyncio.ensure_future(pool.follow() if following else asyncio.sleep(0))
    try:
        yield pool
    finally:
        tail.cancel()
        await asyncio.wait([tail])
        await pool.settled()
        await store.close()


async def eventually(condition: Callable[[], bool], *pools: LivePool) -> None:
    """Wait until a condition holds that depends on these pools."""
    changed = asyncio.Event()
    for pool in pools:
        pool.listeners.append(changed.set)
    async with asyncio.timeout(LIMIT):
        while not condition():
            changed.clear()
            await changed.wait()


def counts(pool: LivePool) -> list[int]:
    return [pool.state.key(key.fingerprint).requests for key in KEYS]


def remove(folder: Path) -> None:
    for path in folder.glob("log.db*"):
        path.unlink()


@pytest.fixture(autouse=True)
def patient_log() -> None:
    """Leave the log's patience as it is: it is what is tested here."""


async def request(pool: LivePool, record: Record) -> None:
    """Do what a request does with the log."""
    async with asyncio.timeout(LIMIT):
        await pool.catch_up()
        await pool.note(record)


async def request_at_once(pool: LivePool, record: Record) -> None:
    """Do what a request does with the log; wait far too long where it waits for the log at all."""
    with pytest.MonkeyPatch.context() as patch:
        set_log_patience(patch, 2 * LIMIT)
        await request(pool, record)


class Flawed(MemoryStore):
    """Fails, hangs, or takes records without saying so, as told."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = self.silent = False
        self.may = asyncio.Event()
        self.may.set()

    async def ready(self) -> None:
        await self.may.wait()
        if self.broken:
            raise UnreachableLogError("the log is gone")

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        if self.silent:
            await super().append(records, token)
        await self.ready()
        return await super().append(records, token)

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        await self.ready()
        return await super().read(after, limit)


async def test_records_that_wait_for_others_wait_for_a_slow_log_no_longer_than_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_writer, "SHORT", 0.01)
    store = Flawed()
    async with process(store, following=False) as pool:
        store.may.clear()
        async with asyncio.timeout(LIMIT):
            first = asyncio.create_task(pool.note(attempt(1, START), hurried=False))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(*(pool.note(attempt(index, START), hurried=False) for index in (1, 1, 2)))
        assert first.cancelled()
        assert counts(pool) == [0, 3, 1]
        store.may.set()
        await pool.settled()
        assert len(await store.read()) == 4


async def test_what_was_learned_meanwhile_reaches_the_log_in_order_with_its_own_time() -> None:
    store = Flawed()
    async with process(store) as pool:
        await pool.note(attempt(1, START))
        store.broken = True
        for index in range(2, 6):
            await pool.note(attempt(index, START + index))
        assert counts(pool) == [1, 2, 2]
        assert pool.problem
        assert "since 07:33:20" in pool.problem
        assert "waiting for the log: 4" in pool.problem
        store.broken = False
        await returned(pool)
        logged = await store.read()
        assert [item.record.at for item in logged] == [START, *(START + index for index in range(2, 6))]
        assert counts(pool) == [1, 2, 2]
        assert [line.sequence for line in pool.entries] == sorted(
            line.sequence for line in pool.entries if line.sequence
        )
        again = LivePool(store, pool.config, pool.policy, pool.clock)
        await again.open()
        assert again.state == pool.state


async def test_what_comes_while_the_log_returns_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "GATHER", 3600)
    monkeypatch.setattr(live_pool, "REST", 3600)
    store = Flawed()
    async with process(store, following=False) as pool:
        store.broken = True
        await pool.note(attempt(1, START))
        adopt = pool._writer.adopt

        async def adopt_and_note() -> None:
            await adopt()
            pool.note_soon(attempt(2, START + 1))

        monkeypatch.setattr(pool._writer, "adopt", adopt_and_note)
        store.broken = False
        await eventually(lambda: pool.problem is None and not pool._writer.unsent, pool)
        assert [item.record.at for item in await store.read()] == [START, START + 1]


async def test_no_request_waits_for_a_log_that_is_known_to_be_away() -> None:
    store = Flawed()
    async with process(store) as pool:
        store.may.clear()
        await request(pool, attempt(1, START))
        for index in range(20):
            await request_at_once(pool, attempt(index, START))
        assert counts(pool) == [7, 8, 6]
        store.may.set()
        await eventually(lambda: not pool._writer.unsent, pool)
        assert counts(pool) == [7, 8, 6]


async def test_a_write_that_had_arrived_after_all_counts_once() -> None:
    store = Flawed()
    async with process(store, following=False) as pool:
        store.may.clear()
        store.silent = True
        await pool.note(attempt(0, START))
        assert len(await MemoryStore.read(store)) == 1
        assert counts(pool) == [1, 0, 0]
        store.may.set()
        await eventually(lambda: not pool._writer.unsent, pool)
        assert len(await store.read()) == 1
        assert pool.state.key(KEYS[0].fingerprint).faults == 1
        assert len(pool.entries) == 1


async def test_only_so_many_records_are_kept_and_the_loss_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_writer, "MOST", 5)
    store = Flawed()
    async with process(store) as pool:
        store.broken = True
        for index in range(8):
            await pool.note(attempt(index, START + index))
        assert pool.problem
        assert "waiting for the log: 5, lost: 3" in pool.problem
        store.broken = False
        await returned(pool)
        assert [item.record.at - START for item in await store.read()] == [3, 4, 5, 6, 7]


async def test_a_locked_file_gets_what_was_learned_and_the_other_process_with_it(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    async with process(locate_store(url)) as one, process(locate_store(url)) as two:
        await one.note(attempt(1, START))
        holder = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
        holder.execute("begin immediate")
        await request(one, attempt(0, START))
        await request_at_once(one, attempt(2, START))
        holder.close()
        await eventually(lambda: counts(two) == [1, 1, 1], two)
        await eventually(lambda: one.state == two.state, one, two)
        assert counts(one) == [1, 1, 1]


async def test_a_removed_log_is_started_again_with_what_was_known(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    async with process(locate_store(url)) as one, process(locate_store(url)) as two:
        await one.note(attempt(0, START))
        await eventually(lambda: counts(two) == [1, 0, 0], two)
        remove(tmp_path)
        await one.note(attempt(1, START))
        await two.note(attempt(2, START))
        await eventually(lambda: counts(one) == counts(two) == [1, 1, 1], one, two)
        async with process(locate_store(url)) as three:
            assert three.state == one.state == two.state


async def test_a_log_that_others_replaced_is_taken_up(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    (tmp_path / "other").mkdir()
    async with process(locate_store(f"sqlite:{tmp_path / 'other' / 'log.db'}")) as other:
        await other.note(attempt(2, START))
    async with process(locate_store(url)) as pool:
        await pool.note(attempt(1, START))
        remove(tmp_path)
        (tmp_path / "other" / "log.db").rename(tmp_path / "log.db")
        await pool.note(attempt(0, START))
        await eventually(lambda: counts(pool) == [1, 0, 1], pool)


async def test_a_process_that_starts_without_its_log_continues_alone_and_joins_later(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    async with process(locate_store(f"sqlite:{tmp_path / 'state' / 'log.db'}")) as pool:
        assert pool.problem
        assert "cannot open the log" in pool.problem
        await pool.note(attempt(0, START))
        (tmp_path / "state").unlink()
        await returned(pool)
        assert len(await pool.store.read()) == 1
        assert counts(pool) == [1, 0, 0]


async def test_what_a_process_could_not_write_until_its_end_is_written_by_the_next(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    holder = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    async with process(locate_store(url)) as pool:
        holder.execute("begin immediate")
        for index in range(3):
            await pool.note(attempt(index, START))
    holder.close()
    async with process(locate_store(url)) as pool:
        assert counts(pool) == [1, 1, 1]
        assert len(await pool.store.read()) == 3
    async with process(locate_store(url)) as pool:
        assert len(await pool.store.read()) == 3


def kept(log: str) -> list[float]:
    """Return when the records began that are on disk for a log, in seconds after START."""
    folder = _folder(log)
    assert folder
    return [record.at - START for path in folder.glob("*.jsonl") for _, record in _read(path)]


async def test_what_a_killed_process_learned_is_on_disk_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, written, keep = asyncio.get_running_loop(), asyncio.Event(), UnsentFile.keep

    def noticed(file: UnsentFile, items: Sequence[tuple[int, Record]]) -> bool:
        done = keep(file, items)
        if len(items) == 3:
            loop.call_soon_threadsafe(written.set)
        return done

    monkeypatch.setattr(UnsentFile, "keep", noticed)
    store = Flawed()
    store.name = f"sqlite:{tmp_path / 'log.db'}"
    async with process(store, following=False) as pool:
        store.may.clear()
        for index in range(3):
            await pool.note(attempt(index, START + index))
        async with asyncio.timeout(LIMIT):
            await written.wait()
        assert kept(store.name) == [0, 1, 2]
        store.may.set()
        await eventually(lambda: not pool._writer.unsent, pool)
    assert kept(store.name) == []


async def test_a_disk_that_was_full_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = UnsentFile(f"sqlite:{tmp_path / 'log.db'}", "one")
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        assert not file.keep([(0, attempt(0, START))])
    assert file.keep([(0, attempt(0, START)), (1, attempt(1, START + 1))])
    assert kept(f"sqlite:{tmp_path / 'log.db'}") == [0, 1]
    file.close(empty=True)


async def test_a_file_that_another_process_looks_at_is_not_taken_from_its_writer(tmp_path: Path) -> None:
    log = f"sqlite:{tmp_path / 'log.db'}"
    folder = _folder(log)
    assert folder
    folder.mkdir(parents=True)
    (folder / "one.jsonl").touch()
    (other,) = UnsentFile.left_behind(log)
    file = UnsentFile(log, "one")
    assert not file.keep([(0, attempt(0, START))])
    other.close(empty=True)
    assert file.keep([(0, attempt(0, START))])
    assert kept(log) == [0]
    assert UnsentFile.left_behind(log) == []
    file.close(empty=True)


async def test_a_file_that_was_emptied_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent, "MOST_LINES", 2)
    file = UnsentFile(f"sqlite:{tmp_path / 'log.db'}", "one")
    for index in range(0, 6, 2):
        assert file.keep([(index, attempt(0, START)), (index + 1, attempt(1, START))])
        file.close(empty=True)


async def test_records_of_two_absences_of_the_log_are_all_adopted(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'log.db'}"
    store = locate_store(url)
    async with process(store):
        await store.append([attempt(0, START), attempt(0, START + 1)], AppendToken("one", 2))
        file = UnsentFile(store.name, "one")
        file.keep([(0, attempt(1, START)), (1, attempt(1, START))])
        file.keep([(4, attempt(2, START)), (5, attempt(2, START))])
        file.close(empty=False)
    async with process(locate_store(url)) as pool:
        assert counts(pool) == [2, 2, 2]


async def test_what_is_lost_at_the_end_is_reported() -> None:
    store = Flawed()
    pool = LivePool(store, PoolConfig(KEYS, KEYS[0].fingerprint), Policy(), ManualClock())
    await pool.open()
    store.broken = True
    await pool.note(attempt(0, START))
    with pytest.raises(StoreError, match=r"the log is gone.*and is lost"):
        await pool.settled()


@pytest.mark.redis
async def test_a_server_that_was_away_gets_what_was_learned(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    try:
        async with process(locate_store(server.url)) as one, process(locate_store(server.url)) as two:
            await one.note(attempt(1, START))
            await eventually(lambda: counts(two) == [0, 1, 0], two)
            server.kill()
            await request(one, attempt(0, START))
            await request_at_once(one, attempt(2, START))
            async with process(locate_store(server.url)) as late:
                assert late.problem
                assert await asyncio.to_thread(server.start)
                await eventually(lambda: counts(late) == [1, 1, 1], late)
            await eventually(lambda: counts(two) == [1, 1, 1], two)
            await eventually(lambda: one.state == two.state and one.problem is None, one, two)
    finally:
        server.kill()


@pytest.mark.redis
async def test_a_server_that_hung_has_each_record_once(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    assert server._process
    try:
        async with process(locate_store(server.url)) as one, process(locate_store(server.url)) as two:
            await one.note(attempt(1, START))
            server._process.send_signal(signal.SIGSTOP)
            await request(one, attempt(0, START))
            await request_at_once(one, attempt(7, START))
            server._process.send_signal(signal.SIGCONT)
            await eventually(lambda: counts(two) == [1, 2, 0], two)
            await eventually(lambda: one.state == two.state, one, two)
            assert one.state.key(KEYS[0].fingerprint).faults == 1
    finally:
        server._process.send_signal(signal.SIGCONT)
        server.kill()


@asynccontextmanager
async def far_and_near(folder: Path) -> AsyncIterator[tuple[LivePool, LivePool, Proxy]]:
    """Two processes over one server, the first behind a proxy."""
    server = RedisServer(folder)
    proxy = Proxy(server.port, Random(1))
    try:
        async with (
            proxy.open() as port,
            process(locate_store(server.url)) as near,
            process(locate_store(f"redis://127.0.0.1:{port}/0")) as far,
        ):
            yield far, near, proxy
    finally:
        server.kill()


@pytest.mark.redis
@pytest.mark.parametrize("lost", [False, True])
async def test_a_network_that_swallows_everything_holds_no_request_up(tmp_path: Path, lost: bool) -> None:
    async with far_and_near(tmp_path) as (far, near, proxy):
        await far.note(attempt(1, START))
        await eventually(lambda: counts(near) == [0, 1, 0], near)
        with proxy.held(lost=lost):
            await request(far, attempt(0, START))
            for _ in range(3):
                await request_at_once(far, attempt(2, START))
            await near.note(attempt(1, START))
        await eventually(lambda: counts(near) == [1, 2, 3], near)
        await eventually(lambda: far.state == near.state and far.problem is None, far, near)


@pytest.mark.redis
@pytest.mark.parametrize("delay", [0.05, 0.4])
async def test_a_server_far_away_holds_no_request_up(tmp_path: Path, delay: float) -> None:
    async with far_and_near(tmp_path) as (far, near, proxy):
        proxy.delay = delay
        for _ in range(3):
            await request(far, attempt(0, START))
        await eventually(lambda: counts(near) == [3, 0, 0], near)
        assert counts(far) == [3, 0, 0]
        proxy.delay = 0.0
        await eventually(lambda: far.problem is None, far)


async def test_an_emptied_server_gets_back_what_was_known_and_all_positions_agree(redis_url: str) -> None:
    async with process(locate_store(redis_url)) as one, process(locate_store(redis_url)) as two:
        await one.note(attempt(0, START))
        await eventually(lambda: counts(two) == [1, 0, 0], two)
        async with Redis.from_url(redis_url) as client:
            await client.flushdb()
        await two.note(attempt(1, START))
        await one.note(attempt(2, START))
        await eventually(lambda: counts(one) == [1, 1, 1], one)
        await eventually(lambda: counts(two) == [1, 1, 1], two)
        async with process(locate_store(redis_url)) as three:
            assert three.state == one.state == two.state


@pytest.mark.parametrize("refusing", [("maxmemory", "1"), ("min-replicas-to-write", "3")])
@pytest.mark.redis
async def test_a_server_that_takes_no_writes_gets_them_later(
    tmp_path: Path, refusing: tuple[str, str]
) -> None:
    server = RedisServer(tmp_path)
    try:
        async with process(locate_store(server.url)) as one, process(locate_store(server.url)) as two:
            async with Redis.from_url(server.url) as client:
                await client.config_set(*refusing)
                await request(one, attempt(0, START))
                await eventually(lambda: one.problem is not None, one)
                await request_at_once(one, attempt(1, START))
                await client.config_set(refusing[0], "0")
            await eventually(lambda: counts(two) == [1, 1, 0], two)
    finally:
        server.kill()


def test_records_that_wait_are_lines_whatever_characters_they_hold(tmp_path: Path) -> None:
    log = f"sqlite:{tmp_path / 'log.db'}"
    file = UnsentFile(log, "one")
    records = [replace(attempt(0, START), model=name) for name in ("caf\u00e9\u2028line", "next\u0085line")]
    assert file.keep([*enumerate(records)])
    file.close(empty=False)
    (found,) = UnsentFile.left_behind(log)
    assert [*found.items] == [*enumerate(records)]
    found.close(empty=True)
