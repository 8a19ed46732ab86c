"""What the gateway answers itself, its metrics, its token and its options."""

import json
import os
import stat
from pathlib import Path

import httpx
import pytest

from okr_tui import __version__
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.addresses import is_loopback, url
from okr_tui.domain.errors import OkrError
from okr_tui.gateway import metrics
from okr_tui.gateway.request import json_response
from okr_tui.gateway.server import listen
from okr_tui.gateway.tokens import NAMED, SHARED, load_token, named_callers
from okr_tui.store.base import LogEntry
from tests.gateway.running_gateway import RunningGateway
from tests.harness import MODEL, Harness


async def test_small_questions_of_a_daemons_client(gateway: RunningGateway) -> None:
    async def get(path: str) -> object:
        return (await gateway.client.get(path)).json()

    assert (await gateway.client.get("/api/version")).headers["x-okr-tui-version"] == __version__
    assert await get("/api/ps") == {"models": []}
    assert await get("/api/status") == {"cloud": {"disabled": False, "source": "none"}}
    assert await get("/okr/status") == {"cloud_url": gateway.service.cloud.url}
    me = (await gateway.client.post("/api/me")).json()
    assert me["plan"] == "pro"
    assert me["id"]


async def test_models_in_every_dialect(harness: Harness, gateway: RunningGateway) -> None:
    tags = (await gateway.client.get("/api/tags")).json()["models"]
    cloud = (await harness.control.get("/api/tags")).json()["models"]
    assert [tag["name"] for tag in tags] == [tag["name"] for tag in cloud]
    assert set(tags[0]) >= {"name", "model", "modified_at", "size", "digest", "details"}
    listed = (await gateway.client.get("/v1/models")).json()
    assert [entry["id"] for entry in listed["data"]] == [tag["name"] for tag in cloud]
    entry = (await gateway.client.get(f"/v1/models/{MODEL}")).json()
    assert (entry["id"], entry["object"], entry["owned_by"]) == (MODEL, "model", "ollama")
    assert entry["created"] > 0
    missing = await gateway.client.get("/v1/models/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


async def test_a_model_list_that_cannot_be_read(harness: Harness, gateway: RunningGateway) -> None:
    await harness.fault("unavailable", times=None)
    answer = await gateway.client.get("/v1/models")
    assert answer.status_code == 502


async def test_show_is_the_clouds_own_and_costs_no_key(harness: Harness, gateway: RunningGateway) -> None:
    direct = await harness.control.post("/api/show", json={"model": MODEL})
    passed = await gateway.client.post("/api/show", json={"model": f"{MODEL}-cloud"})
    assert passed.json() == direct.json()
    missing = await gateway.client.post("/api/show", json={"model": "nothing"})
    assert missing.status_code == 404
    assert await harness.sent("/api/show") == [None] * 3


async def test_web_search_takes_a_key(harness: Harness, gateway: RunningGateway) -> None:
    answer = await gateway.client.post("/api/web_search", json={"query": "sky"})
    assert answer.json()["results"]
    assert await harness.sent("/api/web_search") == [1]


async def test_the_first_scrape_reads_the_log_in_pages(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        assert (await gateway.post("/api/chat")).status_code == 200
    await gateway.settled(5)
    pages: list[int | None] = []
    store = gateway.service.pool.store
    read = store.read

    async def watched(after: int = 0, limit: int | None = None) -> list[LogEntry]:
        pages.append(limit)
        return await read(after, limit)

    monkeypatch.setattr(metrics, "PAGE", 2)
    monkeypatch.setattr(store, "read", watched)
    text = (await gateway.client.get("/metrics")).text
    requests = [line for line in text.splitlines() if line.startswith("okr_requests_total{")]
    assert sum(int(line.rpartition(" ")[2]) for line in requests) == 5
    assert pages.count(2) > 2


async def test_metrics(harness: Harness, gateway: RunningGateway) -> None:
    await harness.fault("session", account="amber")
    await gateway.post("/api/chat")
    await gateway.settled(2)
    await gateway.service.quota_poller.balance(gateway.service.pool.config.keys[0])
    answer = await gateway.client.get("/metrics")
    lines = answer.text.splitlines()
    first, third = (gateway.service.pool.config.keys[index].fingerprint for index in (0, 2))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        f'okr_requests_total{{key="{first}",client="gateway",outcome="fault"}} 1',
        f'okr_requests_total{{key="{third}",client="gateway",outcome="ok"}} 1',
        f'okr_faults_total{{key="{first}",kind="spent"}} 1',
        "okr_rotations_total 1",
        'okr_first_byte_seconds_bucket{le="+Inf"} 1',
        "okr_request_seconds_count 1",
        'okr_keys{state="spent"} 2',
    ):
        assert line in lines
    assert any(line.startswith(f'okr_quota_used_percent{{key="{first}",window="session"}}') for line in lines)
    assert not any(text in answer.text for text, _ in harness.cloud.keys)
    assert (await gateway.client.get("/metrics")).text == answer.text


async def test_the_access_log_names_no_secret(gateway: RunningGateway) -> None:
    await gateway.client.post("/api/chat?beta=secret", json={"model": MODEL, "messages": []})
    (line,) = await gateway.logged(1)
    assert (line["method"], line["path"], line["status"], line["model"]) == ("POST", "/api/chat", 200, MODEL)
    assert "secret" not in str(line)


async def test_an_unexpected_error_is_500_in_one_line(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise LookupError("nowhere")

    monkeypatch.setattr(gateway.service.pool, "view", broken)
    answer = await gateway.client.post("/api/me")
    assert (answer.status_code, answer.json()) == (500, {"error": "the gateway failed unexpectedly"})
    assert gateway.reported == ["unexpected LookupError at POST /api/me: nowhere"]


def test_a_name_that_is_not_text_is_json_too() -> None:
    document = {"store": "sqlite:/home/caf\udce9/é.db"}
    assert json.loads(json_response(document).content) == document


def test_the_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    token = load_token(folder)
    path = folder / SHARED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(folder) == [SHARED]
    assert load_token(folder) == token
    assert token.get_secret_value() not in repr(token)
    path.chmod(0o644)
    assert load_token(folder) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40, b"a b" * 20])
def test_a_damaged_token_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SHARED).write_bytes(content)
    with pytest.raises(OkrError, match="gateway-token"):
        load_token(tmp_path)


@pytest.mark.parametrize("name", [SHARED, NAMED])
def test_a_pipe_in_the_place_of_tokens_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name, 0o600)
    with pytest.raises(OkrError, match="it is not a file"):
        (load_token if name == SHARED else named_callers)(tmp_path)


def test_addresses() -> None:
    assert url("0.0.0.0", 1) == "http://127.0.0.1:1"
    assert url("::1", 1) == "http://[::1]:1"
    assert [is_loopback(host) for host in ("localhost", "127.0.0.9", "::1", "0.0.0.0", "a.example")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_taken_port_and_a_host_of_others_are_reported() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        pytest.raises(OkrError, match="listens there"),
    ):
        listen("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(OkrError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        listen("192.0.2.1", 0)


async def test_the_transport_speaks_of_errors_as_httpx_does() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with httpx.AsyncClient(transport=Transport()) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(f"http://127.0.0.1:{port}", timeout=0.05)
    async with httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}")
