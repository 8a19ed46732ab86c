"""Requests: in bounds, unpacked, understood, and the conversation that they belong to."""

import asyncio
import gzip
import json

import httpx
import pytest
import zstandard

from okr_tui.gateway import request as bodies
from okr_tui.gateway.errors import FailureError
from okr_tui.gateway.parse import parse_request
from okr_tui.gateway.request import unpack
from tests.gateway.running_gateway import (
    BODIES,
    HELLO,
    TOKEN,
    RunningGateway,
    ScriptedCloud,
    scripted_gateway,
    stream,
)
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import MODEL, Harness

DIALECTS = ["/api/chat", "/v1/chat/completions", "/v1/messages"]


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"model":7}',
        b'{"model":""}',
        b'{"model":"\\ud800"}',
        b'{"model":"a\\nb"}',
        b'{"model":"' + b"x" * 300 + b'"}',
    ],
)
async def test_what_is_not_a_request_is_400(gateway: RunningGateway, path: str, content: bytes) -> None:
    answer = await gateway.client.post(path, content=content)
    assert answer.status_code == 400
    assert "error" in answer.json()
    assert not await gateway.attempts()


@pytest.mark.slow(reason="reads the largest bodies")
async def test_a_large_request_passes_and_a_larger_one_is_413(harness: Harness) -> None:
    chunks = [*OPENINGS["/api/chat"], *PIECES["/api/chat"], *CLOSINGS["/api/chat"]]
    script = ScriptedCloud(stream(*chunks))
    async with scripted_gateway(harness, script) as gateway:
        answer = await gateway.post("/api/chat", images=["x" * 20_000_000])
        assert answer.status_code == 200
        assert len(script.bodies[0]) > 20_000_000
        answer = await gateway.post("/v1/messages", images=["x" * (bodies.MAX_BODY_BYTES + 1)])
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "request_too_large"
    assert len(script.requests) == 1


def packed(encoding: str, plain: bytes) -> bytes:
    """A body in a content encoding."""
    return gzip.compress(plain) if encoding == "gzip" else zstandard.compress(plain)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_packed_requests_are_unpacked(harness: Harness, encoding: str) -> None:
    script = ScriptedCloud(stream(*PIECES["/api/chat"], *CLOSINGS["/api/chat"]))
    plain = b'{"model":"gpt-oss:20b","messages":[{}]}'
    async with scripted_gateway(harness, script) as gateway:
        answer = await gateway.client.post(
            "/api/chat", content=packed(encoding, plain), headers={"content-encoding": encoding}
        )
    assert answer.status_code == 200
    assert script.bodies == [plain]
    assert "content-encoding" not in script.requests[0].headers


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_and_a_damaged_body(encoding: str) -> None:
    with pytest.raises(FailureError) as caught:
        unpack(packed(encoding, bytes(5_000_000)), encoding, limit=1_000_000)
    assert caught.value.failure.status == 413
    with pytest.raises(FailureError) as caught:
        unpack(b"neither of them", encoding)
    assert caught.value.failure.status == 400


def test_an_unknown_encoding_and_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FailureError) as caught:
        unpack(b"x", "br")
    assert caught.value.failure.status == 415
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(FailureError, match="needs the extra zstd") as caught:
        unpack(b"x", "zstd")
    assert caught.value.failure.status == 415


async def test_a_body_that_never_comes_is_408(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
    head = f"POST /api/chat HTTP/1.1\r\nhost: localhost\r\nx-api-key: {TOKEN}\r\ncontent-length: 9\r\n\r\n"
    writer.write(head.encode() + b"{")
    assert b" 408 " in await reader.readline()
    writer.close()


def test_a_conversation_is_known_by_session_or_first_words() -> None:
    def opening(content: bytes, **headers: str) -> str | None:
        return parse_request(content, headers).opening

    first = b'{"model":"a","messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}]}'
    later = first.replace(b"]}", b',{"role":"assistant","content":"A"},{"role":"user","content":"V"}]}')
    other = first.replace(b'"U"', b'"W"')
    assert opening(first) == opening(later) == opening(first.replace(b'"a"', b'"b"'))
    assert opening(first) != opening(other)
    assert opening(first, **{"x-session-id": "1"}) == opening(other, **{"x-session-id": "1"})
    assert opening(b'{"prompt_cache_key":"k","input":"x"}') == opening(
        b'{"prompt_cache_key":"k","input":"y"}'
    )
    assert opening(b'{"metadata":{"user_id":"k"},"messages":[]}')
    assert opening(b'{"input":"x"}') != opening(b'{"input":"y"}')
    assert opening(b"{}") is None


@pytest.mark.parametrize("name", ["gpt-oss:20b-cloud", "ollama-cloud/gpt-oss:20b"])
async def test_a_daemons_and_pis_name_of_a_model(gateway: RunningGateway, name: str) -> None:
    answer = await gateway.post("/api/chat", model=name)
    assert answer.status_code == 200
    assert (await gateway.settled(1))[0].model == "gpt-oss:20b"


def test_every_forwarded_stream_has_a_good_request() -> None:
    assert set(BODIES) >= set(DIALECTS)


@pytest.mark.parametrize(("members", "status"), [(1, 200), (100, 200), (101, 400), (50_000, 400)])
async def test_a_body_of_very_many_gzip_members_is_refused(
    gateway: RunningGateway, members: int, status: int
) -> None:
    whole = json.dumps({"model": MODEL, "messages": HELLO}).encode()
    packed = gzip.compress(b"") * (members - 1) + gzip.compress(whole)
    headers = {"content-encoding": "gzip"}
    answer = await gateway.client.post("/api/chat", content=packed, headers=headers)
    assert answer.status_code == status


def test_gzip_in_several_members_padded_or_cut_off() -> None:
    packed = gzip.compress(b"a" * 70_000) + gzip.compress(b"b") + b"\0" * 512
    assert unpack(packed, "gzip") == b"a" * 70_000 + b"b"
    for damaged in (packed[:-520], packed.rstrip(b"\0")[:-3], packed + b"x"):
        with pytest.raises(FailureError, match="damaged"):
            unpack(damaged, "gzip")
    with pytest.raises(FailureError, match="larger than"):
        unpack(gzip.compress(b"x" * 1000) * 99, "gzip", limit=98_999)
    assert len(unpack(gzip.compress(b"x" * 1000) * 99, "gzip", limit=99_000)) == 99_000


@pytest.mark.slow(reason="reads the largest bodies")
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"m","n":' + b"9" * 5_000_000 + b"}",
        b'{"model":' + b"9" * 5_000_000 + b"}",
        b'{"model":"\\ud800"}',
        b'{"model":"\\u001b]52;c;cm0gfg==\\u0007"}',
        b'{"model":"' + b"m" * 1_000_000 + b'"}',
        b'{"model":["m"]}',
        b"\xff\xfe",
        b"",
    ],
    ids=[
        "lists",
        "objects",
        "deep",
        "digits",
        "model of digits",
        "surrogate",
        "escape",
        "long",
        "list",
        "no",
        "",
    ],
)
async def test_no_body_ends_the_gateway(gateway: RunningGateway, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await gateway.client.post("/v1/chat/completions", content=content, headers=headers)
    assert 400 <= answer.status_code < 500
    assert not any(letter in answer.text for letter in "\x1b\ud800")
    assert gateway.reported == []
    assert (await gateway.post("/api/chat")).status_code == 200
