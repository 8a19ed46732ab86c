"""The public face of the simulated cloud: one request through ordered faults and the key to its endpoint."""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from itertools import pairwise
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from okr_tui.demo import inference
from okr_tui.demo.catalogue import BEHAVIOURS
from okr_tui.demo.inference import Hangup, RequestFailed, SimulatedCall, find_model
from okr_tui.demo.models import MODELS
from okr_tui.demo.state import (
    DOLLARS_PER_UNIT,
    CloudState,
    Credential,
    Received,
    UsageRecord,
    fingerprint,
    timestamp,
)

RANGES = {"24h": ("hour", 3600, 25), "7d": ("day", 86400, 8), "30d": ("day", 86400, 31)}
MAXIMUM_RESULTS = 10


async def tags(_call: SimulatedCall) -> Response:
    """GET /api/tags."""
    return JSONResponse({"models": [model.tag() for model in MODELS.values()]})


async def show(call: SimulatedCall) -> Response:
    """POST /api/show."""
    return JSONResponse(find_model(call).show())


async def version(_call: SimulatedCall) -> Response:
    """GET /api/version."""
    return JSONResponse({"version": "0.0.0"})


async def models(_call: SimulatedCall) -> Response:
    """GET /v1/models."""
    return JSONResponse({"object": "list", "data": [model.entry() for model in MODELS.values()]})


async def one_model(call: SimulatedCall) -> Response:
    """GET /v1/models/{id}."""
    call.received.model = call.received.path.removeprefix("/v1/models/")
    return JSONResponse(find_model(call).entry())


async def never(call: SimulatedCall) -> Response:
    """Embeddings and the process list: refused by the cloud even with a good key."""
    raise call.refuse("endpoint-unauthorized")


async def embeddings(call: SimulatedCall) -> Response:
    """POST /v1/embeddings: answered by the cloud, with nothing in it."""
    model = find_model(call).name
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return JSONResponse({"object": "list", "data": [], "model": model, "usage": usage})


async def identity(call: SimulatedCall) -> Response:
    """POST /api/me."""
    return JSONResponse(call.account.identity())


async def balance(call: SimulatedCall) -> Response:
    """GET /api/balance."""
    if call.request.query_params:
        raise call.refuse("bad-query")
    _limit_reads(call)
    return JSONResponse(call.account.balance())


