"""Work in the background outlives a log that is out of reach, and never ends in silence."""

import asyncio

import pytest

from okr_tui.domain.errors import StoreError
from okr_tui.services.background import TRY_AGAIN, Background
from tests.harness import ManualClock


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


async def test_a_log_out_of_reach_is_said_and_tried_again(clock: ManualClock, background: Background) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise StoreError("the log is gone")

    background.start(work)
    await settle()
    assert (runs, background.trouble) == (1, "the log is gone")
    await clock.advance(TRY_AGAIN)
    await settle()
    assert (runs, background.trouble, background.failure) == (2, None, None)
    await background.close()


async def test_any_other_failure_is_kept_for_those_who_follow(background: Background) -> None:
    async def work() -> None:
        raise Broken

    background.start(work)
    await settle()
    assert isinstance(background.failure, Broken)
    await background.close()
