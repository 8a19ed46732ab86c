"""Many requests at once: a key that is spent on the way, callers that do not read, and much that is large."""

import asyncio
import json
import tracemalloc

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from okr_tui.domain.keys import fingerprint
from okr_tui.gateway.parse import parse_request
from okr_tui.gateway.request import receive_body
from tests.gateway.running_gateway import (
    HELLO,
    TOKEN,
    RunningGateway,
    ScriptedCloud,
    body,
    events,
    joined,
    scripted_gateway,
    stream,
)
from tests.gateway.samples import CLOSINGS, PIECES
from tests.harness import MODEL, Harness
from tests.waiting import LIMIT, until

pytestmark = pytest.mark.slow(reason="answers hundreds of requests at once")

PATH = "/v1/chat/completions"
STREAMS = 64
CHUNKS = [*(events({"choices": [{"delta": {"content": f"{index} "}}]})[0] for index in range(20))]
WIDE = {"slots": dict.fromkeys(("free", "pro", "max", "team"), 200), "slots_unknown": 200}
SPENT = "you have reached your session usage limit, upgrade for higher limits"


class Crowded:
    """A cloud whose streams stop after their first chunk until `going_on`; one key may be spent."""

    def __init__(self) -> None:
        self.spent: str | None = None
        self.begun = 0
        self.going_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._answer(Request(scope, receive))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.url.path != PATH:
            return JSONResponse({"error": "not found"}, 404)
        if request.headers["authorization"] == f"Bearer {self.spent}":
            return JSONResponse({"error": SPENT}, 429)
        self.begun += 1
        rest = [*CHUNKS[1:], *CLOSINGS[PATH]]
        return stream(CHUNKS[0], then=self.going_on, rest=rest)


async def test_a_key_spent_under_load_fails_no_stream(harness: Harness) -> None:
    cloud = Crowded()
    first = harness.cloud.keys[0][0]
    async with scripted_gateway(harness, cloud) as gateway:
        harness.write_settings(policy={**WIDE, "queue_longest": STREAMS})
        await gateway.service.reload()
        early = [asyncio.create_task(gateway.post(PATH)) for _ in range(STREAMS // 2)]
        await begun(cloud, STREAMS // 2)
        cloud.spent = first
        late = [asyncio.create_task(gateway.post(PATH)) for _ in range(STREAMS // 2)]
        await begun(cloud, STREAMS)
        flights = gateway.service.pool.in_flight.total()
        cloud.going_on.set()
        answers = await asyncio.gather(*early, *late)
        good = [attempt for attempt in await gateway.attempts() if attempt.outcome == "ok"]
        async with asyncio.timeout(LIMIT):
            while len(good) < STREAMS:
                await asyncio.sleep(0)
                good = [attempt for attempt in await gateway.attempts() if attempt.outcome == "ok"]
        refused = [attempt for attempt in await gateway.attempts() if attempt.outcome != "ok"]
        left = gateway.service.pool.in_flight.total()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {joined([*CHUNKS, *CLOSINGS[PATH]])}
    assert (flights, left) == (STREAMS, 0)
    served = [attempt.fingerprint == fingerprint(first) for attempt in good]
    assert (served.count(True), served.count(False)) == (STREAMS // 2, STREAMS // 2)
    assert {attempt.output_tokens for attempt in good} == {3}
    assert 1 <= len(refused) <= STREAMS // 2
    assert {(attempt.outcome, attempt.fingerprint) for attempt in refused} == {("fault", fingerprint(first))}


async def begun(cloud: Crowded, count: int) -> None:
    """Until so many streams have begun."""
    await until(lambda: cloud.begun >= count)


async def test_a_caller_who_reads_nothing_holds_nothing_for_ever(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.gateway.connection.WRITE_SECONDS", 0.5)
    much = PIECES["/api/chat"][0].replace(b"Hel", b"x" * 100_000)  # one record, which is read fast
    script = ScriptedCloud(stream(*PIECES["/api/chat"], rest=[much] * 1000, then=ready()))
    async with scripted_gateway(harness, script) as gateway:
        reader, writer = await open_stream(gateway, limit=1024)
        async with asyncio.timeout(LIMIT):
            await script.left.wait()
        (attempt,) = await gateway.settled(1)
        row = gateway.service.snapshot.pool.keys[0]
        writer.transport.abort()
    assert (attempt.outcome, row.faults, row.in_flight) == ("cancelled", 0, 0)
    assert reader.at_eof() is False


async def test_a_slow_cloud_is_not_a_slow_caller(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.gateway.connection.WRITE_SECONDS", 0.01)
    going_on = asyncio.Event()
    script = ScriptedCloud(stream(*PIECES["/api/chat"], rest=CLOSINGS["/api/chat"], then=going_on))
    async with scripted_gateway(harness, script) as gateway:
        request = asyncio.create_task(gateway.post("/api/chat"))
        await asyncio.wait([request], timeout=0.1)
        going_on.set()
        assert (await request).content == joined([*PIECES["/api/chat"], *CLOSINGS["/api/chat"]])


def ready() -> asyncio.Event:
    """An event that has come."""
    event = asyncio.Event()
    event.set()
    return event


async def open_stream(
    gateway: RunningGateway, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with a request on it whose answer nobody reads beyond a small buffer."""
    port = httpx.URL(gateway.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    content = json.dumps(body("/api/chat")).encode()
    head = f"POST /api/chat HTTP/1.1\r\nhost: localhost\r\nx-api-key: {TOKEN}\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    return reader, writer


async def test_a_large_body_is_held_once() -> None:
    size, piece = 16 * 1024 * 1024, 64 * 1024
    content = json.dumps({"model": MODEL, "messages": HELLO, "more": "x" * size}).encode()
    pieces = [content[start : start + piece] for start in range(0, len(content), piece)]
    del content

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    tracemalloc.start()
    try:
        whole = await receive_body(receive)
        received, most = tracemalloc.get_traced_memory()
        parsed = parse_request(whole, {})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parsed.body is whole
    assert most < 1.5 * size
    assert max(received, held) < 1.1 * len(whole) + piece
