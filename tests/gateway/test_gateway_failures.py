"""What a caller is told when it cannot be served, in its own dialect, and what passes as it came."""

import asyncio
import json
import re

import httpx
import pytest

from okr_tui.domain.errors import BudgetError, CloudError, PoolBlockedError, StoreError
from okr_tui.domain.faults import ClientCause, ConnectionFailure, Fault, FaultKind, Scope
from okr_tui.gateway.errors import (
    CAUSES,
    Cause,
    Failure,
    client_name,
    cut_off,
    ended,
    error_document,
    error_record,
    failure_of,
    for_client,
)
from tests.gateway.running_gateway import RunningGateway, body
from tests.gateway.samples import REPEATS
from tests.harness import Harness
from tests.waiting import until

PATHS = ["/api/chat", "/v1/chat/completions", "/v1/messages"]
ACCOUNTS = ("amber", "birch", "cedar")


def message(path: str, response: httpx.Response) -> str:
    """The text of an error, found where the dialect has it."""
    document = response.json()
    if path.startswith("/api/"):
        assert set(document) == {"error"}
        return str(document["error"])
    if path == "/v1/messages":
        assert document["type"] == "error"
    else:
        assert {"message", "type", "param", "code"} <= set(document["error"])
    return str(document["error"]["message"])


