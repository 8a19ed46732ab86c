"""Waiting in tests: for a condition or an event, within one limit that only a fault reaches."""

import asyncio
from collections.abc import Callable
from typing import Final

LIMIT: Final = 60.0
"""Seconds in which everything comes that a test waits for, however busy the machine is."""


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks, threads and processes work until a condition holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 it has no event
            await asyncio.sleep(0.001)


async def let_pass(seconds: float) -> None:
    """Let real time pass, for what is slow on purpose, or for a test that nothing happens meanwhile.

    What does happen is waited for with `until`: on a loaded machine it takes longer than any pause.
    """
    await asyncio.sleep(seconds)
