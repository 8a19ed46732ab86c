"""`okr-tui serve`: the gateway, until it is told to end."""

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import status_document
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note
from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.gateway.host import Host
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.table import GatewayOptions

EXPOSED = "okr-tui: other machines can reach this gateway, and all that passes is plain HTTP"
PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--host", metavar="HOST", help="The address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=PORT, help="The port; 0 takes a free one  [default: 11435]")
@click.option(
    "--daemon-port",
    type=PORT,
    help="A second port for an `ollama` daemon, which signs its requests; 0 takes a free one.",
)
@click.option("--expose", is_flag=True, help="Allow a host that other machines reach; nothing is encrypted.")
@click.option("--access-log", is_flag=True, help="Write a line of JSON to standard error for every request.")
@click.pass_obj
def serve(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    daemon_port: int | None,
    *,
    expose: bool,
    access_log: bool,
) -> None:
    """Run the gateway: Ollama's, OpenAI's and Anthropic's interface on this machine, over the pool."""
    given = {"host": host or None, "port": port, "daemon_port": daemon_port}
    chosen = {name: value for name, value in given.items() if value is not None}
    asyncio.run(_serve(invocation, chosen, expose=expose, access_log=access_log))


async def _serve(
    invocation: Invocation, chosen: Mapping[str, object], *, expose: bool, access_log: bool
) -> None:
    from okr_tui.cloud.aiohttp_transport import Transport
    from okr_tui.domain.addresses import is_loopback
    from okr_tui.gateway.host import Host

    async with invocation.open_service("gateway", make_transport=Transport) as service:
        options = _options(service, chosen)
        for problem in service.problems:
            note(f"okr-tui: {problem}")
        if not is_loopback(options.host):
            if not expose:
                raise click.UsageError(
                    f"other machines can reach {options.host}: say --expose if that is meant"
                )
            note(EXPOSED)
        async with Host.open(
            service,
            options,
            invocation.state_folder,
            status=lambda url: status_document(service.snapshot, service.pool.store.name, url),
            access=(lambda record: note(json.dumps(record))) if access_log else None,
            trouble=lambda line: note(f"okr-tui: {line}"),
        ) as running:
            with _told_to_end() as ended:
                click.echo(f"listening on {running.url}")
                if running.daemon_url:
                    click.echo(f"listening on {running.daemon_url} for the ollama daemon")
                await _until(ended, service, running, chosen)


def _options(service: "PoolService", chosen: Mapping[str, object]) -> "GatewayOptions":
    """What the settings say now, overruled by what was given with the verb."""
    return replace(service.configuration.settings.gateway, **chosen)  # type: ignore[arg-type]


@contextmanager
def _told_to_end() -> Iterator[asyncio.Event]:
    """Set when the process is to end. Whoever asks once more does not want to wait for answers under way."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _until(
    ended: asyncio.Event, service: "PoolService", running: "Host", chosen: Mapping[str, object]
) -> None:
    """Until it is told to end; raises OkrError when the service or its server failed for good."""
    telling = asyncio.ensure_future(_tell(service, chosen))
    waiting = asyncio.ensure_future(ended.wait())
    failing = [asyncio.ensure_future(each.failed()) for each in (service, running)]
    try:
        await asyncio.wait((waiting, telling, *failing), return_when=asyncio.FIRST_COMPLETED)
        for each in (telling, *failing):
            if each.done() and not waiting.done():
                error = each.exception() or each.result()
                words = str(error) if isinstance(error, OkrError) else f"{type(error).__name__}: {error}"
                raise OkrError(f"the gateway had to end: {words}; start it again")
    finally:
        for task in (waiting, telling, *failing):
            task.cancel()


async def _tell(service: "PoolService", chosen: Mapping[str, object]) -> None:
    """Say what goes wrong while it runs, and that a change of where it listens has to wait; for ever."""
    began, said = _options(service, chosen), set(service.problems)
    async for _ in service.pool.changes():
        lines = [*service.problems]
        if _options(service, chosen) != began:
            lines.append("where the gateway listens was changed in the settings: it holds at its next start")
        for line in lines:
            if line not in said:
                note(f"okr-tui: {line}")
        said = set(lines)
