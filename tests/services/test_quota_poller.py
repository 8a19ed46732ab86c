"""Looks into a fault that nobody waits for: a log out of reach is told of, and closing ends them."""

import asyncio
import gc
from contextlib import nullcontext
from itertools import pairwise
from typing import Any, cast

import pytest

from okr_tui.cloud.client import Cloud
from okr_tui.cloud.documents import Identity
from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import CloudError, StoreError
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance
from okr_tui.domain.schedule import Reading
from okr_tui.domain.usage import (
    CLOUD_USAGE,
    CloudBucket,
    CloudCounts,
    CloudReading,
    cloud_usage_of,
    read_readings,
)
from okr_tui.services.live_pool import LivePool
from okr_tui.services.quota_poller import LEASE_SECONDS, QuotaPoller
from okr_tui.store.memory import MemoryStore
from tests.harness import ManualClock
from tests.waiting import LIMIT, let_pass

KEY = Key.of("a synthetic key of the meter", "global")
SPENT = Fault(FaultKind.SPENT, Scope.ACCOUNT, "session", 429, "session")
REFUSED = Fault(FaultKind.UNAUTHORIZED, Scope.KEY, "unauthorized", 401)


DAY_BEFORE = CloudBucket(0.0, 86400.0, CloudCounts(3))


class Lost(MemoryStore):
    """A log that takes nothing once it is lost."""

    lost = False

    async def append(self, records: Any, token: Any = None) -> int:
        if self.lost:
            raise StoreError("the log is gone")
        return await super().append(records, token)

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        if self.lost:
            raise StoreError("the log is gone")
        return await super().lease(name, owner, now, seconds)


class Answering:
    """A cloud that answers each balance alike, once it may."""

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault = fault
        self.usage_fault: Fault | None = None
        self.usage_reads = 0
        self.may = asyncio.Event()
        self.may.set()

    async def balance(self, _: Key) -> Balance:
        await self.may.wait()
        if self._fault:
            raise CloudError(self._fault.text, self._fault)
        return Balance()

    async def usage(self, _: Key) -> tuple[CloudBucket, ...]:
        self.usage_reads += 1
        if self.usage_fault:
            raise CloudError("no", self.usage_fault)
        return (DAY_BEFORE,)


def metered(store: Lost, cloud: Answering) -> tuple[LivePool, QuotaPoller]:
    pool = LivePool(store, PoolConfig((KEY,), KEY.fingerprint), Policy(confirm_after=(0, 0)), ManualClock())
    return pool, QuotaPoller(pool, lambda: nullcontext(cast(Cloud, cloud)), "this process", shown=False)


@pytest.mark.parametrize(("fault", "answer"), [(SPENT, None), (REFUSED, REFUSED)])
async def test_a_look_whose_finding_the_log_does_not_take_ends_in_words(
    fault: Fault, answer: Fault | None
) -> None:
    untold: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))
    store = Lost()
    pool, quota_poller = metered(store, Answering(answer))
    store.lost = True
    quota_poller.faulted(KEY, fault)
    await quota_poller.settle(LIMIT)
    await asyncio.sleep(0)
    gc.collect()
    assert untold == []
    assert pool.problem
    assert "the log is gone" in pool.problem


async def test_no_answer_keeps_a_reading_off_for_long() -> None:
    waits = Fault(FaultKind.SLOWED, Scope.ACCOUNT, "slow down", 429, retry_after=1e9)
    pool, quota_poller = metered(Lost(), Answering(waits))
    reading = Reading(0.0, KEY, identity=False, name="balance")
    await quota_poller._read(reading)
    assert quota_poller._not_before["balance"] == pool.clock.monotonic() + pool.policy.slowed_longest


