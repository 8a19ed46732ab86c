"""The paths, names, credentials and small requests by which clients of each kind ask for the same."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.gateway.running_gateway import TOKEN, RunningGateway
from tests.harness import MODEL, Harness
from tests.waiting import LIMIT

ORIGIN = {"origin": "app://obsidian.md"}


async def ask(gateway: RunningGateway, method: str, path: str, **options: Any) -> httpx.Response:
    """Ask without the credentials and headers that the gateway's usual client has."""
    async with httpx.AsyncClient(
        base_url=gateway.url, trust_env=False, verify=False, timeout=LIMIT
    ) as client:
        target = httpx.URL(gateway.url).copy_with(raw_path=path.encode())
        return await client.request(method, target, **options)


@pytest.mark.parametrize(
    "path",
    [
        "//api/tags",
        "/api//tags",
        "/api/tags/",
        "//api//tags//",
        f"//{TOKEN}/api/tags",
        f"/{TOKEN}//api/tags/",
        "/api/t%61gs",
        "/%2Fapi%2Ftags",
        f"/%3{TOKEN[0]}{TOKEN[1:]}/api/tags",
        "/api/tags/?x=1",
    ],
)
async def test_extra_slashes_lead_to_the_same_endpoint(gateway: RunningGateway, path: str) -> None:
    headers = {} if TOKEN[1:] in path else {"x-api-key": TOKEN}
    response = await ask(gateway, "GET", path, headers=headers)
    assert response.status_code == 200
    assert response.json()["models"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/api/tags", "did you mean /api/tags? Remove"),
        ("/v1/v1/models", "did you mean /v1/models? Remove"),
        ("/api/v1/chat/completions", "did you mean /v1/chat/completions? Remove"),
        ("/chat/completions", "The base URL has to end with /v1"),
        ("/messages", "The base URL has to end with /v1"),
        ("/API/chat", "did you mean /api/chat? Paths are in lower case"),
        ("/V1/Chat/Completions", "did you mean /v1/chat/completions? Paths are in lower case"),
        ("/v1/chat/completions/v1/chat/completions", "did you mean /v1/chat/completions? Remove"),
        ("/openai/v1/messages", "did you mean /v1/messages? Remove"),
        ("/api/chat;x=1", "has no such path"),
        ("/api/chat%20", "has no such path"),
        ("/api/chat%00", "has no such path"),
        ("/nothing", "has no such path"),
    ],
)
async def test_a_wrong_base_url_is_answered_with_a_hint(
    gateway: RunningGateway, path: str, hint: str
) -> None:
    response = await ask(gateway, "POST", path, headers={"x-api-key": TOKEN})
    assert response.status_code == 404
    assert hint in response.text


@pytest.mark.parametrize("path", ["/api/push", "/api/delete", "/api/copy", "/api/create"])
async def test_what_changes_models_is_refused_in_words(gateway: RunningGateway, path: str) -> None:
    response = await gateway.client.post(path, json={"model": MODEL})
    assert response.status_code == 404
    assert "the models are in the cloud" in response.json()["error"]


@pytest.mark.parametrize(
    "name",
    [
        "gpt-oss:20b-cloud",
        "gpt-oss:20b:cloud",
        "ollama/gpt-oss:20b",
        "openai/gpt-oss:20b",
        "ollama-cloud/gpt-oss:20b",
        "registry.ollama.ai/library/gpt-oss:20b",
        "GPT-OSS:20B",
        "Ollama/GPT-OSS:20b-Cloud",
        "gpt-oss:20b:LATEST",
        " gpt-oss:20b ",
        "ollama_chat/gpt-oss:20b",
        "https://ollama.com/library/gpt-oss:20b",
        "Registry.Ollama.AI/library/gpt-oss:20b:latest",
    ],
)
async def test_every_usual_spelling_of_a_model_is_that_model(gateway: RunningGateway, name: str) -> None:
    await gateway.service.catalog.refresh()
    response = await gateway.post("/api/chat", model=name)
    assert response.status_code == 200
    assert (await gateway.settled(1))[0].model == MODEL


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("hf.co/someone/gpt-oss:20b", 404),
        ("https://huggingface.co/someone/gpt-oss:20b", 404),
        ("gpt\u2011oss:20b", 404),
        ("gpt-oss: 20b", 404),
        ("gpt-oss:latest", 404),
        ("\u6a21\u578b:1b", 404),
        ("gpt-oss:20b\u200b", 400),
        ("gpt-oss:20b\n", 400),
        ("\ud800", 400),
        ("  ", 400),
    ],
)
async def test_another_model_is_not_taken_for_one_that_is_listed(
    gateway: RunningGateway, name: str, status: int
) -> None:
    await gateway.service.catalog.refresh()
    document = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hello"}]})
    response = await gateway.client.post("/api/chat", content=document)
    assert response.status_code == status
    assert response.headers["x-okr-tui-error"] == ("cloud" if status == 404 else "gateway")


