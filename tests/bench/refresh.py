"""A cold refresh of 40 models from a cloud that takes 80 ms for each request, in round trips."""

import asyncio
import http.client
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.bench.home import Home

MODELS = 40
SECONDS = 0.08
DETAILS = {
    "details": {"family": "family", "parameter_size": "1000000000", "quantization_level": "FP8"},
    "model_info": {f"family.{name}": 131_072 for name in ("context_length", "block_count", "head_count")},
    "capabilities": ["completion", "tools", "thinking"],
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, each after SECONDS."""
    listing = {
        "models": [
            {"name": f"model-{at}", "model": f"model-{at}", "digest": f"{at:064x}"} for at in range(MODELS)
        ]
    }
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                (
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            await reader.readexactly(length)
            await asyncio.sleep(SECONDS)
            body = json.dumps(listing if b"/api/tags" in head else DETAILS).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                + body
            )
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _serve(pipe: "Connection[Any, Any]") -> None:
    async def run() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextmanager
def slow_cloud(home: Home) -> Iterator[tuple[Path, str]]:
    """Run the cloud in a process of its own; give a settings file for it, and its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    settings = home.folder / "slow.json"
    settings.write_text(json.dumps({"pi-ollama": {"cloudUrl": url}}))
    try:
        yield settings, url
    finally:
        ours.send(None)
        process.join(10)


def trip(given: tuple[Path, str]) -> float:
    """One round trip over a new connection, in seconds."""
    connection = http.client.HTTPConnection(urlsplit(given[1]).netloc)
    began = time.perf_counter()
    connection.request("GET", "/api/tags")
    connection.getresponse().read()
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def refresh(given: tuple[Path, str]) -> float:
    """The first refresh of a service, in seconds."""

    async def refreshed() -> float:
        sources = Sources(given[0], given[0].parent / "project", {}, options={"store": "memory:"})
        async with PoolService.open(sources, client="cli", watching=False) as service:
            began = time.perf_counter()
            await service.refresh_models()
            seconds = time.perf_counter() - began
            if len(service.catalog.models) != MODELS or service.catalog.error:
                raise SystemExit(f"not refreshed: {service.catalog.error}")
            return seconds

    return asyncio.run(refreshed())
