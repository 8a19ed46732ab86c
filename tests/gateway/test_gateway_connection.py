"""A streamed answer and its connection: what comes during it, its loss, its end, and what is left of it."""

import asyncio
import gc
import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from httpx import URL
from starlette.responses import Response

from okr_tui.gateway.connection import CallerConnection
from tests.gateway.abuse import probe
from tests.gateway.abuse_framing import CHUNKED
from tests.gateway.raw_connection import connect, head, sized
from tests.gateway.running_gateway import (
    BODIES,
    HOST,
    RunningGateway,
    ScriptedCloud,
    body,
    joined,
    open_gateway,
    scripted_gateway,
    stream,
)
from tests.gateway.samples import CLOSINGS, ERRORS, OPENINGS, PIECES
from tests.harness import Harness
from tests.loopback import listening
from tests.waiting import LIMIT, until

PATH = "/api/chat"
FIRST, LAST = PIECES[PATH][0], CLOSINGS[PATH][0]
ASKED = json.dumps(body(PATH)).encode()
MOMENTS = ["before the answer", "in the answer"]
MORE = {"line": b"\r\n", "nonsense": b"nonsense\r\n\r\n", "request": sized(ASKED), "half a head": head()[:-9]}


@pytest.fixture(autouse=True)
async def crashes() -> AsyncIterator[None]:
    """What nobody caught in the loop: nothing."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield
    assert found == []


class Seen:
    """What a gateway has seen of its callers, who need not be as fast as it is."""

    def __init__(self) -> None:
        self._read: Counter[int | None] = Counter()
        """Bytes, by the port of the server: the cloud is one too."""
        self._lost: Counter[int | None] = Counter()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Note what comes and who goes."""
        receive, lose = CallerConnection.data_received, CallerConnection.connection_lost

        def data_received(connection: CallerConnection, data: bytes) -> None:
            receive(connection, data)
            self._read[port(connection)] += len(data)

        def connection_lost(connection: CallerConnection, exc: BaseException | None) -> None:
            lose(connection, exc)
            self._lost[port(connection)] += 1

        monkeypatch.setattr(CallerConnection, "data_received", data_received)
        monkeypatch.setattr(CallerConnection, "connection_lost", connection_lost)

    async def read(self, gateway: RunningGateway, *sent: bytes) -> None:
        """Wait until it has read all that was sent."""
        await until(lambda: self._read[URL(gateway.url).port] == sum(map(len, sent)))

    async def lost(self, gateway: RunningGateway) -> None:
        """Wait until it knows that its only caller has left."""
        await until(lambda: self._lost[URL(gateway.url).port])