@pytest.mark.parametrize("path", PATHS)
async def test_an_empty_pool_of_quota_is_402_with_the_next_return(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    for account in ACCOUNTS:
        await harness.fault("session", account=account, times=None)
    await gateway.post(path)
    sent = await harness.sent(path)
    response = await gateway.post(path)
    assert response.status_code == 402
    assert "retry-after" not in response.headers  # clients would sleep as long
    assert response.headers["x-okr-tui-retry-at"].endswith("Z")
    assert response.headers["x-okr-tui-error"] == "cloud"
    assert response.headers["x-should-retry"] == "false"
    text = message(path, response)
    assert text.startswith("insufficient_quota: ")
    assert "#1 5h spent" in text
    assert re.search(r"next key free in \d+[hm] .*, at [^;]* UTC$", text)
    assert await harness.sent(path) == sent
    if path == "/v1/chat/completions":
        error = response.json()["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize("path", PATHS)
async def test_an_outage_is_503(harness: Harness, gateway: RunningGateway, path: str) -> None:
    await harness.fault("unavailable", times=None)
    first = await gateway.post(path)
    assert first.status_code == 503
    second = asyncio.create_task(gateway.post(path, user="second"))
    await until(lambda: harness.clock.sleeping)
    await harness.clock.advance(11)
    await second
    await gateway.post(path, user="third")
    response = await gateway.post(path)
    assert response.status_code == 503
    assert "does not answer" in message(path, response)
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", PATHS)
async def test_only_missing_plans_are_403(harness: Harness, gateway: RunningGateway, path: str) -> None:
    await harness.fault("subscription", times=None)
    for _ in range(2):
        response = await gateway.post(path)
        assert response.status_code == 403
        assert "plan" in message(path, response)


@pytest.mark.parametrize("path", PATHS)
async def test_keys_that_are_refused_are_403_and_never_401(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await harness.fault("unauthorized", times=None, path=path)
    response = await gateway.post(path)
    assert response.status_code == 403
    assert response.headers["x-should-retry"] == "false"
    assert message(path, response)


async def test_no_key_is_403(harness: Harness, gateway: RunningGateway) -> None:
    harness.write_settings(apiKeys=[])
    await gateway.service.reload()
    response = await gateway.post("/v1/chat/completions")
    assert response.status_code == 403
    assert response.headers["x-okr-tui-error"] == "gateway"
    assert "no key is configured" in message("/v1/chat/completions", response)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault", ["context-too-long", "image-not-supported", "too-large", "retired"])
async def test_the_callers_own_error_passes_as_it_came(
    harness: Harness, gateway: RunningGateway, path: str, fault: str
) -> None:
    await harness.fault(fault, times=2)
    headers = {"authorization": f"Bearer {harness.cloud.keys[0][0]}"}
    direct = await harness.control.post(path, json=body(path), headers=headers)
    passed = await gateway.post(path)
    assert passed.status_code == direct.status_code
    assert without_reference(passed) == without_reference(direct)
    assert "set-cookie" not in passed.headers
    assert len(await harness.sent(path)) == 2


def without_reference(response: httpx.Response) -> str:
    """An error's text without what differs every time."""
    text = json.dumps(response.json())
    return text.partition("(ref:")[0].partition('"request_id"')[0]


@pytest.mark.parametrize("path", PATHS)
async def test_a_model_that_is_gone_is_named_with_what_replaces_it(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await gateway.service.catalog.refresh()
    await gateway.post(path, model="kimi-k2.5")
    response = await gateway.post(path, model="kimi-k2.5", user="another")
    assert response.status_code == 404
    reported = message(path, response)
    assert "the cloud has no model kimi-k2.5: ask for kimi-k2.6, which replaces it" in reported
    assert await harness.sent(path) == [1]


async def test_an_output_limit_is_lowered_and_asked_again(harness: Harness, gateway: RunningGateway) -> None:
    response = await gateway.post("/v1/chat/completions", max_tokens=10_000_000)
    assert response.status_code == 200
    assert await harness.sent("/v1/chat/completions") == [1, 1]


async def test_embeddings_are_not_offered_and_no_key_suffers(gateway: RunningGateway) -> None:
    response = await gateway.client.post("/api/embed", json={"model": "gpt-oss:20b", "input": "x"})
    assert response.status_code == 404
    assert "no embeddings" in response.json()["error"]
    assert gateway.service.snapshot.pool.keys[0].verdict.eligible


async def test_token_counting_is_not_the_models_fault(gateway: RunningGateway) -> None:
    counted = await gateway.client.post("/v1/messages/count_tokens", json=body("/v1/messages"))
    assert counted.status_code == 404
    assert (await gateway.post("/v1/messages")).status_code == 200


@pytest.mark.parametrize("kind", list(FaultKind))
def test_no_word_of_a_broken_answer_makes_a_client_repeat_it(kind: FaultKind) -> None:
    failure = cut_off(Fault(kind, Scope.SERVICE, "503 server overloaded, timeout", 503))
    assert not REPEATS.search(failure.text)


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({"spent", "invalid"}, 402),
        ({"spent", "outage"}, 503),
        ({"outage", "off"}, 503),
        ({"no-plan", "invalid"}, 403),
        ({"no-plan", "outage"}, 503),
        ({"gone"}, 404),
        ({"invalid", "suspended", "off"}, 403),
        ({"busy"}, 429),
    ],
)
def test_a_blocked_pool_by_its_states(states: set[str], status: int) -> None:
    failure = failure_of(PoolBlockedError("no key", 1010.2, frozenset(states)), 1000.0)
    assert failure.status == status
    if status in (402, 429, 503):
        assert failure.headers["retry-after"] == "11"


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (FaultKind.SPENT, 429, 402),
        (FaultKind.BUSY, 503, 429),
        (FaultKind.UNAUTHORIZED, 401, 403),
        (FaultKind.FORBIDDEN, 403, 403),
        (FaultKind.TRANSIENT, None, 502),
        (FaultKind.TRANSIENT, 503, 503),
        (FaultKind.REQUEST, 200, 400),
        (FaultKind.GONE, 410, 410),
    ],
)
def test_a_refusal_by_its_kind(kind: FaultKind, status: int | None, expected: int) -> None:
    error = CloudError("m failed", Fault(kind, Scope.ACCOUNT, "text", status))
    assert failure_of(error, 0.0).status == expected


@pytest.mark.parametrize(("state", "kind"), [("busy", FaultKind.BUSY), ("slowed", FaultKind.SLOWED)])
def test_what_passes_in_a_moment_is_not_quota(state: str, kind: FaultKind) -> None:
    blocked = PoolBlockedError("no key", 1270.0, frozenset({state}))
    refused = CloudError("m failed", Fault(kind, Scope.ACCOUNT, "text", 429, retry_after=270.0))
    for failure in (failure_of(blocked, 1000.0), failure_of(refused, 1000.0)):
        assert failure.source == "cloud"
        assert (failure.status, failure.code) == (429, "rate_limit_exceeded")
        assert failure.headers["retry-after"] == "270"
        assert "x-should-retry" not in failure.headers
        assert "quota" not in failure.text


def test_slots_that_are_taken_here_are_the_gateways_own_limit() -> None:
    assert failure_of(PoolBlockedError("no key", None, frozenset({"busy"})), 1000.0).source == "gateway"
    assert failure_of(PoolBlockedError("no key", None, frozenset({"slowed"})), 1000.0).source == "cloud"


RAW = {"user-agent": "OpenAI/Python 2.20.0", "x-stainless-raw-response": "true"}


