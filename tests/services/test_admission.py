"""The line before the pool: slots, first come first served, patience, and the slow start after a switch."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from okr_tui.domain.choice import PoolConfig, Selection, SelectionRequest
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt
from okr_tui.services.admission import Admission, SlotWait, Ticket
from okr_tui.services.live_pool import LivePool
from okr_tui.store.memory import MemoryStore
from tests.harness import ManualClock
from tests.waiting import LIMIT

FIRST, SECOND = (Key.of(f"a synthetic key number {index}", "global") for index in range(2))


@dataclass
class Line:
    """A pool of one or two keys with one slot each, and the requests before it."""

    keys: tuple[Key, ...] = (FIRST,)
    policy: Policy = field(default_factory=lambda: Policy(queue_wait=60, queue_longest=3))
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.pool = LivePool(
            MemoryStore(), PoolConfig(self.keys, self.keys[0].fingerprint), self.policy, self.clock
        )
        self.admission = Admission(self.pool)
        self.tasks: list[asyncio.Task[Ticket]] = []

    def request(self) -> SelectionRequest:
        return SelectionRequest(self.clock.time(), in_flight=self.pool.in_flight)

    async def join(self, *, same: Key | None = None) -> asyncio.Task[Ticket]:
        task = asyncio.create_task(self.admission.enter(self.request, refuse, same=same))
        self.tasks.append(task)
        await settle()
        return task

    async def fault(self, key: Key, fault: Fault) -> None:
        now = self.clock.time()
        await self.pool.append(
            Attempt(
                at=now,
                started=now,
                client="cli",
                fingerprint=key.fingerprint,
                path="/api/chat",
                outcome="fault",
                fault=fault,
            )
        )


def refuse(selection: Selection) -> Exception:
    return PoolBlockedError(selection.why, selection.earliest)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def wait_for_slot(line: Line, *, most: int) -> asyncio.Task[Ticket]:
    """Let a request into the line that every account has refused a slot."""
    slots = SlotWait(line.clock.monotonic(), most, line.pool.state.account_of)
    for key in line.keys:
        slots.refused(key.fingerprint, line.clock.monotonic(), line.policy)

    def request() -> SelectionRequest:
        return replace(line.request(), tried=frozenset(slots.accounts))

    task = asyncio.create_task(line.admission.enter(request, refuse, same=None, slots=slots))
    line.tasks.append(task)
    await settle()
    return task


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_a_slot_is_given_to_the_first_who_waited(line: Line) -> None:
    first, second, third = [await line.join() for _ in range(3)]
    assert [task.done() for task in (first, second, third)] == [True, False, False]
    line.admission.leave(await first)
    await settle()
    assert [task.done() for task in (second, third)] == [True, False]


async def test_a_slot_that_is_given_back_leaves_the_others_of_its_account_held() -> None:
    line = Line(policy=Policy(slots_unknown=2))
    first, second = [await (await line.join()) for _ in range(2)]
    line.admission.leave(first)
    assert line.pool.in_flight == {first.account: 1}
    line.admission.leave(second)
    assert line.pool.in_flight == {}


async def test_who_leaves_the_line_loses_nothing_for_others(line: Line) -> None:
    first, second, third = [await line.join() for _ in range(3)]
    second.cancel()
    line.admission.leave(await first)
    await settle()
    assert third.done()
    assert sum(line.pool.in_flight.values()) == 1


async def test_waiting_ends_with_the_patience_of_the_policy(line: Line) -> None:
    await line.join()
    second = await line.join()
    await line.clock.advance(61)
    await settle()
    with pytest.raises(PoolBlockedError):
        await second


async def test_no_request_waits_for_a_key_that_is_left_out(line: Line) -> None:
    await line.join()
    waiting = line.admission.enter(
        lambda: SelectionRequest(0, in_flight=line.pool.in_flight, tried=frozenset({FIRST.fingerprint})),
        refuse,
        same=None,
    )
    with pytest.raises(PoolBlockedError):
        await asyncio.wait_for(waiting, LIMIT)


async def test_the_line_is_bounded(line: Line) -> None:
    tasks = [await line.join() for _ in range(5)]
    assert [task.done() for task in tasks] == [True, False, False, False, True]
    with pytest.raises(PoolBlockedError):
        await tasks[-1]


async def test_a_short_slow_down_is_waited_out_and_a_long_one_is_not(line: Line) -> None:
    await line.fault(FIRST, Fault(FaultKind.SLOWED, Scope.ACCOUNT, "slow", 429, retry_after=5))
    waiting = await line.join()
    assert not waiting.done()
    await line.clock.advance(5.1)
    await settle()
    assert waiting.done()
    await line.fault(FIRST, Fault(FaultKind.SLOWED, Scope.ACCOUNT, "slow", 429, retry_after=50))
    line.admission.leave(await waiting)
    with pytest.raises(PoolBlockedError):
        await (await line.join())


async def test_the_same_key_is_taken_again_while_it_is_good() -> None:
    line = Line(keys=(FIRST, SECOND))
    ticket = await (await line.join(same=SECOND))
    assert ticket.key is SECOND


async def test_a_key_that_was_removed_meanwhile_gives_way_to_another() -> None:
    line = Line(keys=(SECOND,))
    ticket = await (await line.join(same=FIRST))
    assert ticket.key is SECOND


async def test_after_a_switch_the_rest_follow_by_and_by() -> None:
    line = Line(policy=Policy(slots_unknown=10, ramp_step=0.25))
    line.admission.switched()
    tasks = [await line.join() for _ in range(3)]
    assert [task.done() for task in tasks] == [True, False, False]
    await line.clock.advance(0.25)
    await settle()
    assert [task.done() for task in tasks] == [True, True, False]
    await line.clock.advance(0.25)
    await settle()
    assert all(task.done() for task in tasks)


async def test_the_slow_start_ends_after_a_while() -> None:
    policy = Policy(ramp_step=1, queue_longest=3, slots_unknown=9)
    line = Line((FIRST,), policy)
    line.admission.switched()
    await line.clock.advance(3.5)
    tickets = [await line.join() for _ in range(6)]
    assert [ticket.done() for ticket in tickets] == [True] * 6


async def test_a_pinned_pool_waits_for_no_other_key() -> None:
    line = Line((FIRST, SECOND))
    line.pool.config = PoolConfig(line.keys, FIRST.fingerprint, "pinned")
    line.pool.in_flight[line.pool.state.account_of(SECOND.fingerprint)] += 1
    await line.fault(FIRST, Fault(FaultKind.SPENT, Scope.ACCOUNT, "spent", 429, window="session"))
    with pytest.raises(PoolBlockedError):
        await asyncio.wait_for(line.admission.enter(line.request, refuse, same=None), LIMIT)


async def test_who_waits_for_a_slot_outwaits_what_passes_soon(line: Line) -> None:
    """A short outage or slow-down while the slots of an account are taken is no reason to give up."""
    slots = SlotWait(line.clock.monotonic(), 8, line.pool.state.account_of)
    slots.refused(FIRST.fingerprint, line.clock.monotonic(), line.policy)
    await line.fault(FIRST, Fault(FaultKind.SLOWED, Scope.ACCOUNT, "slow", 429, retry_after=5))
    waiting = asyncio.create_task(line.admission.enter(line.request, refuse, same=None, slots=slots))
    line.tasks.append(waiting)
    for seconds in (1.1, 2.1, 4.1):
        await settle()
        assert not waiting.done()
        await line.clock.advance(seconds)
    await settle()
    assert (await waiting).key is FIRST


async def test_a_request_in_line_is_refused_at_once_when_no_slot_will_come(line: Line) -> None:
    slots = SlotWait(line.clock.monotonic(), 8, line.pool.state.account_of)
    slots.refused(FIRST.fingerprint, line.clock.monotonic(), line.policy)
    await line.fault(FIRST, Fault(FaultKind.SLOWED, Scope.ACCOUNT, "slow", 429, retry_after=50))
    waiting = asyncio.create_task(line.admission.enter(line.request, refuse, same=None, slots=slots))
    line.tasks.append(waiting)
    await settle()
    await line.clock.advance(1.1)
    with pytest.raises(PoolBlockedError):
        await asyncio.wait_for(waiting, LIMIT)


async def test_a_slot_of_ours_that_ends_is_asked_for_before_its_time_has_come(line: Line) -> None:
    held = await (await line.join())
    waiting = await wait_for_slot(line, most=8)
    assert not waiting.done()
    line.admission.leave(held)
    await settle()
    assert (await waiting).key is FIRST


async def test_a_request_that_found_no_slot_leaves_none_to_ask_for(line: Line) -> None:
    held = await (await line.join())
    waiting = await wait_for_slot(line, most=8)
    line.admission.leave(held, had_slot=False)
    await settle()
    assert not waiting.done()
    await line.clock.advance(1.1)
    await settle()
    assert (await waiting).key is FIRST


async def test_a_slot_of_an_account_that_is_spent_meanwhile_ends_no_wait_for_others() -> None:
    line = Line((FIRST, SECOND))
    held = await (await line.join())
    waiting = await wait_for_slot(line, most=8)
    await line.fault(FIRST, Fault(FaultKind.SPENT, Scope.ACCOUNT, "spent", 429, window="session"))
    line.admission.leave(held)
    await settle()
    assert not waiting.done()
    await line.clock.advance(2.1)
    await settle()
    assert (await waiting).key is SECOND


async def test_who_has_no_send_left_waits_for_a_slot_of_ours_and_then_gives_up(line: Line) -> None:
    held = await (await line.join())
    waiting = await wait_for_slot(line, most=1)
    await line.clock.advance(50)
    line.pool.announce()
    await settle()
    assert not waiting.done()
    line.admission.leave(held)
    with pytest.raises(PoolBlockedError):
        await asyncio.wait_for(waiting, LIMIT)


def test_an_account_without_a_slot_is_known_by_the_name_that_it_gets_later() -> None:
    names = {"one": "one", "two": "two"}
    slots = SlotWait(0, 8, lambda fingerprint: names[fingerprint])
    slots.refused("one", 0, Policy())
    slots.refused("two", 0, Policy())
    names.update(one="amber", two="birch")
    assert slots.accounts == {"amber", "birch"}
    request = SelectionRequest(0, tried=frozenset({"amber", "birch", "cedar"}))
    assert [each.tried for each in slots.requests(request, None)] == [{"cedar"}, {"cedar"}]
    slots.refused("one", 3, Policy())
    assert [each.tried for each in slots.requests(request, None)] == [{"cedar", "amber"}, {"cedar"}]
    assert [each.tried for each in slots.requests(request, "amber")] == [{"cedar", "birch"}]
    assert all(each.past_busy for each in slots.requests(request, "amber"))
