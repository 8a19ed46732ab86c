"""Carries out the slash commands that need no screen: the original's, with its words, and help."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Literal

from okr_tui.domain.errors import OkrError
from okr_tui.domain.health import State
from okr_tui.domain.models import Model, bare_name
from okr_tui.domain.slash import BY_NAME, COMMANDS, PREFIX, help_lines, parse
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import GLYPHS, printable, sentence
from okr_tui.services.service import Service

Level = Literal["info", "success", "error"]

TEXT_LONGEST: Final = 20_000
ARGUMENT_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class Said:
    """What a command says: plain text of at most TEXT_LONGEST characters, never to be read as markup."""

    text: str
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class ScreenRequest:
    """A command that the front carries out; `name` is of domain.slash.COMMANDS, `argument` as typed."""

    name: str
    argument: str


Outcome = Said | ScreenRequest
Work = Callable[[Service, str, tzinfo], Coroutine[None, None, Said]]


async def carry_out(service: Service, text: str, zone: tzinfo = UTC) -> Outcome:
    """Carry out a prompt that is a command. What cannot be done is said, not raised."""
    name, argument = parse(text)
    command = BY_NAME.get(name)
    if command is not None and command.screen:
        return ScreenRequest(name, argument)
    if name == "ollama":
        return _bounded(_subcommands())
    work = WORK.get(name)
    if work is None:
        return Said(f"There is no command /{_short(name)}; /help lists them", "error")
    try:
        return _bounded(await work(service, argument, zone))
    except OkrError as error:
        return _bounded(Said(str(error), "error"))


async def _status(service: Service, _: str, zone: tzinfo) -> Said:
    snapshot = service.snapshot
    pool = snapshot.pool
    counts = ", ".join(f"{count} {state.value}" for state, count in pool.counts.items())
    models = sum(row.model.status == "listed" for row in snapshot.models.rows)
    lines = [
        "🦙 Ollama Cloud Status",
        f"Keys: ✅ {len(pool.keys)} configured ({counts})" if pool.keys else "Keys: ❌ none configured",
        f"Active key: {_active(pool, snapshot.at, zone)}",
        f"Models: {models}",
        f"URL: {snapshot.settings.cloud_url}",
        *(f"Problem: {problem}" for problem in snapshot.problems),
    ]
    return Said("\n".join(lines))


async def _models(service: Service, words: str, zone: tzinfo) -> Said:
    snapshot = service.snapshot
    rows = [row.model for row in snapshot.models.rows if row.model.status == "listed"]
    rows = [model for model in rows if model.matches(words)]
    if not rows:
        return Said("No model matches." if words else "No cloud models are currently available.")
    active = _active(snapshot.pool, snapshot.at, zone)
    return Said("\n".join([f"☁️ Cloud ({len(rows)}) — active key {active}", *(row.display for row in rows)]))


async def _refresh(service: Service, _: str, __: tzinfo) -> Said:
    return Said(await service.refresh_models(), "success")


async def _info(service: Service, name: str, _: tzinfo) -> Said:
    if not name:
        return Said("Usage: /ollama-info MODEL", "error")
    wanted = bare_name(name)
    models = service.snapshot.models
    model = next((row.model for row in models.rows if row.model.id == wanted), None)
    if model is None:
        cause = f" ({models.error})" if models.error else ""
        return Said(f"Model not found: {_short(name)}{cause}; /ollama-refresh reads the list again", "error")
    return Said("\n".join([model.display, *(f"{title}: {value}" for title, value in _details(model))]))


def _details(model: Model) -> list[tuple[str, str]]:
    known = model.capabilities is not None
    return [
        ("Source", "☁️ Ollama Cloud" if model.status == "listed" else "gone from Ollama Cloud"),
        ("Parameters", model.parameters_text or "unknown"),
        ("Context", f"{model.context_length:,} tokens" if model.context_length else "unknown"),
        ("Vision", ("✅" if model.can("vision") else "❌") if known else "unknown"),
        ("Family", model.family or "unknown"),
        ("Capabilities", ", ".join(model.capabilities or ()) or "unknown"),
    ]


async def _keys(service: Service, _: str, zone: tzinfo) -> Said:
    snapshot = service.snapshot
    pool = snapshot.pool
    if not pool.keys:
        return Said("🔑 Ollama Cloud Key Pool\nTotal: 0; a key is added in the keys pane", "error")
    lines = [
        "🔑 Ollama Cloud Key Pool",
        f"Total: {len(pool.keys)}",
        f"Active: {_active(pool, snapshot.at, zone)}",
        *(_key(row, pool, snapshot.at, zone) for row in pool.keys),
    ]
    return Said("\n".join(lines))


def _key(row: KeyView, pool: PoolView, now: float, zone: tzinfo) -> str:
    mark = "👉" if row.index == pool.active else "  "
    label = f" {row.label}" if row.label else ""
    return f"{mark} #{row.index} {row.masked}{label} {GLYPHS[row.state]} {sentence(row.verdict, now, zone)}"


def _active(pool: PoolView, now: float, zone: tzinfo) -> str:
    if pool.active is None:
        return "(none)"
    row = pool.keys[pool.active - 1]
    health = "" if row.state is State.READY else f", {sentence(row.verdict, now, zone)}"
    return f"#{row.index} {row.masked}{health}"


async def _rotate(service: Service, _: str, __: tzinfo) -> Said:
    said = await service.rotate()
    return Said(said, "info" if said.startswith("nothing") else "success")


async def _use_key(service: Service, argument: str, _: tzinfo) -> Said:
    digits = argument.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return Said("Usage: /ollama-use-key N", "error")
    index = int(argument) if len(digits) < 10 else 0
    if not 1 <= index <= len(service.snapshot.pool.keys):
        return Said(f"Invalid key index: {_short(argument)}", "error")
    return Said(await service.use_key(index), "success")


async def _help(_: Service, __: str, ___: tzinfo) -> Said:
    return Said("\n".join(help_lines()))


def _subcommands() -> Said:
    """What `/ollama` alone, or with what it does not know, answers."""
    lines = [
        f"/ollama {command.line.removeprefix(f'/{PREFIX}')}  {command.help}"
        for command in COMMANDS
        if command.name.startswith(PREFIX)
    ]
    return Said("\n".join(lines))


WORK: Final[dict[str, Work]] = {
    "ollama-status": _status,
    "ollama-models": _models,
    "ollama-refresh": _refresh,
    "ollama-info": _info,
    "ollama-keys": _keys,
    "ollama-rotate": _rotate,
    "ollama-use-key": _use_key,
    "help": _help,
}


def _short(text: str) -> str:
    return printable(text, ARGUMENT_LONGEST)


def _bounded(said: Said) -> Said:
    if len(said.text) <= TEXT_LONGEST:
        return said
    return Said(f"{said.text[:TEXT_LONGEST]}…", said.level)
