"""Background work of the service: loops that run until it is closed and survive every error."""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Final, Protocol

from okr_tui.domain.errors import StoreError
from okr_tui.domain.schedule import ahead_of, is_far
from okr_tui.domain.text import clean_line

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


BOOT_TIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


since_boot: Callable[[], float] = (
    time.monotonic if BOOT_TIME is None else partial(time.clock_gettime, BOOT_TIME)
)
"""Returns seconds that only grow; those that the machine slept count too where the system reports them."""


class SystemClock:
    """The machine's clock, unmoved, from the start of the process on, when someone sets it.

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


class Timer:
    """A call that is due at a moment of the loop's clock, unless it is cancelled."""

    __slots__ = ("_call", "due")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self._call: Callable[[], None] | None = call

    @property
    def is_over(self) -> bool:
        """Whether it was called or cancelled."""
        return self._call is None

    def cancel(self) -> None:
        """Do not call."""
        self._call = None

    def ring(self) -> None:
        """Call, once."""
        call, self._call = self._call, None
        if call:
            call()


class Timers:
    """Timers of a few durations, nearly all of which are cancelled.

    Those of one duration are due in the order in which they began, so one timer of the loop serves them all:
    each of its own would cost several times as much.
    """

    def __init__(self) -> None:
        self._queues: dict[float, deque[Timer]] = {}
        self._waiting: dict[float, asyncio.TimerHandle] = {}

    def start(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call after some seconds, unless the timer is cancelled before."""
        loop = asyncio.get_running_loop()
        timer = Timer(loop.time() + seconds, call)
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = deque()
        while queue and queue[0].is_over:
            queue.popleft()
        queue.append(timer)
        if seconds not in self._waiting:
            self._waiting[seconds] = loop.call_at(timer.due, self._ring, seconds)
        return timer

    def _ring(self, seconds: float) -> None:
        """Call what is due, and wait for the next that is not."""
        loop, queue = asyncio.get_running_loop(), self._queues[seconds]
        del self._waiting[seconds]
        try:
            while queue and (queue[0].is_over or queue[0].due <= loop.time()):
                queue.popleft().ring()
        finally:  # a call that fails takes none of the others with it
            if not queue:
                self._queues.pop(seconds, None)
            elif seconds not in self._waiting:
                self._waiting[seconds] = loop.call_at(queue[0].due, self._ring, seconds)


TRY_AGAIN: Final = 5.0
"""Seconds after which a loop that failed starts again; doubled after each further unexpected failure."""
TRY_AGAIN_LONGEST: Final = 300.0


async def run_uncancelled(work: Coroutine[None, None, None]) -> None:
    """Run work to its end however often the caller is cancelled meanwhile, then pass the cancellation on."""
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
    """Runs loops until it is closed. One that fails is started again, and is a problem until then."""

    def __init__(self, clock: Clock, announce: Callable[[], None]) -> None:
        self._clock = clock
        self._announce = announce
        self._problems: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def problems(self) -> tuple[str, ...]:
        """The present problems of the loops, a line each."""
        return tuple(dict.fromkeys(self._problems.values()))

    def start(self, name: str, loop: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a loop in the background; `name` says in problems what it does, such as "reading quota"."""
        self._tasks.append(asyncio.create_task(self._run(name, loop), name=name))

    async def close(self) -> None:
        """End all loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, name: str, loop: Callable[[], Coroutine[None, None, None]]) -> None:
        wait = TRY_AGAIN
        while True:
            began = self._clock.monotonic()
            try:
                return await loop()
            except StoreError as error:
                wait, problem = TRY_AGAIN, str(error)
            except Exception as error:
                if self._clock.monotonic() - began > wait:
                    wait = TRY_AGAIN
                text = clean_line(f"unexpected {type(error).__name__}: {error}")
                problem = f"{name} failed: {text}; trying again"
            self._report(name, problem)
            await self._clock.sleep(wait)
            self._report(name, None)
            wait = min(2 * wait, TRY_AGAIN_LONGEST)

    def _report(self, name: str, problem: str | None) -> None:
        if problem is None:
            del self._problems[name]
        else:
            self._problems[name] = problem
        self._announce()


COLLECT_RARELY: Final = (5_000, 10, 10)


def tune_gc() -> None:
    """Collect garbage less often than by default, and leave out all objects that exist now.

    Call it once the program is up. By default all objects are traversed after every few requests, which
    costs a tenth of the processor's time under load and stalls streams and key presses for 50 ms.
    """
    gc.set_threshold(*COLLECT_RARELY)
    gc.freeze()
