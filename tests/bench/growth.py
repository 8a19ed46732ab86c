"""What grows with keys and records: choice, view, settings, the fold, the start on a long log."""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from okr_tui.domain.choice import PoolConfig, SelectionRequest, choose
from okr_tui.domain.faults import BlockCause
from okr_tui.domain.fold import fold
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import STRATEGIES, Policy
from okr_tui.domain.state import AccountState, Block, KeyState, PoolState
from okr_tui.domain.view import view
from okr_tui.services.background import SystemClock
from okr_tui.services.live_pool import LivePool
from okr_tui.settings.layers import Sources, load
from okr_tui.store.sqlite import SqliteStore
from tests.bench.home import Home, history, made

KEYS = 1000
NOW = 1_800_000_000.0
CONDITIONS = ("good", "spent", "busy", "due")
RECORDS = 100_000


def seconds(work: Callable[[], object]) -> float:
    """The least processor time of three runs."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


@dataclass(frozen=True)
class Pool:
    """A pool of 1,000 keys of as many accounts, in one condition."""

    state: PoolState
    keys: tuple[Key, ...]
    flights: dict[str, int]

    @classmethod
    def of(cls, condition: str) -> "Pool":
        """Make a pool whose keys are all alike, or in turns in each condition ("mixed")."""
        keys = tuple(Key.of(f"synthetic-key-of-a-benchmark-{at:04}", "global") for at in range(KEYS))
        known: dict[str, KeyState] = {}
        accounts: dict[str, AccountState] = {}
        flights: dict[str, int] = {}
        for at, key in enumerate(keys):
            now = CONDITIONS[at % len(CONDITIONS)] if condition == "mixed" else condition
            until = {"spent": NOW + 3600 + at, "due": NOW - 60}.get(now)
            block = Block(BlockCause.SPENT, NOW - 7200, until) if until else None
            account = f"account-{at}"
            known[key.fingerprint] = KeyState(
                account=account, proven=True, last_used=NOW - at - 1, last_ok=NOW - at - 1
            )
            accounts[account] = AccountState(plan="pro", blocks={block.cause: block} if block else {})
            if now == "busy":
                flights[account] = 3
        return cls(PoolState(keys=known, accounts=accounts), keys, flights)

    def config(self, strategy: str) -> PoolConfig:
        return PoolConfig(self.keys, self.keys[0].fingerprint, strategy)  # type: ignore[arg-type]


def pools() -> Iterator[Pool]:
    return (Pool.of(condition) for condition in (*CONDITIONS, "mixed"))


def slowest_choice(_: Home) -> float:
    """Milliseconds of the slowest choice, over every strategy and condition."""

    def choice(pool: Pool, config: PoolConfig) -> object:
        return choose(pool.state, config, SelectionRequest(NOW, "m", None, pool.flights), Policy())

    every = itertools.product(pools(), STRATEGIES)
    return max(1000 * seconds(partial(choice, pool, pool.config(strategy))) for pool, strategy in every)


def slowest_view(_: Home) -> float:
    """Milliseconds of the slowest view, over every condition."""
    return max(
        1000 * seconds(partial(view, pool.state, pool.config("sticky"), Policy(), NOW, pool.flights))
        for pool in pools()
    )


def settings(_: Home) -> float:
    """Milliseconds to read a settings file of 1,000 keys."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        entries = [
            {"key": f"synthetic-key-of-a-benchmark-{at:04}", "label": f"user-{at}"} for at in range(KEYS)
        ]
        path.touch(mode=0o600)
        path.write_text(json.dumps({"pi-ollama": {"apiKeys": entries}}, indent=1))
        return 1000 * seconds(lambda: load(Sources(path, Path(folder), {})))


def records() -> tuple[list[str], list[str]]:
    """The keys and models of a history."""
    return [f"{at:012}" for at in range(20)], [f"model-{at:02}" for at in range(60)]


def folded(_: Home) -> float:
    """Records that are folded in a second."""
    logged = list(history(*records(), RECORDS, time.time()))
    return len(logged) / seconds(lambda: fold(logged, Policy()))


@contextmanager
def long_log(_: Home) -> Iterator[Path]:
    """A log without a kept state."""

    async def fill(path: Path) -> None:
        store = await SqliteStore.open(path)
        logged = list(history(*records(), RECORDS, time.time()))
        for start in range(0, len(logged), 500):
            await store.append(logged[start : start + 500])
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        asyncio.run(fill(path))
        yield path


def opened(path: Path) -> float:
    """Seconds until it is read."""

    async def open_it() -> float:
        store = await SqliteStore.open(path)
        pool = LivePool(store, PoolConfig(), Policy(), SystemClock())
        began = time.perf_counter()
        await pool.open()
        took = time.perf_counter() - began
        await store.close()
        return took

    return asyncio.run(open_it())


@contextmanager
def two_homes(_: Home) -> Iterator[tuple[Home, Home]]:
    """Homes of 10 and of 1,000 keys."""
    with made(keys=10, records=1000) as small, made(keys=KEYS, records=1000) as large:
        yield small, large


def keys_of_small(homes: tuple[Home, Home]) -> float:
    return homes[0].verb("keys", "--json")


def keys_of_large(homes: tuple[Home, Home]) -> float:
    return homes[1].verb("keys", "--json")
