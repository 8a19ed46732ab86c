"""One run: the cloud, its mishaps and those of the log here, the requests in processes of their own."""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from okr_tui.demo import Scenario, SimulatedCloud, serve
from okr_tui.demo.scenarios import Holder, legacy
from okr_tui.store.factory import open_store
from tests.chaos.findings import Evidence, Findings
from tests.chaos.mishaps import FileOutages, Proxy, disturb_accounts, disturb_processes
from tests.chaos.processes import Workers
from tests.chaos.truth import Truth
from tests.redis_server import RedisServer

ACCOUNTS = ("amber", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel")
POLICY: dict[str, object] = {
    "first_byte": 1.0,
    "retry_same": [0.02, 0.05],
    "confirm_after": [0.05, 0.1],
    "spent_jitter": [0.05, 0.2],
    "balance_lag": 0.5,
    "invalid_steps": [0.5, 1.0],
    "suspended_recheck": 1.0,
    "forbidden_model": 0.5,
    "overloaded": 0.5,
    "shaky": 0.5,
    "outage_window": 0.2,
    "outage_steps": [0.2, 0.4],
    "ramp_step": 0.005,
    "busy_rest": 0.1,
    "busy_longest": 0.3,
}
PACE = 0.001
"""Seconds between two tokens: long enough that requests overlap."""
SETTLED = 8.0
"""Seconds after the last mishap in which everything has to be in order again."""


async def run(
    folder: Path,
    *,
    requests: int = 10_000,
    processes: int = 4,
    seed: int = 1,
    pause: float = 0.2,
    redis: bool = False,
    agree_within: float = 0.25,
) -> Findings:
    """Have requests made through all mishaps, and check the claims.

    Args:
        folder: an empty one.
        requests: how many are made, by all processes together.
        processes: how many there are at a time.
        seed: which mishaps happen; when they do also depends on the machine.
        pause: seconds, at most, that a client rests before each request.
        redis: keep the log on a server of its own, not in a file.
        agree_within: seconds after which what one process learned has to count in all.
    """
    holders = tuple(Holder(name, "max", legacy(0, 0, 100_000), slots=10) for name in ACCOUNTS)
    scenario = Scenario("chaos", holders, session_seconds=4.0, weekly_seconds=3600, balance_reads=100_000)
    cloud = SimulatedCloud(scenario, pace=PACE)
    truth = Truth(cloud)
    mishaps = Counter[str]()
    dice = random.Random(seed)
    settings = folder / "settings.json"
    workers = Workers(settings, {"XDG_STATE_HOME": str(folder)}, pause)
    outages: FileOutages | Proxy
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(cloud))
        if redis:
            server = RedisServer(folder)
            stack.callback(server.kill)
            outages = Proxy(server.port, dice)
            port = await stack.enter_async_context(outages.open())
            log, own_log = f"redis://127.0.0.1:{port}/0", server.url
        else:
            outages = FileOutages(folder / "log.db", workers, dice)
            log = own_log = f"sqlite:{folder / 'log.db'}"
        document = {
            "pi-ollama": {"cloudUrl": url, "apiKeys": [text for text, _ in cloud.keys]},
            "okr-tui": {"store": log, "policy": POLICY},
        }
        await asyncio.to_thread(settings.write_text, json.dumps(document))
        began = time.time()
        serving = [asyncio.create_task(workers.serve(requests // processes)) for _ in range(processes)]
        await workers.started()
        disturbing = [
            asyncio.create_task(disturb_accounts(truth, random.Random(seed), mishaps)),
            asyncio.create_task(disturb_processes(workers, outages.mishaps, dice, mishaps)),
        ]
        try:
            await asyncio.gather(*serving)
        finally:
            for task in disturbing:
                task.cancel()
            stopped = await asyncio.gather(*disturbing, return_exceptions=True)
        if early := [error for error in stopped if not isinstance(error, asyncio.CancelledError)]:
            raise RuntimeError("the mishaps ended too early") from early[0]
        await asyncio.sleep(SETTLED)
        ended = time.time()
        await workers.end()
        await workers.serve(1)  # sends what killed processes could not
        await workers.end()
        store = await open_store(own_log)
        records = [logged.record for logged in await store.read()]
        await store.close()
    evidence = Evidence(truth, workers.all, records, outages.away, began, ended, agree_within)
    return evidence.findings(mishaps)


def main() -> None:
    """Read the options; exit 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break everything, and look.")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redis", action="store_true", help="keep the log on a Redis server")
    within = "seconds after which processes have to agree; a busy machine needs more"
    parser.add_argument("--agree-within", type=float, default=0.25, help=within)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = asyncio.run(run(Path(folder), **vars(options)))
    sys.stdout.write(findings.describe() + "\n")
    sys.exit(bool(findings.breaches))
