"""What happens to accounts, processes and the log while requests are made."""

import asyncio
import contextlib
import random
import resource
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from okr_tui.demo.scenarios import Change, FaultRule
from tests.chaos.processes import Workers
from tests.chaos.truth import CHAT, GRACE, Period, Truth

WELL: Final = 2
"""Accounts that are good all the time, at least, whichever they are."""
USED: Final = 0.5
"""How often a mishap is for the account that is in use."""
CLOCKS: Final = (0.0, 900.0, -900.0, 3_600.0, -3_600.0, 86_400.0, -86_400.0)
"""By how much a clock may be wrong, in seconds: by more than a run takes, so that true times can be told."""
FULL: Final = 4096
"""Bytes at which a full disk cuts off every file."""


async def disturb_accounts(truth: Truth, dice: random.Random, counts: Counter[str]) -> None:
    """One mishap after another, each for one account, while enough others have long been good."""
    cures: dict[str, tuple[float, Change | None]] = {}
    try:
        while True:
            await asyncio.sleep(dice.uniform(0.05, 0.2))
            now = time.time()
            for name, (until, cure) in tuple(cures.items()):
                if until > now:
                    continue
                if cure:
                    truth.change(cure)
                cures[name] = (until, None)
                if until + 1.5 * GRACE < now:
                    del cures[name]
            good = [name for name in truth.cloud.state.accounts if name not in cures]
            if len(good) > WELL:
                used = truth.sent[-1].account if truth.sent else ""
                name = used if used in good and dice.random() < USED else dice.choice(good)
                harm, cure, seconds = dice.choice(_illnesses(name, dice))
                counts[_kind(harm)] += 1
                truth.change(harm)
                lasting = truth.cloud.state.accounts[name].windows["session"].ends - now
                cures[name] = (now + (seconds or lasting), cure)
            elif len(truth.cloud.state.rules) < 2:
                rule = dice.choice(_faults(dice.choice(list(truth.cloud.state.accounts))))
                counts[rule.fault] += 1
                truth.cloud.state.apply(rule, truth.cloud.state.advance())
    finally:
        truth.cloud.state.rules.clear()
        for _, cure in cures.values():
            if cure:
                truth.change(cure)


def _illnesses(name: str, dice: random.Random) -> list[tuple[Change, Change | None, float | None]]:
    """Return what may happen to an account, what cures it, and after how long; None: by its next reset."""
    seconds = dice.uniform(1, 3)
    return [
        (Change(name, session=100), None, None),
        (Change(name, session=100), None, None),
        (Change(name, revoke=1), Change(name, restore=1), seconds),
        (Change(name, suspended=True), Change(name, suspended=False), seconds),
        (Change(name, elsewhere=10), Change(name, elsewhere=0), seconds),
    ]


def _kind(harm: Change) -> str:
    if harm.session:
        return "spent"
    return "revoked" if harm.revoke else "suspended" if harm.suspended else "busy"


def _faults(name: str) -> list[FaultRule]:
    """Return how the cloud may fail a request on an account."""
    return [
        FaultRule("slow-first-byte", times=3, account=name, path=CHAT, seconds=0.2),
        FaultRule("connection-dropped", account=name, path=CHAT),
        FaultRule("internal-error", account=name, path=CHAT),
        FaultRule("internal-error", account=name, path=CHAT, in_stream=True, after=0),
        FaultRule("overloaded", account=name, path=CHAT),
        FaultRule("hang", account=name, path=CHAT),
        FaultRule("concurrency", times=2, account=name, path=CHAT),
    ]


Mishap = Callable[[], Awaitable[None]]


async def disturb_processes(
    workers: Workers, log: dict[str, Mishap], dice: random.Random, counts: Counter[str]
) -> None:
    """Kill, stop and mislead processes, and take the log from them; each way once before any comes again."""

    async def kill() -> None:
        dice.choice(workers.running).kill()

    async def stop() -> None:
        await dice.choice(workers.running).stop(dice.uniform(0.5, 2))

    async def set_clock() -> None:
        dice.choice(workers.running).set_clock(dice.choice(CLOCKS))

    ways: dict[str, Mishap] = {"kill -9": kill, "SIGSTOP": stop, "clock": set_clock, **log}
    while True:
        for name in dice.sample(sorted(ways), len(ways)):
            await asyncio.sleep(dice.uniform(0.2, 0.8))
            if workers.running:
                counts[name] += 1
                await ways[name]()


class FileOutages:
    """What takes a log file away. `away` are the times at which it was."""

    def __init__(self, path: Path, workers: Workers, dice: random.Random) -> None:
        self._path = path
        self._workers = workers
        self._dice = dice
        self.away: list[Period] = []
        self.mishaps: dict[str, Mishap] = {"locked": self.lock, "full": self.fill}

    async def lock(self) -> None:
        """Hold the log, as a backup does."""
        database = sqlite3.connect(self._path, check_same_thread=False)
        with contextlib.closing(database), _noted(self.away):
            await asyncio.to_thread(database.execute, "begin exclusive")
            await asyncio.sleep(self._dice.uniform(0.5, 2.5))

    async def fill(self) -> None:
        """Let no process write beyond the first bytes of any file, as a full disk does."""
        running = self._workers.running
        with _noted(self.away, full=True):
            limits = {}
            try:
                for worker in running:
                    with contextlib.suppress(ProcessLookupError):
                        pid = worker.process.pid
                        limits[pid] = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL, limits[pid][1]))
                await asyncio.sleep(self._dice.uniform(0.5, 2.5))
            finally:
                for pid, limit in limits.items():
                    with contextlib.suppress(ProcessLookupError):
                        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


class Proxy:
    """A way to a server that can be cut, or fall silent. `away` are the times at which it was."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self._port = port
        self._dice = dice
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut = False
        self.delay = 0.0
        """Seconds by which everything is late, each way."""
        self._connections: set[asyncio.StreamWriter] = set()
        self.away: list[Period] = []
        self.mishaps: dict[str, Mishap] = {"cut": self.cut, "partition": self.hold}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Serve on a port of its own, which is yielded."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self._abort()

    async def cut(self) -> None:
        """End every connection and refuse new ones, as a server that was killed."""
        with _noted(self.away), self.closed():
            await asyncio.sleep(self._dice.uniform(0.5, 2.5))

    async def hold(self) -> None:
        """Let nothing through, as a network that is parted; what was sent meanwhile arrives afterwards."""
        with _noted(self.away), self.held():
            await asyncio.sleep(self._dice.uniform(0.5, 2.5))

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Have no connection in the block."""
        self._cut = True
        self._abort()
        try:
            yield
        finally:
            self._cut = False

    @contextlib.contextmanager
    def held(self, *, lost: bool = False) -> Iterator[None]:
        """Let nothing through in the block; what was sent meanwhile comes afterwards, unless it is `lost`."""
        self._flowing.clear()
        try:
            yield
        finally:
            if lost:
                self._abort()
            self._flowing.set()

    def _abort(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        ends = {writer}
        try:
            onward, server = await asyncio.open_connection("127.0.0.1", self._port)
            ends.add(server)
            self._connections |= ends
            await asyncio.gather(self._pass(reader, server), self._pass(onward, writer))
        except OSError:
            pass  # either end was cut
        finally:
            self._connections -= ends
            for end in ends:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@contextlib.contextmanager
def _noted(periods: list[Period], *, full: bool = False) -> Iterator[None]:
    period = Period(time.time(), full=full)
    periods.append(period)
    try:
        yield
    finally:
        period.until = time.time()
