"""A day in minutes: `python -m tests.soak`.

The dashboard, the gateway and a service for each verb share one log through 24 simulated hours of requests,
on a cloud whose accounts are spent and come back, lose keys and fail. Every simulated hour it looks for what
grows (memory, tasks, open files, sleepers), for services that see the pool differently, and for keys that
stay blocked although the cloud has nothing against them. It exits 1 when it finds any.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Final

import httpx

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.service import ConversationService
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.demo import SimulatedCloud, serve
from okr_tui.demo.scenarios import Allowance, Change, FaultRule, Holder, Outage, Scenario
from okr_tui.domain.errors import CloudError, PoolBlockedError
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import Service
from okr_tui.settings.layers import Sources
from okr_tui.ui.app import OkrApp
from tests.gateway.running_gateway import RunningGateway, run_gateway
from tests.harness import Harness, ManualClock, stream_answer

HOUR: Final = 3600.0
STEP: Final = 30.0
REQUESTS_A_STEP: Final = 4
PATHS: Final = ("/api/chat", "/v1/chat/completions", "/v1/messages", "/api/generate", "/v1/responses")
SETTLED: Final = 8
"""Hours after which nothing may grow any more: each window was full once, each kind of fault was met."""
MEMORY_MORE: Final = 8.0
TASKS_MORE: Final = 4
FILES_MORE: Final = 4
STUCK: Final = {"spent": 1.1 * HOUR, "invalid": 1.1 * HOUR, "suspended": 24.1 * HOUR}
"""Seconds for which a key may stay in a state although the cloud has nothing against it: until it is read."""


def _days(*windows: tuple[str, float, float]) -> tuple[Allowance, ...]:
    return tuple(Allowance(*each) for each in windows)


SCENARIO: Final = Scenario(
    "soak",
    (
        Holder("amber", "pro", _days(("session", 1500, 20), ("weekly", 30_000, 30)), keys=2),
        Holder("birch", "free", _days(("session", 400, 0), ("weekly", 9000, 10))),
        Holder("cedar", "pro", _days(("monthly", 20_000, 70)), dollars=60.0),
        Holder("dogwood", "max", _days(("session", 3000, 50), ("weekly", 40_000, 95)), slots=10),
    ),
    timeline=(
        (0.6 * HOUR, Change("amber", revoke=1)),
        (0.9 * HOUR, Change("amber", restore=1)),
        (1.2 * HOUR, Outage(300, "unavailable")),
        (1.8 * HOUR, FaultRule("rate-limit", times=3, path="/api/chat")),
        (2.3 * HOUR, Change("birch", suspended=True)),
        (2.8 * HOUR, Change("birch", suspended=False)),
        (3.1 * HOUR, FaultRule("connection-dropped", times=2)),
        (3.4 * HOUR, Change("amber", elsewhere=3)),
        (3.7 * HOUR, Change("amber", elsewhere=0)),
        (3.9 * HOUR, Outage(60, "overloaded")),
    ),
    repeat=4 * HOUR,
    session_seconds=5 * HOUR,
    weekly_seconds=7 * 24 * HOUR,
    monthly_seconds=30 * 24 * HOUR,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands at the end of a simulated hour; memory in MiB, the log in KiB."""

    hour: int
    memory: float
    tasks: int
    files: int
    sleepers: int
    log: float
    requests: int
    failed: int


