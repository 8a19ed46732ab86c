"""How the gateway holds a load, beside a bare pass-through: `python -m tests.gateway.bench`.

Cloud, bare proxy and gateway run as processes of their own. Each target is given the same streams, of
chunks that carry the moment they were sent, then short requests as fast as it takes them.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import httpx
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.gateway.app import Gateway
from okr_tui.gateway.server import listen, serving
from okr_tui.gateway.transport import Transport
from okr_tui.services.keyring import Keyring
from okr_tui.settings.layers import Sources

HOST = "127.0.0.1"
TOKEN = "0123456789abcdef" * 2
PATH = "/v1/chat/completions"
UNBOUNDED = 100_000
INTERVAL = 0.02
END = b"data: [DONE]\n\n"
Make = Callable[[str], AsyncIterator[ASGIApp]]
Pipe: TypeAlias = "Connection[Any, Any]"


@dataclass(frozen=True)
class Load:
    """What every target is given."""

    streams: int
    chunks: int
    callers: int
    requests: int


@dataclass(frozen=True)
class Measured:
    """Seconds, and requests a second."""

    first: list[float]
    delays: list[float]
    rate: float
    processor: float

    def line(self, name: str, base: "Measured | None") -> str:
        """A line of the result; against the base where there is one."""
        first, delay = statistics.median(self.first), percentile(self.delays, 0.99)
        text = (
            f"{name:22} first byte {1000 * first:7.1f} ms p50 {1000 * percentile(self.first, 0.99):8.1f} p99"
            f"   chunk delay {1000 * delay:7.1f} ms p99   {self.rate:6.0f} requests/s"
            f"   {self.processor:4.0%} of a core"
        )
        return text if base is None else f"{text}   ratio {self.rate / base.rate:.2f}"


def percentile(values: list[float], part: float) -> float:
    """The value below which that part of all lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def cloud(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with chunks at the asked pace."""
    body = json.loads(await Request(scope, receive).body())

    async def sending() -> AsyncIterator[bytes]:
        for _ in range(body["chunks"]):
            delta = {"choices": [{"delta": {"content": f"{time.monotonic()} "}}]}
            yield b"data: " + json.dumps(delta).encode() + b"\n\n"
            if body["chunks"] > 1:
                await asyncio.sleep(INTERVAL)
        yield END

    await StreamingResponse(sending(), media_type="text/event-stream")(scope, receive, send)


async def plain_cloud(_: str) -> AsyncIterator[ASGIApp]:
    """The cloud."""
    yield cloud


async def bare(upstream: str) -> AsyncIterator[ASGIApp]:
    """The least that a pass-through on these libraries does."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            body = await Request(scope, receive).body()
            async with session.post(upstream + scope["path"], data=body) as answer:
                kind = answer.headers["content-type"].encode()
                start = {"type": "http.response.start", "status": answer.status}
                await send({**start, "headers": [(b"content-type", kind)]})
                async for chunk in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})

        yield application


async def gateway(upstream: str, transport: Callable[[], httpx.AsyncBaseTransport]) -> AsyncIterator[ASGIApp]:
    """The gateway over a pool of one key that takes any number of requests."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        policy = {"slots_unknown": UNBOUNDED, "queue_longest": UNBOUNDED}
        document = {
            "pi-ollama": {"cloudUrl": upstream, "apiKeys": ["synthetic-key-of-a-benchmark"]},
            "okr-tui": {"store": f"sqlite:{folder}/log.db", "policy": policy},
        }
        settings.write_text(json.dumps(document))
        settings.chmod(0o600)
        sources = Sources(settings, Path(folder), {})
        async with Keyring.open(sources, client="gateway", watching=False, transport=transport()) as keyring:
            yield Gateway(keyring, SecretStr(TOKEN), HOST, status=dict, trouble=show)


async def serve(make: Make, upstream: str, ready: Pipe) -> None:
    """Serve an application; tell its address, and at each question the processor time it has used."""
    with listen(HOST, 0) as listener:
        async for application in make(upstream):
            async with serving(application, listener):
                ready.send(f"http://{HOST}:{listener.getsockname()[1]}")
                while await asyncio.to_thread(ready.recv):
                    ready.send(time.process_time())


def run(make: Make, upstream: str, ready: Pipe) -> None:
    """A process that serves."""
    asyncio.run(serve(make, upstream, ready))


@contextmanager
def served(make: Make, upstream: str = "") -> Iterator[tuple[str, Pipe]]:
    """A process that serves, its address and the way to ask it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run, args=(make, upstream, there))
    process.start()
    try:
        yield here.recv(), here
    finally:
        here.send(False)
        process.join()


async def one(session: aiohttp.ClientSession, url: str, chunks: int) -> tuple[float, list[float]]:
    """One stream: seconds to its first byte, and each chunk's delay."""
    began = time.monotonic()
    first, delays = 0.0, []
    body = {
        "model": "gpt-oss:20b",
        "stream": True,
        "chunks": chunks,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    async with session.post(url + PATH, json=body) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            now = time.monotonic()
            first = first or now - began
            if line.startswith(b"data: {"):
                content = json.loads(line[6:])["choices"][0]["delta"]["content"]
                delays.append(now - float(content))
    if len(delays) != chunks:
        raise SystemExit(f"{len(delays)} of {chunks} chunks came")
    return first, delays


async def measure(url: str, process: Pipe, load: Load) -> Measured:
    """Give a target the load."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        await one(session, url, 1)
        before, began = used(process), time.monotonic()
        streams = await asyncio.gather(*(one(session, url, load.chunks) for _ in range(load.streams)))
        processor = (used(process) - before) / (time.monotonic() - began)
        left = iter(range(load.requests))

        async def caller() -> None:
            for _ in left:
                await one(session, url, 1)

        began = time.monotonic()
        await asyncio.gather(*(caller() for _ in range(load.callers)))
        rate = load.requests / (time.monotonic() - began)
    return Measured(
        [first for first, _ in streams], [d for _, found in streams for d in found], rate, processor
    )


def used(process: Pipe) -> float:
    """The processor seconds that a process has used."""
    process.send(True)
    seconds: float = process.recv()
    return seconds


def show(line: str) -> None:
    """A line of the result, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    load = Load(**vars(parser.parse_args()))
    targets: dict[str, Make] = {
        "gateway": partial(gateway, transport=Transport),
        "gateway, httpx's pool": partial(gateway, transport=httpx.AsyncHTTPTransport),
    }
    show(
        f"{load.streams} streams of {load.chunks} chunks; {load.requests} requests of {load.callers} callers"
    )
    with served(plain_cloud) as (upstream, _):
        with served(bare, upstream) as (url, process):
            base = asyncio.run(measure(url, process, load))
        show(base.line("bare pass-through", None))
        for name, make in targets.items():
            with served(make, upstream) as (url, process):
                show(asyncio.run(measure(url, process, load)).line(name, base))


if __name__ == "__main__":
    main()
