"""How the gateway holds a load, beside a bare pass-through: `python -m tests.gateway.bench`.

Both are given the same streams and short requests in turns, round after round, and each number is the
median of its rounds. A ratio is the median of the ratios within a round, so a machine that is busy with
something else in one round does not decide it. Processor time is the least noisy of the numbers.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass

import aiohttp

from tests.gateway.bench_targets import KEYS, PATH, TOKEN, Pipe, Used, bare, cloud, gateway, served, show

STAGGER = 1.0
CALLERS = (1, 16, 64)
MEMORY = "memory, most held, MiB"
Numbers = dict[str, float]


@dataclass(frozen=True)
class Load:
    """What every target is given in each round. `callers` is the most that ask at once."""

    streams: int
    chunks: int
    callers: int
    requests: int
    rounds: int


def percentile(values: list[float], part: float) -> float:
    """The value below which that part of all lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def used(process: Pipe) -> Used:
    """What a process has used so far."""
    process.send(True)
    answer: Used = process.recv()
    return answer


class Target:
    """A server under load, and a client's connections to it."""

    def __init__(self, url: str, process: Pipe, session: aiohttp.ClientSession) -> None:
        self._url = url + PATH
        self.process = process
        self._session = session

    async def one(self, chunks: int, wait: float = 0.0) -> tuple[float, list[float]]:
        """One stream: seconds to its first byte, and each chunk's delay."""
        await asyncio.sleep(wait)
        began = time.monotonic()
        first = 0.0
        delays: list[float] = []
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": "gpt-oss:20b", "stream": True, "chunks": chunks, "messages": messages}
        async with self._session.post(self._url, json=body) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                now = time.monotonic()
                first = first or now - began
                if line.startswith(b"data: {"):
                    index, sent = json.loads(line[6:])["choices"][0]["delta"]["content"].split()
                    if int(index) != len(delays):
                        raise SystemExit(f"chunk {index} came as number {len(delays)}")
                    delays.append(now - float(sent))
        if len(delays) != chunks:
            raise SystemExit(f"{len(delays)} of {chunks} chunks came")
        return first, delays

    async def streams(self, load: Load, stagger: float, name: str) -> Numbers:
        """Many streams beside each other, which begin within `stagger` seconds."""
        before = used(self.process).seconds
        waits = [stagger * index / load.streams for index in range(load.streams)]
        found = await asyncio.gather(*(self.one(load.chunks, wait) for wait in waits))
        firsts, delays = [first for first, _ in found], [delay for _, late in found for delay in late]
        seconds = used(self.process).seconds - before
        return {
            f"{name}: first byte p50, ms": 1000 * statistics.median(firsts),
            f"{name}: first byte p99, ms": 1000 * percentile(firsts, 0.99),
            f"{name}: chunk delay p50, ms": 1000 * statistics.median(delays),
            f"{name}: chunk delay p99, ms": 1000 * percentile(delays, 0.99),
            f"{name}: processor per chunk, ms": 1000 * seconds / load.streams / load.chunks,
        }

    async def requests(self, count: int, callers: int) -> Numbers:
        """Short requests, as fast as so many callers can make them."""
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                await self.one(1)

        before, began = used(self.process).seconds, time.monotonic()
        await asyncio.gather(*(caller() for _ in range(callers)))
        rate = count / (time.monotonic() - began)
        seconds = used(self.process).seconds - before
        return {
            f"{callers} callers: requests/s": rate,
            f"{callers} callers: processor per request, ms": 1000 * seconds / count,
        }


async def measure(urls: dict[str, tuple[str, Pipe]], load: Load) -> dict[str, list[Numbers]]:
    """Give each target the load, in turns."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    found: dict[str, list[Numbers]] = {name: [] for name in urls}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        targets = {name: Target(*url, session) for name, url in urls.items()}
        for target in targets.values():
            await target.requests(max(load.callers, 200), load.callers)
        for turn in range(load.rounds):
            numbers: dict[str, Numbers] = {name: {} for name in targets}
            for callers in sorted({min(callers, load.callers) for callers in CALLERS}):
                for name, target in targets.items():
                    count = load.requests if callers > 1 else load.requests // 4
                    numbers[name] |= await target.requests(count, callers)
            for stagger, kind in ((STAGGER, "staggered"), (0.0, "at once")):
                for name, target in targets.items():
                    numbers[name] |= await target.streams(load, stagger, kind)
            for name, target in targets.items():
                found[name].append(numbers[name] | {MEMORY: used(target.process).memory})
            show(f"round {turn + 1} of {load.rounds} done")
    return found


def table(base: list[Numbers], found: list[Numbers]) -> None:
    """The medians of both, and of the ratios between them."""
    show(f"{'':42} {'bare':>9} {'gateway':>9} {'ratio':>6}")
    for name in base[0]:
        ratio = statistics.median(mine[name] / its[name] for its, mine in zip(base, found, strict=True))
        medians = [statistics.median(numbers[name] for numbers in of) for of in (base, found)]
        show(f"{name:42} {medians[0]:9.3g} {medians[1]:9.3g} {ratio:6.2f}")
    grown = [of[-1][MEMORY] - of[0][MEMORY] for of in (base, found)]
    show(f"{'memory, growth from first round to last':42} {grown[0]:9.3g} {grown[1]:9.3g}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=50)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    load = Load(**vars(parser.parse_args()))
    show(f"{load.streams} streams of {load.chunks} chunks, {load.requests} requests, {len(KEYS)} keys")
    with (
        served(cloud) as (upstream, _),
        served(bare, upstream) as of_bare,
        served(gateway, upstream) as of_gateway,
    ):
        found = asyncio.run(measure({"bare": of_bare, "gateway": of_gateway}, load))
    table(found["bare"], found["gateway"])


if __name__ == "__main__":
    main()
