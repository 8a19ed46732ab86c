"""The gateway under load, beside a bare pass-through on uvicorn, and with many keys beside few."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from tests.bench.home import Home
from tests.gateway.bench import Load, Target, used
from tests.gateway.bench_targets import KEYS, TOKEN, Pipe, bare_uvicorn, cloud, gateway, served

CALLERS = 16
REQUESTS = 400
FIRST_BYTES = 16
"""Streams that are measured at least: a single one says more about the machine than about us."""
FEW, MANY = 6, 1000


@dataclass(frozen=True)
class Pair:
    """The address of a floor and of ours, each with the way to ask what it has used."""

    floor: tuple[str, Pipe]
    ours: tuple[str, Pipe]


@contextmanager
def beside_bare(_: Home, *, fast: bool = False) -> Iterator[Pair]:
    """A bare pass-through and the gateway; `fast`: on uvloop, and the bare one on httptools too."""
    with ExitStack() as stack:
        upstream, _pipe = stack.enter_context(served(cloud))
        floor = stack.enter_context(served(partial(bare_uvicorn, fast=fast), upstream, fast=fast))
        yield Pair(floor, stack.enter_context(served(gateway, upstream, fast=fast)))


@contextmanager
def few_and_many(_: Home) -> Iterator[Pair]:
    """The gateway with few keys and with many."""
    names = [f"{KEYS[0]}-{at}" for at in range(MANY)]
    with ExitStack() as stack:
        upstream, _pipe = stack.enter_context(served(cloud))
        few = stack.enter_context(served(partial(gateway, keys=names[:FEW]), upstream))
        yield Pair(few, stack.enter_context(served(partial(gateway, keys=names), upstream)))


def asked(target: tuple[str, Pipe], work: Any) -> Any:
    """What `work` returns for a target that is ready for it."""

    async def run() -> Any:
        headers = {"authorization": f"Bearer {TOKEN}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            return await work(Target(*target, session))

    return asyncio.run(run())


def rate(target: tuple[str, Pipe]) -> float:
    """Requests a second at 16 callers."""

    async def work(of: Target) -> float:
        await of.requests(2 * CALLERS, CALLERS)
        began = time.monotonic()
        await of.requests(REQUESTS, CALLERS)
        return REQUESTS / (time.monotonic() - began)

    found: float = asked(target, work)
    return found


def processor(target: tuple[str, Pipe]) -> float:
    """Milliseconds of processor time a request at 16 callers."""

    async def work(of: Target) -> float:
        await of.requests(2 * CALLERS, CALLERS)
        before = used(of.process).seconds
        await of.requests(REQUESTS, CALLERS)
        return 1000 * (used(of.process).seconds - before) / REQUESTS

    found: float = asked(target, work)
    return found


def first_byte(target: tuple[str, Pipe], streams: int) -> float:
    """Milliseconds to the first byte, the median of streams that begin at once; of few, in several turns."""

    async def work(of: Target) -> float:
        turns = [
            await of.streams(Load(streams, 5, 1, 1, 1), 0.0, "at once")
            for _ in range(max(1, FIRST_BYTES // streams))
        ]
        return statistics.median(turn["at once: first byte p50, ms"] for turn in turns)

    found: float = asked(target, work)
    return found
