"""Every cause of an error at every path: status, code, words, headers, and whose error it is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from okr_tui.cloud.endpoints import dialect_of
from okr_tui.gateway import tokens
from okr_tui.gateway.tokens import Caller, Tokens, load_token
from tests.gateway.running_gateway import BODIES, RunningGateway, open_gateway, run_gateway
from tests.harness import MODEL, Harness

COUNTING = "/v1/messages/count_tokens"
EMBEDDING: dict[str, dict[str, object]] = {
    "/api/embed": {"input": "x"},
    "/api/embeddings": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
}
MODELS = (*BODIES, *EMBEDDING)
"""Paths whose requests go to a model."""
LOCAL = ("/api/tags", "/api/show", "/api/pull", "/api/me", "/v1/models", f"/v1/models/{MODEL}", "/okr/status")
ALL = (*MODELS, COUNTING, "/api/web_search", "/api/web_fetch", *LOCAL)
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
}
"""Anthropic's types of errors (docs.claude.com/en/api/errors)."""


@dataclass(frozen=True)
class Told:
    """An error as a caller gets it. `words` is a pattern; `retry_after` and `retry_at`: if it says those."""

    status: int
    code: str | None
    source: str
    words: str
    final: bool = True
    retry_after: bool = False
    retry_at: bool = False

    def check(self, path: str, response: httpx.Response) -> None:
        """Compare it with what came, in the envelope of the path's dialect."""
        assert response.status_code == self.status, response.text
        document = response.json()
        match dialect_of(path):
            case "native":
                text = self._native(document)
            case "openai":
                text = self._openai(document)
            case "anthropic":
                text = self._anthropic(document)
        assert re.search(self.words, text), text
        headers = response.headers
        assert headers["content-type"] == "application/json"
        assert headers["x-okr-tui-error"] == self.source
        assert headers.get("x-should-retry") == ("false" if self.final else None)
        assert ("retry-after" in headers, "x-okr-tui-retry-at" in headers) == (
            self.retry_after,
            self.retry_at,
        )
        assert self.status != 429 or int(headers["retry-after"]) > 0

    def _native(self, document: dict[str, str]) -> str:
        assert set(document) == {"error"}
        return document["error"]

    def _openai(self, document: dict[str, dict[str, str | None]]) -> str:
        error = document["error"]
        assert set(document) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == self.code
        assert error["type"] == self.code or self.code is None
        return str(error["message"])

    def _anthropic(self, document: dict[str, dict[str, str]]) -> str:
        error = document["error"]
        assert document["type"] == "error"  # type: ignore[comparison-overlap]
        assert (error["type"], error.get("code")) == (TYPES[self.status], self.code)
        return error["message"]


OUT = Told(503, "outage", "cloud", "the cloud does not answer.*next try in", retry_after=True, retry_at=True)
CAUSES = {
    "session": [Told(402, "insufficient_quota", "cloud", r"#1 5h spent.*at [\d:]+ UTC$", retry_at=True)],
    "weekly": [Told(402, "insufficient_quota", "cloud", r"#1 week spent.* in 6d .*UTC$", retry_at=True)],
    "monthly": [Told(402, "insufficient_quota", "cloud", "#1 month spent.*next key free", retry_at=True)],
    "unauthorized": [Told(403, "no_valid_key", "cloud", "401 Unauthorized.*`okr-tui keys`")],
    # What all accounts are refused with alike may be over soon.
    "suspended": [
        Told(503, "outage", "cloud", "account suspended.*next try", retry_after=True, retry_at=True)
    ],
    "subscription": [Told(403, "no_plan", "cloud", "the plan does not include this model.*`okr-tui keys`")],
    "rate-limit": [
        Told(429, "rate_limit_exceeded", "cloud", "next key free in", False, retry_after=True, retry_at=True)
    ],
    "concurrency": [
        Told(429, "rate_limit_exceeded", "cloud", "next key free in", False, retry_after=True, retry_at=True)
    ],
    "unavailable": [Told(503, None, "cloud", "503 Service Temporarily Unavailable", final=False), OUT],
    "internal-error": [Told(502, None, "cloud", "500 Internal Server Error", final=False), OUT],
    "bad-gateway-page": [Told(502, None, "cloud", "HTTP 502", final=False), OUT],
    "overloaded": [
        Told(503, None, "cloud", "503 Server overloaded", final=False),
        Told(503, "outage", "cloud", "the model is overloaded.*next try", retry_after=True, retry_at=True),
    ],
    "connection-dropped": [
        Told(502, None, "path", "the connection to 127.0.0.1 was cut", final=False),
        Told(503, "outage", "path", "was cut.*next try in", retry_after=True, retry_at=True),
    ],
    "hang": [
        Told(502, None, "path", "no answer within", final=False),
        Told(503, "outage", "path", "no answer within.*next try in", retry_after=True, retry_at=True),
    ],
}
"""What comes at the first request of several, and at the following ones where that differs."""


async def settle(harness: Harness, request: asyncio.Task[httpx.Response]) -> httpx.Response:
    """Return the response, with the clock moved on whenever the gateway waits."""
    while not request.done():
        if harness.clock.sleeping:
            await harness.clock.advance(0.25)
        await asyncio.sleep(0)
    return request.result()


