"""The gateway as a process of its own (`okr-tui serve`) and inside the dashboard (the key `g`)."""

import asyncio
import importlib
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import status_document
from okr_tui.cli.invocation import Invocation, ask_for_name
from okr_tui.cli.output import note, one_line, show, show_raw
from okr_tui.domain.errors import OkrError
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.services.gateway_switch import Hosting, Running

if TYPE_CHECKING:
    from okr_tui.gateway.server import Host
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.table import GatewayOptions

EXPOSED = "okr-tui: other machines can reach this gateway, and its traffic is not encrypted"
ADVICE = "`okr-tui connect CLIENT` shows how to use it"
KEPT_VARIABLES = ("OKR_TUI_SETTINGS", "OKR_TUI_STORE", "PI_CODING_AGENT_DIR", "XDG_STATE_HOME")
"""Variables that a unit has to name, since a service does not see those of a shell."""
MOST_NOTES = 1000
"""Lines for standard error that wait to be read; more are dropped."""
NOTES_SECONDS = 1.0
PORT = click.IntRange(0, 65535)
COUNTS = re.compile(r", (?:records waiting for the log|lost): \d+")


@click.command()
@click.option("--host", metavar="HOST", help="The address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=PORT, help="The port; 0 takes a free one  [default: 11435]")
@click.option(
    "--daemon-port",
    type=PORT,
    help="A second port for an `ollama` daemon, which signs its requests; 0 takes a free one.",
)
@click.option(
    "--expose", is_flag=True, help="Allow a host that other machines can reach; traffic is not encrypted."
)
@click.option("--access-log", is_flag=True, help="Write a line of JSON to standard error for every request.")
@click.option(
    "--print-unit",
    type=click.Choice(["systemd", "launchd"]),
    help="Print a unit that keeps this gateway running, and exit.",
)
@click.pass_obj
def serve(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    daemon_port: int | None,
    *,
    expose: bool,
    access_log: bool,
    print_unit: str | None,
) -> None:
    """Run the gateway for clients of Ollama, OpenAI and Anthropic.

    It listens on this machine and sends each request with a key of the pool. SIGTERM lets running answers
    finish; SIGHUP reads the settings again, unless standard input is a terminal.
    """
    given = {"host": host or None, "port": port, "daemon_port": daemon_port}
    chosen = {name: value for name, value in given.items() if value is not None}
    if print_unit:
        _print_unit(invocation, print_unit, chosen, expose=expose, access_log=access_log)
        return
    ask_for_name(invocation)
    with asyncio.Runner(loop_factory=_faster_loop()) as runner:
        runner.run(_serve(invocation, chosen, expose=expose, access_log=access_log))


def _faster_loop() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """Return what makes the event loop of the extra `fast`; None without it."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop  # type: ignore[no-any-return]


def _print_unit(
    invocation: Invocation, kind: str, chosen: Mapping[str, object], *, expose: bool, access_log: bool
) -> None:
    from okr_tui.cli import units
    from okr_tui.settings.layers import load

    settings = load(invocation.sources(asks=False))
    options = [] if invocation.settings is None else ["--settings", os.path.abspath(invocation.settings)]
    if invocation.cloud_url:
        options += ["--cloud-url", invocation.cloud_url]
    if invocation.store and _has_no_password(invocation.store):
        options += ["--store", invocation.store]
    options.append("serve")
    for name, number in chosen.items():
        options += [f"--{name.replace('_', '-')}", str(number)]
    options += ["--expose"] if expose else []
    options += ["--access-log"] if access_log else []
    grace, environment = settings.gateway.grace_seconds, invocation.sources().environment
    needed = {name: environment[name] for name in KEPT_VARIABLES if environment.get(name)}
    if not _has_no_password(needed.get("OKR_TUI_STORE", "")):
        del needed["OKR_TUI_STORE"]
    folders = [invocation.state_folder, settings.global_file.parent]
    if kind == "systemd":
        show_raw(units.systemd(options, grace, folders, needed, notifies=_notifier() is not None).rstrip())
    else:
        log = Path("~/Library/Logs/okr-tui.log").expanduser()
        show_raw(units.launchd(options, grace, log, needed).rstrip())


def _has_no_password(store: str) -> bool:
    """Return whether a log's address may be in a unit, which others may read; say so where it may not."""
    from okr_tui.domain.addresses import without_password

    if without_password(store) == store:
        return True
    note("okr-tui: the log's address has a password, so the unit leaves it out; set okr-tui.store")
    return False


def _notifier() -> Callable[[str], None] | None:
    """Return what reports states to systemd, as sd_notify(3) does; None without the extra."""
    try:
        library = importlib.import_module("sdnotify")
    except ModuleNotFoundError:
        return None
    notify: Callable[[str], None] = library.SystemdNotifier().notify
    return notify


async def _serve(
    invocation: Invocation, chosen: Mapping[str, object], *, expose: bool, access_log: bool
) -> None:
    from okr_tui.cloud.aiohttp_transport import Transport
    from okr_tui.domain.addresses import is_loopback
    from okr_tui.gateway.server import Host

    async with (
        invocation.open_service("gateway", make_transport=Transport) as service,
        _notes() as notes,
    ):
        options = _options(service, chosen)
        for problem in service.problems:
            notes(f"okr-tui: {problem}")
        if not is_loopback(options.host):
            if not expose:
                raise click.UsageError(
                    f"{options.host} can be reached by other machines; add --expose if that is intended"
                )
            notes(EXPOSED)
        notify = (os.environ.get("NOTIFY_SOCKET") and _notifier()) or (lambda _: None)
        with _stop_signals(_reloading(service, notes, notify)) as signals:
            async with Host.open(
                service,
                options,
                invocation.state_folder,
                status=lambda url: status_document(service.overview, url),
                access=(lambda record: notes(json.dumps(record))) if access_log else None,
                report=lambda line: notes(f"okr-tui: {line}"),
                stop_now=signals.second,
            ) as running:
                show(f"listening on {running.url}")
                if running.daemon_url:
                    show(f"listening on {running.daemon_url} for the ollama daemon")
                notify("READY=1")
                await _until(signals, service, running, chosen, notes)
                notify("STOPPING=1")


def _options(service: "PoolService", chosen: Mapping[str, object]) -> "GatewayOptions":
    """Return the gateway's options: the current settings, overridden by the command line."""
    return replace(service.configuration.settings.gateway, **chosen)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Signals:
    """Set by the first SIGINT or SIGTERM, and by the second; a third ends the process at once."""

    first: asyncio.Event
    second: asyncio.Event


def _reloading(
    service: "PoolService", notes: Callable[[str], None], notify: Callable[[str], None]
) -> Callable[[], None]:
    """Return what reads the settings again at a signal; a supervisor learns when that begins and ends."""
    under_way: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await service.reload()
        except OkrError as error:
            notes(f"okr-tui: settings not reloaded: {error}")
            return
        finally:
            notify("READY=1")
        problems = len(service.problems)
        notes(f"okr-tui: settings reloaded: {len(service.pool.config.keys)} keys, {problems} problems")

    def begin() -> None:
        task = asyncio.ensure_future(reload())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return begin


@contextmanager
def _stop_signals(reload: Callable[[], None]) -> Iterator[_Signals]:
    """Wait for signals that end the gateway.

    SIGHUP calls `reload` where standard input is no terminal; else the terminal has gone, and it ends.
    """
    signals = _Signals(asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    def stop() -> None:
        if signals.first.is_set():
            signals.second.set()
            restore()
        signals.first.set()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    hangs_up = getattr(signal, "SIGHUP", None)
    if hangs_up is not None:
        # A shell repeats what a terminal has sent, and running answers keep their time.
        loop.add_signal_handler(hangs_up, signals.first.set if sys.stdin.isatty() else reload)
    try:
        yield signals
    finally:
        restore()
        if hangs_up is not None:
            loop.remove_signal_handler(hangs_up)


@asynccontextmanager
async def _notes() -> AsyncGenerator[Callable[[str], None], None]:
    """Yield what writes a line to standard error without waiting for whoever reads it, if anybody does."""
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError):  # it is no file
        yield note
        return
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def write() -> None:
        while line := lines.get():
            try:
                os.write(number, f"{one_line(line)}\n".encode(errors="replace"))
            except OSError:
                return  # it is closed

    def noted(line: str) -> None:
        if lines.qsize() < MOST_NOTES:
            lines.put(line)

    # A daemon: it may wait without end, and must not hold up the end of the process.
    writer = threading.Thread(target=write, daemon=True, name="notes")
    writer.start()
    try:
        yield noted
    finally:
        lines.put("")
        await asyncio.to_thread(writer.join, NOTES_SECONDS)


async def _until(
    signals: _Signals,
    service: "PoolService",
    running: "Host",
    chosen: Mapping[str, object],
    notes: Callable[[str], None],
) -> None:
    """Wait for the stop signal. Raises OkrError when the server failed for good."""
    reporting = asyncio.ensure_future(_report_problems(service, chosen, notes))
    waiting = asyncio.ensure_future(signals.first.wait())
    failing = asyncio.ensure_future(running.failed())
    try:
        await asyncio.wait((waiting, reporting, failing), return_when=asyncio.FIRST_COMPLETED)
        for each in (reporting, failing):
            if each.done() and not waiting.done():
                error = each.exception() or each.result()
                words = clean_line(
                    str(error) if isinstance(error, OkrError) else f"{type(error).__name__}: {error}"
                )
                raise OkrError(f"the gateway stopped: {words}; start it again")
    finally:
        for task in (waiting, reporting, failing):
            task.cancel()


async def _report_problems(
    service: "PoolService", chosen: Mapping[str, object], notes: Callable[[str], None]
) -> None:
    """Report new problems, and changed gateway settings that need a restart, until cancelled."""
    began, reported = _options(service, chosen), set(map(_uncounted, service.problems))
    async for _ in service.pool.changes():
        lines = [*service.problems]
        if _options(service, chosen) != began:
            lines.append("the gateway's address changed in the settings; restart it to apply that")
        for line in lines:
            if _uncounted(line) not in reported:
                notes(f"okr-tui: {line}")
        reported = set(map(_uncounted, lines))


def _uncounted(line: str) -> str:
    """Return a problem without the counts in it, which change with each request while the log is away."""
    return COUNTS.sub("", line)


def hosting(invocation: Invocation, service: "PoolService") -> Hosting:
    """Return how the dashboard starts a gateway over its own service."""
    state = invocation.state_folder

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Running, None]:
        from okr_tui.domain.addresses import is_loopback

        # Whoever ends the dashboard waits for it.
        options = replace(service.configuration.settings.gateway, grace_seconds=0)
        if not is_loopback(options.host):
            raise OkrError(
                f"{options.host} can be reached by other machines; use `okr-tui serve --expose` for that"
            )
        # In a thread, so that the screen stays responsive.
        await asyncio.to_thread(importlib.import_module, "okr_tui.gateway.server")
        from okr_tui.gateway.server import Host

        async with Host.open(
            service,
            options,
            state,
            status=lambda url: status_document(service.overview, url),
            report=service.gateway.report,
        ) as host:
            yield host

    # `connect` only knows the gateway in the user's own state folder.
    advice = ADVICE if invocation.state is None else f"its token is in {state / 'gateway-token'}"
    return Hosting(state, opened, advice)