async def usage(call: SimulatedCall) -> Response:
    """GET /api/usage: the account's history in even buckets."""
    asked = call.request.query_params
    span = asked.get("range", "7d")
    scope = asked.get("scope", "self")
    repeated = len(asked.multi_items()) != len(asked)
    if set(asked) - {"range", "scope"} or repeated or span not in RANGES or scope not in ("self", "team"):
        raise call.refuse("bad-query")
    if scope == "team":
        raise call.refuse("team-scope")
    _limit_reads(call)
    granularity, length, count = RANGES[span]
    now = call.state.clock()
    first = (now // length - count + 1) * length
    edges = [first + index * length for index in range(count)] + [now]
    history = [use for use in call.account.history if use.time >= first]
    legacy = call.account.allowance is None
    buckets: list[dict[str, object]] = [
        {
            "from": timestamp(start),
            "until": timestamp(end),
            **_totals([use for use in history if start <= use.time < end or use.time == end == now], legacy),
        }
        for start, end in pairwise(edges)
    ]
    buckets[-1]["partial"] = True
    return JSONResponse(
        {
            "range": span,
            "scope": scope,
            "granularity": granularity,
            "from": timestamp(first),
            "until": timestamp(now),
            "totals": _totals(history, legacy),
            "buckets": buckets,
        }
    )


async def web_search(call: SimulatedCall) -> Response:
    """POST /api/web_search."""
    query = str(call.body.get("query") or "").strip()
    if not query:
        raise call.refuse("bad-request", detail="query is required")
    asked = call.body.get("max_results", 5)
    count = min(asked, MAXIMUM_RESULTS) if isinstance(asked, int) else 5
    results = [
        {
            "title": f"{query}, part {number}",
            "url": f"https://example.com/{number}",
            "content": f"Snippet {number} about {query}.",
        }
        for number in range(1, count + 1)
    ]
    return JSONResponse({"results": results})


async def web_fetch(call: SimulatedCall) -> Response:
    """POST /api/web_fetch."""
    url = str(call.body.get("url") or "").strip()
    if not url:
        raise call.refuse("bad-request", detail="url is required")
    content = "This domain is for use in **examples**."
    return JSONResponse({"title": "Example Domain", "content": content, "links": ["https://example.com/"]})


def _limit_reads(call: SimulatedCall) -> None:
    scenario, now = call.state.scenario, call.state.clock()
    span = scenario.balance_seconds / call.state.speed
    reads = call.account.reads
    while reads and reads[0] <= now - span:
        reads.popleft()
    if len(reads) >= scenario.balance_reads:
        raise call.refuse("rate-limit", {"retry-after": str(math.ceil(reads[0] + span - now))})
    reads.append(now)


def _totals(uses: list[UsageRecord], legacy: bool) -> dict[str, object]:
    if legacy:
        return {"request_count": len(uses)}
    return {
        "request_count": len(uses),
        "usage_usd": round(sum(use.units for use in uses) * DOLLARS_PER_UNIT, 5),
        "input_tokens": sum(use.input_tokens for use in uses),
        "cached_input_tokens": 0,
        "output_tokens": sum(use.output_tokens for use in uses),
    }


FRONT_HEADERS = {
    "server": "Google Frontend",
    "via": "1.1 google",
    "x-build-commit": "0" * 40,
    "x-build-time": "2026-10-07T13:21:32-07:00",
    "x-frame-options": "DENY",
    "x-cloud-trace-context": f"{'0' * 32}/0",
    "set-cookie": "aid=00000000-0000-4000-8000-000000000000; Path=/; HttpOnly",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
}
MODEL_PREFIX = "/v1/models/"


@dataclass(frozen=True, slots=True)
class SimulatedEndpoint:
    """A handler and the text a bad key meets there; None where no key is looked at."""

    method: str
    handler: Callable[[SimulatedCall], Awaitable[Response]]
    unauthorized: str | None = None


ENDPOINTS: Mapping[str, SimulatedEndpoint] = {
    "/api/tags": SimulatedEndpoint("GET", tags),
    "/api/show": SimulatedEndpoint("POST", show),
    "/api/version": SimulatedEndpoint("GET", version),
    "/api/ps": SimulatedEndpoint("GET", never),
    "/api/embed": SimulatedEndpoint("POST", never),
    "/api/embeddings": SimulatedEndpoint("POST", never),
    "/api/me": SimulatedEndpoint("POST", identity, "invalid-credentials"),
    "/api/balance": SimulatedEndpoint("GET", balance, "invalid-credentials"),
    "/api/usage": SimulatedEndpoint("GET", usage, "invalid-credentials"),
    "/api/chat": SimulatedEndpoint("POST", inference.chat, "unauthorized"),
    "/api/generate": SimulatedEndpoint("POST", inference.generate, "unauthorized"),
    "/api/web_search": SimulatedEndpoint("POST", web_search, "unauthorized"),
    "/api/web_fetch": SimulatedEndpoint("POST", web_fetch, "unauthorized"),
    "/v1/models": SimulatedEndpoint("GET", models),
    MODEL_PREFIX: SimulatedEndpoint("GET", one_model),
    "/v1/chat/completions": SimulatedEndpoint("POST", inference.chat_completions, "unauthorized"),
    "/v1/completions": SimulatedEndpoint("POST", inference.completions, "unauthorized"),
    "/v1/responses": SimulatedEndpoint("POST", inference.responses, "unauthorized"),
    "/v1/embeddings": SimulatedEndpoint("POST", embeddings, "unauthorized"),
    "/v1/messages": SimulatedEndpoint("POST", inference.messages, "unauthorized"),
}


class Api:
    """The ASGI application under everything but /_demo."""

    def __init__(self, state: CloudState, pace: float) -> None:
        self.state = state
        self.pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        now = self.state.advance()
        received = Received(now, request.method, scope["path"])
        self.state.requests.append(received)
        call = SimulatedCall(self.state, request, received, self.pace)
        try:
            try:
                response = await self._answer(call)
            except RequestFailed as refusal:
                response = refusal.response(received.path)
            received.status = response.status_code
            response.headers.update(FRONT_HEADERS)
            response.headers["date"] = formatdate(now, usegmt=True)
            response.headers["x-request-id"] = str(uuid4())
            await response(scope, receive, send)
        except (Hangup, ClientDisconnect):
            return
        finally:
            call.release()

    async def _answer(self, call: SimulatedCall) -> Response:
        call.body = _parse(await call.request.body())
        call.received.model = str(call.body["model"]) if "model" in call.body else None
        credential = self._credential(call)
        await self._misbehave(call, credential)
        endpoint = _find(call)
        if endpoint.unauthorized is not None:
            if credential is None or not credential.valid:
                raise call.refuse(endpoint.unauthorized)
            if credential.account.suspended:
                raise call.refuse("suspended")
        return await endpoint.handler(call)

    def _credential(self, call: SimulatedCall) -> Credential | None:
        scheme, _, text = call.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return None
        call.received.key = fingerprint(text)
        credential = self.state.credentials.get(text)
        if credential is not None:
            call.received.account = credential.account.name
        return credential

    async def _misbehave(self, call: SimulatedCall, credential: Credential | None) -> None:
        rule = self.state.take_fault(call.received, credential)
        if rule is None:
            return
        if rule.fault not in BEHAVIOURS and not rule.in_stream:
            raise call.refuse(rule.fault)
        call.fault = rule
        if rule.fault == "connection-dropped":
            await call.drop()
            raise Hangup
        if rule.fault == "hang":
            await call.linger(None)
        if rule.fault == "slow-first-byte":
            await call.linger(rule.seconds / self.state.speed)


def _parse(content: bytes) -> Mapping[str, object]:
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        raise RequestFailed("bad-request", {"detail": "invalid JSON"}) from None
    if not isinstance(body, dict):
        raise RequestFailed("bad-request", {"detail": "a JSON object is required"})
    return body


def _find(call: SimulatedCall) -> SimulatedEndpoint:
    path = call.received.path
    endpoint = ENDPOINTS.get(MODEL_PREFIX if path.startswith(MODEL_PREFIX) else path)
    if endpoint is None:
        raise call.refuse("not-found")
    if endpoint.method != call.received.method:
        raise call.refuse("method-not-allowed")
    return endpoint
