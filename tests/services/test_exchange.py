"""One send on a scripted response: what is held back, what is cut off, and how much of a refusal is read."""

from collections.abc import AsyncIterator, Iterable
from typing import cast

import httpx
import pytest

from okr_tui.cloud.client import Call, Cloud
from okr_tui.cloud.errors import BODY_LIMIT
from okr_tui.domain.errors import CloudError
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.scrubber import Scrubber
from okr_tui.services.background import SystemClock, Timers
from okr_tui.services.exchange import CALLER_SECONDS, Exchange
from tests.harness import MODEL
from tests.waiting import let_pass

KEY = Key.of("synthetic.0123456789abcdef01234567", "global")
SECRET = KEY.secret.get_secret_value()
EMPTY = b'{"message":{"role":"assistant","content":""},"done":false}\n'
WORD = b'{"message":{"role":"assistant","content":"sky"},"done":false}\n'
ERROR = b'{"error":"an internal error"}\n'
FAR_TOO_OFTEN = 5000
END = b'{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'


class Chunks(httpx.AsyncByteStream):
    """A body of these chunks; when `endless` the last one is repeated, and reading on and on fails."""

    def __init__(self, chunks: Iterable[bytes], *, endless: bool = False) -> None:
        self.chunks = tuple(chunks)
        self.endless = endless

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.endless:
            for _ in range(FAR_TOO_OFTEN):
                yield self.chunks[-1]
            raise AssertionError("the body was read without a bound")


class ScriptedCloud:
    """As much of the cloud as an exchange uses."""

    def __init__(self, status: int, body: Chunks) -> None:
        self.scrubber = Scrubber([KEY.secret.get_secret_value()])
        self.response = httpx.Response(status, headers={"content-type": "application/x-ndjson"}, stream=body)

    async def send(self, call: Call, key: Key) -> httpx.Response:  # noqa: ARG002 the client's signature
        return self.response


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/html; charset=utf-8", b"<html>sign in</html>\n", "not an Ollama answer (text/html)"),
        ("image/png", b"\x89PNG", "not an Ollama answer (image/png)"),
        ("text/plain", b"please sign in\n", "not an Ollama answer (text/plain)"),
        ("application/x-ndjson", EMPTY, "the answer ended before it was complete"),
        ("application/x-ndjson", b"", "the answer ended before it was complete"),
    ],
)
async def test_a_sign_in_page_is_named_as_what_it_is(kind: str, body: bytes, text: str) -> None:
    made = exchange(200, *([body] if body else []))
    cloud = cast(ScriptedCloud, made._cloud)
    cloud.response.headers["content-type"] = kind
    async with made:
        assert made.fault is not None
        assert made.fault.text == text


class SlowCloud(ScriptedCloud):
    """A cloud that answers after some seconds."""

    async def send(self, call: Call, key: Key) -> httpx.Response:
        await let_pass(0.2)
        return await super().send(call, key)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_document_has_longer_than_the_first_byte_of_a_stream(streams: bool) -> None:
    """Nothing of a document arrives before the whole answer is there."""
    cloud = cast(Cloud, SlowCloud(200, Chunks([WORD, END] if streams else [WORD.replace(b"false", b"true")])))
    policy = Policy(first_byte=0.05, document=30)
    call = Call("/api/chat", b"{}", MODEL, streams=streams)
    async with Exchange(cloud, call, KEY, policy, SystemClock(), Timers()) as made:
        assert (made.fault is None) is not streams


def exchange(status: int, *chunks: bytes, endless: bool = False, path: str = "/api/chat") -> Exchange:
    cloud = cast(Cloud, ScriptedCloud(status, Chunks(chunks, endless=endless)))
    call = Call(path, b"{}", MODEL)
    return Exchange(cloud, call, KEY, Policy(held_back=10_000), SystemClock(), Timers())


async def test_a_refusal_is_read_within_its_bound() -> None:
    async with exchange(500, b"x" * 4096, endless=True) as opened:
        assert opened.refusal
        assert BODY_LIMIT <= len(opened.refusal.body) < BODY_LIMIT + 4096


async def test_an_answer_that_says_nothing_is_not_held_back_for_ever() -> None:
    async with exchange(200, EMPTY, endless=True) as opened:
        assert opened.fault is None
        pieces = aiter(opened)
        for _ in range(500):
            assert (await anext(pieces)).data == EMPTY


@pytest.mark.parametrize("before", [b"", EMPTY, EMPTY + WORD])
async def test_the_clouds_error_record_is_cut_off_the_answer(before: bytes) -> None:
    """What came before it is passed on, even in one piece with it: nothing else may answer then."""
    read: list[bytes] = []
    async with exchange(200, before + WORD + ERROR) as opened:
        assert opened.fault is None
        with pytest.raises(CloudError, match="internal error"):
            await collect(opened, read)
    assert b"".join(read) == before + WORD
    assert opened.fault is not None
    assert not opened.complete


async def test_an_error_before_any_output_is_that_of_the_request() -> None:
    async with exchange(200, EMPTY + ERROR + WORD) as opened:
        assert opened.fault is not None


@pytest.mark.parametrize("dialect", ["native", "openai"])
async def test_no_part_of_an_error_record_is_passed_on_however_it_is_cut(dialect: str) -> None:
    path, word, error = "/api/chat", WORD, f'{{"error":"no such key as {SECRET}, it is wrong"}}\n'.encode()
    if dialect == "openai":
        path, word = "/v1/chat/completions", b'data: {"choices":[{"delta":{"content":"sky"}}]}\n\n'
        error = b"event: error\ndata: " + error + b"\n"
    for cut in range(1, len(error)):
        read: list[bytes] = []
        async with exchange(200, word + error[:cut], error[cut:], path=path) as opened:
            with pytest.raises(CloudError, match="no such key as synt…4567, it is wrong"):
                await collect(opened, read)
        assert b"".join(read).startswith(word)
        assert b"no such" not in b"".join(read)


async def test_a_line_that_is_cut_off_is_not_passed_on() -> None:
    read: list[bytes] = []
    async with exchange(200, WORD, WORD[:20]) as opened:
        with pytest.raises(CloudError, match="before it was complete"):
            await collect(opened, read)
    assert b"".join(read) == WORD


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
async def test_lines_in_pieces_of_any_size_are_passed_on_whole(size: int) -> None:
    whole = WORD * 5 + END + b"after the end, without a line feed"
    read: list[bytes] = []
    async with exchange(200, *(whole[at : at + size] for at in range(0, len(whole), size))) as opened:
        await collect(opened, read)
    assert b"".join(read) == whole
    assert all(piece.endswith(b"\n") for piece in read[:-1] if piece)


@pytest.mark.parametrize("seconds", [0.0, 4.9, 5.0, 60.0])
async def test_a_cloud_that_tires_of_a_caller_who_takes_nothing_says_nothing_of_the_key(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("okr_tui.services.exchange.monotonic", lambda: now)

    async def taken() -> None:
        nonlocal now
        async for _ in opened:
            now += seconds

    async with exchange(200, WORD, WORD, WORD[:20]) as opened:
        with pytest.raises(CloudError, match="before it was complete"):
            await taken()
    assert (opened.fault is None) is (seconds >= CALLER_SECONDS)
    assert not opened.complete


async def test_an_error_after_the_end_mark_is_none() -> None:
    read: list[bytes] = []
    async with exchange(200, WORD, END + ERROR) as opened:
        await collect(opened, read)
        assert opened.complete


async def collect(opened: Exchange, read: list[bytes]) -> None:
    async for piece in opened:
        read.append(piece.data)