@pytest.mark.parametrize("name", ["gpt-oss%3A20b", "GPT-OSS:20B", "ollama%2Fgpt-oss:20b", "%20gpt-oss:20b"])
async def test_a_model_is_found_by_the_same_spellings(gateway: RunningGateway, name: str) -> None:
    response = await gateway.client.get(f"/v1/models/{name}")
    assert (response.status_code, response.json().get("id")) == (200, MODEL)


@pytest.mark.parametrize("form", [{"model": "", "name": MODEL}, {"name": f"{MODEL}-cloud"}])
async def test_the_model_may_be_in_name(gateway: RunningGateway, form: dict[str, str]) -> None:
    body = {"system": "", "template": "", "verbose": False, "options": None, **form}
    response = await gateway.client.post("/api/show", json=body)
    assert response.status_code == 200
    assert "tools" in response.json()["capabilities"]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": "Basic " + base64.b64encode(f"x:{TOKEN}".encode()).decode()},
        {"authorization": "basic " + base64.b64encode(f"{TOKEN}:".encode()).decode()},
        {"api-key": TOKEN},
        {"x-api-key": TOKEN},
    ],
)
async def test_the_token_in_any_usual_header(gateway: RunningGateway, headers: dict[str, str]) -> None:
    assert (await ask(gateway, "GET", "/api/tags", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic !!"},
        {"authorization": "Basic " + base64.b64encode(b"x:wrong").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"api-key": "wrong"},
    ],
)
async def test_any_other_is_refused(gateway: RunningGateway, headers: dict[str, str]) -> None:
    assert (await ask(gateway, "GET", "/api/tags", headers=headers)).status_code == 401


async def test_a_first_look_needs_no_token(gateway: RunningGateway) -> None:
    assert (await ask(gateway, "HEAD", "/")).status_code == 200
    assert (await ask(gateway, "GET", "/")).status_code == 401
    assert (await ask(gateway, "HEAD", "/api/tags")).status_code == 401


async def test_the_version_is_one_that_clients_accept(gateway: RunningGateway) -> None:
    response = await gateway.client.get("/api/version")
    assert tuple(map(int, response.json()["version"].split("."))) >= (0, 40, 6)
    assert response.headers["x-okr-tui-version"]


@pytest.mark.parametrize("path", ["/v1/responses", "/api/chat", "/v1/realtime"])
async def test_a_websocket_is_answered_426(gateway: RunningGateway, path: str) -> None:
    headers = {"x-api-key": TOKEN, "connection": "Upgrade", "upgrade": "websocket"}
    response = await ask(gateway, "GET", path, headers=headers)
    assert response.status_code == 426


@pytest.mark.parametrize(
    ("keep_alive", "reason"), [(None, "load"), ("5m", "load"), (-1, "load"), (0, "unload"), ("0s", "unload")]
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"prompt": ""}),
        ("/api/generate", {}),
        ("/api/chat", {"messages": []}),
        ("/api/chat", {}),
    ],
)
async def test_loading_and_unloading_spend_nothing(
    harness: Harness,
    gateway: RunningGateway,
    path: str,
    body: dict[str, Any],
    keep_alive: object,
    reason: str,
) -> None:
    more = {} if keep_alive is None else {"keep_alive": keep_alive}
    response = await gateway.client.post(path, json={"model": f"{MODEL}-cloud", **body, **more})
    document = response.json()
    assert (document["model"], document["done"], document["done_reason"]) == (MODEL, True, reason)
    assert document.get("response", document.get("message")) in ("", {"role": "assistant", "content": ""})
    assert await harness.sent(path) == []


