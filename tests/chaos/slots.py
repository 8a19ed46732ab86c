"""`python -m tests.chaos.slots`: machines that share an account, and how many requests it has at once.

The account takes three. The machines share nothing but a log on a server; they are killed, stopped and misled
by their clocks, and with `--log-away` the log goes away too. The cloud says which requests were one too many.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from okr_tui.demo import Scenario, SimulatedCloud, serve
from okr_tui.demo.scenarios import Holder, legacy
from okr_tui.domain.records import Record
from okr_tui.store.factory import open_store
from tests.chaos.findings import Evidence
from tests.chaos.mishaps import CLOCKS, Mishap, Proxy
from tests.chaos.processes import Workers
from tests.chaos.run import POLICY, SETTLED
from tests.chaos.truth import Period, Sent, Truth, meeting
from tests.redis_server import RedisServer

SLOTS: Final = 3
LEASE: Final = 5.0
STOPPED: Final = 2.0
"""Seconds for which a machine is stopped at most: its leases outlast that."""
LATE: Final = 1.0
"""Seconds after which a busy machine has done what it is to do at once."""
PACE: Final = 0.003


@dataclass(frozen=True, slots=True)
class SlotFindings:
    """What a run showed.

    refused: requests beyond the slots; excused: those while a machine did without the log, or just had.
    most: how many the cloud had at once, of the slots.
    """

    requests: int
    seconds: float
    mishaps: Counter[str]
    refused: tuple[Sent, ...]
    excused: int
    failures: tuple[str, ...]
    most: int
    lost: int
    doubled: int

    @property
    def breaches(self) -> tuple[str, ...]:
        """What does not hold, a line each."""
        found = [f"{sent.request} was one too many at {sent.at:.2f}" for sent in self.refused]
        found += [f"a request failed: {failure}" for failure in self.failures]
        if self.most != SLOTS:
            found.append(f"{self.most} requests at once, of {SLOTS} slots")
        if self.lost or self.doubled:
            found.append(f"{self.lost} requests are not in the log, {self.doubled} twice")
        return tuple(found)

    def describe(self) -> str:
        """Return the findings in a few lines."""
        mishaps = ", ".join(f"{count} {kind}" for kind, count in self.mishaps.most_common())
        lines = [
            f"{self.requests} requests in {self.seconds:.0f} s, at most {self.most} at once of {SLOTS}",
            f"mishaps: {mishaps or 'none'}",
            f"{len(self.refused)} beyond the slots, {self.excused} while a machine did without the log",
        ]
        return "\n".join([*lines, *(f"  {line}" for line in self.breaches[:12])])


async def run(
    folder: Path,
    *,
    requests: int = 2_000,
    machines: int = 5,
    seed: int = 1,
    log_away: bool = False,
    late: float = LATE,
) -> SlotFindings:
    """Have requests made by all machines together, and count what the cloud refused.

    Args:
        folder: an empty one.
        requests: how many are made, by all together.
        machines: how many there are; one that is killed starts again.
        seed: which mishaps happen.
        log_away: whether the log goes away too.
        late: seconds within which a busy machine does what it is to do at once.
    """
    scenario = Scenario("slots", (Holder("amber", "pro", legacy(0, 0, 1_000_000)),), balance_reads=100_000)
    cloud = SimulatedCloud(scenario, pace=PACE)
    truth = Truth(cloud)
    counts = Counter[str]()
    dice = random.Random(seed)
    settings = folder / "settings.json"
    workers = Workers(settings, {"XDG_STATE_HOME": str(folder)}, 0.02)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(cloud))
        server = RedisServer(folder)
        stack.callback(server.kill)
        proxy = Proxy(server.port, dice)
        port = await stack.enter_async_context(proxy.open())
        # Growing is trying whether there are more slots: what is refused then is no breach.
        policy = {**POLICY, "slots_unknown": SLOTS, "slot_lease": LEASE, "busy_clean_requests": 1000}
        document = {
            "pi-ollama": {"cloudUrl": url, "apiKeys": [text for text, _ in cloud.keys]},
            "okr-tui": {"store": f"redis://127.0.0.1:{port}/0", "name": "amber", "policy": policy},
        }
        await asyncio.to_thread(settings.write_text, json.dumps(document))
        began = time.time()
        serving = [asyncio.create_task(workers.serve(requests // machines)) for _ in range(machines)]
        await workers.started()
        outages = proxy.mishaps if log_away else {}
        disturbed = asyncio.create_task(_disturb(workers, outages, dice, counts))
        try:
            await asyncio.gather(*serving)
        finally:
            disturbed.cancel()
            await asyncio.gather(disturbed, return_exceptions=True)
        await asyncio.sleep(SETTLED)
        ended = time.time()
        await workers.end()
        await workers.serve(1)  # sends what killed processes could not
        await workers.end()
        store = await open_store(server.url)
        records = [logged.record for logged in await store.read()]
        await store.close()
    return _findings(truth, workers, records, proxy.away, counts, began, ended, late)


async def _disturb(
    workers: Workers, outages: Mapping[str, Mishap], dice: random.Random, counts: Counter[str]
) -> None:
    """Stop and mislead machines, take the log from them, and now and then kill one, which keeps its slots."""
    while True:
        for name in ("SIGSTOP", "clock", "SIGSTOP", "clock", *outages, "kill -9"):
            await asyncio.sleep(dice.uniform(0.5, 1.5))
            if not workers.running:
                continue
            counts[name] += 1
            machine = dice.choice(workers.running)
            match name:
                case "SIGSTOP":
                    await machine.stop(dice.uniform(0.5, STOPPED))
                case "clock":
                    machine.set_clock(dice.choice(CLOCKS))
                case "kill -9":
                    machine.kill()
                case _:
                    await outages[name]()


def _findings(
    truth: Truth,
    workers: Workers,
    records: Sequence[Record],
    away: Sequence[Period],
    mishaps: Counter[str],
    began: float,
    ended: float,
    late: float,
) -> SlotFindings:
    evidence = Evidence(truth, workers.all, records, away, began, ended, late)
    alone = [period for worker in workers.all for period in worker.alone]
    refused = [sent for sent in truth.sent if sent.no_slot]
    excused = [sent for sent in refused if meeting([*away, *alone], sent.at - late, sent.at + late)]
    # A machine that was killed holds its slots for some time: whoever waited then may have given up.
    ended_badly = [Period(worker.ended, worker.ended + LEASE) for worker in workers.all if worker.killed]
    failures = tuple(
        failure.text
        for worker in workers.all
        for failure in worker.failures
        if not meeting([*away, *worker.stopped, *ended_badly], failure.since, failure.until)
    )
    return SlotFindings(
        requests=sum(worker.done for worker in workers.all),
        seconds=ended - began,
        mishaps=mishaps,
        refused=tuple(sent for sent in refused if sent not in excused),
        excused=len(excused),
        failures=failures,
        most=_most_at_once([sent for sent in truth.sent if sent.status == 200]),
        lost=len(tuple(evidence.lost())),
        doubled=evidence.doubled(),
    )


def _most_at_once(answered: Sequence[Sent]) -> int:
    changes = sorted([(sent.at, 1) for sent in answered] + [(sent.ended, -1) for sent in answered])
    most = running = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def main() -> None:
    """Read the options; exit 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.slots", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--machines", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-away", action="store_true", help="take the log away too")
    parser.add_argument("--late", type=float, default=LATE, help="seconds; a busy machine needs more")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = asyncio.run(run(Path(folder), **vars(options)))
    sys.stdout.write(findings.describe() + "\n")
    sys.exit(bool(findings.breaches))


if __name__ == "__main__":
    main()
