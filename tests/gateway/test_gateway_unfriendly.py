"""Callers who leave, drip, send too early or too much: they are held back or cut, and harm no other."""

import asyncio
import socket
import struct

import pytest

from tests.gateway.abuse import GOOD, SECOND, SIZE, probe, question
from tests.gateway.abuse_connections import CUT
from tests.gateway.abuse_framing import CHUNK, CHUNKED, NEXT
from tests.gateway.stage import Stage, word_of
from tests.gateway.wire import head, sized, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = question("slow")


@pytest.mark.parametrize("end", ["ended", "reset"])
@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
async def test_who_leaves_in_the_middle_leaves_nothing(stage: Stage, sent: bytes, end: str) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(sent, end=end == "ended")
        if end == "ended":
            while await wire.answer():
                pass
        else:
            connection = wire.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stage.quiet()
    assert stage.cloud.bodies in ([], [GOOD][: sent.count(GOOD)])


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
async def test_what_drips_without_an_end_is_cut(stage: Stage, begun: bytes, piece: bytes) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(begun)

        async def drip() -> None:
            while True:
                await wire.write(piece)
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        while await wire.answer():
            pass
        dripping.cancel()
    await stage.quiet()
    assert stage.cloud.bodies in ([], [GOOD])


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_nobody_reads_and_that_stops_is_cut(stage: Stage) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(head(b"content-length: 9", target=b"/api/me"))
        assert await wire.answer()
        await wire.write(b"x")
        assert await wire.answer() is None


@pytest.mark.parametrize("framing", [b"content-length: %d" % len(NEXT), CHUNKED])
async def test_a_body_that_comes_after_its_answer_is_no_request(stage: Stage, framing: bytes) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(head(framing, target=b"/api/me"))
        assert await wire.answer()
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT)
        await wire.write(chunk if framing == CHUNKED else NEXT, sized(SECOND))
        assert await word_of(wire) in (None, "second")
    assert stage.cloud.bodies in ([], [SECOND])


async def test_a_caller_may_wait_until_its_body_is_wanted(stage: Stage) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(head(b"content-length: %d" % SIZE, b"expect: 100-continue"))
        interim = await wire.heard()
        assert interim
        assert interim.status == 100
        await wire.write(GOOD)
        assert await word_of(wire) == "good"
        await wire.write(sized(SECOND, b"Expect: 100-Continue"))
        assert await word_of(wire) == "second"


async def test_a_body_that_is_not_wanted_is_not_asked_for(stage: Stage) -> None:
    async with wired(stage.gateway) as wire:
        await wire.write(head(b"content-length: %d" % len(NEXT), b"expect: 100-continue", token=None))
        refusal = await wire.heard()
        assert refusal
        assert refusal.status == 401
        await wire.write(NEXT)
        assert await wire.answer() is None
    assert stage.cloud.bodies == []


@pytest.mark.parametrize("then", ["another", "nonsense", "half a one"])
async def test_what_comes_during_an_answer_waits_for_its_end(
    stage: Stage, then: str, request: pytest.FixtureRequest
) -> None:
    following = {"another": sized(SECOND), "nonsense": b"nonsense\r\n\r\n", "half a one": head()[:-9]}[then]
    if then == "half a one":
        request.getfixturevalue("impatient")
    async with wired(stage.gateway) as wire:
        await wire.write(sized(SLOW))
        await stage.asked()
        await wire.write(following)
        for _ in range(100):
            await asyncio.sleep(0)
        assert stage.cloud.bodies == [SLOW]
        stage.cloud.released.set()
        assert await word_of(wire) == "slow"
        last = await wire.answer()
        if then == "another":
            assert last
            assert last.json()["message"]["content"] == "second"
        else:
            assert last is None or last.status >= 400


async def test_a_caller_who_sends_on_during_an_answer_is_held_back(stage: Stage) -> None:
    much = probe() * 200_000
    async with wired(stage.gateway) as wire:
        await wire.write(sized(SLOW))
        await stage.asked()
        wire.writer.write(much)
        left, still = len(much), 0
        while still < 100:
            await asyncio.sleep(0)
            waiting = wire.writer.transport.get_write_buffer_size()
            left, still = waiting, still + 1 if waiting == left else 0
        stage.cloud.released.set()
        assert await word_of(wire) == "slow"
    assert left > len(much) / 2
