"""Requests are read as h11 reads them, or refused; answers are framed as h11 reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.gateway.connection import STARTED_AT_ONCE, CallerConnection, Connections, Cycle, Starter
from okr_tui.gateway.guard import MAX_HEAD_BYTES
from okr_tui.gateway.request import CONNECTION
from tests.gateway.abuse import GOOD, Case
from tests.gateway.abuse_connections import CONNECTIONS
from tests.gateway.abuse_framing import FRAMING
from tests.gateway.abuse_heads import HEADS
from tests.gateway.raw_connection import sized

UNLIKE = {
    "an empty line before",
    "a line with two spaces",
    "a line of RTSP/1.0",
    "CONNECT",
    "CONNECT with a path",
}
"""Cases of one meaning that h11 refuses, or takes for the end of HTTP."""
CASES = {name: case for name, case in {**FRAMING, **HEADS, **CONNECTIONS}.items() if name not in UNLIKE}
Read = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]
"""Method, target, headers and body of a request."""


class Wire:
    """A caller's connection without a network: what is written to it, and what the application was asked."""

    def __init__(self, application: ASGIApp) -> None:
        self.transport: Any = Mock()
        starter = Starter()
        self.tasks = starter.tasks
        self.connection = CallerConnection(application, Connections(), set(), starter)
        self.connection.connection_made(self.transport)

    @property
    def sent(self) -> bytes:
        return b"".join(call.args[0] for call in self.transport.write.call_args_list)


@asynccontextmanager
async def wired(application: ASGIApp) -> AsyncIterator[Wire]:
    """Such a connection, which ends with the block."""
    wire = Wire(application)
    yield wire
    wire.connection.connection_lost(None)
    if wire.tasks:
        await asyncio.wait(wire.tasks)