def send(gateway: RunningGateway, path: str) -> asyncio.Task[httpx.Response]:
    """Send a good request."""
    document = {"model": MODEL, **(BODIES | EMBEDDING)[path]}
    return asyncio.create_task(gateway.client.post(path, json=document))


@pytest.mark.parametrize("cause", CAUSES)
async def test_a_cause_is_reported_in_one_way_at_every_path(harness: Harness, cause: str) -> None:
    patience = {"first_byte": 0.05} if cause == "hang" else {}
    harness.write_settings(policy={"queue_wait": 1, "slowed_wait": 0, **patience})
    await harness.fault(cause, times=None)
    async with open_gateway(harness) as gateway:
        for number, path in enumerate(MODELS):
            response = await settle(harness, send(gateway, path))
            CAUSES[cause][min(number, len(CAUSES[cause]) - 1)].check(path, response)


@pytest.mark.parametrize("fault", ["retired", "model-not-found"])
async def test_a_model_that_is_gone_is_reported_in_one_way_at_every_path(
    harness: Harness, gateway: RunningGateway, fault: str
) -> None:
    await harness.fault(fault, times=None)
    first = await send(gateway, MODELS[0])
    assert (first.status_code in (404, 410), first.headers["x-okr-tui-error"]) == (True, "cloud")
    for path in MODELS:
        reported = Told(404, "model_not_found", "cloud", f"no model {MODEL}: `okr-tui models` lists")
        reported.check(path, await send(gateway, path))


@pytest.mark.parametrize("path", BODIES)
async def test_one_spent_window_is_not_told(harness: Harness, gateway: RunningGateway, path: str) -> None:
    await harness.fault("session", account="amber", times=None)
    assert (await send(gateway, path)).status_code == 200


@pytest.mark.parametrize("path", MODELS)
async def test_the_callers_own_error_is_the_clouds_at_every_path(
    harness: Harness, gateway: RunningGateway, path: str
) -> None:
    await harness.fault("bad-request")
    Told(400, None, "cloud", "^invalid request$", final=False).check(path, await send(gateway, path))


async def test_no_key_is_reported_in_one_way_at_every_path(harness: Harness, gateway: RunningGateway) -> None:
    harness.write_settings(apiKeys=[])
    await gateway.service.reload()
    for path in MODELS:
        Told(403, "no_key", "gateway", "no key is configured").check(path, await send(gateway, path))


@pytest.mark.parametrize("path", ALL)
async def test_a_request_that_is_itself_wrong_is_the_gateways_error(
    gateway: RunningGateway, path: str
) -> None:
    async def ask(method: str, path: str, content: bytes = b"", token: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await gateway.client.request(method, path, content=content, headers=headers)

    for method in ("GET", "POST"):
        wrong = Told(401, "unauthorized", "gateway", "token is missing or wrong", final=False)
        response = await ask(method, path, token="0" * 48)
        wrong.check(path, response)
        assert response.headers["www-authenticate"] == "Bearer"
    response = await ask("PUT", path)
    Told(405, None, "gateway", "method not allowed", final=False).check(path, response)
    assert response.headers["allow"]
    response = await ask("GET", f"/x{path}/y")
    Told(404, None, "gateway", "no such path", final=False).check(path, response)
    if path in LOCAL and path not in ("/api/show", "/api/pull"):
        return
    for content, words in (b"{", "not valid JSON"), (b"[]", "not a JSON object"):
        Told(400, None, "gateway", words, final=False).check(path, await ask("POST", path, content))
    if path in MODELS:
        response = await ask("POST", path, b"{}")
        Told(400, None, "gateway", "model is required", final=False).check(path, response)


@pytest.fixture
async def limited(harness: Harness, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """A gateway and a client of it whose token is for one model and for hardly any tokens a day."""
    folder = tmp_path / "state"
    load_token(folder)
    token = tokens.add(folder, Caller("laptop", ("gpt-oss*",), 1), 0).get_secret_value()
    async with (
        harness.open(client="gateway") as service,
        run_gateway(
            service, token=Tokens(folder, service.scrubber, service.budgets.limit_callers)
        ) as gateway,
    ):
        gateway.client.headers["authorization"] = f"Bearer {token}"
        yield gateway


async def test_what_a_token_is_not_for_is_the_gateways_error(
    harness: Harness, limited: RunningGateway
) -> None:
    assert (await send(limited, "/api/chat")).status_code == 200
    await limited.settled(1)
    sent = await harness.sent()
    used_up = Told(402, "budget_exceeded", "gateway", "laptop has used its budget of 1 tokens", retry_at=True)
    other = Told(403, "model_not_allowed", "gateway", "token of laptop is not for kimi-k2.6", final=False)
    for path in MODELS:
        used_up.check(path, await send(limited, path))
        document = {**(BODIES | EMBEDDING)[path], "model": "kimi-k2.6"}
        other.check(path, await limited.client.post(path, content=json.dumps(document)))
    for path in (COUNTING, "/api/show", "/api/pull"):
        other.check(path, await limited.client.post(path, json={"model": "kimi-k2.6", "messages": []}))
    assert await harness.sent() == sent
