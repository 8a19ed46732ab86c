"""What the load is measured on, a process each: the cloud, a bare pass-through to it, and the gateway."""

import asyncio
import importlib
import json
import multiprocessing
import re
import resource
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.app import Gateway
from okr_tui.gateway.server import listen, serving
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources

HOST = "127.0.0.1"
TOKEN = "0123456789abcdef" * 2
PATH = "/v1/chat/completions"
KEYS = tuple(f"synthetic-key-of-a-benchmark-{index}" for index in range(4))
SLOTS = 1000
"""The most that settings take for a key."""
LINE = 10_000
INTERVAL = 0.02
END = b"data: [DONE]\n\n"
Make = Callable[[str], AsyncIterator[ASGIApp]]
Pipe: TypeAlias = "Connection[Any, Any]"


@dataclass(frozen=True)
class Used:
    """What a process has used: processor seconds, and the most memory it held, in MiB."""

    seconds: float
    memory: float


async def cloud(_: str) -> AsyncIterator[ASGIApp]:
    """Answers with chunks at a steady pace, each with the moment it was sent."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        chunks = json.loads(await Request(scope, receive).body())["chunks"]
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        began = time.monotonic()
        for index in range(chunks):
            if index:
                await asyncio.sleep(began + index * INTERVAL - time.monotonic())
            text = b'data: {"choices":[{"delta":{"content":"%d %.6f "}}]}\n\n' % (index, time.monotonic())
            await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": END})

    yield application


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


async def bare_uvicorn(upstream: str, *, fast: bool) -> AsyncIterator[Any]:
    """The same as uvicorn itself serves it: by httptools, or by h11."""
    async for application in bare(upstream):
        yield uvicorn.Config(
            application,
            http="httptools" if fast else "h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
        )


@asynccontextmanager
async def serving_bare(config: uvicorn.Config, listener: socket.socket) -> AsyncIterator[None]:
    """Serve as uvicorn does, until the block is left."""
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 it has no event
        await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    await task


async def gateway(upstream: str, keys: Sequence[str] = KEYS) -> AsyncIterator[ASGIApp]:
    """The gateway as it runs in life, over a pool whose keys take any number of requests."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        policy = {"slots_unknown": SLOTS, "queue_longest": LINE}
        document = {
            "pi-ollama": {"cloudUrl": upstream, "apiKeys": [*keys]},
            "okr-tui": {"store": f"sqlite:{folder}/log.db", "policy": policy},
        }
        settings.write_text(json.dumps(document))
        settings.chmod(0o600)
        sources = Sources(settings, Path(folder), {})
        async with PoolService.open(sources, client="gateway", make_transport=Transport) as service:
            assert not service.problems, service.problems
            yield Gateway(service, SecretStr(TOKEN), HOST, status=dict, report=show)


async def serve(make: Make, upstream: str, ready: Pipe) -> None:
    """Serve an application; tell its address, and at each question what it has used."""
    with listen(HOST, 0) as listener:
        async for application in make(upstream):
            serve_it = serving_bare if isinstance(application, uvicorn.Config) else serving
            async with serve_it(application, listener):
                ready.send(f"http://{HOST}:{listener.getsockname()[1]}")
                while await asyncio.to_thread(ready.recv):
                    ready.send(Used(time.process_time(), most_memory()))


def most_memory() -> float:
    """The most memory this process has held, in MiB.

    On Linux, `ru_maxrss` begins with what the parent held when it made the process.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2


def run(make: Make, upstream: str, ready: Pipe, fast: bool) -> None:
    """A process that serves."""
    loop_factory = importlib.import_module("uvloop").new_event_loop if fast else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(make, upstream, ready))


@contextmanager
def served(make: Make, upstream: str = "", *, fast: bool = False) -> Iterator[tuple[str, Pipe]]:
    """A process that serves, its address and the way to ask it; `fast`: on uvloop."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run, args=(make, upstream, there, fast))
    process.start()
    there.close()
    try:
        yield here.recv(), here
    finally:
        here.send(False)
        process.join()


def show(line: str) -> None:
    """A line of the result, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
