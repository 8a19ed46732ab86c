"""`okr-tui models`, `refresh` and `info`: what the cloud offers."""

from typing import TYPE_CHECKING

import click

from okr_tui.cli.completion import complete_models
from okr_tui.cli.documents import info_document, models_document
from okr_tui.cli.invocation import Invocation, json_option, local_zone, overview, run
from okr_tui.cli.keys import active_words
from okr_tui.cli.output import note, show, show_document, table
from okr_tui.domain.errors import OkrError
from okr_tui.domain.models import REFRESH_EVERY, bare_name
from okr_tui.domain.words import rfc3339

if TYPE_CHECKING:
    from okr_tui.services.overview import ModelLine, Overview
    from okr_tui.services.pool_service import PoolService
    from okr_tui.services.service import ModelRow, Snapshot

CAPABILITIES = (("vision", "vision"), ("thinking", "think"), ("tools", "tools"))


@click.command()
@click.argument("words", metavar="[FILTER]", default="")
@click.option("--refresh", is_flag=True, help="Read the list again even if it is recent.")
@json_option
@click.pass_obj
def models(invocation: Invocation, words: str, *, refresh: bool, as_json: bool) -> None:
    """List the models of the cloud.

    FILTER keeps those with all its words in name, family or capabilities.
    """

    async def read(service: "PoolService") -> None:
        if refresh or _is_old(service.overview):
            await _refresh(service)

    found = None if refresh else invocation.kept_overview()
    if found is None or _is_old(found):
        found = overview(invocation, read)
    rows = tuple(row for row in found.models if row.model.matches(words))
    if as_json:
        stale = bool(found.models_error) or _is_old(found)
        show_document(models_document(rows, found.refreshed_at, stale=stale))
        return
    for line in _list_lines(rows, found):
        show(line)
    if found.skipped_words:
        note(f"okr-tui: {found.skipped_words}")


def _is_old(found: "Overview") -> bool:
    return found.at - (found.refreshed_at or 0.0) >= REFRESH_EVERY


async def _refresh(service: "PoolService") -> None:
    """Read the list again. Raises OkrError only if no earlier list is known."""
    note("Refreshing Ollama cloud models…")
    try:
        await service.refresh_models()
    except OkrError as error:
        if service.snapshot.models.refreshed_at is None:
            raise
        note(f"okr-tui: {error}")


def _list_lines(rows: "tuple[ModelLine, ...]", found: "Overview") -> list[str]:
    if not rows:
        known = bool(found.models)
        return ["No model matches." if known else "No cloud models are currently available."]
    active = active_words(found.pool, found.at, local_zone())
    total = len(found.pool.keys)
    return [f"☁️ Cloud ({len(rows)}) — active key {active}", *table(_cells(row, total) for row in rows)]


def _cells(row: "ModelLine", total: int) -> tuple[str, ...]:
    model = row.model
    able = " ".join(word for capability, word in CAPABILITIES if model.can(capability))
    return (model.id, model.parameters_text or "-", model.context_text or "-", able, _keys(row, total))


def _keys(row: "ModelRow | ModelLine", total: int) -> str:
    if row.model.status == "gone":
        return f"gone, now {row.replaced_by}" if row.replaced_by else "gone"
    if len(row.keys) == total:
        return "all keys" if total else ""
    return " ".join(f"#{index}" for index in row.keys) or "no key"


@click.command()
@json_option
@click.pass_obj
def refresh(invocation: Invocation, *, as_json: bool) -> None:
    """Read the model list again."""

    async def work(service: "PoolService") -> None:
        note("Refreshing Ollama cloud models…")
        message = await service.refresh_models()
        listed = service.snapshot.models
        if as_json:
            count = sum(row.model.status == "listed" for row in listed.rows)
            document = {"message": message, "refreshed_at": rfc3339(listed.refreshed_at), "models": count}
            show_document(document)
        else:
            show(message)

    run(invocation, work)


@click.command()
@click.argument("model", shell_complete=complete_models)
@json_option
@click.pass_obj
def info(invocation: Invocation, model: str, *, as_json: bool) -> None:
    """Show everything about one model."""

    async def work(service: "PoolService") -> None:
        row = _row(service.snapshot, model)
        if row is None or row.model.capabilities is None:
            await _refresh(service)
            row = _row(service.snapshot, model)
        if row is None:
            raise OkrError(f"Model not found: {model}; okr-tui models lists the known ones")
        if as_json:
            show_document(info_document(row))
            return
        show(row.model.display)
        for line in table(_details(row, len(service.pool.config.keys))):
            show(line)

    run(invocation, work)


def _row(snapshot: "Snapshot", name: str) -> "ModelRow | None":
    wanted = bare_name(name)
    return next((row for row in snapshot.models.rows if row.model.id == wanted), None)


def _details(row: "ModelRow", total: int) -> list[tuple[str, str]]:
    model = row.model
    context = f"{model.context_length:,} tokens" if model.context_length else "unknown"
    able = "unknown" if model.capabilities is None else ", ".join(model.capabilities) or "none"
    vision = "unknown" if model.capabilities is None else "✅" if model.can("vision") else "❌"
    return [
        ("Source", f"Ollama Cloud, {model.provider_id}"),
        ("Parameters", model.parameters_text or "unknown"),
        ("Context", context),
        ("Vision", vision),
        ("Thinking", model.thinking_text),
        ("Family", model.family or "unknown"),
        ("Quantization", model.quantization or "unknown"),
        ("Capabilities", able),
        ("Keys", _keys(row, total)),
    ]
