"""Endpoints that are answered without the cloud: model lists, identity, version."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import httpx

from okr_tui import __version__
from okr_tui.cloud.documents import parse_time
from okr_tui.cloud.endpoints import CHAT, Endpoint
from okr_tui.domain.choice import SelectionRequest
from okr_tui.domain.health import Wait
from okr_tui.domain.models import Model
from okr_tui.domain.view import PoolView
from okr_tui.domain.words import rfc3339
from okr_tui.gateway.errors import failure_error
from okr_tui.gateway.request import Response
from okr_tui.gateway.tokens import Caller
from okr_tui.services.pool_service import PoolService

Document = dict[str, object]
RUNNING = "Ollama is running"
# Clients refuse what they take for an old Ollama: VS Code's Copilot wants 0.6.4, and daemons relay balances
# from 0.40.1 and usage from 0.40.6 on.
VERSION: Document = {"version": "0.40.12"}
OWN_VERSION = {"x-okr-tui-version": __version__}
PROCESSES: Document = {"models": []}
CLOUD_STATUS: Document = {"cloud": {"disabled": False, "source": "none"}}


NO_CHANGES: Final = (
    "the models are in the cloud: none can be {} here; `okr-tui models` lists them, and they need no pull"
)
CHANGES: Final[Mapping[str, str]] = {
    "/api/push": "pushed",
    "/api/delete": "deleted",
    "/api/copy": "copied",
    "/api/create": "created",
}
"""Endpoints of a daemon that change its models, and what they would do."""


def is_load(body: bytes) -> bool | None:
    """Return whether an empty request of Ollama's loads a model; False if it unloads, None for another one.

    A daemon takes a request without messages or prompt for that (docs.ollama.com/api).
    """
    document = json.loads(body)
    if any(document.get(name) for name in ("prompt", "messages", "images", "suffix")):
        return None
    keep = document.get("keep_alive")
    return not (keep is not None and UNLOADS.fullmatch(str(keep)))


UNLOADS: Final = re.compile(r"-?0+(?:\.0*)?(?:ns|us|ms|s|m|h)?")


def loaded(path: str, model: str, at: float, *, loads: bool) -> Document:
    """Return the answer to a request that only loads or unloads a model: the cloud's are always loaded."""
    empty: Document = (
        {"message": {"role": "assistant", "content": ""}} if path == CHAT.path else {"response": ""}
    )
    reason = "load" if loads else "unload"
    return {"model": model, "created_at": rfc3339(at), **empty, "done": True, "done_reason": reason}


def require(service: PoolService, model: str | None) -> str:
    """Return the model; raise FailureError when there is none, or the cloud is known not to have it."""
    if not model:
        raise failure_error(400, "model is required")
    listed = service.model_names.listed
    if listed and model not in (*listed, *service.fallback.named):
        raise failure_error(404, f"model {model!r} not found", "model_not_found")
    return model


async def tags(service: PoolService, caller: Caller) -> Document:
    """Return the document of `/api/tags`, in the cloud's shape, with what the caller may use.

    Local models that may answer instead come last.
    """
    return {"models": [_tag(model) for model in await _listed(service, caller)]}


async def models(service: PoolService, caller: Caller) -> Document:
    """Return the document of `/v1/models`, with the fields of OpenAI and of Anthropic."""
    entries = [_entry(model) for model in await _listed(service, caller)]
    return {
        "object": "list",
        "data": entries,
        "has_more": False,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
    }


async def one_model(service: PoolService, caller: Caller, name: str) -> Document:
    """Return the document of `/v1/models/NAME`; raise FailureError for an unknown model."""
    for model in await _listed(service, caller):
        if model.id == service.model_names.resolve(name):
            return _entry(model)
    raise failure_error(404, f"model {name[:256]!r} not found", "model_not_found")


def identity(pool: PoolView) -> Document:
    """Return the document of `/api/me`: the account that pays for the next request, where known."""
    row = pool.keys[(pool.active or 1) - 1] if pool.keys else None
    return {
        "id": (row and row.account) or "",
        "email": "",
        "name": "okr-tui",
        "plan": (row and row.plan) or "free",
    }


async def _listed(service: PoolService, caller: Caller) -> list[Model]:
    found = list(_served(service))
    if not found:
        await service.catalog.refresh()
        found = list(_served(service))
    found += [Model(name) for name in await service.fallback.local_models()]
    if not found and service.catalog.error:
        raise failure_error(502, f"the model list cannot be read: {service.catalog.error}")
    return [model for model in found if caller.may_use(model.id)]


def _served(service: PoolService) -> Iterator[Model]:
    return (model for model in service.catalog.models if model.status == "listed")


def _tag(model: Model) -> Document:
    return {
        "name": model.id,
        "model": model.id,
        "modified_at": model.modified_at or rfc3339(0),
        "size": model.size or 0,
        "digest": model.digest or "",
        "details": {
            "parent_model": "",
            "format": "",
            "family": model.family or "",
            "families": [model.family] if model.family else None,
            "parameter_size": model.parameters_text or "",
            "quantization_level": model.quantization or "",
        },
    }


def _entry(model: Model) -> Document:
    created = _epoch(model.modified_at)
    return {
        "id": model.id,
        "object": "model",
        "created": created,
        "owned_by": "ollama",
        "type": "model",
        "display_name": model.id,
        "created_at": rfc3339(created),
    }


RELAY_SECONDS: Final = 60.0
"""How old a relayed answer may be: an account may be read ten times a minute, by all processes together."""
RELAYED_QUERY: Final = re.compile(r"[A-Za-z0-9_=&.:-]{0,100}")
MOST_RELAYED: Final = 32


class AccountRelay:
    """What the cloud says of the account that pays for the next request, as newer daemons pass it on."""

    def __init__(self, service: PoolService) -> None:
        self._service = service
        self._known: dict[tuple[str, str, str], tuple[float, httpx.Response]] = {}
        self._asking = asyncio.Lock()

    async def answer(self, endpoint: Endpoint, query: str = "") -> Response:
        """Return the document of an endpoint. Raises OkrError without a key, or when it cannot be read."""
        if not RELAYED_QUERY.fullmatch(query):
            raise failure_error(400, "this endpoint does not take that query")
        service, pool = self._service, self._service.pool
        key = service.usable_key(pool.view().active or 1)
        relayed = (endpoint.path, query, pool.state.account_of(key.fingerprint))
        async with self._asking:
            now = service.clock.monotonic()
            at, found = self._known.get(relayed, (0.0, None))
            if found is None or now - at > RELAY_SECONDS:
                with service.cloud.use() as cloud:
                    found = await cloud.relay(endpoint, key, query)
                while len(self._known) >= MOST_RELAYED:
                    del self._known[next(iter(self._known))]
                self._known[relayed] = now, found
        return Response(found.content)


def _epoch(time: str | None) -> int:
    return int(parse_time(time) or 0)


def can_answer(service: PoolService) -> bool:
    """Return whether a request would find a key now, or one to wait for."""
    pool = service.pool
    request = SelectionRequest(service.clock.time(), in_flight=pool.flights)
    selection = pool.choose(request)
    return selection.key is not None or any(
        verdict.state.traits.wait is Wait.SLOT for verdict in selection.verdicts
    )
