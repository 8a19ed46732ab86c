"""Endpoints that are answered without the cloud: model lists, identity, version."""

from collections.abc import Iterator

from okr_tui import __version__
from okr_tui.cloud.documents import parse_time
from okr_tui.domain.models import Model, bare_name
from okr_tui.domain.view import PoolView
from okr_tui.domain.words import rfc3339
from okr_tui.gateway.errors import failure_error
from okr_tui.services.pool_service import PoolService

Document = dict[str, object]
RUNNING = "Ollama is running"
VERSION: Document = {"version": __version__}
PROCESSES: Document = {"models": []}
CLOUD_STATUS: Document = {"cloud": {"disabled": False, "source": "none"}}


async def tags(service: PoolService) -> Document:
    """Return the document of `/api/tags`, in the cloud's shape."""
    return {"models": [_tag(model) for model in await _listed(service)]}


async def models(service: PoolService) -> Document:
    """Return the document of `/v1/models`, with the fields of OpenAI and of Anthropic."""
    entries = [_entry(model) for model in await _listed(service)]
    return {
        "object": "list",
        "data": entries,
        "has_more": False,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
    }


async def one_model(service: PoolService, name: str) -> Document:
    """Return the document of `/v1/models/NAME`; raise FailureError for an unknown model."""
    for model in await _listed(service):
        if model.id == bare_name(name):
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


async def _listed(service: PoolService) -> list[Model]:
    found = list(_served(service))
    if not found:
        await service.catalog.refresh()
        found = list(_served(service))
    if not found and service.catalog.error:
        raise failure_error(502, f"the model list cannot be read: {service.catalog.error}")
    return found


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


def _epoch(time: str | None) -> int:
    return int(parse_time(time) or 0)
