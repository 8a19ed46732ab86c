"""Time as the services see it, so that a test can control it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in epoch seconds, and waiting."""

    def time(self) -> float:
        """Return the present moment in epoch seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return the present moment in epoch seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        await asyncio.sleep(seconds)
