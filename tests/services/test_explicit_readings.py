"""Readings that a person asks for keep the cloud's limit, and those of many keys are spread."""

import asyncio
from contextlib import nullcontext
from typing import cast

import pytest

from okr_tui.cloud.client import Cloud
from okr_tui.cloud.documents import Identity
from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance
from okr_tui.services.live_pool import LivePool
from okr_tui.services.quota_poller import BURST, HANDFUL, SPREAD, QuotaPoller
from okr_tui.store.memory import MemoryStore
from tests.harness import Harness, ManualClock
from tests.waiting import LIMIT, until


async def test_an_account_is_read_once_in_its_gap_by_all_processes_and_verbs(harness: Harness) -> None:
    async with harness.open() as one, harness.open() as two:
        first = await one.test_key(1)
        assert "ago" not in first
        for turn in range(12):
            await harness.clock.advance(1)
            said = await (one if turn % 2 else two).test_key(1 + turn % 2)
            if turn < 9:
                assert f"as read {turn + 1}s ago; the cloud allows ten readings a minute" in said
        assert len(await harness.sent("/api/balance")) == 2
        assert len(await harness.sent("/api/me")) <= 2 + 4
    async with harness.open() as three:
        assert "ago" in await three.test_key(1)
        assert "ago" not in await three.test_key(3)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fault": "internal-error"}, id="500"),
        pytest.param({"fault": "unauthorized"}, id="401"),
        pytest.param({"fault": "rate-limit"}, id="429"),
    ],
)
async def test_an_account_that_cannot_be_read_is_asked_no_more_often(
    harness: Harness, fault: dict[str, str]
) -> None:
    await harness.fault(fault["fault"], path="/api/balance", times=1000)
    async with harness.open() as one, harness.open() as two:
        for turn in range(60):
            with pytest.raises(OkrError, match="#1"):
                await (one if turn % 3 else two).test_key(1)
            await harness.clock.advance(1)
        await asyncio.gather(one.quota_poller.settle(LIMIT), two.quota_poller.settle(LIMIT))
    assert 2 <= len(await harness.sent("/api/balance")) <= 10


async def test_the_last_answer_counts_in_other_processes_too(harness: Harness) -> None:
    await harness.change("amber", suspended=True)
    await harness.change("birch", revoke=1)
    refused = {1: "#1.*: 403 account suspended", 3: "#3.*: 401 invalid credentials"}
    async with harness.open() as one:
        for index, words in refused.items():
            with pytest.raises(OkrError, match=words):
                await one.test_key(index)
    async with harness.open() as other:
        for index, words in refused.items():
            with pytest.raises(OkrError, match=f"{words}, a moment ago"):
                await other.test_key(index)


async def test_other_machines_clocks_hold_no_reading_up_for_ever() -> None:
    key, store, clock = Key.of("a synthetic key of one account", "global"), MemoryStore(), ManualClock()
    cloud = CountingCloud()
    poller = poller_of(LivePool(store, PoolConfig((key,), key.fingerprint), Policy(), clock), cloud)
    assert (await poller.look(key)).fresh
    await store.lease("reading amber", "another", clock.time() + 86400, 10)
    await clock.advance(30)
    assert (await poller.look(key)).fresh


class CountingCloud:
    """Answers every reading, and counts them."""

    def __init__(self) -> None:
        self.readings: list[str] = []

    async def balance(self, key: Key) -> Balance:
        self.readings.append(f"balance {key.fingerprint}")
        return Balance()

    async def identity(self, key: Key) -> Identity:
        self.readings.append(f"identity {key.fingerprint}")
        return Identity("amber" if "one" in key.secret.get_secret_value() else key.fingerprint, "pro")

    async def usage(self, _: Key) -> tuple[()]:
        return ()


def poller_of(pool: LivePool, cloud: CountingCloud) -> QuotaPoller:
    return QuotaPoller(pool, lambda: nullcontext(cast(Cloud, cloud)), "this", shown=True)


async def test_readings_of_very_many_keys_are_spread_and_the_preferred_one_is_first() -> None:
    keys = tuple(Key.of(f"a synthetic key number {index:04}", "global") for index in range(1000))
    clock, cloud = ManualClock(), CountingCloud()
    pool = LivePool(MemoryStore(), PoolConfig(keys, keys[700].fingerprint), Policy(), clock)
    await pool.open()
    running = asyncio.ensure_future(poller_of(pool, cloud).run())

    async def settled() -> None:
        await until(lambda: clock.sleeping)

    await settled()
    assert len(cloud.readings) == BURST
    assert {reading.split()[1] for reading in cloud.readings[:2]} == {keys[700].fingerprint}
    await clock.advance(SPREAD)
    await settled()
    assert len(cloud.readings) == BURST + HANDFUL
    running.cancel()
    await asyncio.wait([running])
