"""The end of a gateway: answers get their time, and what is cut says so in its own dialect."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.app import Gateway
from okr_tui.gateway.errors import ended
from okr_tui.gateway.server import listen, serving
from tests.gateway.running_gateway import BODIES, HOST, TOKEN, ScriptedCloud, body, joined, stream
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import Harness
from tests.waiting import LIMIT, until

TEXT = ended().text


@asynccontextmanager
async def running(
    harness: Harness, script: ScriptedCloud, **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.Event]]:
    """A client of a gateway that runs until the event is set, with what `serving` takes."""
    ending, gone = asyncio.Event(), asyncio.Event()
    with listen(HOST, 0) as upstream, listen(HOST, 0) as listener:
        async with serving(script, upstream, grace=0):
            harness.url = f"http://{HOST}:{upstream.getsockname()[1]}"
            harness.write_settings()
            async with harness.open(client="gateway") as service:
                application = Gateway(service, SecretStr(TOKEN), HOST, status=dict, report=pytest.fail)

                async def serve() -> None:
                    async with serving(application, listener, **options):
                        await ending.wait()
                    gone.set()

                task = asyncio.create_task(serve())
                url = f"http://{HOST}:{listener.getsockname()[1]}"
                headers = {"x-api-key": TOKEN}
                async with httpx.AsyncClient(
                    base_url=url, headers=headers, trust_env=False, verify=False, timeout=LIMIT
                ) as client:
                    yield client, ending
                ending.set()
                async with asyncio.timeout(LIMIT):
                    await task
                await until(lambda: any(key.requests for key in service.pool.state.keys.values()))
                async with asyncio.timeout(LIMIT):  # the log is written a moment later
                    while "attempt" not in {item.record.kind for item in await service.pool.store.read()}:  # noqa: ASYNC110
                        await asyncio.sleep(0)


def reported(path: str, rest: bytes) -> dict[str, Any]:
    """The document of the error that ends a stream."""
    lines = [line for line in rest.decode().splitlines() if line]
    if path.startswith("/api/"):
        (line,) = lines
        return dict(json.loads(line))
    named = {"/v1/messages": ["event: error"], "/v1/responses": ["event: response.failed"]}
    assert lines[:-1] == named.get(path, [])
    return dict(json.loads(lines[-1].removeprefix("data: ")))


def words(document: dict[str, Any]) -> object:
    """The text of an error in any dialect."""
    error = document.get("response", document)["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("path", BODIES)
async def test_an_answer_that_is_cut_ends_with_its_dialects_error(harness: Harness, path: str) -> None:
    begun = [*OPENINGS[path], *PIECES[path]]
    script = ScriptedCloud(stream(*begun, then=asyncio.Event()))
    async with (
        running(harness, script, grace=0) as (client, ending),
        client.stream("POST", path, json=body(path)) as response,
    ):
        chunks, got = response.aiter_raw(), b""
        while len(got) < len(joined(begun)):
            got += await anext(chunks)
        ending.set()
        rest = b"".join([chunk async for chunk in chunks])
    assert words(reported(path, rest)) == TEXT


@pytest.mark.parametrize("path", BODIES)
async def test_an_answer_that_has_not_begun_gets_a_status(harness: Harness, path: str) -> None:
    script = ScriptedCloud(stream(*OPENINGS[path], then=asyncio.Event()))
    async with running(harness, script, grace=0) as (client, ending):
        asked = asyncio.create_task(client.post(path, json=body(path)))
        await until(lambda: script.requests)
        ending.set()
        answer = await asked
    assert (answer.status_code, words(answer.json())) == (503, TEXT)


async def test_half_a_document_is_not_an_answer(harness: Harness) -> None:
    path = "/api/chat"
    script = ScriptedCloud(stream(b'{"message":', kind="application/json", then=asyncio.Event()))
    async with running(harness, script, grace=0) as (client, ending):
        asked = asyncio.create_task(client.post(path, json=body(path, stream=False)))
        await until(lambda: script.requests)
        ending.set()
        try:
            answer = await asked
        except httpx.HTTPError:
            return
    assert answer.status_code == 503


async def test_an_answer_in_progress_ends_in_time(harness: Harness) -> None:
    path = "/api/chat"
    going_on = asyncio.Event()
    script = ScriptedCloud(stream(*PIECES[path], then=going_on, rest=CLOSINGS[path]))
    async with (
        running(harness, script, grace=60) as (client, ending),
        client.stream("POST", path, json=body(path)) as response,
    ):
        chunks = response.aiter_raw()
        got = await anext(chunks)
        ending.set()
        with pytest.raises(httpx.HTTPError):
            await client.get("/healthz")
        going_on.set()
        got += b"".join([chunk async for chunk in chunks])
    assert got == joined([*PIECES[path], *CLOSINGS[path]])


async def test_a_second_signal_cuts_the_time_short(harness: Harness) -> None:
    path, stop_now = "/v1/messages", asyncio.Event()
    script = ScriptedCloud(stream(*OPENINGS[path], *PIECES[path], then=asyncio.Event()))
    async with (
        asyncio.timeout(LIMIT),
        running(harness, script, grace=600, stop_now=stop_now) as (client, ending),
        client.stream("POST", path, json=body(path)) as response,
    ):
        chunks = response.aiter_raw()
        await anext(chunks)
        ending.set()
        with pytest.raises(httpx.HTTPError):
            await client.get("/healthz")
        stop_now.set()
        rest = b"".join([chunk async for chunk in chunks])
    assert rest.endswith(b"\n\n")
    assert TEXT.encode() in rest
