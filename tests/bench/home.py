"""The home of a user who has worked with the program for days: 20 keys, 60 models, a log of 50,000 records.

It is made once, in a temporary folder, with a simulated cloud in a process of its own.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from okr_tui.demo import SimulatedCloud, serve
from okr_tui.demo.scenarios import Holder, Scenario, legacy
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.models import LIST_DOCUMENT, Model
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.records import Attempt, BalanceRead, IdentityRead, Record
from okr_tui.services.model_catalog import LISTS, KeptModels
from okr_tui.store.sqlite import SqliteStore
from tests.bench.streams import Streams

KEYS = 20
MODELS = 60
RECORDS = 50_000
DAYS = 3.0
FAULT_EVERY = 40
BUSY = Fault(FaultKind.BUSY, Scope.ACCOUNT, status=429, text="too many concurrent requests")
AT_ONCE = 500
PLENTY = 100_000


def plenty(keys: int) -> Scenario:
    """So many accounts with a key each and quota without end."""
    holders = tuple(Holder(f"user-{at:02}", "pro", legacy(20, 10, PLENTY)) for at in range(1, keys + 1))
    # At the speed below as long as real ones.
    return Scenario("bench", holders, session_seconds=180.0, weekly_seconds=6048.0, balance_reads=100_000)


@dataclass(frozen=True)
class Home:
    """The folder, the cloud's address, and how programs are started in it."""

    folder: Path
    cloud_url: str

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def log(self) -> Path:
        return self.folder / "state" / "okr-tui" / "log.db"

    @property
    def conversations(self) -> Path:
        return self.log.with_name("conversations.db")

    @property
    def environment(self) -> dict[str, str]:
        """What a program sees: this home and nothing of the user's own."""
        own = {"HOME": str(self.folder), "OKR_TUI_SETTINGS": str(self.settings)}
        own |= {f"XDG_{name}_HOME": str(self.folder / name.lower()) for name in ("STATE", "DATA", "CACHE")}
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(Path.cwd()), **own, **terminal}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "okr_tui", *arguments]

    def run(self, command: Sequence[str]) -> float:
        """Run a program to its end and return the seconds it took."""
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, check=False
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{command} failed: {done.stderr.decode()[-2000:]}")
        return seconds

    def verb(self, *arguments: str) -> float:
        """Run a verb of ours and return its seconds."""
        return self.run(self.command(*arguments))

    def python(self, code: str) -> float:
        """Run a line of Python and return its seconds."""
        return self.run([sys.executable, "-c", code])


def _serve(pipe: "Connection[Any, Any]", played: Scenario) -> None:
    async def run() -> None:
        cloud = SimulatedCloud(played, speed=0.01)
        cloud.app = Streams(cloud.app)
        async with serve(cloud) as url:
            pipe.send((url, cloud.keys))
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextmanager
def made(
    keys: int = KEYS,
    models: int = MODELS,
    records: int = RECORDS,
    scenario: Scenario | None = None,
    *,
    folded: bool = True,
) -> Iterator[Home]:
    """Make a home in a temporary folder, with a running cloud: of so many good keys, or another scenario.

    `folded`: with a kept state of its log.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, scenario or plenty(keys)), daemon=True
    )
    process.start()
    url, secrets = ours.recv()
    try:
        with tempfile.TemporaryDirectory(prefix="okr-tui-bench-") as folder:
            home = Home(Path(folder), url)
            entries = [{"key": text, "label": f"k{at:02}"} for at, (text, _) in enumerate(secrets, 1)]
            home.settings.touch(mode=0o600)
            home.settings.write_text(
                json.dumps(
                    {
                        "pi-ollama": {"cloudUrl": url, "apiKeys": entries},
                        "okr-tui": {"gateway": {"port": 0}, "alerts": {"events": []}},
                    }
                )
            )
            names = model_names(models)
            fingerprints = [fingerprint(text) for text, _ in secrets]
            asyncio.run(_fill(home, fingerprints, names, records))
            if folded:
                home.verb("status")  # folds the log, and keeps the state
            yield home
    finally:
        ours.send(None)
        process.join(10)


async def _fill(home: Home, fingerprints: list[str], names: list[str], count: int) -> None:
    home.log.parent.mkdir(parents=True)
    store = await SqliteStore.open(home.log)
    now = time.time()
    try:
        records = history(fingerprints, names, count, now)
        while batch := list(itertools.islice(records, AT_ONCE)):
            await store.append(batch)
        models = tuple(
            Model(
                name,
                digest=f"{at:064x}",
                parameters=at * 10**9,
                context_length=131_072,
                capabilities=("completion", "tools", "thinking"),
                family="family",
                quantization="FP8",
            )
            for at, name in enumerate(names, 1)
        )
        known = replace(KeptModels(home.cloud_url), refreshed_at=now, models=models)
        await store.save(LIST_DOCUMENT, LISTS.write(known))
    finally:
        await store.close()


def model_names(count: int) -> list[str]:
    return [f"model-{at:02}:{at}b" for at in range(1, count + 1)]


def _attempt(number: int, at: float, fingerprints: list[str], names: list[str]) -> Attempt:
    return Attempt(
        at=at,
        started=at - 2,
        client="gateway",
        caller="laptop",
        fingerprint=fingerprints[number // 50 % len(fingerprints)],
        model=names[number % len(names)],
        path="/v1/chat/completions",
        outcome="fault" if number % FAULT_EVERY == 0 else "ok",
        fault=BUSY if number % FAULT_EVERY == 0 else None,
        first_byte_ms=300,
        duration_ms=2000,
        input_tokens=900,
        cached_tokens=300,
        output_tokens=250,
    )


def history(fingerprints: list[str], names: list[str], count: int, now: float) -> Iterator[Record]:
    """The records of some days: requests of every key, and a reading of each account at the end."""
    apart = DAYS * 86400 / count
    begin = now - DAYS * 86400 - 1
    for index, key in enumerate(fingerprints):
        yield IdentityRead(at=begin, started=begin, fingerprint=key, account=f"account-{index}", plan="pro")
    for number in range(count):
        at = begin + 1 + number * apart - 120
        yield _attempt(number, at, fingerprints, names)
    for reader in fingerprints:
        windows = (
            Window("session", used_percent=37.5, resets_at=now + 9000),
            Window("weekly", used_percent=20.0, resets_at=now + 300_000),
        )
        yield BalanceRead(at=now - 60, started=now - 61, fingerprint=reader, balance=Balance(windows=windows))


def _arrive(home: Home, rate: float) -> None:
    async def run() -> None:
        store = await SqliteStore.open(home.log)
        entries = json.loads(home.settings.read_text())["pi-ollama"]["apiKeys"]
        keys = [fingerprint(entry["key"]) for entry in entries]
        began, written = time.monotonic(), 0
        while True:
            await asyncio.sleep(0.02)
            due = range(written, int(rate * (time.monotonic() - began)))
            written = due.stop
            if due:
                await store.append([_attempt(each, time.time(), keys, model_names(MODELS)) for each in due])

    asyncio.run(run())


@contextmanager
def arriving(home: Home, rate: float) -> Iterator[None]:
    """Let another process append so many records a second meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=_arrive, args=(home, rate), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()
