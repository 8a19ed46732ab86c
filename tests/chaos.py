"""Many processes, many requests, keys that spend, slow, die and come back: nobody notices.

`python -m tests.chaos` runs the whole of it against the simulated cloud over real HTTP and says what it
found; the test suite runs a shorter one. The claims, checked on the log and on what the cloud received:

1. no request fails for its caller while the log knows an eligible key;
2. nothing is sent to an account that the log knew to be blocked when the request started;
3. every request the cloud received is in the log exactly once, and nothing else is.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from okr_tui.demo import Scenario, SimulatedCloud, serve
from okr_tui.demo.scenarios import Action, Change, FaultRule, Holder, legacy
from okr_tui.domain.choice import PoolConfig, SelectionRequest, verdicts
from okr_tui.domain.errors import OkrError
from okr_tui.domain.fold import apply, fold
from okr_tui.domain.health import State
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt, Record
from okr_tui.domain.state import PoolState
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from okr_tui.settings.policy import number
from okr_tui.store.sqlite import SqliteStore
from tests.harness import MODEL, stream_answer

ACCOUNTS = ("amber", "birch", "cedar", "dogwood", "elm", "fir")
KNOWN_AFTER = 0.25
SEEN_AFTER = 2.5
TOGETHER = 6
POLICY: dict[str, object] = {
    "first_byte": 1.0,
    "retry_same": [0.02, 0.05],
    "confirm_after": [0.05, 0.1],
    "spent_jitter": [0.05, 0.2],
    "balance_lag": 0.5,
    "invalid_steps": [0.5, 1.0],
    "shaky": 0.5,
    "outage_window": 0.2,
    "outage_steps": [0.2, 0.4],
    "ramp_step": 0.005,
    "busy_rest": 0.1,
    "busy_longest": 0.3,
}
BLOCKED = (State.SPENT, State.INVALID, State.SUSPENDED, State.OFF)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed for its caller: when (epoch seconds), and what was said."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run showed. The lists are empty when all claims hold."""

    requests: int
    seconds: float
    faults: Counter[str]
    failures: tuple[Failure, ...]
    unexcused: tuple[Failure, ...]
    sent_to_blocked: tuple[str, ...]
    received: Counter[str]
    recorded: Counter[str]

    @property
    def hold(self) -> bool:
        """Whether every claim held."""
        return not self.unexcused and not self.sent_to_blocked and self.received == self.recorded

    def describe(self) -> str:
        """The findings in a few lines."""
        faults = ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())
        lines = [
            f"{self.requests} requests in {self.seconds:.0f} s, met by {faults}",
            f"{len(self.failures)} failed for their caller, {len(self.unexcused)} while a key was eligible",
            f"{len(self.sent_to_blocked)} sent to an account known to be blocked",
            f"{sum(self.received.values())} received, {sum(self.recorded.values())} recorded",
        ]
        lines += [f"  {failure.text}" for failure in self.unexcused[:5]]
        lines += [f"  {text}" for text in self.sent_to_blocked[:5]]
        return "\n".join(lines)


async def run(folder: Path, requests: int, processes: int, seed: int) -> Findings:
    """One run: the cloud and its mishaps here, the requests in processes of their own."""
    holders = tuple(Holder(name, "max", legacy(0, 0, 100_000), slots=10) for name in ACCOUNTS)
    scenario = Scenario("chaos", holders, session_seconds=2.0, weekly_seconds=3600, balance_reads=100_000)
    cloud = SimulatedCloud(scenario, pace=0)
    began = time.monotonic()
    async with serve(cloud) as url:
        settings = folder / "settings.json"
        document = {
            "pi-ollama": {"cloudUrl": url, "apiKeys": [text for text, _ in cloud.keys]},
            "okr-tui": {"store": f"sqlite:{folder / 'log.db'}", "policy": POLICY},
        }
        await asyncio.to_thread(settings.write_text, json.dumps(document))
        mishaps = asyncio.create_task(disturb(cloud, random.Random(seed)))
        try:
            share = requests // processes
            outputs = await asyncio.gather(*(worker(settings, share) for _ in range(processes)))
        finally:
            mishaps.cancel()
    failures = tuple(Failure(*item) for output in outputs for item in output)
    store = await SqliteStore.open(folder / "log.db")
    records = [logged.record for logged in await store.read()]
    await store.close()
    keys = tuple(Key.of(text, "global") for text, _ in cloud.keys)
    attempts = [record for record in records if isinstance(record, Attempt) and record.client != "probe"]
    policy = Policy(**{name: number(name).parse(value) for name, value in POLICY.items()})
    return Findings(
        requests=share * processes,
        seconds=time.monotonic() - began,
        faults=Counter(record.fault.kind.value for record in attempts if record.fault),
        failures=failures,
        unexcused=tuple(failure for failure in failures if not excused(failure, records, keys, policy)),
        sent_to_blocked=tuple(sent_to_blocked(records, attempts, keys, policy)),
        received=Counter(item.key or "" for item in cloud.state.requests if item.path == "/api/chat"),
        recorded=Counter(record.fingerprint for record in attempts),
    )


