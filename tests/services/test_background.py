"""Work in the background outlives a log that is out of reach, and never ends in silence."""

import asyncio

import pytest

from okr_tui.domain.errors import StoreError
from okr_tui.services.background import TRY_AGAIN, Background, Timers
from tests.harness import START, ManualClock
from tests.waiting import until


class Broken(Exception):  # noqa: N818 stands for any defect
    """Something nobody foresaw."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def background(clock: ManualClock) -> Background:
    return Background(clock, lambda: None)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_log_out_of_reach_is_reported_and_tried_again(
    clock: ManualClock, background: Background
) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise StoreError("the log is gone")

    background.start("reading quota", work)
    await settle()
    assert (runs, background.problems) == (1, ("the log is gone",))
    await clock.advance(TRY_AGAIN)
    await settle()
    assert (runs, background.problems) == (2, ())
    await background.close()


async def test_an_unexpected_failure_is_reported_and_tried_again_ever_later(
    clock: ManualClock, background: Background
) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise Broken("no such\nwindow")
        await asyncio.Event().wait()

    background.start("reading quota", work)
    await settle()
    said = "reading quota failed: unexpected Broken: no such window; trying again"
    assert (runs, background.problems) == (1, (said,))
    await clock.advance(TRY_AGAIN)
    await settle()
    assert (runs, background.problems) == (2, (said,))
    await clock.advance(TRY_AGAIN)
    await settle()
    assert runs == 2
    await clock.advance(TRY_AGAIN)
    await settle()
    assert (runs, background.problems) == (3, ())
    await background.close()


async def test_a_loop_that_recovers_leaves_the_trouble_of_another(
    clock: ManualClock, background: Background
) -> None:
    async def recovering() -> None:
        if not clock.time() > START:
            raise StoreError("the lease is gone")
        await asyncio.Event().wait()

    async def failing() -> None:
        raise StoreError("the log is gone")

    background.start("renewing the lease", recovering)
    await settle()
    await clock.advance(TRY_AGAIN - 1)
    background.start("following the log", failing)
    await settle()
    await clock.advance(1)
    await settle()
    assert background.problems == ("the log is gone",)
    await background.close()


async def test_timers_of_one_duration_ring_in_turn_unless_they_are_cancelled() -> None:
    rung: list[str] = []
    timers = Timers()

    def second() -> None:
        rung.append("second")
        last.cancel()
        timers.start(0.01, lambda: rung.append("again"))

    timers.start(60, lambda: rung.append("much later"))
    first = timers.start(0.01, lambda: rung.append("cancelled"))
    timers.start(0.01, second)
    timers.start(0.01, lambda: rung.append("third"))
    last = timers.start(0.01, lambda: rung.append("cancelled by another"))
    first.cancel()
    await until(lambda: "again" in rung)
    assert rung == ["second", "third", "again"]
    timers.start(0.01, lambda: rung.append("after a pause"))
    await until(lambda: "after a pause" in rung)


async def test_a_timer_that_fails_or_starts_another_stops_none_of_the_others() -> None:
    rung: list[str] = []
    failed: list[object] = []
    timers = Timers()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail() -> None:
        raise RuntimeError("on purpose")

    timers.start(0.01, fail)
    timers.start(0.01, lambda: rung.append("next"))
    await until(lambda: "next" in rung)

    def start_another() -> None:
        timers.start(0.01, lambda: rung.append("another"))

    timers.start(0.01, start_another)
    await until(lambda: "another" in rung)
    timers.start(0.02, lambda: rung.append("last"))
    await until(lambda: "last" in rung)
    assert rung == ["next", "another", "last"]
    assert [type(each) for each in failed] == [RuntimeError]


async def test_cancelled_timers_are_not_kept() -> None:
    timers = Timers()
    for _ in range(1000):
        timers.start(60, lambda: None).cancel()
    assert len(timers._queues[60]) == 1
