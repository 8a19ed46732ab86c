"""Streams pass unchanged and at once; they fail over before their first output and never after it."""

import asyncio
import json

import httpx
import pytest

from tests.gateway.running_gateway import (
    BODIES,
    RunningGateway,
    ScriptedCloud,
    body,
    joined,
    read,
    run_gateway,
    scripted_gateway,
    stream,
)
from tests.gateway.samples import CLOSINGS, ERRORS, OPENINGS, PIECES, REPEATS
from tests.harness import MODEL, Harness
from tests.waiting import LIMIT, until

SIMULATED = ["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/messages"]
ENDS = {
    "/api/chat": b'"done":true',
    "/api/generate": b'"done":true',
    "/v1/chat/completions": b"data: [DONE]",
    "/v1/messages": b"event: message_stop",
}


@pytest.mark.parametrize("path", SIMULATED)
async def test_an_answer_passes_unchanged(harness: Harness, gateway: RunningGateway, path: str) -> None:
    key = harness.cloud.keys[0][0]
    headers = {"authorization": f"Bearer {key}"}
    direct = await harness.control.post(path, json=body(path), headers=headers)
    passed = await gateway.post(path)
    assert passed.status_code == 200
    assert passed.content == direct.content
    assert ENDS[path] in passed.content
    assert passed.headers["content-type"] == direct.headers["content-type"]
    assert not {"set-cookie", "alt-svc", "server", "via"} & set(passed.headers)
    (attempt,) = await gateway.settled(1)
    assert (attempt.client, attempt.outcome, attempt.model) == ("gateway", "ok", MODEL)
    assert attempt.input_tokens
    assert attempt.output_tokens


@pytest.mark.parametrize("path", SIMULATED)
async def test_a_whole_answer_passes_unchanged(harness: Harness, gateway: RunningGateway, path: str) -> None:
    headers = {"authorization": f"Bearer {harness.cloud.keys[0][0]}"}
    direct = await harness.control.post(path, json=body(path, stream=False), headers=headers)
    passed = await gateway.post(path, stream=False)
    assert passed.content == direct.content
    (attempt,) = await gateway.settled(1)
    assert (attempt.outcome, attempt.output_tokens is not None) == ("ok", True)


@pytest.mark.parametrize("path", BODIES)
async def test_every_chunk_is_passed_when_it_comes(harness: Harness, path: str) -> None:
    following = asyncio.Event()
    chunks = [*OPENINGS[path], *PIECES[path]]
    script = ScriptedCloud(stream(joined(chunks), then=following))
    async with (
        scripted_gateway(harness, script) as gateway,
        gateway.client.stream("POST", path, json=body(path)) as response,
    ):
        first = await read(response, 1)
        assert first == [joined(chunks)]


@pytest.mark.parametrize("path", BODIES)
async def test_end_and_counts_are_understood_in_every_dialect(harness: Harness, path: str) -> None:
    chunks = [*OPENINGS[path], *PIECES[path], *CLOSINGS[path]]
    async with scripted_gateway(harness, ScriptedCloud(stream(*chunks))) as gateway:
        response = await gateway.post(path)
        (attempt,) = await gateway.settled(1)
    assert response.content == joined(chunks)
    counts = (attempt.input_tokens, attempt.cached_tokens, attempt.output_tokens)
    assert (attempt.outcome, *counts) == ("ok", 7, 2, 3)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("fault", ["error", "end"])
async def test_before_the_first_output_another_send_is_made(harness: Harness, path: str, fault: str) -> None:
    broken = [*OPENINGS[path], *(ERRORS[path] if fault == "error" else [])]
    good = [*OPENINGS[path], *PIECES[path], *CLOSINGS[path]]
    script = ScriptedCloud(stream(*broken), stream(*good))
    async with scripted_gateway(harness, script) as gateway:
        response = await gateway.post(path)
    assert (response.status_code, response.content) == (200, joined(good))
    assert len(script.requests) == 2


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("fault", ["error", "end", "half"])
async def test_after_it_the_error_is_the_callers_own_and_nothing_is_sent_again(
    harness: Harness, path: str, fault: str
) -> None:
    begun = [*OPENINGS[path], *PIECES[path]]
    more = {"error": ERRORS[path], "end": [], "half": [PIECES[path][0][:20]]}[fault]
    going_on = asyncio.Event()
    script = ScriptedCloud(stream(joined(begun), then=going_on, rest=more))
    async with scripted_gateway(harness, script) as gateway:
        async with gateway.client.stream("POST", path, json=body(path)) as response:
            chunks = []
            async for chunk in response.aiter_raw():
                chunks.append(chunk)
                going_on.set()
        (attempt,) = await gateway.settled(1)
    assert chunks[0] == joined(begun)
    content = joined(chunks)
    message = last_error(path, content)
    assert "in the middle" in message
    assert not REPEATS.search(message)
    assert b"Internal Server" not in content
    assert attempt.outcome == "fault"


