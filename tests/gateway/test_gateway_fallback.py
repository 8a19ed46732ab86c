"""What answers when no key can: only where settings say so, told everywhere, never after output."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from okr_tui.domain.feed import FeedFilter
from okr_tui.domain.records import FellBack
from okr_tui.gateway.server import listen, serving
from tests.gateway.running_gateway import HOST, RunningGateway, ScriptedCloud, stream
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import MODEL, Harness, logged

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
    return [(record.model, record.answered_by) for record in await logged(gateway.service.pool, FellBack)]


@asynccontextmanager
async def local_ollama(
    *answers: httpx.Response | JSONResponse | object,
) -> AsyncIterator[tuple[str, ScriptedCloud]]:
    """A local Ollama that follows a script, and its address."""
    script = ScriptedCloud(*answers)  # type: ignore[arg-type]
    with listen(HOST, 0) as listener:
        async with serving(script, listener):
            yield f"http://{HOST}:{listener.getsockname()[1]}", script


async def lines_of(gateway: RunningGateway) -> list[str]:
    """What Live says of the log."""
    await gateway.service.pool.settled()
    return [line.text for line in (await gateway.service.history(FeedFilter())).entries]


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
    assert f"{OTHER} answers instead of {MODEL}" in await lines_of(gateway)


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


async def test_where_nothing_else_answers_the_first_reason_is_given(
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


def document(path: str) -> Response:
    """A local model's whole answer on a path."""
    kind = "application/x-ndjson" if path.startswith("/api") else "text/event-stream"
    return stream(*OPENINGS[path], *PIECES[path], *CLOSINGS[path], kind=kind)


async def patient(harness: Harness, asking: Awaitable[httpx.Response]) -> httpx.Response:
    """The answer to a request that waits for the pool's clock."""
    task = asyncio.ensure_future(asking)
    while not task.done():
        await asyncio.sleep(0)
        if harness.clock.sleeping:
            await harness.clock.advance(1)
    return task.result()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault", ["unavailable", "connection-dropped", "bad-gateway-page"])
async def test_a_local_model_answers_while_the_cloud_is_out(
    harness: Harness, gateway: RunningGateway, path: str, fault: str
) -> None:
    await harness.fault(fault, times=None)
    answers = [document(path) for _ in range(4)]
    async with local_ollama(*answers) as (url, script):
        await fall_back(harness, gateway, {"*": [OTHER, "local:qwen3:4b"]}, local=url)
        responses = [await patient(harness, gateway.post(path, user=str(number))) for number in range(4)]
        assert len(script.requests) == 4
    for response in responses:
        assert response.status_code == 200
        assert response.headers["x-okr-tui-answered-by"] == "local:qwen3:4b"
    assert {attempt.model for attempt in await gateway.attempts()} == {MODEL}


async def test_another_model_of_the_cloud_answers_for_one_that_is_overloaded(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("overloaded", model=MODEL, times=None)
    await fall_back(harness, gateway, {"*": [OTHER]})
    response = await patient(harness, gateway.post("/api/chat"))
    assert response.headers["x-okr-tui-answered-by"] == OTHER


@pytest.mark.parametrize("path", PATHS)
async def test_a_local_model_is_listed_and_can_be_asked_for(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    tags = JSONResponse({"models": [{"name": "llama3.2:latest"}, {"name": "other:1b"}]})
    shown = JSONResponse({"capabilities": ["completion"]})
    async with local_ollama(tags, document(path), shown) as (url, script):
        names = ["local:llama3.2", "local:missing", OTHER]
        await fall_back(harness, gateway, {"*": names}, local=url)
        listed = [model["name"] for model in (await gateway.client.get("/api/tags")).json()["models"]]
        assert listed[-1] == "local:llama3.2"
        assert MODEL in listed
        found = [model["id"] for model in (await gateway.client.get("/v1/models")).json()["data"]]
        assert found == listed
        one = await gateway.client.get("/v1/models/local:llama3.2")
        assert one.json()["id"] == "local:llama3.2"
        response = await gateway.post(path, model="local:llama3.2")
        assert response.status_code == 200
        assert json.loads(script.bodies[1])["model"] == "llama3.2"
        details = await gateway.client.post("/api/show", json={"model": "local:llama3.2"})
        assert details.json() == {"capabilities": ["completion"]}
        assert json.loads(script.bodies[2])["model"] == "llama3.2"
    assert await harness.sent(path) == []
    assert not any("authorization" in request.headers for request in script.requests)
    assert "local:llama3.2 answers" in await lines_of(gateway)


async def test_a_local_ollama_that_is_away_lists_nothing_and_is_named(
    harness: Harness, gateway: RunningGateway
) -> None:
    with listen(HOST, 0) as listener:
        away = f"http://{HOST}:{listener.getsockname()[1]}"
    await fall_back(harness, gateway, {"*": ["local:llama3.2"]}, local=away)
    listed = [model["name"] for model in (await gateway.client.get("/api/tags")).json()["models"]]
    assert MODEL in listed
    assert "local:llama3.2" not in listed
    response = await gateway.post("/api/chat", model="local:llama3.2")
    assert response.status_code == 502
    assert response.headers["x-okr-tui-error"] == "path"
    assert "refused" in response.json()["error"]


async def test_a_local_model_that_no_setting_names_is_not_asked_for(gateway: RunningGateway) -> None:
    response = await gateway.post("/api/chat", model="local:llama3.2")
    assert response.status_code == 404