async def test_closing_ends_the_looks_even_where_the_lease_cannot_be_given_back() -> None:
    store, cloud = Lost(), Answering()
    pool, quota_poller = metered(store, cloud)
    cloud.may.clear()
    running = asyncio.ensure_future(quota_poller.run())
    quota_poller.faulted(KEY, SPENT)
    await let_pass(0.01)
    running.cancel()
    await asyncio.wait([running])
    looks = tuple(quota_poller._checks.values())
    assert looks
    assert not await store.lease("meter", "another", pool.clock.time(), LEASE_SECONDS)
    store.lost = True
    with pytest.raises(StoreError):
        await quota_poller.close()
    assert all(look.done() for look in looks)


async def test_nothing_is_read_twice_within_its_gap_however_often_the_settings_want_it() -> None:
    clock, read = ManualClock(), list[float]()

    class Counting:
        async def balance(self, _: Key) -> Balance:
            read.append(clock.time())
            return Balance()

        async def identity(self, _: Key) -> Identity:
            return Identity("amber", "pro")

        async def usage(self, _: Key) -> tuple[CloudBucket, ...]:
            return ()

    policy = Policy(poll_shown=(1, 1), poll_idle=(1, 1), poll_gap=10)
    pool = LivePool(MemoryStore(), PoolConfig((KEY,), KEY.fingerprint), policy, clock)
    polling = asyncio.create_task(
        QuotaPoller(pool, lambda: nullcontext(cast(Cloud, Counting())), "this", shown=True).run()
    )
    for _ in range(60):
        await clock.advance(1)
        await let_pass(0.02)
    polling.cancel()
    assert len(read) > 2
    assert all(later - earlier >= 10 for earlier, later in pairwise(read))


BALANCE_READING = Reading(0.0, KEY, identity=False, name="balance")


async def test_what_the_cloud_counts_is_read_after_a_balance_and_rarely() -> None:
    store, cloud = Lost(), Answering()
    pool, quota_poller = metered(store, cloud)
    await quota_poller._read(BALANCE_READING)
    account = pool.state.account_of(KEY.fingerprint)
    readings = read_readings(await store.load(cloud_usage_of(account)))
    assert readings == {account: CloudReading(pool.clock.time(), (DAY_BEFORE,))}
    await quota_poller._read(BALANCE_READING)
    assert cloud.usage_reads == 1
    await cast(ManualClock, pool.clock).advance(pool.policy.usage_every)
    await quota_poller._read(BALANCE_READING)
    assert cloud.usage_reads == 2


async def test_what_the_cloud_counts_for_one_account_writes_few_others() -> None:
    store, cloud = Lost(), Answering()
    _, quota_poller = metered(store, cloud)
    for number in range(400):
        key = Key.of(f"a synthetic key of the meter, number {number}", "global")
        await quota_poller._read(Reading(0.0, key, identity=False, name=f"balance {number}"))
    found = [read_readings(text) for text in (await store.load_all(CLOUD_USAGE)).values()]
    assert sum(map(len, found)) == 400
    assert max(map(len, found)) < 30


async def test_another_process_need_not_read_again_what_the_cloud_counts() -> None:
    store, cloud = Lost(), Answering()
    for _ in range(2):
        await metered(store, cloud)[1]._read(BALANCE_READING)
    assert cloud.usage_reads == 1


@pytest.mark.parametrize("kind", [FaultKind.REQUEST, FaultKind.SLOWED, FaultKind.UNAUTHORIZED])
async def test_a_plan_that_reports_nothing_is_asked_as_rarely_and_spoils_nothing(kind: FaultKind) -> None:
    store, cloud = Lost(), Answering()
    cloud.usage_fault = Fault(kind, Scope.ACCOUNT, "no", 403)
    pool, quota_poller = metered(store, cloud)
    for _ in range(2):
        await quota_poller._read(BALANCE_READING)
    assert cloud.usage_reads == 1
    assert await store.load_all(CLOUD_USAGE) == {}
    assert {item.record.kind for item in await store.read()} == {"balance"}
    assert pool.problem is None


async def test_a_balance_that_cannot_be_read_asks_for_nothing_more() -> None:
    cloud = Answering(REFUSED)
    await metered(Lost(), cloud)[1]._read(BALANCE_READING)
    assert cloud.usage_reads == 0
