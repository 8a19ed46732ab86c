"""What answers when no key can: only where settings say so, told everywhere, never after output."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import JSONResponse

from okr_tui.domain.records import FellBack
from okr_tui.gateway.server import listen, serving
from tests.gateway.running_gateway import HOST, RunningGateway, ScriptedCloud, stream
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import MODEL, Harness

OTHER = "kimi-k2.6"
PATHS = ["/api/chat", "/v1/chat/completions", "/v1/messages", "/v1/responses"]
ACCOUNTS = ("amber", "birch", "cedar")


async def fall_back(
    harness: Harness, gateway: RunningGateway, others: Mapping[str, object], **more: object
) -> None:
    """Put into the settings what answers instead."""
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["models"] = {"fallback": others, **more}
    harness.settings_file.write_text(json.dumps(document))
    await gateway.service.reload()


async def fell_back(gateway: RunningGateway) -> list[tuple[str, str]]:
    """What the log says of it."""
    records = [item.record for item in await gateway.service.pool.store.read()]
    return [(record.model, record.answered_by) for record in records if isinstance(record, FellBack)]


@asynccontextmanager
async def local_ollama(
    *answers: httpx.Response | JSONResponse | object,
) -> AsyncIterator[tuple[str, ScriptedCloud]]:
    """A local Ollama that follows a script, and its address."""
    script = ScriptedCloud(*answers)  # type: ignore[arg-type]
    with listen(HOST, 0) as listener:
        async with serving(script, listener):
            yield f"http://{HOST}:{listener.getsockname()[1]}", script


@pytest.mark.parametrize("path", PATHS)
async def test_another_model_answers_where_the_plan_lacks_one(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await harness.fault("subscription", model=MODEL, times=None)
    assert (await gateway.post(path)).status_code == 403
    await fall_back(harness, gateway, {MODEL: [f"{MODEL}-cloud", f"ollama/{OTHER}"]})
    response = await gateway.post(path)
    assert response.status_code == 200
    assert response.headers["x-okr-tui-answered-by"] == OTHER
    assert (await gateway.settled(4))[-1].model == OTHER
    assert await fell_back(gateway) == [(MODEL, OTHER)]
    assert f"{OTHER} answers instead of {MODEL}" in [line.text for line in gateway.service.pool.entries]


async def test_the_star_stands_for_every_model_without_a_list_of_its_own(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("subscription", model=MODEL, times=None)
    await fall_back(harness, gateway, {"*": [OTHER], f"{MODEL}-cloud": []})
    assert (await gateway.post("/api/chat")).status_code == 403
    await fall_back(harness, gateway, {"*": OTHER})
    assert (await gateway.post("/api/chat")).headers["x-okr-tui-answered-by"] == OTHER


async def test_a_caller_may_forbid_it(harness: Harness, gateway: RunningGateway) -> None:
    await harness.fault("subscription", model=MODEL, times=None)
    await fall_back(harness, gateway, {"*": [OTHER]})
    gateway.client.headers["x-okr-tui-no-fallback"] = "1"
    response = await gateway.post("/api/chat")
    assert response.status_code == 403
    assert "x-okr-tui-answered-by" not in response.headers
    assert await fell_back(gateway) == []


async def test_never_after_output(harness: Harness, gateway: RunningGateway) -> None:
    await fall_back(harness, gateway, {"*": [OTHER]})
    await harness.fault("session", in_stream=True, after=12, path="/api/chat")
    response = await gateway.post("/api/chat")
    assert "in the middle" in response.text.splitlines()[-1]
    assert len(await harness.sent()) == 1


async def test_not_for_what_passes_by_itself(harness: Harness, gateway: RunningGateway) -> None:
    await fall_back(harness, gateway, {"*": [OTHER]})
    await harness.fault("context-too-long", times=None)
    assert (await gateway.post("/api/chat")).status_code == 400
    assert await fell_back(gateway) == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_local_model_answers_and_gets_no_key(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    for account in ACCOUNTS:
        await harness.fault("session", account=account, times=None)
    kind = "application/x-ndjson" if path.startswith("/api") else "text/event-stream"
    whole = [*OPENINGS[path], *PIECES[path], *CLOSINGS[path]]
    async with local_ollama(stream(*whole, kind=kind)) as (url, script):
        await fall_back(harness, gateway, {"*": [OTHER, "local:llama3.2"]}, local=url)
        response = await gateway.post(path)
    assert (response.status_code, response.content) == (200, b"".join(whole))
    assert response.headers["x-okr-tui-answered-by"] == "local:llama3.2"
    (asked,) = script.requests
    assert asked.url.path == path
    assert json.loads(script.bodies[0])["model"] == "llama3.2"
    assert not {"authorization", "x-api-key"} & set(asked.headers)
    sent = b" ".join([*script.bodies, *(value for _, value in asked.headers.raw)])
    assert not any(text.encode() in sent for text, _ in harness.cloud.keys)
    assert await fell_back(gateway) == [(MODEL, "local:llama3.2")]


async def test_where_nothing_else_answers_the_first_reason_is_told(
    harness: Harness, gateway: RunningGateway
) -> None:
    for account in ACCOUNTS:
        await harness.fault("session", account=account, times=None)
    missing = JSONResponse({"error": "model 'llama3.2' not found"}, 404)
    async with local_ollama(missing) as (url, _):
        await fall_back(harness, gateway, {"*": ["local:llama3.2"]}, local=url)
        response = await gateway.post("/api/chat")
    assert response.status_code == 402
    assert "5h spent" in response.json()["error"]
    assert await fell_back(gateway) == []


async def test_a_pool_without_a_key_has_a_local_model(harness: Harness, gateway: RunningGateway) -> None:
    harness.write_settings(apiKeys=[])
    whole = [*OPENINGS["/api/chat"], *PIECES["/api/chat"], *CLOSINGS["/api/chat"]]
    async with local_ollama(stream(*whole, kind="application/x-ndjson")) as (url, _):
        await fall_back(harness, gateway, {"*": ["local:llama3.2"]}, local=url)
        response = await gateway.post("/api/chat")
    assert (response.status_code, response.content) == (200, b"".join(whole))
