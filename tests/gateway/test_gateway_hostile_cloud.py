"""What clients of the gateway get of a cloud that repeats keys in its errors, or sends hostile documents."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.gateway.running_gateway import RunningGateway, run_gateway
from tests.hostile_cloud import KEYS, MODEL, HostileCloud, hostile_cloud, leaks, settings

STATUSES = (200, 307, 400, 401, 402, 403, 404, 405, 409, 413, 422, 429, 500, 503)
QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
BODIES = {
    "/api/chat": QUESTION,
    "/api/generate": {"model": MODEL, "prompt": "hello"},
    "/v1/chat/completions": QUESTION,
    "/v1/responses": {"model": MODEL, "input": "hello"},
    "/v1/messages": QUESTION,
    "/v1/embeddings": {"model": MODEL, "input": "hello"},
    "/api/web_search": {"query": "hello"},
    "/api/web_fetch": {"url": "https://example.com"},
    "/api/show": {"model": MODEL},
}


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[tuple[RunningGateway, HostileCloud]]:
    """A gateway in front of a hostile cloud, with the transport that it has in life."""
    with hostile_cloud() as cloud:
        file = tmp_path / "settings.json"
        file.write_text(settings(cloud.url, f"sqlite:{tmp_path / 'log.db'}"))
        sources = Sources(file, tmp_path / "project", {})
        async with (
            PoolService.open(sources, client="gateway", watching=False, make_transport=Transport) as service,
            run_gateway(service) as gateway,
        ):
            yield gateway, cloud


def whole(answer: httpx.Response) -> str:
    """Return all that a client sees of an answer."""
    return f"{answer.headers.raw!r} {answer.text} {answer.text.encode().decode('unicode_escape', 'replace')}"


@pytest.mark.parametrize("status", STATUSES)
async def test_no_client_gets_a_part_of_a_key(
    status: int, hostile: tuple[RunningGateway, HostileCloud]
) -> None:
    gateway, cloud = hostile
    cloud.heard, cloud.status = f"Bearer {KEYS[0]}", status
    for form, (path, body) in enumerate(BODIES.items()):
        cloud.form = form + status
        answer = await gateway.client.post(path, json=body)
        assert leaks(whole(answer)) == [], path
        assert leaks(answer.text) == [], path
    for path in ("/api/tags", "/v1/models", "/okr/status", "/metrics", "/api/me"):
        assert leaks(whole(await gateway.client.get(path))) == [], path
    assert leaks(json.dumps([*gateway.access, *gateway.reported])) == []
    records = await gateway.service.pool.store.read()
    assert records
    assert leaks(repr(records)) == []


async def test_hostile_documents_end_nothing(hostile: tuple[RunningGateway, HostileCloud]) -> None:
    gateway, cloud = hostile
    for key in gateway.service.pool.config.keys:
        await gateway.service.quota_poller.identity(key)
        await gateway.service.quota_poller.balance(key)
    listed = (await gateway.client.get("/api/tags")).json()
    assert [model["name"] for model in listed["models"]] == [MODEL]
    assert len((await gateway.client.get("/v1/models")).json()["data"]) == 1
    for path in ("/api/show", "/api/chat"):
        assert (await gateway.client.post(path, json=BODIES[path])).status_code == 200
    for path in ("/okr/status", "/metrics", "/api/me"):
        assert (await gateway.client.get(path)).status_code == 200
    cloud.status = 500
    assert (await gateway.client.post("/api/chat", json=QUESTION)).status_code >= 500
    assert gateway.reported == []
