"""The test harness: a user's settings and log, a simulated cloud, and a clock that a test moves."""

import asyncio
import heapq
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import ChatEvent, Finished, Message
from okr_tui.cloud.dialects import Delta
from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.records import Client, IdentityRead, Record
from okr_tui.services import live_pool, log_writer, shared_slots
from okr_tui.services.live_pool import LivePool
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import Snapshot
from okr_tui.settings.layers import Sources
from okr_tui.store.factory import locate_store
from tests.waiting import LIMIT, until

SomeRecord = TypeVar("SomeRecord", bound=Record)

START = 1_793_000_000.0
MODEL = "gpt-oss:20b"
FAST_POLICY = {"retry_same": [0, 0], "confirm_after": [1, 1], "spent_jitter": [30, 30], "ramp_step": 0}


class ManualClock:
    """A clock that moves only by `advance`."""

    def __init__(self, now: float = START) -> None:
        self._now = now
        self.wrong_by = 0.0
        """How far somebody has set the clock on, in seconds."""
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        """Return the epoch seconds it stands at."""
        return self._now + self.wrong_by

    def monotonic(self) -> float:
        """Return the seconds that have passed, whatever the clock was set to."""
        return self._now - START

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced that far; no seconds only let others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (self._now + seconds, next(self._order), woken)
        heapq.heappush(self._sleepers, sleeper)
        try:
            await woken
        except asyncio.CancelledError:
            if sleeper in self._sleepers:  # or a long sleep that was given up stays until its time
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
            raise

    @property
    def sleeping(self) -> int:
        """The number of tasks that sleep on this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move the clock forward and wake who slept until then."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        await asyncio.sleep(0)


@dataclass
class Harness:
    """One user's settings, log, cloud and clock."""

    home: Path
    url: str
    cloud: SimulatedCloud
    clock: ManualClock
    control: httpx.AsyncClient
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def settings_file(self) -> Path:
        """The global settings file."""
        return self.home / "settings.json"

    def write_settings(self, *, policy: Mapping[str, object] | None = None, **section: object) -> None:
        """Write settings with all of the cloud's keys; `section` replaces fields of pi-ollama."""
        keys = [{"key": text, "label": label} for text, label in self.cloud.keys]
        document = {
            "theme": "kept",
            "pi-ollama": {"cloudUrl": self.url, "apiKeys": keys, "activeKeyIndex": 0, **section},
            "okr-tui": {
                "store": f"sqlite:{self.home / 'log.db'}",
                "policy": {**FAST_POLICY, **(policy or {})},
            },
        }
        self.settings_file.write_text(json.dumps(document, indent=2))

    def open(
        self, *, client: Client = "cli", watching: bool = False
    ) -> AbstractAsyncContextManager[PoolService]:
        """Open the pool service of one process."""
        sources = Sources(self.settings_file, self.home / "project", self.environment)
        return PoolService.open(sources, client=client, watching=watching, clock=self.clock)

    async def note_accounts(self) -> None:
        """Write into the log whose keys they are, as readings of the cloud would."""
        store, now = locate_store(f"sqlite:{self.home / 'log.db'}"), self.clock.time()
        read = [
            IdentityRead(
                at=now,
                started=now,
                fingerprint=fingerprint(text),
                account=str(credential.account.identity()["ID"]),
                plan=credential.account.plan,
            )
            for text, credential in self.cloud.state.credentials.items()
        ]
        await store.append(read)
        await store.close()

    async def fault(self, fault: str, **order: object) -> None:
        """Make the simulated cloud fail as ordered."""
        (await self.control.post("/_demo/faults", json={"fault": fault, **order})).raise_for_status()

    async def change(self, account: str, **values: object) -> None:
        """Change an account of the simulated cloud."""
        (await self.control.post(f"/_demo/accounts/{account}", json=values)).raise_for_status()

    async def sent(self, path: str = "/api/chat") -> list[int | None]:
        """Return the 1-based number of the key of every request the cloud received on a path."""
        numbers = {fingerprint(text): number for number, (text, _) in enumerate(self.cloud.keys, 1)}
        received: list[dict[str, Any]] = (await self.control.get("/_demo/requests")).json()["requests"]
        return [numbers.get(item["key"]) for item in received if item["path"] == path]


def set_log_patience(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let requests wait so long for the log before they go on without it."""
    for module in (live_pool, log_writer, shared_slots):
        patch.setattr(module, "SHORT", seconds)


@asynccontextmanager
async def open_harness(
    home: Path, scenario: str = "calm", **changes: object
) -> AsyncGenerator[Harness, None]:
    """Serve the cloud of a scenario and write settings for it; `changes` go to `write_settings`."""
    clock = ManualClock()
    cloud = SimulatedCloud(SCENARIOS[scenario], clock=clock.time, pace=0)
    async with serve(cloud) as url, httpx.AsyncClient(base_url=url, timeout=LIMIT, verify=False) as control:
        harness = Harness(home, url, cloud, clock, control)
        harness.write_settings(**changes)  # type: ignore[arg-type]
        yield harness


async def ask(
    service: PoolService, text: str = "Why is the sky blue?", conversation: str = "one"
) -> Finished:
    """Ask, and return how the whole answer ended."""
    events = [event async for event in stream_answer(service, text, conversation)]
    assert any(isinstance(event, Delta) for event in events)
    assert isinstance(events[-1], Finished)
    return events[-1]


def stream_answer(
    service: PoolService, text: str = "Hello", conversation: str = "one", caller: str | None = None
) -> AsyncGenerator[ChatEvent, None]:
    """Ask, and stream the events of the answer. `caller` names who asks, in the log."""
    return PoolClient(service, caller).chat(MODEL, [Message("user", text)], conversation=conversation)


async def logged(pool: LivePool, kind: type[SomeRecord]) -> list[SomeRecord]:
    """The records of a kind in the log, once it holds all that this pool learned.

    On a slow machine the log may take longer than a request waits for it.
    """
    await until(lambda: not pool._writer.unsent)
    return [item.record for item in await pool.store.read() if isinstance(item.record, kind)]


async def wait_for(service: PoolService, condition: Callable[[Snapshot], bool]) -> Snapshot:
    """Return the first snapshot that meets a condition, within ten seconds."""
    async with asyncio.timeout(LIMIT):
        async for snapshot in service.snapshots():
            if condition(snapshot):
                return snapshot
    raise AssertionError("the snapshots ended")
