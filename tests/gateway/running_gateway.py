"""A gateway over real loopback connections, before the simulated cloud or one that follows a script."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.records import Attempt
from okr_tui.gateway.app import Gateway
from okr_tui.gateway.server import listen, serving
from okr_tui.gateway.tokens import Tokens
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.harness import MODEL, Harness, logged
from tests.waiting import LIMIT, until

TOKEN = "0123456789abcdef" * 2
HOST = "127.0.0.1"
HELLO = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, object]] = {
    "/api/chat": {"messages": HELLO},
    "/api/generate": {"prompt": "Hello"},
    "/v1/chat/completions": {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}},
    "/v1/completions": {"prompt": "Hello", "stream": True},
    "/v1/responses": {"input": "Hello", "stream": True},
    "/v1/messages": {"messages": HELLO, "stream": True, "max_tokens": 100},
}


@dataclass
class RunningGateway:
    """A gateway that runs, and a client of it that has the token."""

    url: str
    service: PoolService
    client: httpx.AsyncClient
    access: list[Mapping[str, Any]] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    async def post(self, path: str, **changes: object) -> httpx.Response:
        """A good request of a path, with changes to its body."""
        return await self.client.post(path, json=body(path, **changes))

    async def attempts(self) -> list[Attempt]:
        """What the log says of requests."""
        return await logged(self.service.pool, Attempt)

    async def logged(self, count: int) -> list[Mapping[str, Any]]:
        """The access log, once it has so many lines."""
        await until(lambda: len(self.access) >= count)
        return self.access

    async def settled(self, count: int) -> list[Attempt]:
        """The requests in the log, once there are so many."""
        async with asyncio.timeout(LIMIT):
            async for _ in self.service.pool.changes():
                if len(found := await self.attempts()) >= count:
                    return found
        raise AssertionError("the log ended")


def body(path: str, **changes: object) -> dict[str, object]:
    """A good body for a path."""
    return {"model": MODEL, **BODIES[path], **changes}


@asynccontextmanager
async def run_gateway(
    service: PoolService, host: str = HOST, token: str | Tokens = TOKEN
) -> AsyncGenerator[RunningGateway, None]:
    """A gateway over a keyring."""
    access: list[Mapping[str, Any]] = []
    reported: list[str] = []
    application = Gateway(
        service,
        SecretStr(token) if isinstance(token, str) else token,
        host,
        status=lambda: {"cloud_url": service.cloud.url},
        access=access.append,
        report=reported.append,
    )
    with listen(HOST, 0) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        async with (
            serving(application, listener),
            httpx.AsyncClient(
                base_url=url,
                headers={"authorization": f"Bearer {token}"},
                trust_env=False,
                verify=False,
                timeout=LIMIT,
            ) as client,
        ):
            yield RunningGateway(url, service, client, access, reported)


@asynccontextmanager
async def open_gateway(harness: Harness) -> AsyncGenerator[RunningGateway, None]:
    """The gateway of a harness, with the transport that it has in life."""
    sources = Sources(harness.settings_file, harness.home / "project", harness.environment)
    async with (
        PoolService.open(
            sources, client="gateway", watching=False, clock=harness.clock, make_transport=Transport
        ) as service,
        run_gateway(service) as made,
    ):
        yield made


Answering = Callable[[Request], Awaitable[Response]]


class ScriptedCloud:
    """A cloud that answers every request with the next answer of a list, and remembers the requests."""

    def __init__(self, *answers: Response | Answering) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        """Set when a caller has hung up on an answer that waits."""
        self._answers = iter(answers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        request = Request(scope, receive)
        self.bodies.append(await request.body())
        self.requests.append(request)
        answer = next(self._answers)
        response = answer if isinstance(answer, Response) else await answer(request)
        try:
            await response(scope, receive, send)
        finally:
            self.left.set()


@asynccontextmanager
async def scripted_gateway(
    harness: Harness, application: ASGIApp, policy: Mapping[str, object] | None = None
) -> AsyncIterator[RunningGateway]:
    """The gateway of a harness whose cloud follows a script."""
    with listen(HOST, 0) as listener:
        async with serving(application, listener):
            harness.url = f"http://{HOST}:{listener.getsockname()[1]}"
            harness.write_settings(policy=policy)
            async with open_gateway(harness) as made:
                yield made


def events(*documents: object, done: bool = False) -> list[bytes]:
    """Server-sent events, named where they have a type."""
    found = []
    for document in documents:
        kind = document.get("type") if isinstance(document, dict) else None
        name = f"event: {kind}\n" if kind else ""
        found.append(f"{name}data: {json.dumps(document)}\n\n".encode())
    return [*found, b"data: [DONE]\n\n"] if done else found


def stream(
    *chunks: bytes,
    kind: str = "text/event-stream",
    then: asyncio.Event | None = None,
    rest: Iterable[bytes] = (),
) -> Response:
    """A streamed answer of these chunks; when `then` is set, if given, come the rest and the end."""

    async def sending() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if then:
            await then.wait()
        for chunk in rest:
            yield chunk

    return StreamingResponse(sending(), media_type=kind)


async def read(response: httpx.Response, most: int) -> list[bytes]:
    """The first chunks of an answer."""
    found: list[bytes] = []
    async for chunk in response.aiter_raw():
        found.append(chunk)
        if len(found) == most:
            break
    return found


def joined(chunks: Iterable[bytes]) -> bytes:
    """All chunks in one."""
    return b"".join(chunks)
