"""`okr-tui serve`: the gateway, until it is told to end."""

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import status_document
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note

if TYPE_CHECKING:
    from okr_tui.gateway.app import Record
    from okr_tui.services.keyring import Keyring

EXPOSED = "okr-tui: other machines can reach this gateway, and all that passes is plain HTTP"


@click.command()
@click.option("--host", metavar="HOST", help="The address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one  [default: 11435]")
@click.option("--expose", is_flag=True, help="Allow a host that other machines reach; nothing is encrypted.")
@click.option("--access-log", is_flag=True, help="Write a line of JSON to standard error for every request.")
@click.pass_obj
def serve(
    invocation: Invocation, host: str | None, port: int | None, *, expose: bool, access_log: bool
) -> None:
    """Run the gateway: Ollama's, OpenAI's and Anthropic's interface on this machine, over the pool."""
    asyncio.run(_serve(invocation, host, port, expose=expose, access_log=access_log))


async def _serve(
    invocation: Invocation, host: str | None, port: int | None, *, expose: bool, access_log: bool
) -> None:
    from okr_tui.gateway.options import Options, is_loopback
    from okr_tui.gateway.server import listen
    from okr_tui.gateway.transport import Transport

    async with invocation.keyring("gateway", transport=Transport()) as keyring:
        options, problems = Options.read(keyring.configuration.settings.gateway)
        for problem in (*keyring.problems, *problems):
            note(f"okr-tui: {problem}")
        host = host or options.host
        if not is_loopback(host):
            if not expose:
                raise click.UsageError(f"other machines can reach {host}: say --expose if that is meant")
            note(EXPOSED)
        with listen(host, options.port if port is None else port) as listener:
            await _answer(keyring, host, listener, access_log=access_log)


async def _answer(keyring: "Keyring", host: str, listener: socket.socket, *, access_log: bool) -> None:
    from okr_tui.gateway.app import Gateway
    from okr_tui.gateway.options import url
    from okr_tui.gateway.server import serving
    from okr_tui.gateway.token import load_token
    from okr_tui.store.locate import state_folder

    address = url(host, listener.getsockname()[1])

    def status() -> "Record":
        return status_document(keyring.snapshot, keyring.pool.store.name, address)

    gateway = Gateway(
        keyring,
        load_token(state_folder()),
        host,
        status=status,
        access=(lambda record: note(json.dumps(record))) if access_log else None,
        trouble=lambda line: note(f"okr-tui: {line}"),
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serving(gateway, listener):
        click.echo(f"listening on {address}")
        await ended.wait()
        # Whoever asks once more does not want to wait for the answers under way.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
