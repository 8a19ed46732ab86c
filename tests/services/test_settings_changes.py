"""Changed settings take effect at once in every part that was built from them."""

import asyncio

import httpx

from okr_tui.cloud.network import Network
from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.harness import Harness, ask, wait_for


class RecordingTransport(httpx.AsyncHTTPTransport):
    """A way to the network that keeps the time-outs of each request to a model."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[tuple[float, float]] = []
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/chat":
            timeout = request.extensions["timeout"]
            self.timeouts.append((timeout["read"], timeout["connect"]))
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


async def failed_then_later(harness: Harness, service: PoolService) -> None:
    """Wait for a refresh of the model list to fail, and let some seconds pass."""
    await wait_for(
        service, lambda snapshot: snapshot.models.error is not None and not snapshot.models.refreshing
    )
    for _ in range(5):
        await asyncio.sleep(0)  # until the catalog waits for its next try
    await harness.clock.advance(10)


async def test_changed_timeouts_hold_for_the_next_request(harness: Harness) -> None:
    made: list[RecordingTransport] = []

    def make_transport(_network: Network) -> RecordingTransport:
        made.append(RecordingTransport())
        return made[-1]

    sources = Sources(harness.settings_file, harness.home / "project", {})
    async with PoolService.open(
        sources, watching=False, clock=harness.clock, make_transport=make_transport
    ) as service:
        await ask(service)
        await service.change_setting("policy.idle", "7")
        await service.change_setting("policy.connect", "3")
        await ask(service)
    assert [timeout for each in made for timeout in each.timeouts] == [(180, 10), (7, 3)]
    assert all(each.closed for each in made)


async def test_a_failed_first_model_list_is_read_again_within_seconds(harness: Harness) -> None:
    await harness.fault("unavailable", path="/api/tags")
    async with harness.open(watching=True) as service:
        await failed_then_later(harness, service)
        snapshot = await wait_for(service, lambda snapshot: bool(snapshot.models.rows))
    assert snapshot.models.error is None


async def test_another_cloud_replaces_the_model_list_at_once(harness: Harness) -> None:
    other = SimulatedCloud(SCENARIOS["calm"], clock=harness.clock.time, pace=0)
    async with serve(other) as url, harness.open(watching=True) as service:
        await wait_for(service, lambda snapshot: bool(snapshot.models.rows))
        async with httpx.AsyncClient(base_url=url, verify=False) as control:
            await control.post("/_demo/faults", json={"fault": "unavailable", "path": "/api/tags"})
        harness.write_settings(cloudUrl=url)
        moved = await wait_for(service, lambda snapshot: snapshot.settings.cloud_url == url)
        assert moved.models.rows == ()
        await failed_then_later(harness, service)
        await wait_for(service, lambda snapshot: bool(snapshot.models.rows))
