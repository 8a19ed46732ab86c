"""The largest body there may be, from a client through the gateway to the simulated cloud, and what it costs.

The memory is that of the gateway's process alone: by how much the most that it ever held grows.
"""

import functools
import hashlib
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okr_tui.demo import SCENARIOS, SimulatedCloud
from okr_tui.gateway.request import MAX_BODY_BYTES
from tests.gateway.bench import used
from tests.gateway.bench_targets import TOKEN, Pipe, gateway, served
from tests.waiting import LIMIT

pytestmark = pytest.mark.slow(reason="sends the largest bodies through a gateway process")

MIB = 1024 * 1024
MODEL = "gemma4:31b"
DIGEST = "x-ratelimit-digest"
QUESTION = "What is on this picture?"
PATHS: dict[str, dict[str, object]] = {
    "/api/chat": {"content": QUESTION, "images": ["IMAGE"]},
    "/v1/chat/completions": {
        "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,IMAGE"}},
        ]
    },
    "/v1/messages": {
        "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "IMAGE"}},
        ]
    },
}


async def cloud(_: str) -> AsyncIterator[ASGIApp]:
    """The simulated cloud, which also tells the digest of the body it was sent."""
    simulated = SimulatedCloud(SCENARIOS["calm"], pace=0).app

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        digest = hashlib.sha256()

        async def received() -> Message:
            message = await receive()
            digest.update(message.get("body", b""))
            return message

        async def reported(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (DIGEST.encode(), digest.hexdigest().encode())]
            await send(message)

        await simulated(scope, received, reported)

    yield application


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The cloud's address."""
    with served(cloud) as (url, _):
        yield url


@pytest.fixture
def running(upstream: str) -> Iterator[tuple[httpx.Client, Pipe]]:
    """A client of a gateway that has answered before, and the way to ask what that has used."""
    keys = [text for text, _ in SimulatedCloud(SCENARIOS["calm"]).keys]
    headers = {"x-api-key": TOKEN, "content-type": "application/json"}
    with (
        served(functools.partial(gateway, keys=keys), upstream) as (url, process),
        httpx.Client(base_url=url, headers=headers, trust_env=False, verify=False, timeout=LIMIT) as client,
    ):
        for path in PATHS:
            assert client.post(path, content=request_body(path, 1000)).status_code == 200
        yield client, process


def request_body(path: str, size: int) -> bytes:
    """A request of as many bytes, most of them an image."""
    document = {
        "model": MODEL,
        "stream": False,
        "max_tokens": 100,
        "messages": [{"role": "user", **PATHS[path]}],
    }
    text = json.dumps(document)
    return text.replace("IMAGE", "A" * (size - len(text) + len("IMAGE"))).encode()


@pytest.mark.parametrize("path", PATHS)
def test_the_largest_body_passes_and_is_never_held_twice(
    running: tuple[httpx.Client, Pipe], path: str
) -> None:
    client, process = running
    body = request_body(path, MAX_BODY_BYTES)
    assert len(body) == MAX_BODY_BYTES
    before = used(process).memory
    answer = client.post(path, content=body)
    assert answer.status_code == 200
    assert answer.headers[DIGEST] == hashlib.sha256(body).hexdigest()
    assert used(process).memory - before < 2 * MAX_BODY_BYTES / MIB


@pytest.mark.parametrize("framing", ["sized", "in chunks"])
def test_one_byte_more_is_refused_and_costs_no_more(running: tuple[httpx.Client, Pipe], framing: str) -> None:
    client, process = running
    body = request_body("/api/chat", MAX_BODY_BYTES + 1)
    pieces = (body[start : start + MIB] for start in range(0, len(body), MIB))
    before = used(process).memory
    answer = client.post("/api/chat", content=body if framing == "sized" else pieces)
    assert answer.status_code == 413
    assert used(process).memory - before < 2 * MAX_BODY_BYTES / MIB
    assert client.post("/api/chat", content=request_body("/api/chat", 1000)).status_code == 200
