"""The service's own work beside what it is asked for: tasks that run until it is closed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.services.pool import Pool

TRY_AGAIN: Final = 5.0


class Background:
    """Runs tasks for ever. `trouble` is a log out of reach, in one line; `failure` is what ended a task."""

    def __init__(self, pool: Pool) -> None:
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self._pool = pool
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *works: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin these tasks."""
        for work in works:
            self._tasks.append(asyncio.create_task(self._kept(work), name=work.__qualname__))

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _kept(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run one. A log out of reach is tried again; anything else is told to who follows the snapshots."""
        while True:
            try:
                return await work()
            except StoreError as error:
                self.trouble = str(error)
                self._pool.announce()
                await self._pool.clock.sleep(TRY_AGAIN)
                self.trouble = None
            except Exception as error:
                self.failure = error
                return self._pool.announce()
