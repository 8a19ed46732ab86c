"""The common form of a request means to the short way what it means to h11, or is left to it."""

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.gateway.plain import UNFINISHED, PlainCycle, PlainRequest, read_plain
from tests.gateway.abuse import GOOD, Case
from tests.gateway.abuse_connections import CONNECTIONS
from tests.gateway.abuse_framing import FRAMING
from tests.gateway.abuse_heads import HEADS
from tests.gateway.raw_connection import head, sized

COMMON = sized(GOOD)
CASES = {**FRAMING, **HEADS, **CONNECTIONS}


def by_h11(data: bytes) -> PlainRequest:
    """The request that h11 reads, which has to be all of the data."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert request.http_version == b"1.1"
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    assert connection.their_state is h11.DONE
    headers = [(name.lower(), value) for name, value in request.headers]
    return PlainRequest(request.method, request.target, headers, body)


def parts(data: bytes) -> Iterator[bytes]:
    """The data, and what may be there when only a part of it has arrived."""
    yield data
    for end in {*range(0, min(len(data), 400), 7), data.find(b"\r\n\r\n") + 4, len(data) - 1}:
        yield data[:end]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_read_the_short_way_is_what_h11_reads(case: Case) -> None:
    for data in parts(case.sent):
        if isinstance(found := read_plain(data), PlainRequest):
            assert found == by_h11(data)


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
        b"POST /api/chat HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n",
        b"POST  / HTTP/1.1\r\n",
        b"POST / HTTP/1.0\r\n",
        b"HEAD / HTTP/1.1\r\n",
    ]
)


@given(LINES, st.lists(HEADER.map(b"".join), max_size=5), st.sampled_from([b"", b"{}", b"{}{}"]))
def test_whatever_is_read_the_short_way_is_what_h11_reads(
    line: bytes, headers: list[bytes], body: bytes
) -> None:
    data = line + b"".join(headers) + b"\r\n" + body
    if isinstance(found := read_plain(data), PlainRequest):
        assert found == by_h11(data)


def test_the_common_form_is_read_the_short_way() -> None:
    found = read_plain(COMMON)
    assert isinstance(found, PlainRequest)
    assert (found.method, found.target, found.body) == (b"POST", b"/api/chat", GOOD)
    assert found == by_h11(COMMON)


def test_a_head_whose_body_is_on_its_way_is_told_from_what_is_left_to_h11() -> None:
    assert read_plain(COMMON[:-1]) is UNFINISHED
    assert read_plain(COMMON + b"x") is None
    assert read_plain(head(b"transfer-encoding: chunked") + b"0\r\n\r\n") is None


class Wire:
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        self.transport: Any = Mock()
        self.flow: Any = Mock(write_paused=False)
        self.ended = 0

    def on_response_complete(self) -> None:
        self.ended += 1

    @property
    def sent(self) -> bytes:
        return b"".join(call.args[0] for call in self.transport.write.call_args_list)


def begun() -> tuple[Wire, PlainCycle]:
    wire = Wire()
    return wire, PlainCycle(PlainRequest(b"POST", b"/api/chat", [(b"host", b"x")], b"{}"), {}, wire)


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
    wire, cycle = begun()
    cycle.begin(status, headers)
    for piece in body.split(b" "):
        await cycle.write(piece + b" " if piece != b"two" and body else piece)
    await cycle.write(b"", last=True)
    answer, received = read_back(wire.sent)
    assert (answer.status_code, received) == (status, body)
    assert wire.ended == 1
    assert wire.transport.close.called == ((b"connection", b"close") in headers)


async def test_head_piece_and_end_go_out_together() -> None:
    wire, cycle = begun()
    cycle.begin(200, [])
    await cycle.write(b"all", last=True)
    assert wire.transport.write.call_count == 1
    assert read_back(wire.sent)[1] == b"all"


@pytest.mark.parametrize("header", [(b"x\r\ny", b"1"), (b"x", b"1\r\ny: 2"), (b"x", b"\x00"), (b"", b"1")])
async def test_a_header_that_would_make_two_is_not_sent(header: tuple[bytes, bytes]) -> None:
    wire, cycle = begun()
    with pytest.raises(ValueError, match="cannot be sent"):
        cycle.begin(200, [header])
    assert not wire.sent


@pytest.mark.parametrize("pieces", [[b"12345678"], [b"123"]], ids=["longer", "shorter"])
async def test_an_answer_of_another_length_than_its_head_says_is_not_ended(pieces: list[bytes]) -> None:
    _, cycle = begun()
    cycle.begin(200, [(b"content-length", b"7")])
    with pytest.raises(ValueError, match="not as long"):
        await cycle.write(pieces[0], last=True)
    assert not cycle.response_complete


async def test_an_answer_that_does_not_come_to_its_end_ends_the_connection() -> None:
    wire, cycle = begun()

    async def half(_: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "http.request", "body": b"{}", "more_body": False}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    await cycle.run_asgi(half)
    assert wire.transport.close.called
    assert not wire.ended


async def test_who_waits_for_the_caller_to_leave_is_told() -> None:
    _, cycle = begun()
    await cycle.receive()
    waiting = asyncio.ensure_future(cycle.receive())
    await asyncio.sleep(0)
    cycle.disconnected = True
    cycle.message_event.set()
    assert await waiting == {"type": "http.disconnect"}
