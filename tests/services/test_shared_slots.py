"""Slots of one account on machines that share a log: counted together, and freed when a machine dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from okr_tui.chat.messages import ChatEvent
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.domain.records import Attempt
from okr_tui.services.live_pool import UNCOUNTED
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from okr_tui.store.base import SlotLeases
from okr_tui.store.redis import Names, RedisStore
from tests.harness import START, Harness, ManualClock, logged, stream_answer
from tests.redis_server import RedisServer
from tests.waiting import LIMIT

HOUR = 3600.0


@dataclass
class Machine:
    """One of several that share a log and an account with three slots; its requests stay under way."""

    service: PoolService
    clock: ManualClock
    running: list[asyncio.Task[None]] = field(default_factory=list)

    async def begin(self, count: int) -> None:
        """Begin requests, and return once each has received something."""
        for _ in range(count):
            begun = asyncio.Event()
            self.running.append(asyncio.create_task(self._run(begun)))
            async with asyncio.timeout(LIMIT):
                await begun.wait()

    async def _run(self, begun: asyncio.Event) -> None:
        async for event in stream_answer(self.service, conversation=str(id(begun))):
            if isinstance(event, Delta):
                begun.set()

    async def end_one(self) -> None:
        """Hang one up."""
        task = self.running.pop()
        task.cancel()
        await asyncio.wait([task])

    async def ask(self, caller: str | None = None) -> ChatEvent:
        """Ask, while the clock of this machine goes on; return the end."""

        async def asked() -> ChatEvent:
            return [event async for event in stream_answer(self.service, caller=caller)][-1]

        asking = asyncio.create_task(asked())
        async with asyncio.timeout(LIMIT):
            while not asking.done():
                await self.clock.advance(0.2)
                await asyncio.wait([asking], timeout=0.02)
        return await asking

    async def attempts(self) -> list[Attempt]:
        """Return what was sent from any machine and has ended."""
        return await logged(self.service.pool, Attempt)


@dataclass
class Team:
    """Opens machines; `active` is what the cloud has under way on their account."""

    harness: Harness
    store: str
    lease: float = 30

    @property
    def active(self) -> int:
        return self.harness.cloud.state.accounts["amber"].active

    @asynccontextmanager
    async def machine(self, wrong_by: float = 0.0) -> AsyncIterator[Machine]:
        """Open one whose clock is wrong by some seconds."""
        self.harness.write_settings(
            apiKeys=[self.harness.cloud.keys[0][0]], policy={"slot_lease": self.lease, "queue_wait": 30}
        )
        document = json.loads(self.harness.settings_file.read_text())
        document["okr-tui"]["store"] = self.store
        self.harness.settings_file.write_text(json.dumps(document))
        clock = ManualClock(START)
        clock.wrong_by = wrong_by
        sources = Sources(self.harness.settings_file, self.harness.home / "project", {})
        async with PoolService.open(sources, client="cli", watching=False, clock=clock) as service:
            await service.pool.catch_up()
            if service.snapshot.pool.keys[0].plan is None:
                await service.quota_poller.identity(service.pool.config.keys[0])
            assert service.snapshot.pool.keys[0].slots == 3
            machine = Machine(service, clock)
            try:
                yield machine
            finally:
                while machine.running:
                    await machine.end_one()


@pytest.fixture
def team(harness: Harness, redis_url: str) -> Team:
    return Team(harness, redis_url)


@pytest.mark.parametrize("wrong_by", [(0, 0), (HOUR, 0), (0, -HOUR)])
async def test_machines_send_no_more_than_the_account_allows(
    team: Team, wrong_by: tuple[float, float]
) -> None:
    async with team.machine(wrong_by[0]) as amber, team.machine(wrong_by[1]) as birch:
        await team.harness.fault("stream-stalled", times=3)
        await amber.begin(2)
        await birch.begin(1)
        asking = asyncio.create_task(birch.ask())
        await asyncio.wait([asking], timeout=0.5)
        assert team.active == 3
        assert not asking.done()
        await amber.end_one()
        await asking
        assert team.active == 2
        assert [record.fault for record in await birch.attempts()] == [None, None]


async def test_requests_of_one_machine_do_not_go_before_those_that_another_had_waiting(team: Team) -> None:
    line = Names.of("").prefix + "line:*"
    async with team.machine() as amber, team.machine() as birch, Redis.from_url(team.store) as server:
        await team.harness.fault("stream-stalled", times=3)
        await amber.begin(3)
        asking = [asyncio.create_task(birch.ask("birch"))]
        async with asyncio.timeout(LIMIT):
            while not await server.keys(line):
                await asyncio.wait(asking, timeout=0.02)
        asking.append(asyncio.create_task(amber.ask("amber")))
        await asyncio.sleep(0)
        await amber.end_one()
        await asyncio.gather(*asking)
        answered = [record.caller for record in await amber.attempts() if record.outcome == "ok"]
    assert answered == ["birch", "amber"]


async def test_a_request_that_finds_no_slot_for_long_is_refused_as_all_are_taken(team: Team) -> None:
    async with team.machine() as amber, team.machine() as birch:
        await team.harness.fault("stream-stalled", times=None)
        await amber.begin(3)
        with pytest.raises(PoolBlockedError, match="all 3 request slots taken"):
            await birch.ask()
        assert birch.service.snapshot.pool.keys[0].in_flight in (0, 3)
        assert await birch.attempts() == []
        await asyncio.wait([asyncio.create_task(birch.begin(1))], timeout=0.3)
        assert team.active == 3


async def test_the_slots_of_a_machine_that_died_are_free_when_its_leases_end(team: Team) -> None:
    team.lease = 1
    async with team.machine() as birch:
        slots = birch.service.pool.store.slots
        account = birch.service.snapshot.pool.keys[0].account
        assert slots
        assert account
        for slot in "123":
            assert (await slots.take(account, "dead", slot, 1.0, 3)).taken
        began = asyncio.get_running_loop().time()
        await birch.ask()
        assert asyncio.get_running_loop().time() - began > 0.5


async def test_a_machine_that_stood_still_continues_and_doubles_nothing(team: Team) -> None:
    team.lease = 1
    async with team.machine() as amber, team.machine() as birch:
        await team.harness.fault("stream-stalled", times=2)
        await amber.begin(2)  # its clock stands: it renews nothing
        key = Names.of("").prefix + f"slots:{birch.service.snapshot.pool.keys[0].account}"
        async with Redis.from_url(team.store, decode_responses=True) as server, asyncio.timeout(LIMIT):
            while await server.exists(key):
                await asyncio.wait([amber.running[0]], timeout=0.05)
            await birch.ask()
            await amber.clock.advance(team.lease)
            while await server.zcard(key) != 2:
                await asyncio.wait([amber.running[0]], timeout=0.05)
        assert (team.active, len(await team.harness.sent())) == (2, 3)
        await amber.end_one()
        await amber.end_one()
        assert [record.outcome for record in await amber.attempts()] == ["ok", "cancelled", "cancelled"]


async def test_leases_are_renewed_while_requests_run_and_given_back_at_their_end(team: Team) -> None:
    team.lease = 2
    key = Names.of("").prefix + "slots:*"
    async with Redis.from_url(team.store, decode_responses=True) as server:
        async with team.machine() as amber:
            await team.harness.fault("stream-stalled", times=1)
            await amber.begin(1)
            (name,) = await server.keys(key)
            for _ in range(4):
                await server.pexpire(name, 100_000)
                before = await server.zscore(name, str((await server.zrange(name, 0, -1))[0]))
                async with asyncio.timeout(LIMIT):
                    while await server.zcount(name, f"({before}", "+inf") == 0:
                        await amber.clock.advance(1)
                        await asyncio.wait([amber.running[0]], timeout=0.01)
            await amber.end_one()
            await amber.ask()
        assert await server.keys(key) == []


async def test_without_the_server_each_machine_counts_its_own_and_says_so(
    harness: Harness, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    team = Team(harness, server.url)
    try:
        async with team.machine() as amber, team.machine() as birch:
            await harness.fault("stream-stalled", times=2)
            await amber.begin(2)
            server.kill()
            await birch.ask()
            assert any(UNCOUNTED in line for line in birch.service.problems)
            server.start()
            async with asyncio.timeout(LIMIT):
                while birch.service.problems:
                    await birch.ask()
    finally:
        server.kill()


async def test_a_server_that_refuses_to_count_stops_no_request(team: Team) -> None:
    async with team.machine() as amber:
        name = Names.of("").prefix + f"slots:{amber.service.snapshot.pool.keys[0].account}"
        async with Redis.from_url(team.store, decode_responses=True) as server:
            await server.set(name, "taken by something else")
            await amber.ask()
            assert any(line.startswith(UNCOUNTED) for line in amber.service.problems)
            await server.delete(name)
        await amber.ask()
        assert not amber.service.problems


@pytest.fixture
async def slots(redis_url: str) -> AsyncIterator[SlotLeases]:
    store = await RedisStore.open(redis_url)
    yield store.slots
    await store.close()


async def test_slots_are_taken_up_to_the_most_and_known_again(slots: SlotLeases) -> None:
    assert await slots.take("a", "amber", "1", 30, 3) == (True, 0, 0)
    assert await slots.take("a", "amber", "2", 30, 3) == (True, 0, 0)
    assert await slots.take("a", "birch", "1", 30, 3) == (True, 2, 0)
    assert await slots.take("a", "birch", "1", 30, 3) == (True, 2, 0)  # the answer was lost
    assert (await slots.take("a", "cedar", "1", 30, 3))[:2] == (False, 3)
    assert await slots.take("b", "cedar", "1", 30, 1) == (True, 0, 0)
    await slots.free("a", "amber", ["1", "none"])
    await slots.free("a", "cedar", ["1"])
    assert await slots.take("a", "cedar", "2", 30, 3) == (True, 2, 0)
    await slots.renew("a", "dogwood", ["1"], 30)  # is never refused
    assert (await slots.take("a", "elm", "1", 30, 4))[:2] == (False, 4)


async def test_who_waited_for_longer_is_served_first(slots: SlotLeases) -> None:
    await slots.take("a", "amber", "1", 30, 1)
    taken, others, place = await slots.take("a", "birch", "1", 30, 1)
    assert (taken, others) == (False, 1)
    assert place > 0
    assert (await slots.take("a", "amber", "2", 30, 1))[:2] == (False, 1)
    await slots.free("a", "amber", ["1"])
    assert (await slots.take("a", "amber", "3", 30, 1))[:2] == (False, 2)  # two are before it
    assert (await slots.take("a", "birch", "1", 30, 1, place=place)).taken
    await slots.free("a", "birch", ["1"])
    await slots.free("a", "amber", ["2"])  # gave up
    assert (await slots.take("a", "amber", "3", 30, 1)).taken


async def test_a_waiter_that_does_not_ask_again_loses_its_place_in_line(
    redis_url: str, slots: SlotLeases
) -> None:
    await slots.take("a", "amber", "1", 30, 1)
    await slots.take("a", "dead", "1", 30, 1)
    await slots.free("a", "amber", ["1"])
    assert not (await slots.take("a", "birch", "1", 30, 1)).taken
    async with Redis.from_url(redis_url) as server:
        await server.zadd(Names.of("").prefix + "seen:a", {"dead:1": 1})
    assert (await slots.take("a", "birch", "1", 30, 1)).taken


async def test_slots_under_an_earlier_name_of_the_account_count(slots: SlotLeases) -> None:
    assert (await slots.take("fingerprint", "amber", "1", 30, 1)).taken
    assert not (await slots.take("a", "birch", "1", 30, 1, also=["fingerprint"])).taken
    assert (await slots.take("b", "birch", "1", 30, 1)).taken


async def test_a_lease_that_a_wrong_clock_of_the_server_made_too_long_is_ignored(
    redis_url: str, slots: SlotLeases
) -> None:
    async with Redis.from_url(redis_url) as server:
        seconds, _ = await server.time()
        await server.zadd(Names.of("").prefix + "slots:a", {"amber:1": (seconds + HOUR) * 1000})
    assert (await slots.take("a", "birch", "1", 30, 1)).taken
