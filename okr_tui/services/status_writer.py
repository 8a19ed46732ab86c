"""What status bars show of the pool, kept beside the log so that they need not fold it."""

import asyncio
import contextlib
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.domain.health import WINDOW_WORDS
from okr_tui.domain.status_line import STATUS, PoolStatus
from okr_tui.domain.view import view
from okr_tui.services.live_pool import LivePool

APART: Final = 2.0
"""Seconds between two writes; status bars look every five or so."""


def pool_status(pool: LivePool) -> PoolStatus:
    """Return what a status bar shows. Requests under way are left out: they come and go too fast for it."""
    now = pool.clock.time()
    return PoolStatus.of(view(pool.state, pool.config, pool.policy, now), now, WINDOW_WORDS)


class StatusWriter:
    """Writes the pool's status whenever it has changed. Several processes that know the same write once."""

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self.knows = False
        """Whether the pool has read the log, so that it has something to tell."""
        self._written: PoolStatus | None = None

    async def run(self) -> None:
        """Write what changes, for ever."""
        async for _ in self._pool.changes():
            await self.write()
            await asyncio.sleep(APART)

    async def close(self) -> None:
        """Write what the process knows at its end; a log out of reach keeps what was known before."""
        if self.knows:
            with contextlib.suppress(StoreError):  # the pool has told of it
                await self.write()

    async def write(self) -> None:
        """Write the status unless it is there already. Raises StoreError."""
        status = pool_status(self._pool)
        if self._written and status.says_the_same(self._written):
            return
        kept = PoolStatus.read(await self._pool.store.load(STATUS))
        if kept is None or not status.says_the_same(kept):
            await self._pool.store.save(STATUS, status.write())
        self._written = status
