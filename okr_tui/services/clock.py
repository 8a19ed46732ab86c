"""Time as the services see it, so that a test can control it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from okr_tui.domain.clocks import ahead_of, is_far

FOLLOWED: Final = 2.0
"""Seconds by which the machine's clock may be corrected without anybody's confirmation."""


class Clock(Protocol):
    """Wall-clock time in epoch seconds, time that never goes back, and waiting."""

    def time(self) -> float:
        """Return the present moment in epoch seconds."""

    def monotonic(self) -> float:
        """Return seconds that only grow, from any beginning: for waits, ramps and time-outs."""

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""


def since_boot() -> float:
    """Return seconds that only grow; those that the machine slept count too where the system tells them."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class SystemClock:
    """The machine's clock, from the start of the process on unmoved by whoever sets it.

    A clock that is set by minutes or days would let blocks end too early, or never. So a jump is not followed
    until the cloud confirms it with the date of a response; what the cloud says outweighs the machine.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def time(self) -> float:
        """Return the present moment in epoch seconds."""
        steady, wall = self._steady(), self._wall()
        if abs(wall - steady - self._offset) <= FOLLOWED:
            self._offset = wall - steady
        return steady + self._offset

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self._steady()

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        await asyncio.sleep(seconds)

    def hear(self, headers: Mapping[str, str]) -> float | None:
        """Take up the date of a response; return by how many seconds the machine's clock is ahead of it."""
        wall = self._wall()
        ahead = ahead_of(headers, wall)
        if ahead is None:
            return None
        if not is_far(ahead):
            self._offset = wall - self._steady()
        elif is_far(ahead_of(headers, self.time())):
            self._offset = wall - ahead - self._steady()
        return ahead
