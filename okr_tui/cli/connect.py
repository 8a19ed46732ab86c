"""`okr-tui connect`: what each client needs to use the gateway, and for pi, writing it. No token is shown."""

import asyncio
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation
from okr_tui.cli.output import note, note_text, show, show_text
from okr_tui.domain.errors import OkrError, SettingsError
from okr_tui.domain.models import PROVIDER

if TYPE_CHECKING:
    from okr_tui.domain.models import Model
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.layers import Sources
    from okr_tui.settings.table import GatewayOptions

PI = "pi"
NO_GATEWAY = (
    "no gateway is running, so requests fail: run `okr-tui serve`, or set okr-tui.gateway.autostart "
    "to let the dashboard start it"
)

PI_LEVELS: Mapping[str, tuple[str, ...]] = {
    "off": ("off",),
    "minimal": ("minimal", "low"),
    "low": ("low",),
    "medium": ("medium", "on"),
    "high": ("high",),
    "xhigh": ("xhigh", "max"),
}
"""pi's levels of thinking, each with the model's levels that it may stand for, best first.

The `max` of pi 1.5 is left out, so that it becomes `xhigh`, which 0.73 knows too.
"""
EFFORTS: Mapping[str, str] = {"off": "none", "on": "medium"}
"""What `/v1` calls the levels of a model that only thinks or does not."""
USUAL_LEVELS = ("off", "low", "medium", "high", "max")
"""The levels of a model where the cloud does not say which it has."""
LONGEST_ANSWER = 32768
COMPATIBLE = {
    "supportsDeveloperRole": False,
    "supportsStore": False,
    "supportsReasoningEffort": True,
    "supportsUsageInStreaming": True,
    "maxTokensField": "max_tokens",
}