@pytest.mark.parametrize("cause", [cause for cause, row in CAUSES.items() if row.final])
@pytest.mark.parametrize(
    ("headers", "ends_at"),
    [
        ({"user-agent": "codex_exec/0.171.0 (Debian 12.0.0; x86_64)"}, {400}),
        ({"user-agent": "litellm/1.81.10"}, {400, 404}),
        ({**RAW, "x-stainless-read-timeout": "600.0"}, {400, 404}),
        ({"user-agent": "claude-cli/2.1.197 (external, sdk-cli)"}, {400, 402, 404, 503}),
        (RAW, None),
        ({"user-agent": "OpenAI/Python 2.20.0"}, None),
        ({"user-agent": "curl/8"}, None),
        ({}, None),
    ],
)
def test_what_cannot_be_helped_is_reported_with_a_status_that_ends_it(
    cause: Cause, headers: dict[str, str], ends_at: set[int] | None
) -> None:
    reported = for_client(Failure.of(cause, "words"), client_name(headers), "openai")
    assert reported.status in (ends_at or {CAUSES[cause].status})
    assert reported.headers["x-should-retry"] == "false"
    assert reported.text.startswith("words")


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 431])
def test_a_request_that_is_itself_wrong_is_reported_once_too(status: int) -> None:
    wrong = Failure(status, "words")
    assert for_client(wrong, "codex").status == 400
    assert for_client(wrong, "litellm", "native").text == "words (Invalid response object from API)"
    assert for_client(wrong, "openai") == for_client(wrong, None) == wrong


def test_codex_takes_its_refused_websocket_for_what_it_is() -> None:
    assert for_client(Failure(426, "words"), "codex").status == 426
    assert for_client(Failure(429, "words"), "codex").status == 429


@pytest.mark.parametrize(("fault", "status"), [("too-large", 413), ("retired", 410)])
@pytest.mark.parametrize(("agent", "reported"), [("codex_exec/0.171.0", 400), ("curl/8", None)])
async def test_the_callers_own_error_passes_with_a_status_that_ends_it(
    harness: Harness, gateway: RunningGateway, fault: str, status: int, agent: str, reported: int | None
) -> None:
    await harness.fault(fault, times=1)
    gateway.client.headers["user-agent"] = agent
    response = await gateway.post("/v1/responses")
    assert response.status_code == (reported or status)
    assert set(response.json()) == {"error"}


async def test_the_ai_sdks_provider_for_ollama_finds_the_words_of_the_callers_own_error(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("context-too-long", times=1)
    gateway.client.headers["user-agent"] = "ai/6.0.326 ai-sdk/provider-utils/4.0.65"
    answer = await gateway.client.post("/api/chat", json=body("/api/chat"))
    assert answer.status_code == 400
    assert "prompt too long" in answer.json()["error"]["message"]


async def test_litellm_gets_the_callers_own_error_in_words_that_end_it(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("context-too-long", times=1)
    gateway.client.headers["user-agent"] = "litellm/1.81.10"
    response = await gateway.post("/api/chat", stream=False)
    assert response.status_code == 400
    assert re.search(r"prompt too long.*\(Invalid response object from API\)$", response.json()["error"])


@pytest.mark.parametrize("agent", ["codex_exec/0.171.0", "curl/8"])
@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("rate-limit", "rate_limit_exceeded", "; try again in 27s"),
        ("unavailable", "server_error", "503 Service Temporarily Unavailable"),
    ],
)
async def test_codex_gets_errors_of_a_moment_where_it_reads_them(
    harness: Harness, gateway: RunningGateway, agent: str, fault: str, code: str, words: str
) -> None:
    await harness.fault(fault, times=None)
    gateway.client.headers["user-agent"] = agent
    response = await gateway.post("/v1/responses")
    assert response.headers["x-okr-tui-error"] == "cloud"
    if agent == "curl/8":
        assert response.status_code in (429, 503)
        return
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
    event = json.loads(response.text.partition("data: ")[2])
    assert event["type"] == "response.failed"
    assert event["response"]["error"]["code"] == code
    assert event["response"]["error"]["message"].endswith(words)


