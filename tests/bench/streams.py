"""Answers that a benchmark asks the simulated cloud for: their length and pace are in the question.

They hold the moment at which each part was sent, so that whoever reads the screen knows how late it is.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okr_tui.demo.dialects import Ending, Native

QUESTION = re.compile(r"stream (\d+) tokens at (\d+)")
PLACE = "\0"
MARK = re.compile(rb"@(\d{6,})@")
SAMPLE = (
    "## What the light does\n\nSunlight meets **molecules** that are much smaller than its `wavelength`, so "
    f"blue is scattered [far more](https://example.org) than red is, in every direction.{PLACE}\n\n"
    "- the first of the points, with a few words\n- the second of them, *somewhat* longer than the first\n"
    "  - nested below it\n\n```python\ndef scatter(wavelength: float) -> float:\n"
    "    return 1 / wavelength**4  # by far the most for blue\n```\n\n"
    f"| colour | nm |\n|---|---|\n| blue | 450 |\n| red | 700 |\n\nWhat else?{PLACE}\n\n"
)
"""Whole, so that it can follow itself."""


def tokens_of(count: int, mark: Callable[[], str] = str) -> Iterator[str]:
    """Yield an answer in pieces of about a token, with marks."""
    index = 0
    for _ in range(count):
        end = index + 5
        piece = (SAMPLE + SAMPLE[:5])[index:end]
        yield piece.replace(PLACE, mark()) if PLACE in piece else piece
        index = end % len(SAMPLE)


def answer() -> str:
    """Return a whole answer without marks."""
    return SAMPLE.replace(PLACE, "")


def question(count: int, pace: float) -> str:
    """Ask for so many tokens, so many a second."""
    return f"stream {count} tokens at {pace:.0f}"


def end(count: int) -> str:
    """Return what an answer of so many tokens says at its end."""
    return f"{count} tokens, the end"


def now() -> int:
    """Return the milliseconds of the clock that all processes share."""
    return int(time.monotonic() * 1000)


def marks(drawn: bytes) -> set[int]:
    """Return the moments that a text holds, as `now` has them."""
    return {int(found) for found in MARK.findall(drawn)}


class Streams:
    """Answers such questions, and passes all others on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/api/chat":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        document = json.loads(body)
        if found := QUESTION.search(document["messages"][-1]["content"]):
            chunks = _chunks(document["model"], int(found[1]), int(found[2]))
            await StreamingResponse(chunks, media_type=Native.media_type)(scope, receive, send)
            return

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _chunks(model: str, count: int, pace: int) -> AsyncIterator[bytes]:
    dialect = Native(model, time.time)
    began = time.monotonic()
    for number, token in enumerate(tokens_of(count, lambda: f" @{now()}@"), 1):
        if (early := began + number / pace - time.monotonic()) > 0.002:
            await asyncio.sleep(early)
        yield dialect.piece("content", token)
    yield dialect.piece("content", f"\n\n{end(count)} @{now()}@\n")
    yield dialect.closing(Ending("stop", 20, count, int(1e9 * count / pace)))