async def test_a_question_that_keeps_nothing_alive_is_asked(
    harness: Harness, gateway: RunningGateway
) -> None:
    assert (await gateway.post("/api/generate", keep_alive=0)).status_code == 200
    assert await harness.sent("/api/generate") == [1]


@pytest.mark.parametrize("stream", [None, False])
async def test_a_pull_of_a_known_model_succeeds(gateway: RunningGateway, stream: bool | None) -> None:
    await gateway.service.catalog.refresh()
    more = {} if stream is None else {"stream": stream}
    response = await gateway.client.post("/api/pull", json={"model": f"{MODEL}-cloud", **more})
    assert [json.loads(line) for line in response.text.splitlines()] == [{"status": "success"}]
    unknown = await gateway.client.post("/api/pull", json={"name": "no-such:1b", **more})
    assert (unknown.status_code, "not found" in unknown.text) == (404, True)


async def test_balance_and_usage_are_the_active_accounts_and_read_once_a_minute(
    harness: Harness, gateway: RunningGateway
) -> None:
    for _ in range(3):
        balance = await gateway.client.get("/api/balance")
        usage = await gateway.client.get("/api/usage?range=30d")
    assert {"included", "purchased"} & balance.json().keys()
    assert usage.json()["buckets"]
    assert len(await harness.sent("/api/balance")) == len(await harness.sent("/api/usage")) == 1
    await harness.clock.advance(61)
    await gateway.client.get("/api/balance")
    assert len(await harness.sent("/api/balance")) == 2


async def test_apps_that_ollama_allows_may_come_with_the_token(gateway: RunningGateway) -> None:
    for origin in ("app://obsidian.md", "vscode-webview://abc", "tauri://localhost", "file://"):
        headers = {"origin": origin, "sec-fetch-site": "cross-site"}
        response = await gateway.client.get("/api/tags", headers=headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin
        assert (await ask(gateway, "GET", "/api/tags", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("APP://Obsidian.md", 200),
        ("VSCODE-WEBVIEW://abc", 200),
        ("tauri://localhost", 200),
        ("http://tauri.localhost", 403),
        ("app.obsidian.md", 403),
        ("https://chat.example:443", 403),
        ("https://app://obsidian.md", 403),
        ("null", 403),
        ("http://localhost.:1", 403),
    ],
)
async def test_an_origin_in_other_letters(gateway: RunningGateway, origin: str, status: int) -> None:
    response = await gateway.client.get("/api/tags", headers={"origin": origin})
    assert response.status_code == status


async def test_a_stream_is_for_a_listed_page_too(gateway: RunningGateway) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    response = await gateway.client.post("/api/chat", json=body, headers=ORIGIN)
    assert response.headers["access-control-allow-origin"] == ORIGIN["origin"]


async def test_a_browser_that_asks_first_is_answered_for_listed_origins_alone(
    gateway: RunningGateway,
) -> None:
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-a"}
    response = await ask(gateway, "OPTIONS", "/api/chat", headers={**ORIGIN, **asking})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN["origin"]
    assert response.headers["access-control-allow-headers"] == "authorization,x-a"
    odd = {**asking, "access-control-request-headers": "x\x01y; z"}
    response = await ask(gateway, "OPTIONS", "/api/chat", headers={**ORIGIN, **odd})
    assert response.status_code in (204, 400)
    assert response.headers.get("access-control-allow-headers", "") in ("", "authorization, *")
    for origin in ("https://evil.example", "http://localhost:3000", "null", "chrome-extension://abc"):
        other = await ask(gateway, "OPTIONS", "/api/chat", headers={"origin": origin, **asking})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


async def test_origins_and_hosts_are_settings_that_take_effect_at_once(
    harness: Harness, gateway: RunningGateway
) -> None:
    page = {"origin": "https://chat.example"}
    host = {"host": "okr.example:11435"}
    for headers in (page, host):
        refused = await gateway.client.get("/api/tags", headers=headers)
        assert refused.status_code == 403
        assert "okr-tui.gateway." in refused.json()["error"]
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"origins": ["https://Chat.example"], "hosts": ["*.example"]}
    harness.settings_file.write_text(json.dumps(document))
    await gateway.service.reload()
    for headers in (page, host):
        assert (await gateway.client.get("/api/tags", headers=headers)).status_code == 200
    assert (await gateway.client.get("/api/tags", headers=ORIGIN)).status_code == 403
