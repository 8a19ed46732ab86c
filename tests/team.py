"""`python -m tests.team`: what a log costs that many machines share.

Machines send with the keys of one pool, or each with keys of its own (`--own-keys`), and read each other's
records. Folding is measured in this process, traffic at a server that a few machines follow: each of them
costs the same.
"""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.fold import apply
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.records import Attempt, BalanceRead, IdentityRead, Record
from okr_tui.domain.state import PoolState
from okr_tui.services.background import SystemClock
from okr_tui.services.live_pool import LivePool
from okr_tui.services.log_writer import SNAPSHOTS, KeptState
from okr_tui.store.redis import RedisStore
from tests.redis_server import RedisServer

POLICY: Final = Policy()
START: Final = 1_800_000_000.0
FOLLOWERS: Final = 5
SECONDS: Final = 10.0
FOLLOWING: Final = ("xread", "xrange", "mget", "multi", "exec")
"""The commands of who follows a log, and of nobody else."""
SPENT: Final = Fault(FaultKind.SPENT, Scope.ACCOUNT, "session usage limit", 429, window="session")


@dataclass(frozen=True)
class Team:
    """Machines and their keys: the same for all, or of their own."""

    machines: int
    keys: int
    own_keys: bool

    def records(self) -> Iterator[Record]:
        """Yield what they write, without end: identity and quota of each key, and requests."""
        dice = random.Random(1)
        at = START
        seen: set[int] = set()
        while True:
            at += 60 / self.machines  # each machine sends once a minute
            machine, key = dice.randrange(self.machines), dice.randrange(self.keys)
            number = machine * self.keys + key if self.own_keys else key
            name, account, who = f"{number:012x}", f"account-{number}", f"person-{machine}"
            if number not in seen:
                seen.add(number)
                yield IdentityRead(at=at, started=at, who=who, fingerprint=name, account=account, plan="pro")
            if dice.random() < 0.1:
                used = dice.uniform(0, 99)
                balance = Balance(windows=(Window("session", used, at + 9000),))
                yield BalanceRead(at=at, started=at, who=who, fingerprint=name, balance=balance)
            spent = dice.random() < 0.01
            yield Attempt(
                at=at,
                started=at - 5,
                client="gateway",
                caller=who,
                who=who,
                fingerprint=name,
                model=f"model-{dice.randrange(20)}",
                path="/v1/chat/completions",
                outcome="fault" if spent else "ok",
                fault=SPENT if spent else None,
                first_byte_ms=310,
                duration_ms=5000,
                input_tokens=2000,
                output_tokens=500,
                cloud="https://ollama.com",
            )


def folded(records: Sequence[Record]) -> Iterator[str]:
    """Fold records one by one, as a process that follows the log does; yield what each tenth cost."""
    state, size = PoolState(), max(1, len(records) // 10)
    for tenth in range(10):
        part = records[tenth * size : (tenth + 1) * size]
        began = time.process_time()
        for record in part:
            state = apply(state, record, POLICY)
        each = (time.process_time() - began) / len(part)
        if tenth in (0, 4, 9):
            kept = len(SNAPSHOTS.write(KeptState(len(records), state)).encode())
            resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            yield (
                f"{(tenth + 1) * size:>9,} records  {len(state.keys):>8,} keys  {1e6 * each:>8.0f} us each  "
                f"state {kept / 1024:>9,.0f} KiB  process {resident:>5,.0f} MiB"
            )


async def shared(team: Team, records: Iterator[Record]) -> list[str]:
    """Have a few machines follow a log on a server, and count what that costs it."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        try:
            return await _followed(team, records, server.url)
        finally:
            server.kill()


async def _followed(team: Team, records: Iterator[Record], url: str) -> list[str]:
    keys = tuple(Key.of(f"a synthetic key number {index}", "global") for index in range(team.keys))
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Redis.from_url(url, decode_responses=True))
        pools = []
        for _ in range(FOLLOWERS):
            store = RedisStore(url)
            stack.push_async_callback(store.close)
            pools.append(LivePool(store, PoolConfig(keys, person="birch"), POLICY, SystemClock()))
            await pools[-1].open()
        following = [asyncio.create_task(pool.follow()) for pool in pools]
        idle = await _cost(client, SECONDS)
        writer = RedisStore(url)
        stack.push_async_callback(writer.close)
        rate = team.machines / 60
        count = 0

        async def write() -> None:
            nonlocal count
            began = time.monotonic()
            while True:
                await asyncio.sleep(max(0.0, began + count / rate - time.monotonic()))
                await writer.append([next(records)])
                count += 1

        writing = asyncio.create_task(write())
        busy = await _cost(client, SECONDS)
        for task in (writing, *following):
            task.cancel()
        await asyncio.gather(writing, *following, return_exceptions=True)
        memory = await client.memory_usage("{okr-tui}:log", samples=0) or 0
        length = await client.xlen("{okr-tui}:log")
    lines = []
    for words, (commands, sent) in (("idle", idle), (f"{rate:.1f} requests/s", busy)):
        each, bytes_each = commands / FOLLOWERS / SECONDS, sent / FOLLOWERS / SECONDS
        lines.append(
            f"{words:>16}: a machine {each:6.1f} commands/s {bytes_each / 1024:6.1f} KiB/s;  all "
            f"{each * team.machines:9,.0f} commands/s {bytes_each * team.machines / 1024 / 1024:6.1f} MiB/s"
        )
    lines.append(f"a record takes {memory / max(1, length):.0f} bytes at the server")
    return lines


async def _cost(client: "Redis", seconds: float) -> tuple[int, int]:
    """Return the commands of those who follow, and the bytes that the server answered, in some seconds."""
    before = await _counted(client)
    await asyncio.sleep(seconds)
    commands, sent = (now - then for now, then in zip(await _counted(client), before, strict=True))
    return commands, sent


async def _counted(client: "Redis") -> tuple[int, int]:
    commands = await client.info("commandstats")
    calls = sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in FOLLOWING)
    return calls, (await client.info("stats"))["total_net_output_bytes"]


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.team", description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--own-keys", action="store_true", help="each machine has keys of its own")
    options = parser.parse_args()
    team = Team(options.machines, options.keys, options.own_keys)
    records = list(islice(team.records(), options.records))
    for line in folded(records):
        sys.stdout.write(f"{line}\n")
    for line in asyncio.run(shared(team, team.records())):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