async def read(*pieces: bytes) -> list[Read]:
    """The requests that the application gets to their end, each answered with an empty answer."""
    found: list[Read] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        found.append((scope["method"].encode(), target, list(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with wired(application) as wire:
        for piece in pieces:
            wire.connection.data_received(piece)
            for _ in range(10):
                await asyncio.sleep(0)
        while wire.tasks and len(found) < 30:
            before = len(found)
            for _ in range(10):
                await asyncio.sleep(0)
            if len(found) == before:
                break
    return found


def by_h11(data: bytes) -> list[Read]:
    """The whole requests that h11 reads, up to the first that is none, or the last of the connection."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**21)
    connection.receive_data(data)
    found: list[Read] = []
    try:
        while isinstance(request := connection.next_event(), h11.Request):
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                break
            found.append((request.method, request.target, as_h11(request.headers), body))
            connection.send(h11.Response(status_code=204, headers=[]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except h11.RemoteProtocolError:
        pass
    return found


def as_h11(headers: Any) -> list[tuple[bytes, bytes]]:
    """Headers as h11 gives them: names and framing in small letters."""
    return [
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value)
        for name, value in headers
    ]


def assert_read_alike(found: list[Read], data: bytes) -> None:
    """Assert that each request that was passed on is what h11 reads at its place."""
    found = [(method, target, as_h11(headers), body) for method, target, headers, body in found]
    assert found == by_h11(data)[: len(found)]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_is_passed_on_is_what_h11_reads(case: Case) -> None:
    data = case.sent
    for cut in {len(data), data.find(b"\r\n\r\n") + 4, len(data) // 2, min(20, len(data))}:
        assert_read_alike(await read(data[:cut], data[cut:]), data)


HEADER = st.tuples(
    st.sampled_from([b"host", b"Host", b"content-length", b"Content-Length", b"x", b"connection", b"expect"]),
    st.sampled_from([b":", b": ", b" :", b":\t"]),
    st.sampled_from(
        [b"localhost", b"2", b"0", b"+2", b"2, 2", b"a b", b"", b"close", b"keep-alive", b"\xe9", b"\x0b"]
    ),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b" \r\n", b"\n", b"\r\n "]),
)
LINES = st.sampled_from(
    [
        b"POST /api/chat HTTP/1.1\r\nhost: x\r\n",
        b"POST /api/chat HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.0\r\n",
        b"HEAD / HTTP/1.1\r\nhost: x\r\n",
    ]
)


@given(
    LINES,
    st.lists(HEADER.map(b"".join), max_size=5),
    st.sampled_from([b"", b"{}", b"{}{}"]),
    st.integers(0, 200),
)
def test_whatever_is_passed_on_is_what_h11_reads(
    line: bytes, headers: list[bytes], body: bytes, cut: int
) -> None:
    data = line + b"".join(headers) + b"\r\n" + body
    assert_read_alike(asyncio.run(read(data[:cut], data[cut:])), data)


@pytest.mark.parametrize("cut", [0, 1, 40, len(sized(GOOD)) - 1, len(sized(GOOD))])
async def test_two_requests_are_read_however_they_are_cut(cut: int) -> None:
    data = sized(GOOD) * 2
    found = await read(data[:cut], data[cut:])
    assert [(method, target, body) for method, target, _, body in found] == [
        (b"POST", b"/api/chat", GOOD)
    ] * 2
    assert_read_alike(found, data)


@asynccontextmanager
async def begun() -> AsyncIterator[tuple[Wire, Cycle]]:
    """A connection with a request on it, and its cycle, whose application does nothing."""
    reached: list[Scope] = []
    going_on = asyncio.Event()

    async def application(scope: Scope, _: Receive, __: Send) -> None:
        reached.append(scope)
        await going_on.wait()

    async with wired(application) as wire:
        wire.connection.data_received(sized(b"{}"))
        await asyncio.sleep(0)
        yield wire, reached[0]["state"][CONNECTION]
        going_on.set()


def read_back(sent: bytes) -> tuple[Any, bytes]:
    """The answer as h11 reads it, which has to be all that was sent."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(sent)
    answer, body = client.next_event(), b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return answer, body


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, [(b"content-type", b"text/plain")], b"one two"),
        (200, [(b"content-length", b"7")], b"one two"),
        (404, [(b"connection", b"close")], b""),
        (204, [], b""),
    ],
)
async def test_an_answer_is_framed_as_h11_reads_it(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    async with begun() as (wire, cycle):
        await cycle.begin(status, headers, b"")
        for piece in body.split(b" "):
            await cycle.write(piece + b" " if piece != b"two" and body else piece)
        await cycle.write(b"", last=True)
        answer, received = read_back(wire.sent)
        assert (answer.status_code, received) == (status, body)
        assert wire.connection.is_idle
        assert wire.transport.close.called == ((b"connection", b"close") in headers)


async def test_head_piece_and_end_go_out_together() -> None:
    async with begun() as (wire, cycle):
        await cycle.begin(200, [], b"all", last=True)
        assert wire.transport.write.call_count == 1
        assert read_back(wire.sent)[1] == b"all"


@pytest.mark.parametrize("header", [(b"x\r\ny", b"1"), (b"x", b"1\r\ny: 2"), (b"x", b"\x00"), (b"", b"1")])
async def test_a_header_that_would_make_two_is_not_sent(header: tuple[bytes, bytes]) -> None:
    async with begun() as (wire, cycle):
        with pytest.raises(ValueError, match="cannot be sent"):
            await cycle.begin(200, [header], b"")
        assert not wire.sent


@pytest.mark.parametrize("piece", [b"12345678", b"123"], ids=["longer", "shorter"])
async def test_an_answer_of_another_length_than_its_head_says_is_not_ended(piece: bytes) -> None:
    async with begun() as (_, cycle):
        with pytest.raises(ValueError, match="not as long"):
            await cycle.begin(200, [(b"content-length", b"7")], piece, last=True)
        assert not cycle.is_answered


async def test_an_answer_that_does_not_come_to_its_end_ends_the_connection() -> None:
    async def half(_: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "http.request", "body": b"{}", "more_body": False}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with wired(half) as wire:
        wire.connection.data_received(sized(b"{}"))
        await asyncio.wait(wire.tasks)
        assert wire.transport.close.called
        assert not wire.connection.is_idle


async def test_waiting_for_the_caller_to_leave_ends_when_it_does() -> None:
    async with begun() as (wire, cycle):
        await cycle.receive()
        waiting = asyncio.ensure_future(cycle.receive())
        await asyncio.sleep(0)
        wire.connection.connection_lost(None)
        assert await waiting == {"type": "http.disconnect"}


async def test_a_head_in_pieces_has_a_bound() -> None:
    async with wired(Mock()) as wire:
        wire.connection.data_received(b"GET / HTTP/1.1\r\n")
        for _ in range(MAX_HEAD_BYTES // 1000 + 1):
            wire.connection.data_received(b"x: " + b"1" * 995 + b"\r\n")
        assert wire.sent.startswith(b"HTTP/1.1 400 ")
        assert wire.transport.close.called


async def test_of_many_requests_a_few_begin_in_each_turn() -> None:
    starter = Starter()
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)

    count = 5 * STARTED_AT_ONCE
    for number in range(count):
        starter.start(work(number))
    before = 0
    while before < count:
        await asyncio.sleep(0)
        assert len(begun) - before <= STARTED_AT_ONCE
        before = len(begun)
    assert begun == list(range(count))
    await asyncio.sleep(0)
    starter.start(work(count))
    assert len(starter.tasks) >= 1
    await asyncio.wait(starter.tasks)
    assert begun[-1] == count


async def test_at_the_end_those_that_wait_begin_too() -> None:
    starter = Starter()
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)

    for number in range(3 * STARTED_AT_ONCE):
        starter.start(work(number))
    starter.flush()
    await asyncio.wait(starter.tasks)
    assert begun == list(range(3 * STARTED_AT_ONCE))
