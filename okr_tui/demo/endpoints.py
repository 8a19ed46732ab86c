"""The endpoints that spend nothing: catalogue, balance, identity, usage history, web search."""

import math
from itertools import pairwise

from starlette.responses import JSONResponse, Response

from okr_tui.demo.accounts import DOLLARS_PER_UNIT, Use, timestamp
from okr_tui.demo.calls import Call
from okr_tui.demo.inference import find_model
from okr_tui.demo.models import MODELS

RANGES = {"24h": ("hour", 3600, 25), "7d": ("day", 86400, 8), "30d": ("day", 86400, 31)}
MAXIMUM_RESULTS = 10


async def tags(_call: Call) -> Response:
    """GET /api/tags."""
    return JSONResponse({"models": [model.tag() for model in MODELS.values()]})


async def show(call: Call) -> Response:
    """POST /api/show."""
    return JSONResponse(find_model(call).show())


async def version(_call: Call) -> Response:
    """GET /api/version."""
    return JSONResponse({"version": "0.0.0"})


async def models(_call: Call) -> Response:
    """GET /v1/models."""
    return JSONResponse({"object": "list", "data": [model.entry() for model in MODELS.values()]})


async def one_model(call: Call) -> Response:
    """GET /v1/models/{id}."""
    call.received.model = call.received.path.removeprefix("/v1/models/")
    return JSONResponse(find_model(call).entry())


async def never(call: Call) -> Response:
    """Embeddings and the process list: refused by the cloud even with a good key."""
    raise call.refuse("endpoint-unauthorized")


async def embeddings(call: Call) -> Response:
    """POST /v1/embeddings: answered by the cloud, with nothing in it."""
    model = find_model(call).name
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return JSONResponse({"object": "list", "data": [], "model": model, "usage": usage})


async def identity(call: Call) -> Response:
    """POST /api/me."""
    return JSONResponse(call.account.identity())


async def balance(call: Call) -> Response:
    """GET /api/balance."""
    if call.request.query_params:
        raise call.refuse("bad-query")
    _limit_reads(call)
    return JSONResponse(call.account.balance())


async def usage(call: Call) -> Response:
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


async def web_search(call: Call) -> Response:
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


async def web_fetch(call: Call) -> Response:
    """POST /api/web_fetch."""
    url = str(call.body.get("url") or "").strip()
    if not url:
        raise call.refuse("bad-request", detail="url is required")
    content = "This domain is for use in **examples**."
    return JSONResponse({"title": "Example Domain", "content": content, "links": ["https://example.com/"]})


def _limit_reads(call: Call) -> None:
    scenario, now = call.state.scenario, call.state.clock()
    span = scenario.balance_seconds / call.state.speed
    reads = call.account.reads
    while reads and reads[0] <= now - span:
        reads.popleft()
    if len(reads) >= scenario.balance_reads:
        raise call.refuse("rate-limit", {"retry-after": str(math.ceil(reads[0] + span - now))})
    reads.append(now)


def _totals(uses: list[Use], legacy: bool) -> dict[str, object]:
    if legacy:
        return {"request_count": len(uses)}
    return {
        "request_count": len(uses),
        "usage_usd": round(sum(use.units for use in uses) * DOLLARS_PER_UNIT, 5),
        "input_tokens": sum(use.input_tokens for use in uses),
        "cached_input_tokens": 0,
        "output_tokens": sum(use.output_tokens for use in uses),
    }
