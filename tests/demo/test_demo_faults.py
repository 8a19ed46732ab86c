"""Every fault can be ordered, and refusals come in the texts and envelopes of the real cloud."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from okr_tui.demo.catalogue import BEHAVIOURS, FAULTS
from tests.demo.cloud_client import MODEL, CloudClient, ServeCloud, serve_cloud
from tests.waiting import LIMIT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[CloudClient]:
    """One cloud for the whole catalogue: every named error leaves it as it was."""
    async with serve_cloud() as client:
        yield client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FAULTS)
async def test_named_error_meets_the_next_matching_request_once(shared: CloudClient, name: str) -> None:
    assert (await shared.control("faults", fault=name, key="amber 1")).status_code == 200
    assert (await shared.chat("amber 2")).status_code == 200
    response = await shared.chat("amber 1")
    fault = FAULTS[name]
    assert response.status_code == fault.status
    assert fault.headers.items() <= dict(response.headers).items()
    if fault.page is None:
        assert "{" not in response.json()["error"]
        assert set(response.json()) == {"error", *fault.extra}
    else:
        assert response.text == fault.page
    assert (await shared.chat("amber 1")).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.page is None])
async def test_named_error_takes_the_envelope_of_its_path(shared: CloudClient, name: str) -> None:
    await shared.control("faults", fault=name, times=2)
    body = {"model": MODEL, "messages": []}
    openai = (await shared.post("/v1/chat/completions", "amber 1", **body)).json()["error"]
    assert set(openai) == {"message", "type", "param", "code"}
    anthropic = (await shared.post("/v1/messages", "amber 1", **body)).json()
    assert (anthropic["type"], set(anthropic["error"])) == ("error", {"type", "message"})


async def test_quota_text_names_account_and_reference_without_retry_after(calm: CloudClient) -> None:
    await calm.control("faults", fault="session", account="birch")
    response = await calm.chat("birch 1")
    pattern = (
        r"you \(birch\) have reached your session usage limit, upgrade for higher limits: \S+/upgrade "
        r"or add extra usage: \S+/settings \(ref: [0-9a-f-]{36}\)"
    )
    assert re.fullmatch(pattern, response.json()["error"])
    assert "retry-after" not in response.headers


async def test_named_error_inside_a_stream(calm: CloudClient) -> None:
    await calm.control("faults", fault="weekly", in_stream=True, after=0)
    response = await calm.chat("amber 1")
    assert response.status_code == 200
    assert "weekly usage limit" in json.loads(response.text)["error"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages"])
async def test_stream_error_ends_an_answer_that_began_well(calm: CloudClient, path: str) -> None:
    await calm.control("faults", fault="stream-error", path=path)
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}
    response = await calm.post(path, "amber 1", **body)
    last = json.loads(response.text.strip().splitlines()[-1].removeprefix("data: "))
    assert response.status_code == 200
    assert "Internal Server Error (ref: " in json.dumps(last["error"])


async def test_truncated_stream_ends_in_half_a_record(calm: CloudClient) -> None:
    await calm.control("faults", fault="stream-truncated")
    *whole, half = (await calm.chat("amber 1")).text.splitlines()
    assert [json.loads(line)["done"] for line in whole] == [False] * 4
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)


async def test_empty_content_is_a_success_without_output(calm: CloudClient) -> None:
    await calm.control("faults", fault="empty-content")
    answer = (await calm.chat("amber 1", stream=False)).json()
    assert (answer["message"]["content"], answer["eval_count"], answer["done"]) == ("", 0, True)


@pytest.mark.parametrize("stream", [True, False])
async def test_dropped_stream_breaks_the_connection(calm: CloudClient, stream: bool) -> None:
    await calm.control("faults", fault="stream-dropped")
    with pytest.raises(httpx.RemoteProtocolError):
        await calm.chat("amber 1", stream=stream)


async def test_dropped_connection_never_answers(calm: CloudClient) -> None:
    await calm.control("faults", fault="connection-dropped")
    with pytest.raises(httpx.RemoteProtocolError):
        await calm.client.get("/api/tags")
    assert calm.cloud.state.requests[-1].status is None


async def test_slow_first_byte_is_late_and_then_whole(serve_scenario: ServeCloud) -> None:
    async with serve_scenario(speed=100) as client:
        await client.control("faults", fault="slow-first-byte", seconds=1)
        assert (await client.chat("amber 1")).status_code == 200


@pytest.mark.parametrize("fault", ["hang", "stream-stalled"])
async def test_silence_lasts_until_the_caller_leaves(calm: CloudClient, fault: str) -> None:
    await calm.control("faults", fault=fault)
    with pytest.raises(httpx.ReadTimeout):
        await calm.client.post(
            "/api/chat",
            headers=calm.bearer("amber 1"),
            json={"model": MODEL, "messages": []},
            timeout=httpx.Timeout(5, read=0.05),
        )
    async with asyncio.timeout(LIMIT):
        while calm.cloud.state.accounts["amber"].active:
            await calm.client.get("/_demo/state")


async def test_server_ends_while_requests_hang(serve_scenario: ServeCloud) -> None:
    async with serve_scenario() as client:
        await client.control("faults", fault="hang", times=None)
        waiting = asyncio.create_task(client.chat("amber 1"))
        while not any(received.path == "/api/chat" for received in client.cloud.state.requests):
            await client.client.get("/_demo/state")
    with pytest.raises(httpx.HTTPError):
        await waiting


async def test_misbehaviours_are_all_covered_here() -> None:
    assert set(BEHAVIOURS) == {
        "stream-error",
        "stream-truncated",
        "stream-dropped",
        "stream-stalled",
        "empty-content",
        "slow-first-byte",
        "connection-dropped",
        "hang",
    }


async def test_rules_select_by_model_path_and_fingerprint_and_can_be_cleared(calm: CloudClient) -> None:
    mark = calm.cloud.state.credentials[calm.cloud.keys[0][0]].fingerprint
    await calm.control("faults", fault="overloaded", model="kimi-k3", path="/api/chat", key=mark, times=None)
    for _ in range(2):
        assert (await calm.chat("amber 1", model="kimi-k3")).status_code == 503
    assert (await calm.chat("amber 2", model="kimi-k3")).status_code == 200
    assert (await calm.chat("amber 1")).status_code == 200
    await calm.client.delete("/_demo/faults")
    assert (await calm.chat("amber 1", model="kimi-k3")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"fault": "no-such-fault"}),
        ("faults", {"unknown": 1}),
        ("outage", {"seconds": 1, "fault": "no-such-fault"}),
        ("accounts/nobody", {"suspended": True}),
        ("accounts/cedar", {"session": 10}),
        ("accounts/amber", {"session": "much"}),
    ],
)
async def test_control_refuses_what_it_does_not_know(
    calm: CloudClient, path: str, body: dict[str, object]
) -> None:
    assert (await calm.control(path, **body)).status_code == 400


@pytest.mark.parametrize(
    ("path", "text"),
    [("/api/chat", "Unauthorized"), ("/api/me", "invalid credentials")],
)
async def test_bad_keys_meet_the_text_of_the_endpoint(calm: CloudClient, path: str, text: str) -> None:
    response = await calm.post(path, "nobody", model=MODEL)
    assert (response.status_code, response.json()) == (401, {"error": text})
    assert (await calm.client.post(path)).status_code == 401


async def test_embeddings_and_processes_are_unauthorized_even_with_a_good_key(calm: CloudClient) -> None:
    for response in (await calm.get("/api/ps", "amber 1"), await calm.post("/api/embed", "amber 1")):
        assert (response.status_code, response.json()) == (401, {"error": "unauthorized"})


async def test_models_refuse_by_name_plan_and_limits(calm: CloudClient) -> None:
    await calm.control("accounts/birch", plan="free")
    assert (await calm.chat("birch 1", model="kimi-k3")).status_code == 402
    await calm.control("accounts/birch", purchased=5.0)
    assert (await calm.chat("birch 1", model="kimi-k3")).status_code == 200
    assert (await calm.chat("amber 1", model="qwen3.5:397b")).status_code == 410
    missing = await calm.chat("amber 1", model="nothing:1b")
    assert (missing.status_code, missing.json()) == (404, {"error": "model 'nothing:1b' not found"})
    asked = await calm.chat("amber 1", model="nemotron-3-super", options={"num_predict": 100_000})
    assert "max_tokens (100000) exceeds model's maximum output tokens (65536)" in asked.json()["error"]
    assert (await calm.chat("amber 1", "word " * 200_000)).json()["error"].startswith("prompt too long")
    picture = [{"role": "user", "content": "look", "images": ["AAAA"]}]
    assert (await calm.chat("amber 1", messages=picture)).status_code == 400
    assert (await calm.chat("amber 1", messages=picture, model="gemma4:31b")).status_code == 200


async def test_unknown_paths_methods_and_bodies_are_refused(calm: CloudClient) -> None:
    assert (await calm.client.get("/api/whoami")).status_code == 404
    assert (await calm.client.post("/api/usage")).status_code == 405
    assert (await calm.client.post("/api/chat", content=b"{")).status_code == 400
    assert (await calm.client.post("/api/chat", content=b"[]")).status_code == 400
    assert (await calm.chat("amber 1", model="")).status_code == 400