async def disturb(cloud: SimulatedCloud, dice: random.Random) -> None:
    """One mishap after another, each for one account, while at least three others have long been well."""
    unwell: dict[str, float] = {}
    while True:
        await asyncio.sleep(dice.uniform(0.05, 0.2))
        now = time.time()
        for name, until in unwell.items():
            if until <= now:
                cloud.state.apply(Change(name, restore=1), cloud.state.advance())
        unwell = {name: until for name, until in unwell.items() if now < until + SEEN_AFTER}
        well = [name for name in ACCOUNTS if name not in unwell]
        if len(well) <= 3:
            continue
        name = dice.choice(well)
        action = mishap(name, dice)
        if isinstance(action, Change):
            unwell[name] = now + dice.uniform(1, 3)
        elif cloud.state.rules:
            continue  # a request gives up after three passing faults, and is right to
        cloud.state.apply(action, cloud.state.advance())


def mishap(name: str, dice: random.Random) -> Action:
    """Something bad for one account."""
    mishaps: list[Action] = [
        Change(name, session=100),
        Change(name, revoke=1),
        FaultRule("slow-first-byte", times=3, account=name, path="/api/chat", seconds=0.2),
        FaultRule("connection-dropped", times=1, account=name, path="/api/chat"),
        FaultRule("internal-error", times=1, account=name, path="/api/chat"),
        FaultRule("hang", times=1, account=name, path="/api/chat"),
        FaultRule("concurrency", times=2, account=name, path="/api/chat"),
    ]
    return dice.choice(mishaps)


async def worker(settings: Path, requests: int) -> list[tuple[float, str]]:
    """A process that makes its share of the requests; answers its failures."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos", "--worker", str(settings), "--requests", str(requests),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"a worker ended with {process.returncode}")
    return [(float(at), str(text)) for at, text in json.loads(output)]


async def work(settings: Path, requests: int) -> None:
    """Make requests, a few together, and print the failures."""
    failures: list[tuple[float, str]] = []
    left = iter(range(requests))

    async def one_after_another(service: PoolService) -> None:
        for turn in left:
            try:
                async for _ in stream_answer(service, conversation=f"{id(left)} {turn}"):
                    pass
            except OkrError as error:
                failures.append((time.time(), str(error)))
                await asyncio.sleep(KNOWN_AFTER)

    sources = Sources(settings, settings.parent / "project", {})
    async with PoolService.open(sources, client="cli") as service:
        await asyncio.gather(*(one_after_another(service) for _ in range(TOGETHER)))
        await service.quota_poller.settle(3)
    sys.stdout.write(json.dumps(failures))


def excused(failure: Failure, records: Sequence[Record], keys: tuple[Key, ...], policy: Policy) -> bool:
    """Whether the log had known no eligible key for long enough when the request failed."""
    eligible = []
    for at in (failure.at - KNOWN_AFTER, failure.at):
        state = fold((record for record in records if record.at <= at), policy)
        found = verdicts(state, PoolConfig(keys), SelectionRequest(at, MODEL), policy)
        eligible.append(any(judged.eligible for judged in found))
    return not all(eligible)


def sent_to_blocked(
    records: Sequence[Record], attempts: Sequence[Attempt], keys: tuple[Key, ...], policy: Policy
) -> Iterator[str]:
    """Attempts that started on a block which had been in the log for long enough to be known."""
    state, config = PoolState(), PoolConfig(keys)
    facts: list[tuple[float, int, Record]] = [(record.at, 0, record) for record in records]
    looks = [(item.started - early, 1, item) for item in attempts for early in (KNOWN_AFTER, 0.0)]
    watched: dict[int, Attempt] = {}

    def blocked(attempt: Attempt) -> bool:
        place = config.index(attempt.fingerprint)
        assert place
        question = SelectionRequest(attempt.started)
        return verdicts(state, config, question, policy)[place - 1].state in BLOCKED

    for at, is_look, record in sorted([*facts, *looks], key=lambda item: item[:2]):
        if not is_look or not isinstance(record, Attempt):
            state = apply(state, record, policy)
            watched = {name: attempt for name, attempt in watched.items() if blocked(attempt)}
        elif at < record.started and blocked(record):
            watched[id(record)] = record
        elif watched.pop(id(record), None):
            yield f"#{config.index(record.fingerprint)} was blocked for {KNOWN_AFTER} s and more"


def main() -> None:
    """Read the options; exit 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        asyncio.run(work(options.worker, options.requests))
        return
    with tempfile.TemporaryDirectory() as folder:
        findings = asyncio.run(run(Path(folder), options.requests, options.processes, options.seed))
    sys.stdout.write(findings.describe() + "\n")
    sys.exit(not findings.hold)


if __name__ == "__main__":
    main()
