"""How much goes on, for the screen: rates from the log's records as they come, tokens from its sums."""

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Final

from okr_tui.domain.records import Attempt, Record
from okr_tui.domain.traffic import (
    HOURS,
    NO_TRAFFIC,
    Rates,
    RecentAttempts,
    RecentUsage,
    RunningRequest,
    recent_usage,
)
from okr_tui.domain.usage import HOUR, midnight
from okr_tui.services.live_pool import LivePool
from okr_tui.store.base import UnreachableLogError
from okr_tui.store.usage import read_usage

COUNT_EVERY: Final = 1.0
"""Seconds between two looks at answers that are coming."""
FADE_EVERY: Final = 5.0
"""Seconds between two looks at rates that go down by themselves."""
READ_APART: Final = 10.0
"""Seconds between two readings of the sums, which a reader with few records does in milliseconds."""


class TrafficMonitor:
    """Follows the traffic of all processes on the log. `running` returns the requests of this one."""

    def __init__(
        self, pool: LivePool, running: Callable[[], Sequence[RunningRequest]], zone: tzinfo = UTC
    ) -> None:
        self._pool = pool
        self._running = running
        self._zone = zone
        self._recent = RecentAttempts()
        self._read_to: int | None = None
        self.usage: RecentUsage | None = None
        pool.observers.append(self._observe)

    def _observe(self, record: Record, _: int | None) -> None:
        if isinstance(record, Attempt):
            self._recent.add((record,), self._pool.clock.time())

    @property
    def rates(self) -> Rates:
        """The rates at this moment."""
        return self._recent.rates(self._running(), self._pool.clock.time())

    async def count(self) -> None:
        """Announce a change each second while answers come, and while rates go down; until cancelled."""
        async for _ in self._pool.changes():
            while self._running() or self.rates != NO_TRAFFIC:
                await self._pool.clock.sleep(COUNT_EVERY if self._running() else FADE_EVERY)
                self._pool.announce()

    async def read(self) -> None:
        """Read the tokens of the last hours whenever the log has grown; until cancelled."""
        async for _ in self._pool.changes():
            if self._pool.sequence != self._read_to and self._pool.trouble is None:
                await self._read()
                await self._pool.clock.sleep(READ_APART)

    async def _read(self) -> None:
        now, sequence = self._pool.clock.time(), self._pool.sequence
        since = min(midnight(now, self._zone), now - HOURS * HOUR)
        try:
            reading = await read_usage(self._pool.store, since, now)
        except UnreachableLogError:
            return  # the pool tells of it, and the next change tries again
        self._read_to = sequence
        usage = recent_usage(reading.usage, reading.accounts, now, self._zone)
        if usage != self.usage:
            self.usage = usage
            self._pool.announce()