# The gateway recognises pi by this header, since pi retries after other errors than the rest do.
NAMED = {"x-okr-tui-client": "pi"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the gateway is: its address, the one for an `ollama` daemon, and whether one runs there now."""

    url: str
    daemon_url: str | None
    runs: bool


Lines = Callable[[Reach, str, "Sequence[Model]"], list[str]]
"""The lines for a shell, from where the gateway is, the token's placeholder in a shell, and the models."""


def _ollama(reach: Reach, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OLLAMA_HOST="{reach.url}/{token}"', "ollama list"]


def _ollama_daemon(reach: Reach, _: str, __: "Sequence[Model]") -> list[str]:
    if reach.daemon_url is None:
        again = f"the gateway at {reach.url}" if reach.runs else "the gateway"
        raise OkrError(
            f"{again} has no port for an ollama daemon: start it with `okr-tui serve --daemon-port PORT`, "
            "or set okr-tui.gateway.daemonPort"
        )
    return [f"export OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", "ollama serve"]


def _openai(reach: Reach, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OPENAI_BASE_URL="{reach.url}/v1"', f'export OPENAI_API_KEY="{token}"']


def _anthropic(reach: Reach, token: str, models: "Sequence[Model]") -> list[str]:
    model = next((model.id for model in models if model.can("tools")), "MODEL")
    return [
        f'export ANTHROPIC_BASE_URL="{reach.url}"',
        f'export ANTHROPIC_AUTH_TOKEN="{token}"',
        f"export ANTHROPIC_MODEL={shlex.quote(model)}",
    ]


CLIENTS: Mapping[str, Lines] = {
    "ollama": _ollama,
    "ollama-daemon": _ollama_daemon,
    "openai": _openai,
    "anthropic": _anthropic,
}


def advice(client: str, reach: Reach) -> str:
    """Return what to do with the lines of a client, in one line."""
    if client != "ollama-daemon":
        return "Run this in the client's shell:"
    return (
        "`ollama serve` reads this once, at its start; for a service: `sudo systemctl edit ollama`, under "
        f'[Service] Environment="OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", `sudo systemctl restart ollama`'
    )


def pi_provider(url: str, token: Path, models: "Sequence[Model]") -> dict[str, object]:
    """Return the gateway as a provider in pi's models.json.

    pi runs an apiKey that begins with an exclamation mark in `sh`, at each request and for at most 10 s, and
    strips its output: `resolveConfigValueUncached` in packages/coding-agent/src/core/
    resolve-config-value.ts, the same in 0.73.1 and 1.5.2. No other indirection works in both.
    """
    return {
        "baseUrl": f"{url}/v1",
        "api": "openai-completions",
        "apiKey": f"!cat {shlex.quote(str(token))}",
        "headers": NAMED,
        "compat": COMPATIBLE,
        "models": [_pi_model(model) for model in models],
    }


def _pi_model(model: "Model") -> dict[str, object]:
    document: dict[str, object] = {
        "id": model.id,
        "name": model.display,
        "reasoning": model.thinks,
        "input": ["text", "image"] if model.can("vision") else ["text"],
    }
    if model.context_length:  # pi has defaults of its own; a zero would make it drop the provider
        document["contextWindow"] = model.context_length
        document["maxTokens"] = max(1, min(LONGEST_ANSWER, model.context_length // 4))
    if model.thinks:
        document["thinkingLevelMap"] = _pi_thinking(model)
    return document


def _pi_thinking(model: "Model") -> dict[str, str | None]:
    """Return what `/v1` takes for each of pi's levels of thinking; None hides one the model has not."""
    levels = USUAL_LEVELS if model.thinking is None else model.thinking
    found = {
        name: next((level for level in wanted if level in levels), None) for name, wanted in PI_LEVELS.items()
    }
    return {name: level and EFFORTS.get(level, level) for name, level in found.items()}


class MistakenError(click.ClickException):
    """A mistake in the command line, reported in one line."""

    exit_code = 2


@click.command()
@click.argument("client", type=click.Choice([PI, *CLIENTS]))
@click.option("--write", is_flag=True, help="For pi: add the gateway and its models to pi's models.json.")
@click.option("--undo", is_flag=True, help="For pi: undo what --write changed.")
@click.pass_obj
def connect(invocation: Invocation, client: str, *, write: bool, undo: bool) -> None:
    """Show how to point a client at the gateway.

    anthropic is for Claude Code too; ollama-daemon is for `ollama serve`, which then uses the pool for its
    cloud models.
    """
    if (write or undo) and client != PI:
        raise MistakenError(f"--write and --undo are for {PI}: what {client} needs is set in its shell")
    if write and undo:
        raise MistakenError("--write and --undo exclude each other")
    if undo:
        _undo(invocation)
    else:
        asyncio.run(_connect(invocation, client, write=write))


async def _connect(invocation: Invocation, client: str, *, write: bool) -> None:
    from okr_tui.gateway.tokens import SHARED, load_token

    state = invocation.state_folder
    load_token(state)
    async with invocation.open_service("cli", watching=False) as service:
        for problem in service.problems:
            note(f"okr-tui: {problem}")
        reach = _reach(service.configuration.settings.gateway, state)
        models = await _models(service) if client in (PI, "anthropic") else ()
    if client == PI:
        _pi(invocation, pi_provider(reach.url, state / SHARED, models), write=write)
    else:
        lines = CLIENTS[client](reach, f"$(cat {shlex.quote(str(state / SHARED))})", models)
        note_text(advice(client, reach))
        for line in lines:
            show(line)
    if not reach.runs:
        note(f"okr-tui: {NO_GATEWAY}")


def _reach(options: "GatewayOptions", state: Path) -> Reach:
    from okr_tui.domain.addresses import url
    from okr_tui.gateway.daemon import HOST
    from okr_tui.services.gateway_registry import running_gateway

    if running := running_gateway(state):
        return Reach(running.url, running.daemon_url, runs=True)
    for name, port in (("port", options.port), ("daemonPort", options.daemon_port)):
        if port == 0:
            raise OkrError(
                f"okr-tui.gateway.{name} is 0, a different port at each start; run `okr-tui serve` first, "
                "or set a fixed port"
            )
    return Reach(options.url, url(HOST, options.daemon_port) if options.daemon_port else None, runs=False)


async def _models(service: "PoolService") -> "tuple[Model, ...]":
    """Return the models that are listed now, or the last known ones when they cannot be read."""
    await service.catalog.refresh()
    if service.catalog.error:
        note(f"okr-tui: models not read: {service.catalog.error}")
    return tuple(model for model in service.catalog.models if model.status == "listed")


def _pi(invocation: Invocation, provider: dict[str, object], *, write: bool) -> None:
    from okr_tui.settings import pi

    sources = invocation.sources()
    path = pi.models_file(sources.global_file)
    whole = {pi.PROVIDERS_KEY: {PROVIDER: provider}}
    document = json.dumps(whole, ensure_ascii=False, indent=2)
    if write:
        _write(path, provider, invocation.state_folder, document)
    else:
        note(f"Add this to {path}, or use --write:")
        show_text(document)
    for warning in _warnings(sources, path.parent):
        note(f"okr-tui: {warning}")


def _write(path: Path, provider: dict[str, object], state: Path, document: str) -> None:
    from okr_tui.settings import pi

    if not provider["models"]:
        raise OkrError(f"no models are known, so nothing was written to {path}; try again")
    try:
        done = pi.write(path, provider, state)
    except SettingsError:
        note(f"Not written; add this to {path}:")
        show_text(document)
        raise
    if not done.changed:
        show(f"{path} is up to date; nothing was written")
        return
    show(f"Wrote the provider {PROVIDER} to {path}")
    if done.moved:
        note(
            f"okr-tui: the provider {PROVIDER} that was there is {done.moved} now, and bypasses "
            "the gateway; --undo restores its name"
        )
    if not done.kept:
        note(f"okr-tui: another program changed {path} right after; check it and try again")


def _undo(invocation: Invocation) -> None:
    from okr_tui.settings import pi

    path = pi.models_file(invocation.sources().global_file)
    done = pi.undo(path, invocation.state_folder)
    if done is None:
        show(f"Nothing to undo: no provider was written to {path}")
    elif not done.changed:
        show(f"Nothing to undo: the provider is gone from {path} already")
    elif done.gone:
        show(f"Removed {path}, which was created for the provider {PROVIDER}")
    else:
        restored = "; the earlier provider has its name back" if done.restored else ""
        show(f"Removed the provider {PROVIDER} from {path}{restored}")
    if done and not done.kept:
        note(f"okr-tui: another program changed {path} right after; check it and try again")


def _warnings(sources: "Sources", agent: Path) -> Iterator[str]:
    """Yield what keeps pi from using the gateway; `agent` is the folder of its models.json.

    The only environment variable that matters is the one that moves that folder: pi reads keys of its
    built-in providers alone from the environment.
    """
    from okr_tui.settings import pi
    from okr_tui.settings.locations import agent_folder

    if agent != agent_folder(sources.environment):
        yield f"pi reads this models.json only with PI_CODING_AGENT_DIR={shlex.quote(str(agent))}"
    for path in dict.fromkeys((sources.global_file, agent / "settings.json", sources.project_file)):
        try:
            names = list(pi.extension_places(path))
        except SettingsError as error:
            yield f"{error}; pi may load {pi.EXTENSION} from there, which would replace the provider"
            continue
        for name in names:
            yield (
                f"{path} loads {pi.EXTENSION} in {name}, which replaces the provider, so that requests go "
                f"around the gateway: remove it there, or `pi remove npm:{pi.EXTENSION}`"
            )
    auth = pi.auth_file(agent)
    try:
        providers = [found.provider for found in pi.stored_keys(auth, sources.environment)]
    except SettingsError as error:
        yield f"{error}; an entry {PROVIDER} there would be sent in place of the gateway's token"
        return
    if PROVIDER in providers:
        yield (
            f"{auth} has a key for {PROVIDER}, which pi sends in place of the gateway's token: "
            f"`okr-tui import-keys` adds it to the pool; then /logout in pi, and choose {PROVIDER}"
        )
