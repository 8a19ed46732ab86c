"""The simulated cloud as an object and as a server on a free loopback port, and its control interface."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from okr_tui.demo.api import Api
from okr_tui.demo.catalogue import BEHAVIOURS, FAULTS
from okr_tui.demo.scenarios import Action, Change, FaultRule, Outage, Past, Scenario
from okr_tui.demo.state import CloudState


def routes(state: CloudState) -> list[Route]:
    """Return the routes below /_demo, bound to a state."""

    def order(make: Callable[..., Action]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                action = make(**request.path_params, **await request.json())
                state.apply(action, state.advance())
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)
            return JSONResponse(overview(state))

        return endpoint

    async def read_overview(_request: Request) -> Response:
        return JSONResponse(overview(state))

    async def read_requests(_request: Request) -> Response:
        return JSONResponse({"requests": [asdict(received) for received in state.requests]})

    async def clear_requests(_request: Request) -> Response:
        state.requests.clear()
        return JSONResponse({"requests": []})

    async def read_faults(_request: Request) -> Response:
        return JSONResponse(
            {"names": [*FAULTS, *BEHAVIOURS], "ordered": [asdict(rule) for rule in state.rules]}
        )

    async def clear_faults(_request: Request) -> Response:
        state.rules.clear()
        state.outage = None
        return JSONResponse({"names": [*FAULTS, *BEHAVIOURS], "ordered": []})

    return [
        Route("/state", read_overview),
        Route("/requests", read_requests),
        Route("/requests", clear_requests, methods=["DELETE"]),
        Route("/faults", read_faults),
        Route("/faults", order(FaultRule), methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/accounts/{account}", order(Change), methods=["POST"]),
        Route("/accounts/{account}/past", order(Past), methods=["POST"]),
        Route("/outage", order(Outage), methods=["POST"]),
    ]


def overview(state: CloudState) -> dict[str, object]:
    """Return the accounts and the present faults of the service."""
    now = state.advance()
    return {
        "scenario": state.scenario.name,
        "now": now,
        "outage": state.outage.fault if state.outage else None,
        "accounts": [
            {
                "name": account.name,
                "plan": account.plan,
                "balance": account.balance(),
                "used": {name: window.used for name, window in account.windows.items()},
                "slots": account.slots,
                "active": account.active,
                "elsewhere": account.elsewhere,
                "suspended": account.suspended,
                "keys": [
                    {
                        "label": credential.label,
                        "fingerprint": credential.fingerprint,
                        "valid": credential.valid,
                    }
                    for credential in state.credentials.values()
                    if credential.account is account
                ],
            }
            for account in state.accounts.values()
        ],
    }


PACE = 0.025
BACKLOG = 2048
CUT_SECONDS = 1.0
"""How long requests whose connection was cut may take to end."""


class SimulatedCloud:
    """A cloud in a scenario. `speed` divides every scenario second; `pace` is the time between two tokens."""

    def __init__(
        self,
        scenario: Scenario,
        speed: float = 1.0,
        clock: Callable[[], float] = time.time,
        pace: float = PACE,
    ) -> None:
        self.state = CloudState(scenario, speed, clock)
        self.app: ASGIApp = Starlette(
            routes=[
                Mount("/_demo", routes=routes(self.state)),
                Mount("/", app=Api(self.state, pace)),
            ]
        )

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Every key that was handed out, with its label, in pool order."""
        return tuple((text, credential.label) for text, credential in self.state.credentials.items())


class _DemoServer(uvicorn.Server):
    """Ends at once when `ended` is set: uvicorn looks for that ten times a second, and then waits a while."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut every connection, and wait until the requests have noticed."""
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        if tasks := set(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=CUT_SECONDS)
            for task in late:
                task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program around the server."""
        yield


@asynccontextmanager
async def serve(cloud: SimulatedCloud) -> AsyncIterator[str]:
    """Serve a cloud in the running loop and yield its base URL; on leaving, every connection is cut."""
    connections: dict[tuple[str, int], asyncio.Transport] = {}

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client is not None:
                connections.pop(self.client, None)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await cloud.app({**scope, "connections": connections}, receive, send)

    config = uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )
    # Only a socket that names its protocol gets TCP_NODELAY; without it every small answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    server = _DemoServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.ended.set()
        await serving
