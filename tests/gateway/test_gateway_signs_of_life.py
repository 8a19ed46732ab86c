"""What a caller gets while its stream has no event yet: comments, and nothing of the cloud's."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.gateway.running_gateway import RunningGateway, ScriptedCloud, body, joined, scripted_gateway
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import Harness

EVENTS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
SOON = {"sign_of_life": 0.01}


class SlowCloud:
    """A cloud that says what a test lets it say, once the caller has had a sign of life."""

    def __init__(self, *opening: bytes) -> None:
        self.may_go_on = asyncio.Event()
        self._opening = opening

    def stream(self, *rest: bytes) -> Response:
        """A stream that begins at once and goes on later."""

        async def sending() -> AsyncIterator[bytes]:
            for chunk in self._opening:
                yield chunk
            await self.may_go_on.wait()
            for chunk in rest:
                yield chunk

        return StreamingResponse(sending(), media_type="text/event-stream")

    async def refuse(self, _: Request) -> Response:
        """A refusal that takes its time."""
        await self.may_go_on.wait()
        return JSONResponse({"error": "this model does not support images"}, 400)


async def exchanged(gateway: RunningGateway, path: str, cloud: SlowCloud) -> tuple[int, bytes]:
    """The status and the bytes of an answer whose first bytes let the cloud go on."""
    content = b""
    async with gateway.client.stream("POST", path, json=body(path)) as response:
        async for chunk in response.aiter_raw():
            content += chunk
            cloud.may_go_on.set()
    return response.status_code, content


@pytest.mark.parametrize("path", EVENTS)
async def test_comments_come_before_anything_of_the_cloud(harness: Harness, path: str) -> None:
    cloud = SlowCloud(*OPENINGS[path])
    script = ScriptedCloud(cloud.stream(*PIECES[path], *CLOSINGS[path]))
    async with scripted_gateway(harness, script, policy=SOON) as gateway:
        status, content = await exchanged(gateway, path, cloud)
    whole = joined([*OPENINGS[path], *PIECES[path], *CLOSINGS[path]])
    assert status == 200
    assert content.startswith(b": ping\n\n")
    assert content.endswith(whole)
    assert content.removesuffix(whole).replace(b": ping\n\n", b"") == b""


@pytest.mark.parametrize("path", EVENTS)
async def test_another_send_is_still_possible(harness: Harness, path: str) -> None:
    cloud = SlowCloud(*OPENINGS[path])
    good = [*OPENINGS[path], *PIECES[path], *CLOSINGS[path]]

    async def second(_: Request) -> Response:
        return StreamingResponse(iter(good), media_type="text/event-stream")

    script = ScriptedCloud(cloud.stream(), second)
    async with scripted_gateway(harness, script, policy=SOON) as gateway:
        status, content = await exchanged(gateway, path, cloud)
    assert (status, content.replace(b": ping\n\n", b"")) == (200, joined(good))


@pytest.mark.parametrize("path", EVENTS)
async def test_a_refusal_after_them_is_the_dialects_final_error(harness: Harness, path: str) -> None:
    cloud = SlowCloud()
    script = ScriptedCloud(cloud.refuse)
    async with scripted_gateway(harness, script, policy=SOON) as gateway:
        status, content = await exchanged(gateway, path, cloud)
    assert status == 200
    assert b"does not support images" in content.split(b"data: ")[-1]
    assert content.count(b"data: ") == 1


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_lines_of_json_are_held_until_there_is_one(harness: Harness, path: str) -> None:
    cloud = SlowCloud(*OPENINGS[path])
    script = ScriptedCloud(cloud.stream(*PIECES[path], *CLOSINGS[path]))
    async with scripted_gateway(harness, script, policy=SOON) as gateway:
        asking = asyncio.create_task(exchanged(gateway, path, cloud))
        done, _ = await asyncio.wait([asking], timeout=0.1)
        assert not done
        cloud.may_go_on.set()
        _, content = await asking
    assert content == joined([*OPENINGS[path], *PIECES[path], *CLOSINGS[path]])


async def test_a_document_is_held_until_it_is_there(harness: Harness) -> None:
    cloud = SlowCloud()
    script = ScriptedCloud(cloud.refuse)
    path = "/v1/chat/completions"
    async with scripted_gateway(harness, script, policy=SOON) as gateway:
        asking = asyncio.create_task(gateway.post(path, stream=False))
        done, _ = await asyncio.wait([asking], timeout=0.1)
        assert not done
        cloud.may_go_on.set()
        assert (await asking).status_code == 400
