"""Callers who leave, drip, send too early or too much: they are held back or cut, and harm no other."""

import asyncio
import socket
import struct

import pytest

from tests.gateway.abuse import GOOD, SECOND, SIZE, probe, question
from tests.gateway.abuse_connections import CUT
from tests.gateway.abuse_framing import CHUNK, CHUNKED, NEXT
from tests.gateway.raw_connection import connect, head, sized
from tests.gateway.shared_gateway import SharedGateway, echoed_word

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = question("slow")


@pytest.mark.parametrize("end", ["ended", "reset"])
@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
async def test_who_leaves_in_the_middle_leaves_nothing(shared: SharedGateway, sent: bytes, end: str) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(sent, end=end == "ended")
        if end == "ended":
            while await connection.response():
                pass
        else:
            connection = connection.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await shared.wait_idle()
    assert shared.cloud.bodies in ([], [GOOD][: sent.count(GOOD)])


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (head()[:-2], b"x: 1\r\n"),
        (head()[:-2] + b"x: ", b"1"),
        (b"POST /", b"a"),
        (b"", b"\r\n"),
        (sized(GOOD) + head()[:-2], b"x: 1\r\n"),
        (head(b"content-length: 1000000"), b" "),
        (head(CHUNKED), b"1\r\n \r\n"),
        (head(CHUNKED) + b"1;", b"a"),
        (head(CHUNKED) + CHUNK + b"0\r\n", b"x: 1\r\n"),
        (head(b"content-length: 1000000", target=b"/api/me"), b" "),
    ],
    ids=[
        *("header lines", "a header", "a line", "empty lines", "header lines of the second"),
        *("a body", "chunks", "an extension", "trailers", "a body that nobody reads"),
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_what_drips_without_an_end_is_cut(shared: SharedGateway, begun: bytes, piece: bytes) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(begun)

        async def drip() -> None:
            while True:
                await connection.write(piece)
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        while await connection.response():
            pass
        dripping.cancel()
    await shared.wait_idle()
    assert shared.cloud.bodies in ([], [GOOD])


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_is_not_read_and_that_stops_is_cut(shared: SharedGateway) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(head(b"content-length: 9", target=b"/api/me"))
        assert await connection.response()
        await connection.write(b"x")
        assert await connection.response() is None


@pytest.mark.parametrize("framing", [b"content-length: %d" % len(NEXT), CHUNKED])
async def test_a_body_that_comes_after_its_answer_is_not_a_request(
    shared: SharedGateway, framing: bytes
) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(head(framing, target=b"/api/me"))
        assert await connection.response()
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT)
        await connection.write(chunk if framing == CHUNKED else NEXT, sized(SECOND))
        assert await echoed_word(connection) in (None, "second")
    assert shared.cloud.bodies in ([], [SECOND])


async def test_a_body_may_come_behind_its_head(shared: SharedGateway) -> None:
    async with connect(shared.gateway) as connection:
        for body, word in ((GOOD, "good"), (question("second"), "second")):
            await connection.write(head(b"content-length: %d" % len(body)))
            for _ in range(100):
                await asyncio.sleep(0)
            await connection.write(body[:9])
            for _ in range(100):
                await asyncio.sleep(0)
            await connection.write(body[9:])
            assert await echoed_word(connection) == word
    assert shared.cloud.bodies == [GOOD, question("second")]


async def test_a_caller_may_wait_until_its_body_is_wanted(shared: SharedGateway) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(head(b"content-length: %d" % SIZE, b"expect: 100-continue"))
        interim = await connection.next_response()
        assert interim
        assert interim.status == 100
        await connection.write(GOOD)
        assert await echoed_word(connection) == "good"
        await connection.write(sized(SECOND, b"Expect: 100-Continue"))
        assert await echoed_word(connection) == "second"
        await connection.write(sized(GOOD))
        assert await echoed_word(connection) == "good"


async def test_a_body_that_is_not_wanted_is_not_asked_for(shared: SharedGateway) -> None:
    async with connect(shared.gateway) as connection:
        await connection.write(head(b"content-length: %d" % len(NEXT), b"expect: 100-continue", token=None))
        refusal = await connection.next_response()
        assert refusal
        assert refusal.status == 401
        await connection.write(NEXT)
        assert await connection.response() is None
    assert shared.cloud.bodies == []


@pytest.mark.parametrize("then", ["another", "nonsense", "half a one"])
async def test_what_comes_during_an_answer_waits_for_its_end(
    shared: SharedGateway, then: str, request: pytest.FixtureRequest
) -> None:
    following = {"another": sized(SECOND), "nonsense": b"nonsense\r\n\r\n", "half a one": head()[:-9]}[then]
    if then == "half a one":
        request.getfixturevalue("impatient")
    async with connect(shared.gateway) as connection:
        await connection.write(sized(SLOW))
        await shared.wait_for_request()
        await connection.write(following)
        for _ in range(100):
            await asyncio.sleep(0)
        assert shared.cloud.bodies == [SLOW]
        shared.cloud.released.set()
        assert await echoed_word(connection) == "slow"
        last = await connection.response()
        if then == "another":
            assert last
            assert last.json()["message"]["content"] == "second"
        else:
            assert last is None or last.status >= 400


async def test_a_caller_who_sends_on_during_an_answer_is_held_back(shared: SharedGateway) -> None:
    much = probe() * 200_000
    async with connect(shared.gateway) as connection:
        await connection.write(sized(SLOW))
        await shared.wait_for_request()
        connection.writer.write(much)
        left, still = len(much), 0
        while still < 100:
            await asyncio.sleep(0)
            waiting = connection.writer.transport.get_write_buffer_size()
            left, still = waiting, still + 1 if waiting == left else 0
        shared.cloud.released.set()
        assert await echoed_word(connection) == "slow"
    assert left > len(much) / 2
