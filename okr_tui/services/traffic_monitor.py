"""How much is going on, for the screen: rates from the log's records as they come, tokens from its sums."""

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Final

from okr_tui.domain.records import Attempt, IdentityRead, Record
from okr_tui.domain.traffic import (
    HOURS,
    NO_TRAFFIC,
    Rates,
    RecentAttempts,
    RecentUsage,
    RunningRequest,
    recent_usage,
)
from okr_tui.domain.usage import HOUR, Accounts, Cell, Series, addition, midnight
from okr_tui.services.live_pool import LivePool
from okr_tui.store.base import UnreachableLogError
from okr_tui.store.usage import of_key

COUNT_EVERY: Final = 1.0
"""Seconds between two looks at answers that are coming."""
FADE_EVERY: Final = 5.0
"""Seconds between two looks at rates that go down by themselves."""
SHOW_EVERY: Final = 10.0
"""Seconds between two looks at tokens."""
READ_EVERY: Final = 600.0
"""Seconds after which the sums are read again: what came since was added as it came."""


class TrafficMonitor:
    """Follows the traffic of all processes on the log. `running` returns the requests of this one."""

    def __init__(
        self, pool: LivePool, running: Callable[[], Sequence[RunningRequest]], zone: tzinfo = UTC
    ) -> None:
        self._pool = pool
        self._running = running
        self._zone = zone
        self._recent = RecentAttempts()
        self._shown_to: int | None = None
        self._read_at: float | None = None
        self._through = 0
        self._tokens: dict[Cell, int] = {}
        """The tokens of the last hours by key, up to `_through` as read, and what came after that."""
        self._accounts: Accounts = {}
        self.usage: RecentUsage | None = None
        pool.observers.append(self._observe)

    def _observe(self, record: Record, sequence: int | None) -> None:
        if isinstance(record, Attempt):
            self._recent.add((record,), self._pool.clock.time())
        if sequence is None or sequence > self._through:
            self._add(record)

    def _add(self, record: Record) -> None:
        if isinstance(record, IdentityRead) and record.account:
            self._accounts = {**self._accounts, record.fingerprint: record.account}
        elif isinstance(record, Attempt) and (part := addition(record)):
            cell = part[0]._replace(series=of_key(part[0].series))
            self._tokens[cell] = self._tokens.get(cell, 0) + part[1].tokens

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
        """Tell of the tokens of the last hours whenever the log has grown; until cancelled."""
        async for _ in self._pool.changes():
            if self._pool.sequence != self._shown_to and self._pool.problem is None:
                await self._show()
                await self._pool.clock.sleep(SHOW_EVERY)

    async def _show(self) -> None:
        now, sequence = self._pool.clock.time(), self._pool.sequence
        if self._read_at is None or not self._read_at <= now < self._read_at + READ_EVERY:
            try:
                await self._read(now)
            except UnreachableLogError:
                return  # the pool reports it, and the next change tries again
        self._shown_to = sequence
        usage = recent_usage(self._tokens, self._accounts, now, self._zone)
        if usage != self.usage:
            self.usage = usage
            self._pool.announce()

    async def _read(self, now: float) -> None:
        since = min(midnight(now, self._zone), now - HOURS * HOUR)
        reading, came = await self._pool.read_usage(since, "keys")
        series: dict[Series, Series] = {}
        self._tokens = {
            cell._replace(series=series.setdefault(cell.series, cell.series)): each.tokens
            for cell, each in reading.usage.items()
            if cell.start + cell.seconds > since  # whole days are read
        }
        self._accounts = reading.accounts
        self._through, self._read_at = reading.through, now
        for record in came:
            self._add(record)
