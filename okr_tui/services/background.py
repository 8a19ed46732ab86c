"""The service's own work beside what it is asked for: tasks that run until it is closed."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.services.clock import Clock

TRY_AGAIN: Final = 5.0


async def run_uncancelled(work: Coroutine[None, None, None]) -> None:
    """Do the work whole, however often the caller is cancelled meanwhile; that is passed on afterwards."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled


class Background:
    """Runs tasks for ever. `trouble` is a log out of reach, in one line; `failure` is what ended a task."""

    def __init__(self, clock: Clock, announce: Callable[[], None]) -> None:
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self._clock = clock
        self._announce = announce
        self._failing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *works: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin these tasks."""
        for work in works:
            self._tasks.append(asyncio.create_task(self._kept(work), name=work.__qualname__))

    async def failed(self) -> Exception:
        """What ended a task, once one has ended; nothing brings it back."""
        await self._failing.wait()
        assert self.failure is not None
        return self.failure

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _kept(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run one. A log out of reach is tried again; anything else is told to those who wait for it."""
        while True:
            try:
                return await work()
            except StoreError as error:
                self.trouble = str(error)
                self._announce()
                await self._clock.sleep(TRY_AGAIN)
                self.trouble = None
            except Exception as error:
                self.failure = error
                self._failing.set()
                return self._announce()


SELDOM: Final = (5_000, 10, 20)


def tune_gc() -> None:
    """Look at all of it 14 times more seldom than by default, and no more at what is there now.

    By default everything is looked through after every few requests, which costs a tenth of the processor's
    time under load, and halts streams and key presses for 50 ms. To be called once the program stands.
    """
    gc.set_threshold(*SELDOM)
    gc.freeze()
