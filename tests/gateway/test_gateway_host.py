"""The gateway inside a dashboard's process: a real service and real ports over loopback."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from okr_tui.chat.messages import Finished
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.serve import hosting
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.cloud.dialects import Delta
from okr_tui.cloud.http_policy import HttpxTransport
from okr_tui.domain.errors import OkrError
from okr_tui.gateway import server
from okr_tui.gateway.errors import ended
from okr_tui.gateway.server import _Server, listen, serving
from okr_tui.services import gateway_registry
from okr_tui.services.gateway_registry import running_gateway
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import GatewayView
from tests.gateway.running_gateway import HOST, body, stream
from tests.harness import Harness, stream_answer, wait_for
from tests.services.processes import announcing
from tests.waiting import LIMIT

STOPPED = GatewayView()
PART = b'{"message":{"role":"assistant","content":"a"},"done":false}\n'
END = b'{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'


def settle_gateway(harness: Harness, **section: object) -> None:
    """Write these settings of the gateway."""
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["gateway"] = section
    harness.settings_file.write_text(json.dumps(document))


def state_of(harness: Harness) -> Path:
    """The state folder of a harness."""
    return harness.home / "state"


@asynccontextmanager
async def dashboard(harness: Harness) -> AsyncIterator[PoolService]:
    """The service of a dashboard that can run a gateway."""
    invocation = Invocation(
        harness.settings_file,
        harness.home / "project",
        environment=harness.environment,
        state=state_of(harness),
    )
    async with harness.open(client="dashboard", watching=True) as service:
        await service.host(hosting(invocation, service))
        yield service


@asynccontextmanager
async def slow_cloud(harness: Harness) -> AsyncIterator[asyncio.Event]:
    """A cloud whose one chat answer ends when the event is set."""
    following = asyncio.Event()
    answer = stream(PART, kind="application/x-ndjson", then=following, rest=[END])

    async def cloud(scope: Scope, receive: Receive, send: Send) -> None:
        await (answer if scope["path"] == "/api/chat" else Response(status_code=404))(scope, receive, send)

    with listen(HOST, 0) as listener:
        harness.url = f"http://{HOST}:{listener.getsockname()[1]}"
        harness.write_settings()
        settle_gateway(harness, port=0)
        async with serving(cloud, listener):
            yield following


def client(harness: Harness, service: PoolService) -> httpx.AsyncClient:
    """A client of the gateway that runs, with its token."""
    token = (state_of(harness) / "gateway-token").read_text().strip()
    return httpx.AsyncClient(
        base_url=service.snapshot.gateway.url or "",
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
        verify=False,
    )


@pytest.fixture
def free(harness: Harness) -> Harness:
    """A harness whose gateway takes a free port."""
    settle_gateway(harness, port=0)
    return harness


async def test_it_answers_from_start_to_stop(free: Harness) -> None:
    async with dashboard(free) as service:
        assert service.snapshot.gateway == STOPPED
        said = await service.switch_gateway()
        view = service.snapshot.gateway
        assert view.url
        assert view.url in said
        presence = running_gateway(state_of(free))
        assert presence
        assert presence.url == view.url
        async with client(free, service) as caller:
            answer = await caller.post("/api/chat", json=body("/api/chat"))
            status = (await caller.get("/okr/status")).json()
        assert b'"done":true' in answer.content
        assert status["gateway"] == {"url": view.url}
        await wait_for(service, lambda shown: any("gateway" in entry.detail for entry in shown.entries))
        assert await service.switch_gateway() == "Gateway stopped"
        assert service.snapshot.gateway == STOPPED
        assert running_gateway(state_of(free)) is None
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection((HOST, httpx.URL(view.url).port or 0)).close()
        assert "Gateway on" in await service.switch_gateway()
    assert running_gateway(state_of(free)) is None


async def test_what_is_under_way_ends_on_the_transport_it_began_with(free: Harness) -> None:
    async with slow_cloud(free) as following, dashboard(free) as service:
        with service.cloud.use() as before:
            events = stream_answer(service)
            await anext(event async for event in events if isinstance(event, Delta))
        await service.switch_gateway()
        with service.cloud.use() as faster:
            assert isinstance(faster._transport, Transport)
        following.set()
        assert isinstance([event async for event in events][-1], Finished)
        await service.switch_gateway()
        assert isinstance(before._transport, HttpxTransport)
        assert before._transport._pools == {}
        await service.switch_gateway()
        with service.cloud.use() as still:
            assert still is faster


async def test_answers_under_way_are_cut_at_once_with_an_error(free: Harness) -> None:
    async with slow_cloud(free), dashboard(free) as service:
        await service.switch_gateway()
        async with (
            client(free, service) as caller,
            caller.stream("POST", "/api/chat", json=body("/api/chat")) as response,
        ):
            chunks = response.aiter_raw()
            assert await anext(chunks) == PART
            async with asyncio.timeout(LIMIT):
                assert await service.switch_gateway() == "Gateway stopped"
            assert json.loads(b"".join([chunk async for chunk in chunks])) == {"error": ended().text}


async def test_closing_the_service_ends_it(free: Harness) -> None:
    async with dashboard(free) as service:
        await service.switch_gateway()
        url = httpx.URL(service.snapshot.gateway.url or "")
    with pytest.raises(OSError, match=r".*"):
        socket.create_connection((HOST, url.port or 0)).close()


async def test_closing_is_finished_however_often_it_is_cancelled(free: Harness) -> None:
    before = set(threading.enumerate())
    async with slow_cloud(free):
        ready = asyncio.get_running_loop().create_future()

        async def screen() -> None:
            async with dashboard(free) as service:
                await service.switch_gateway()
                ready.set_result(service)
                await asyncio.Event().wait()

        shown = asyncio.create_task(screen())
        service = await ready
        async with (
            client(free, service) as caller,
            caller.stream("POST", "/api/chat", json=body("/api/chat")) as response,
        ):
            chunks = response.aiter_raw()
            await anext(chunks)
            shown.cancel()
            await wait_for(service, lambda snapshot: snapshot.gateway.ending)
            shown.cancel()
            assert json.loads(b"".join([chunk async for chunk in chunks])) == {"error": ended().text}
        with pytest.raises(asyncio.CancelledError):
            await shown
    assert running_gateway(state_of(free)) is None
    # The log has a thread, which keeps a process alive until the log is closed, at once or soon.
    threads = [each for each in set(threading.enumerate()) - before if "_connection_worker" in each.name]
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
    assert not [thread for thread in threads if thread.is_alive()]


async def test_a_taken_port_is_reported_until_it_works(harness: Harness) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        settle_gateway(harness, port=port)
        async with dashboard(harness) as service:
            with pytest.raises(OkrError, match=f"port {port}: .* listens there; choose another"):
                await service.switch_gateway()
            error = service.snapshot.gateway.error
            assert error
            assert "okr-tui.gateway" in error
            taken.close()
            await service.switch_gateway()
            assert service.snapshot.gateway == GatewayView(f"http://{HOST}:{port}")


async def test_what_others_could_reach_is_not_started_here(harness: Harness) -> None:
    settle_gateway(harness, host="0.0.0.0", port=0)
    async with dashboard(harness) as service:
        with pytest.raises(OkrError, match="okr-tui serve --expose"):
            await service.switch_gateway()
        assert running_gateway(state_of(harness)) is None


async def test_one_elsewhere_is_seen_and_not_doubled(free: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_registry, "STEP_MS", 10)
    monkeypatch.setattr(gateway_registry, "LOOK_AGAIN_MS", 100)
    elsewhere = GatewayView("http://127.0.0.1:4711", elsewhere=True)
    async with dashboard(free) as service:
        with announcing(state_of(free)) as process:
            await wait_for(service, lambda snapshot: snapshot.gateway == elsewhere)
            with pytest.raises(
                OkrError, match=f"already running in process {process.pid}, at http://127.0.0.1:4711"
            ):
                await service.switch_gateway()
            assert service.snapshot.gateway == elsewhere
        await wait_for(service, lambda snapshot: snapshot.gateway == STOPPED)
    with announcing(state_of(free)):
        async with dashboard(free) as service:
            assert service.snapshot.gateway == elsewhere


async def test_changed_settings_wait_for_the_next_start(free: Harness) -> None:
    async with dashboard(free) as service:
        await service.switch_gateway()
        url = service.snapshot.gateway.url
        settle_gateway(free, port=0, autostart=True)
        await wait_for(service, lambda snapshot: snapshot.gateway.autostart)
        assert not service.snapshot.gateway.outdated
        settle_gateway(free, port=1)
        await wait_for(service, lambda snapshot: snapshot.gateway.outdated)
        assert service.snapshot.gateway.url == url
        async with client(free, service) as caller:
            assert (await caller.get("/healthz")).status_code == 200
        settle_gateway(free, port=0)
        await wait_for(service, lambda snapshot: not snapshot.gateway.outdated)


async def test_settings_that_are_not_used_are_reported(harness: Harness) -> None:
    settle_gateway(harness, port=0, hots="typo")
    async with dashboard(harness) as service:
        await service.switch_gateway()
        view = service.snapshot.gateway
        assert view.url
        assert view.error is None
        (problem,) = service.problems
        assert problem.endswith(": gateway.hots is ignored: there is no such setting; did you mean hosts?")


async def test_a_server_that_fails_is_reported(free: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = asyncio.Event()

    async def main_loop(_: _Server) -> None:
        await failing.wait()
        raise RuntimeError("no more sockets")

    monkeypatch.setattr(_Server, "main_loop", main_loop)
    async with dashboard(free) as service:
        await service.switch_gateway()
        failing.set()
        snapshot = await wait_for(service, lambda snapshot: snapshot.gateway.error is not None)
        assert snapshot.gateway.url is None
        assert "no more sockets" in (snapshot.gateway.error or "")
        assert running_gateway(state_of(free)) is None


async def test_a_service_without_a_host_says_who_has_one(harness: Harness) -> None:
    async with harness.open() as service:
        with pytest.raises(OkrError, match="okr-tui serve"):
            await service.switch_gateway()


def test_an_early_import_that_fails_is_left_to_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READS_REQUESTS", "okr_tui.gateway.no_such_module")
    server._import_early()