def port(connection: CallerConnection) -> int | None:
    """Return the port that a connection came to."""
    return connection.server[1] if connection.server else None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watch the connections of this test."""
    made = Seen()
    made.watch(monkeypatch)
    return made


class Halting(ScriptedCloud):
    """A cloud that stops before the first output of its only answer, or after it, until `going_on`."""

    def __init__(self, moment: str) -> None:
        self.going_on = asyncio.Event()
        begun, rest = ([FIRST], [LAST]) if moment == "in the answer" else (OPENINGS[PATH], [FIRST, LAST])
        super().__init__(stream(*begun, then=self.going_on, rest=rest))


async def turns() -> None:
    """Let everybody do what is there to be done."""
    for _ in range(200):
        await asyncio.sleep(0)


async def received(script: ScriptedCloud, count: int = 1) -> None:
    """Until the cloud is asked so often and its answers are on their way."""
    await until(lambda: len(script.requests) >= count)
    await turns()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
async def test_what_follows_the_last_request_of_a_connection_spoils_no_answer(
    harness: Harness, seen: Seen, moment: str, version: bytes, more: bytes
) -> None:
    script, asked = Halting(moment), sized(ASKED, b"connection: close", version=version)
    async with scripted_gateway(harness, script) as gateway, connect(gateway) as connection:
        await connection.write(asked)
        await received(script)
        await connection.write(more)
        await seen.read(gateway, asked, more)
        script.going_on.set()
        answer = await connection.response()
        assert answer
        assert answer.content.endswith(FIRST + LAST)
        assert await connection.response() is None
        (attempt,) = await gateway.settled(1)
    assert attempt.outcome == "ok"


async def test_a_body_that_goes_bad_after_its_answer_ends_the_connection(gateway: RunningGateway) -> None:
    async with connect(gateway) as connection:
        await connection.write(head(CHUNKED, target=b"/api/me"))
        assert await connection.response()
        await connection.write(b"zz\r\n")
        assert await connection.response() is None


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
async def test_a_caller_who_has_sent_on_and_leaves_ends_the_answer(
    harness: Harness, seen: Seen, moment: str, together: bool, more: bytes
) -> None:
    script = Halting(moment)
    async with scripted_gateway(harness, script) as gateway:
        async with connect(gateway) as connection:
            await connection.write(sized(ASKED) + more if together else sized(ASKED))
            await received(script)
            if not together:
                await connection.write(more)
                await seen.read(gateway, sized(ASKED), more)
        async with asyncio.timeout(LIMIT):
            await script.left.wait()
        (attempt,) = await gateway.settled(1)
    assert (attempt.outcome, len(script.requests)) == ("cancelled", 1)


async def test_who_leaves_in_the_second_of_two_answers_has_had_the_first(harness: Harness) -> None:
    script = ScriptedCloud(stream(FIRST, LAST), stream(FIRST, then=asyncio.Event()))
    async with scripted_gateway(harness, script) as gateway:
        async with connect(gateway) as connection:
            await connection.write(sized(ASKED) * 2)
            answer = await connection.response()
            assert answer
            assert answer.content == FIRST + LAST
            await gateway.settled(1)
            await received(script, 2)
        attempts = await gateway.settled(2)
    assert [attempt.outcome for attempt in attempts] == ["ok", "cancelled"]


async def test_who_leaves_while_the_body_is_unpacked_spends_nothing(
    harness: Harness, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going_on = threading.Event(), threading.Event()

    def unpack(packed: bytes, _: str) -> bytes:
        begun.set()
        going_on.wait(LIMIT)
        return gzip.decompress(packed)

    monkeypatch.setattr("okr_tui.gateway.forward.unpack", unpack)
    script = ScriptedCloud()
    async with scripted_gateway(harness, script) as gateway:
        async with connect(gateway) as connection:
            await connection.write(sized(gzip.compress(ASKED), b"content-encoding: gzip"))
            await until(begun.is_set)
        await seen.lost(gateway)
        going_on.set()
        (line,) = await gateway.logged(1)
    assert (line["status"], script.requests) == (499, [])


@asynccontextmanager
async def blunt(harness: Harness, answer: bytes) -> AsyncGenerator[RunningGateway, None]:
    """The gateway of a harness whose cloud answers every request with these bytes and hangs up."""

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", asked, re.IGNORECASE)
        assert size
        await reader.readexactly(int(size[1]))
        writer.write(answer)

    async with listening(answering) as there:
        harness.url = f"http://{HOST}:{there}"
        harness.write_settings()
        async with open_gateway(harness) as made:
            yield made


@pytest.mark.parametrize("path", BODIES)
async def test_a_header_that_cannot_be_sent_is_left_out_of_the_answer(harness: Harness, path: str) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: a\x0bb\r\nrequest-id: c\r\n\r\n"
    )
    pieces = joined([*PIECES[path], *CLOSINGS[path]])
    async with blunt(harness, answer + pieces) as gateway:
        reported = await gateway.post(path)
    assert (reported.status_code, reported.content) == (200, pieces)
    assert "x-request-id" not in reported.headers
    assert reported.headers["request-id"] == "c"
    assert [line["status"] for line in gateway.access] == [200]


async def test_a_refusal_with_a_header_that_cannot_be_sent_is_passed_on(harness: Harness) -> None:
    refusal = b'HTTP/1.1 400 Bad Request\r\ncontent-length: 15\r\nx-request-id: a\x0bb\r\n\r\n{"error": "no"}'
    async with blunt(harness, refusal) as gateway:
        reported = await gateway.post(PATH)
    assert (reported.status_code, reported.json()) == (400, {"error": "no"})


@pytest.mark.parametrize("status", [200, 204])
async def test_an_answer_without_a_piece_is_empty(harness: Harness, status: int) -> None:
    script = ScriptedCloud(Response(b"", status), Response(b"", status))
    async with scripted_gateway(harness, script) as gateway, connect(gateway) as connection:
        for _ in range(2):
            await connection.write(sized(ASKED, target=b"/v1/embeddings"))
            answer = await connection.response(bodiless=status == 204)
            assert answer
            assert (answer.status, answer.content) == (status, b"")
            if status == 204:
                assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("end", ["its end", "an error"])
async def test_the_last_answer_of_a_connection_ends_with_it(
    harness: Harness, version: bytes, end: str
) -> None:
    going_on = asyncio.Event()
    script = ScriptedCloud(stream(FIRST, then=going_on, rest=[LAST] if end == "its end" else ERRORS[PATH]))
    async with scripted_gateway(harness, script) as gateway, connect(gateway) as connection:
        await connection.write(sized(ASKED, b"connection: close", version=version))
        await received(script)
        going_on.set()
        answer = await connection.response()
        assert answer
        assert answer.headers["connection"] == "close"
        assert ("transfer-encoding" in answer.headers) == (version == b"HTTP/1.1")
        reported = answer.content.removeprefix(FIRST)
        assert reported == LAST or "in the middle" in json.loads(reported)["error"]
        assert await connection.response() is None


async def test_a_caller_who_reads_nothing_does_not_hold_up_the_end(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.gateway.server.GRACE_SECONDS", 0)
    monkeypatch.setattr("okr_tui.gateway.local.VERSION", {"version": "x" * 500_000})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(LIMIT))
        async with open_gateway(harness) as gateway:
            connection = await stack.enter_async_context(connect(gateway))
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await connection.write(probe(target=b"/api/version") * 100)
            answered = -1
            while answered < len(gateway.access):
                answered = len(gateway.access)
                await turns()
    assert answered < 100


async def test_a_connection_that_has_ended_is_freed_at_once(harness: Harness) -> None:
    count = 20
    script = ScriptedCloud(*[stream(FIRST, LAST) for _ in range(count)])
    async with scripted_gateway(harness, script) as gateway:
        gc.collect()
        gc.disable()
        try:
            before = held()
            for _ in range(count):
                async with connect(gateway) as connection:
                    await connection.write(sized(ASKED))
                    assert await connection.response()
            await gateway.settled(count)
            script.requests.clear()
            await until(lambda: held() - before < count)
        finally:
            gc.enable()


def held() -> int:
    """How many connections this process keeps."""
    return sum(type(item) is CallerConnection for item in gc.get_objects())