@dataclass
class Soak:
    """One run: its processes, what was counted, and what was found wrong."""

    harness: Harness
    gateway: RunningGateway
    dashboard: PoolService
    app: OkrApp
    random: random.Random
    statuses: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    good_since: dict[str, float] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)

    async def hour(self, hour: int) -> None:
        """Let an hour pass and look."""
        for _ in range(int(HOUR / STEP)):
            await self._pass(STEP)
        await self._verb(hour)
        self.gateway.access.clear()
        self.harness.cloud.state.requests.clear()
        gc.collect()
        _return_free_memory()
        self.readings.append(self._read(hour))

    async def _pass(self, seconds: float) -> None:
        """Ask, and move the clock on while the answers come."""
        count = self.random.randint(0, 2 * REQUESTS_A_STEP)
        asked = [asyncio.create_task(self._ask()) for _ in range(count)]
        if self.random.random() < 0.05:
            asked.append(asyncio.create_task(self._chat()))
        passed = 0.0
        waiting = set(asked)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=0.02)
            if waiting:
                await self.harness.clock.advance(1.0)
                passed += 1.0
        for task in asked:
            task.result()
        while passed < seconds:
            await self.harness.clock.advance(5.0)
            passed += 5.0
        self._watch_accounts()

    async def _ask(self) -> None:
        path = self.random.choice(PATHS)
        body: dict[str, object] = {"model": "gpt-oss:20b", "stream": self.random.random() < 0.7}
        if path == "/v1/responses":
            body["input"] = "Hello"
        elif path == "/api/generate":
            body["prompt"] = "Hello"
        else:
            body |= {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
        good = self._good_keys()
        response = await self.gateway.client.post(path, json=body, timeout=600)
        self.statuses[response.status_code] += 1
        if response.status_code == 402 and len(good & self._good_keys()) > 0 and self._calm():
            self.findings.append(
                f"{self._now()}: {path} got {response.text[:200]} while {sorted(good)} were good"
            )

    async def _chat(self) -> None:
        try:
            async for _ in stream_answer(self.dashboard, conversation=str(self.random.randrange(20))):
                pass
        except (CloudError, PoolBlockedError) as error:
            self.refused[type(error).__name__] += 1

    async def _verb(self, hour: int) -> None:
        """Open the log as a verb does, and compare what it sees with what the others see."""
        async with self.harness.open() as verb:
            for _ in range(50):  # what is under way arrives
                seen = {name: _states(service) for name, service in self._services(verb)}
                if len(set(map(str, seen.values()))) == 1:
                    return
                await self.harness.clock.advance(0.1)
                await asyncio.sleep(0.02)
        self.findings.append(f"hour {hour}: the services differ: {seen}")

    def _services(self, verb: PoolService) -> Iterator[tuple[str, PoolService]]:
        yield "verb", verb
        yield "gateway", self.gateway.service
        yield "dashboard", self.dashboard

    def _now(self) -> str:
        return f"{(self.harness.clock.monotonic()) / HOUR:.2f} h"

    def _calm(self) -> bool:
        return self.harness.cloud.state.outage is None

    def _good_keys(self) -> set[str]:
        """The labels of keys that the cloud has nothing against."""
        return {
            each.label
            for each in self.harness.cloud.state.credentials.values()
            if each.valid and not each.account.suspended and not each.account.spent()
        }

    def _watch_accounts(self) -> None:
        """Find keys that stay blocked although they are good."""
        now, good = self.harness.clock.time(), self._good_keys()
        for label in set(self.good_since) - good:
            del self.good_since[label]
        rows = {row.label: row for row in self.dashboard.snapshot.pool.keys}
        for label in good:
            since = self.good_since.setdefault(label, now)
            row = rows[label]
            if now - since > STUCK.get(row.state.value, math.inf):
                self.findings.append(
                    f"{self._now()}: {label} is {row.verdict.reason!r}, good for {now - since:.0f} s"
                )
                self.good_since[label] = now

    def _read(self, hour: int) -> Reading:
        log = sum(path.stat().st_size for path in self.harness.home.glob("log.db*"))
        return Reading(
            hour,
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
            len(asyncio.all_tasks()),
            len(list(Path("/proc/self/fd").iterdir())),
            self.harness.clock.sleeping,
            log / 1024,
            self.statuses.total(),
            self.statuses.total() - self.statuses[200],
        )

    def grown(self) -> Iterator[str]:
        """Yield what has grown since the first hours."""
        if len(self.readings) <= SETTLED:
            return
        then, now = self.readings[SETTLED - 1], self.readings[-1]
        for name, most in (
            ("memory", MEMORY_MORE),
            ("tasks", TASKS_MORE),
            ("files", FILES_MORE),
            ("sleepers", TASKS_MORE),
        ):
            before, after = getattr(then, name), getattr(now, name)
            if after - before > most:
                yield f"{name} grew from {before:.0f} to {after:.0f} since hour {SETTLED}"


def _return_free_memory() -> None:
    """Give back what the C library keeps of freed memory: it is no leak, and grows with its holes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim:
        trim(0)


def _states(service: PoolService) -> list[tuple[int, str]]:
    return [(row.index, row.state.value) for row in service.snapshot.pool.keys]


@asynccontextmanager
async def _stage(home: Path, seed: int) -> AsyncIterator[Soak]:
    clock = ManualClock()
    cloud = SimulatedCloud(SCENARIO, clock=clock.time, pace=0)
    async with serve(cloud) as url, httpx.AsyncClient(base_url=url, verify=False) as control:
        harness = Harness(home, url, cloud, clock, control)
        harness.write_settings()
        settings = json.loads(harness.settings_file.read_text())
        settings["okr-tui"]["policy"] = {}
        harness.settings_file.write_text(json.dumps(settings))
        sources = Sources(harness.settings_file, home / "project", {})
        async with (
            PoolService.open(sources, client="gateway", clock=clock, make_transport=Transport) as service,
            run_gateway(service) as gateway,
            harness.open(client="dashboard", watching=True) as dashboard,
            ConversationService.open(PoolClient(dashboard), home) as conversations,
        ):

            @asynccontextmanager
            async def opened() -> AsyncIterator[tuple[Service, ConversationService]]:
                yield dashboard, conversations

            app = OkrApp(opened, zone=UTC, clock=clock.time)
            async with app.run_test(size=(120, 40)):
                yield Soak(harness, gateway, dashboard, app, random.Random(seed))


def _say(*lines: str) -> None:
    # Textual takes what is printed while an application runs.
    print(*lines, sep="\n", file=sys.__stdout__, flush=True)


async def _run(hours: int, seed: int) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        async with _stage(Path(home), seed) as soak:
            _say("hour  memory  tasks  files  sleepers  log KiB  requests  not 200")
            for hour in range(1, hours + 1):
                await soak.hour(hour)
                r = soak.readings[-1]
                _say(
                    f"{r.hour:4}  {r.memory:6.1f}  {r.tasks:5}  {r.files:5}  {r.sleepers:8}  {r.log:7.0f}"
                    f"  {r.requests:8}  {r.failed:7}"
                )
            findings = [*soak.findings, *soak.grown()]
    _say(f"{dict(soak.statuses)}, chat {dict(soak.refused)} in {time.monotonic() - began:.0f} s")
    _say(*(findings[:20] or ["nothing found"]))
    return 1 if findings else 0


def main() -> int:
    """Run a day; return 1 when something grew, differed or stayed blocked."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return asyncio.run(_run(options.hours, options.seed))


if __name__ == "__main__":
    sys.exit(main())
