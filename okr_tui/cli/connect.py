"""`okr-tui connect`: how to point a client at the gateway; for pi, done by itself. No token is shown."""

import asyncio
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.clients import CLIENTS, Reach, advice, pi_provider
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note, show
from okr_tui.domain.errors import OkrError, SettingsError

if TYPE_CHECKING:
    from okr_tui.domain.models import Model
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.layers import Sources
    from okr_tui.settings.table import GatewayOptions

PI = "pi"
NO_GATEWAY = (
    "no gateway runs, and requests fail until one does: `okr-tui serve`, or set okr-tui.gateway.autostart, "
    "with which the dashboard starts it"
)


class MistakenError(click.ClickException):
    """A mistake in the command line, said in one line."""

    exit_code = 2


@click.command()
@click.argument("client", type=click.Choice([PI, *CLIENTS]))
@click.option("--write", is_flag=True, help="For pi: put the gateway and its models into pi's models.json.")
@click.option("--undo", is_flag=True, help="For pi: put back what --write changed.")
@click.pass_obj
def connect(invocation: Invocation, client: str, *, write: bool, undo: bool) -> None:
    """Show how to point a client at the gateway; anthropic is for Claude Code too.

    ollama-daemon is for `ollama serve`, which then uses the pool for its cloud models.
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
    from okr_tui.gateway.tokens import NAME, load_token

    state = invocation.state_folder
    load_token(state)
    async with invocation.open_service("cli", watching=False) as service:
        for problem in service.problems:
            note(f"okr-tui: {problem}")
        reach = _reach(service.configuration.settings.gateway, state)
        models = await _models(service) if client in (PI, "anthropic") else ()
    if client == PI:
        _pi(invocation, pi_provider(reach.url, state / NAME, models), write=write)
    else:
        lines = CLIENTS[client](reach, f"$(cat {shlex.quote(str(state / NAME))})", models)
        note(advice(client, reach))
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
                f"okr-tui.gateway.{name} is 0, which is another port at each start: start `okr-tui serve` "
                "first, or choose a number"
            )
    return Reach(options.url, url(HOST, options.daemon_port) if options.daemon_port else None, runs=False)


async def _models(service: "PoolService") -> "tuple[Model, ...]":
    """The models that are listed now; the last known ones when they cannot be read."""
    await service.catalog.refresh()
    if service.catalog.error:
        note(f"okr-tui: models not read: {service.catalog.error}")
    return tuple(model for model in service.catalog.models if model.status == "listed")


def _pi(invocation: Invocation, provider: dict[str, object], *, write: bool) -> None:
    from okr_tui.settings import pi_models

    sources = invocation.sources()
    path = pi_models.models_file(sources.global_file)
    whole = {pi_models.PROVIDERS: {pi_models.PROVIDER: provider}}
    document = json.dumps(whole, ensure_ascii=False, indent=2)
    if write:
        _write(path, provider, invocation.state_folder, document)
    else:
        note(f"Put this into {path}, or let --write do it:")
        show(document)
    for warning in _warnings(sources, path.parent):
        note(f"okr-tui: {warning}")


def _write(path: Path, provider: dict[str, object], state: Path, document: str) -> None:
    from okr_tui.settings import pi_models

    if not provider["models"]:
        raise OkrError(f"no models are known, so nothing was written to {path}: try again, or see doctor")
    try:
        done = pi_models.write(path, provider, state)
    except SettingsError:
        note(f"Not written; this is what belongs into {path}:")
        show(document)
        raise
    if not done.changed:
        show(f"{path} is up to date; nothing was written")
        return
    show(f"Wrote the provider {pi_models.PROVIDER} to {path}")
    if done.moved:
        note(
            f"okr-tui: the provider {pi_models.PROVIDER} that was there is {done.moved} now, and goes around "
            "the gateway; --undo gives its name back"
        )
    if not done.kept:
        note(f"okr-tui: another program changed {path} right after: look at it, and try again")


def _undo(invocation: Invocation) -> None:
    from okr_tui.settings import pi_models

    path = pi_models.models_file(invocation.sources().global_file)
    done = pi_models.undo(path, invocation.state_folder)
    if done is None:
        show(f"Nothing to undo: no provider was written to {path}")
    elif not done.changed:
        show(f"Nothing to undo: the provider is gone from {path} already")
    elif done.gone:
        show(f"Removed {path}, which was made for the provider {pi_models.PROVIDER}")
    else:
        restored = "; the one that was there before has its name back" if done.restored else ""
        show(f"Took the provider {pi_models.PROVIDER} out of {path}{restored}")
    if done and not done.kept:
        note(f"okr-tui: another program changed {path} right after: look at it, and try again")


def _warnings(sources: "Sources", agent: Path) -> Iterator[str]:
    """What keeps pi from the gateway in spite of the provider; `agent` is the folder of its models.json.

    Of variables, only the one that moves that folder matters: pi has none for the key of a provider that is
    not built in.
    """
    from okr_tui.settings import pi
    from okr_tui.settings.layers import agent_folder
    from okr_tui.settings.pi_models import PROVIDER

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
                f"around the gateway: take it out there, or `pi remove npm:{pi.EXTENSION}`"
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
