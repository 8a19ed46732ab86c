"""The processes of a run, seen from outside: started, stopped, killed, started again until all is done."""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.truth import Period


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed for its caller, from when to when (epoch seconds), and what the caller read."""

    request: str
    since: float
    until: float
    text: str


@dataclass(slots=True, eq=False)
class Worker:
    """A process: what became of it, and what it said. Times are epoch seconds."""

    number: int
    requests: int
    process: asyncio.subprocess.Process
    started: float = field(default_factory=time.time)
    ended: float = float("inf")
    killed: bool = False
    stopped: list[Period] = field(default_factory=list)
    states: list[tuple[float, list[str]]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    alone: list[Period] = field(default_factory=list)
    """When it went on without the log, as that was away or slow."""
    done: int = 0
    longest: float = 0.0
    joined: float = float("inf")
    """When it said for the first time which keys it takes for blocked: it has read the log, or knew none."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def runs(self) -> bool:
        """Whether it makes requests: it has started, has not finished, and has not been killed."""
        return self.up.is_set() and not self.finished.is_set() and not self.killed

    async def read(self) -> None:
        """Take down what it says, until it ends."""
        assert self.process.stdout
        async for text in self.process.stdout:
            if not text.endswith(b"\n"):
                break  # it was killed in the middle of a line
            line = json.loads(text)
            if "states" in line:
                self.states.append((line["at"], line["states"]))
                self.joined = min(self.joined, line["at"])
                self.up.set()
            elif "alone" in line:
                if line["alone"]:
                    self.alone.append(Period(line["at"]))
                elif self.alone:
                    self.alone[-1].until = line["at"]
            elif "finished" in line:
                self.finished.set()
            else:
                self.done += 1
                self.longest = max(self.longest, line["took"])
                if line["error"]:
                    since = line["at"] - line["took"]
                    self.failures.append(Failure(line["request"], since, line["at"], line["error"]))
        self.ended = min(self.ended, time.time())
        if self.alone:
            self.alone[-1].until = min(self.alone[-1].until, self.ended)
        self.up.set()
        self.finished.set()

    def set_clock(self, wrong_by: float) -> None:
        """Let its clock be wrong by some seconds from now on."""
        assert self.process.stdin
        self.process.stdin.write(f"clock {wrong_by}\n".encode())

    async def stop(self, seconds: float) -> None:
        """Stop it for a while, as a laptop that sleeps."""
        self.process.send_signal(signal.SIGSTOP)
        period = Period(time.time())
        self.stopped.append(period)
        try:
            await asyncio.sleep(seconds)
        finally:
            period.until = time.time()
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word."""
        self.killed, self.ended = True, time.time()
        self.process.kill()


class Workers:
    """All processes of a run."""

    def __init__(self, settings: Path, environment: Mapping[str, str], pause: float) -> None:
        self._settings = settings
        self._pause = pause
        self._environment = {**os.environ, **environment}
        self._numbers = itertools.count(1)
        self._first = asyncio.Event()
        self.all: list[Worker] = []

    @property
    def running(self) -> list[Worker]:
        """The processes that still make requests."""
        return [worker for worker in self.all if worker.runs]

    async def started(self) -> None:
        """Wait until the first of them makes requests."""
        await self._first.wait()

    async def serve(self, requests: int) -> None:
        """Have so many requests made, by one process after another where one is killed."""
        while requests > 0:
            worker = await self.start(requests)
            reading = asyncio.create_task(worker.read())
            await worker.up.wait()
            self._first.set()
            await worker.finished.wait()
            requests -= worker.done if worker.killed else requests
            if worker.killed:
                await reading
                await worker.process.wait()

    async def start(self, requests: int) -> Worker:
        """Start a process."""
        number = next(self._numbers)
        arguments = map(str, (self._settings, number, requests, self._pause))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.worker", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=self._environment,
        )  # fmt: skip
        worker = Worker(number, requests, process)
        self.all.append(worker)
        return worker

    async def end(self) -> None:
        """Let all processes end, and see that they do without an error."""
        for worker in self.all:
            if worker.process.stdin and worker.process.returncode is None:
                worker.process.stdin.close()
        for worker in self.all:
            code = await worker.process.wait()
            if code and not worker.killed:
                raise RuntimeError(f"process {worker.number} ended with {code}")