async def test_codex_gets_them_as_statuses_where_it_wants_no_stream(
    harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("rate-limit", times=None)
    gateway.client.headers["user-agent"] = "codex_exec/0.171.0"
    assert (await gateway.post("/v1/responses", stream=False)).status_code == 429


def test_the_first_return_is_in_the_zone_of_the_words_and_in_a_header() -> None:
    error = PoolBlockedError("no key", 8000.2, frozenset({"spent"}))
    failure = failure_of(error, 1000.0)
    assert failure.text == "insufficient_quota: no key; next key free in 1h 56m, at 02:13 UTC"
    assert failure.headers["x-okr-tui-retry-at"] == "1970-01-01T02:13:21Z"


@pytest.mark.parametrize(
    ("fault", "source"),
    [
        (Fault(FaultKind.PATH, Scope.SERVICE, "HTML", 403), "path"),
        (Fault(FaultKind.TRANSIENT, Scope.SERVICE, "x", connection=ConnectionFailure.REFUSED), "path"),
        (Fault(FaultKind.TRANSIENT, Scope.SERVICE, "x", 500), "cloud"),
        (Fault(FaultKind.SPENT, Scope.ACCOUNT, "x", 429), "cloud"),
    ],
)
def test_whose_error_it_is(fault: Fault, source: str) -> None:
    assert failure_of(CloudError("m failed", fault), 0.0).source == source
    if fault.kind is not FaultKind.SPENT:
        assert cut_off(fault).source == source


@pytest.mark.parametrize(("named", "client"), [("pi", "pi"), ("laptop", None), ("a\nb", None), ("", None)])
def test_only_known_programs_name_themselves(named: str, client: str | None) -> None:
    assert client_name({"x-okr-tui-client": named}) == client


def test_the_ai_sdks_provider_for_ollama_finds_the_words() -> None:
    failure = Failure.of(ClientCause.QUOTA, "words")
    agents = ("ai/6.0.326 ai-sdk/provider-utils/4.0.65 runtime/node.js/22", "ai-sdk/provider-utils/4.0.65")
    (client,) = {client_name({"user-agent": agent}) for agent in agents}
    document = error_document("native", failure, client)
    assert document["error"]["message"] == "words"  # type: ignore[index]
    assert error_document("native", failure) == {"error": "words"}


def test_litellm_stops_at_words_of_its_own() -> None:
    failure = Failure.of(ClientCause.QUOTA, "words")
    assert for_client(failure, "litellm", "native").text == "words (Invalid response object from API)"
    assert for_client(ended(), "litellm", begun=True).text.endswith("(invalid_request_error)")
    assert for_client(ended(), "openai", begun=True) == ended()


OPENCODE_REPEATS = re.compile(r"429|500|502|503|504|524|rate.limit|overloaded|unavailable|try again", re.I)
"""Some of the words at which opencode (1.18) repeats a request, whatever its status."""


def test_opencode_finds_no_word_in_what_is_final_at_which_it_repeats() -> None:
    over = failure_of(BudgetError("laptop has used its budget of 2,500,000 tokens a day", 9000.0), 0.0)
    reported = for_client(over, "opencode")
    assert OPENCODE_REPEATS.search(over.text)
    assert not OPENCODE_REPEATS.search(reported.text)
    assert reported.text.startswith(
        "budget_exceeded: laptop has used its budget; the budget is renewed in 2h"
    )
    spent = failure_of(PoolBlockedError("no key can take this request", 9e9, frozenset({"spent"})), 0.0)
    assert for_client(spent, "opencode") == spent
    assert not OPENCODE_REPEATS.search(spent.text)


def test_a_gateway_that_ends_before_an_answer_may_be_asked_again() -> None:
    for client in ("codex", "litellm", "claude-code", None):
        reported = for_client(ended(), client)
        assert (reported.status, reported.text) == (503, ended().text)
    assert b'"server_error"' not in error_record("/v1/responses", ended(), b"data: {}\n\n")
    assert b'"invalid_prompt"' not in error_record("/v1/responses", ended())


def test_the_clouds_own_words_end_an_answer_where_no_client_repeats_at_them() -> None:
    spent = Fault(FaultKind.SPENT, Scope.ACCOUNT, "you have reached your weekly usage limit", 200)
    assert "(you have reached your weekly usage limit)" in cut_off(spent).text


def test_a_failed_response_continues_counting() -> None:
    last = b'data: {"type":"response.output_text.delta","sequence_number":41,"delta":"x"}\n\n'
    record = error_record("/v1/responses", ended(), last)
    assert json.loads(record.split(b"data: ")[1])["sequence_number"] == 42


def test_a_log_that_cannot_be_written_is_503() -> None:
    assert failure_of(StoreError("disk full"), 0.0).status == 503