def last_error(path: str, content: bytes) -> str:
    """The message of the error that ends a stream, as a client of the dialect finds it."""
    line = content.strip().splitlines()[-1]
    if path.startswith("/api/"):
        return str(json.loads(line)["error"])
    document = json.loads(line.removeprefix(b"data: "))
    if path == "/v1/responses":
        assert (document["type"], document["response"]["status"]) == ("response.failed", "failed")
        assert document["response"]["error"]["code"] == "invalid_prompt"
        return str(document["response"]["error"]["message"])
    if path == "/v1/messages":
        assert document["type"] == "error"
        assert content.strip().splitlines()[-2] == b"event: error"
    return str(document["error"]["message"])


@pytest.mark.parametrize("path", SIMULATED)
async def test_a_spent_account_is_left_before_the_caller_notices(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await harness.fault("session", account="amber")
    response = await gateway.post(path)
    assert ENDS[path] in response.content
    assert await harness.sent(path) == [1, 3]


@pytest.mark.parametrize("path", SIMULATED)
async def test_half_a_whole_answer_is_asked_for_again(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await harness.fault("stream-truncated")
    response = await gateway.post(path, stream=False)
    assert response.json()
    assert await harness.sent(path) == [1, 1]


async def test_a_large_whole_answer_that_breaks_off_ends_without_its_end(harness: Harness) -> None:
    half = b'{"message":{"content":"' + b"x" * 100_000
    async with scripted_gateway(harness, ScriptedCloud(stream(half, kind="application/json"))) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.post("/api/chat", stream=False)


@pytest.mark.parametrize("moment", ["before the answer", "in the answer"])
async def test_a_caller_who_leaves_ends_the_clouds_answer_and_no_key_suffers(
    harness: Harness, moment: str
) -> None:
    never = asyncio.Event()
    begun = PIECES["/api/chat"] if moment == "in the answer" else OPENINGS["/api/chat"]
    script = ScriptedCloud(stream(*begun, then=never))
    async with scripted_gateway(harness, script) as gateway:
        request = asyncio.create_task(leaving(gateway, moment))
        await until(lambda: script.requests)
        if moment == "before the answer":
            request.cancel()
        await asyncio.wait([request])
        async with asyncio.timeout(LIMIT):
            await script.left.wait()
        (attempt,) = await gateway.settled(1)
        row = gateway.service.snapshot.pool.keys[0]
    assert (attempt.outcome, row.faults, row.in_flight) == ("cancelled", 0, 0)


async def leaving(gateway: RunningGateway, moment: str) -> None:
    """Ask, and leave after the first piece."""
    async with gateway.client.stream("POST", "/api/chat", json=body("/api/chat")) as response:
        assert moment == "in the answer"
        await read(response, 1)


async def test_a_caller_who_leaves_at_the_end_mark_had_the_whole_answer(harness: Harness) -> None:
    never = asyncio.Event()
    path = "/v1/chat/completions"
    script = ScriptedCloud(stream(joined([*PIECES[path], *CLOSINGS[path]]), then=never))
    async with scripted_gateway(harness, script) as gateway:
        async with gateway.client.stream("POST", path, json=body(path)) as response:
            await read(response, 1)
        (attempt,) = await gateway.settled(1)
    assert attempt.outcome == "ok"


async def test_the_end_of_the_gateway_cuts_what_is_under_way_and_records_it(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.gateway.server.GRACE_SECONDS", 0)
    await harness.fault("stream-stalled")
    async with harness.open() as service:
        async with run_gateway(service) as gateway:
            request = asyncio.create_task(gateway.post("/api/chat"))
            await until(lambda: service.pool.in_flight.total())
        with pytest.raises(httpx.HTTPError):
            await request
        assert [attempt.outcome for attempt in await gateway.attempts()] == ["cancelled"]


async def test_a_full_account_makes_requests_wait_in_line(harness: Harness, gateway: RunningGateway) -> None:
    harness.write_settings(apiKeys=[harness.cloud.keys[0][0]])
    await gateway.service.reload()
    answers = await asyncio.gather(*(gateway.post("/api/chat") for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {attempt.outcome for attempt in await gateway.settled(8)} == {"ok"}


async def test_a_client_that_overlooks_error_records_finds_its_connection_cut(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("session", in_stream=True, after=12, path="/api/chat")
    gateway.client.headers["user-agent"] = "ai/6.0.326 ai-sdk/provider-utils/4.0.65 runtime/node.js/22"
    found: list[bytes] = []

    async def collect(response: httpx.Response) -> None:
        async for piece in response.aiter_raw():
            found.append(piece)

    async with gateway.client.stream("POST", "/api/chat", json=body("/api/chat")) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            await collect(response)
    assert b"in the middle" in joined(found).splitlines()[-1]
    assert gateway.reported == []
