"""The dashboard, on a terminal."""

import asyncio
import contextlib
import gc
import importlib
import os
import pkgutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

import click

from okr_tui.cli.crash import describe_crash
from okr_tui.cli.invocation import Invocation, local_zone

if TYPE_CHECKING:
    from okr_tui.services.background import Clock
    from okr_tui.services.overview import Inputs
    from okr_tui.ui.bridge import Opened
    from okr_tui.ui.last_screen import LastScreen


SETTLED: Final = 5.0
"""Seconds after which a start is over."""


class NoTerminal(click.ClickException):
    """There is no terminal to draw on."""

    exit_code = 2


def dashboard(invocation: Invocation) -> object:
    """Run the dashboard on the user's own keys and return what `run` returns."""
    require_terminal()
    return run(lambda clock: opened(invocation, clock), demo=False, inputs=invocation.inputs)


@contextlib.asynccontextmanager
async def opened(invocation: Invocation, clock: "Clock") -> AsyncGenerator["Opened", None]:
    """Open the service and the conversations; a thread imports them, so that the screen stays responsive."""
    await asyncio.to_thread(importlib.import_module, "okr_tui.chat.service")
    from okr_tui.chat.answer import PoolClient
    from okr_tui.chat.service import ConversationService
    from okr_tui.cli.serve import hosting

    async with (
        invocation.open_service("dashboard", clock=clock) as service,
        ConversationService.open(PoolClient(service), invocation.state) as conversations,
    ):
        await service.host(hosting(invocation, service))
        asyncio.get_running_loop().call_later(SETTLED, _settle)
        yield service, conversations


def _settle() -> None:
    """Give back what only the start needed, and leave out what stays from looks for garbage."""
    from okr_tui.services.background import tune_gc

    gc.collect()
    tune_gc()


def require_terminal() -> None:
    """Raise NoTerminal unless standard input and standard error are terminals, which the screen uses."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NoTerminal("the dashboard needs a terminal; okr-tui --help lists commands that do not")


def run(
    open_service: "Callable[[Clock], AbstractAsyncContextManager[Opened]]",
    *,
    demo: bool,
    inputs: "Inputs | None" = None,
) -> object:
    """Show the dashboard over a service until the user leaves. Returns "demo" when they ask for the demo.

    Screen and service have one clock, which the cloud puts right when somebody has set this machine's wrong.
    With the `inputs` of the settings it begins with what the last run showed, and keeps what it shows.
    """
    from okr_tui.ui.last_screen import LastScreen

    _check_variables()
    last_screen = LastScreen(inputs) if inputs else None
    with last_screen.cover() if last_screen else contextlib.nullcontext():
        return _run(open_service, demo=demo, inputs=inputs, last_screen=last_screen)


def _check_variables() -> None:
    """Raise UsageError for a variable of Textual's with which it would crash before it draws."""
    colours = os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto")
    if colours != "auto":
        from rich.console import COLOR_SYSTEMS

        if colours not in COLOR_SYSTEMS:
            known = ", ".join(("auto", *COLOR_SYSTEMS))
            raise click.UsageError(f"TEXTUAL_COLOR_SYSTEM must be one of {known}: change or unset it")
    driver = os.environ.get("TEXTUAL_DRIVER")
    if driver is not None:
        from textual.driver import Driver

        try:
            found = pkgutil.resolve_name(driver)
        except (ImportError, AttributeError, ValueError):
            found = None
        if not (isinstance(found, type) and issubclass(found, Driver)):
            raise click.UsageError("TEXTUAL_DRIVER does not name a Textual driver (MODULE:CLASS): unset it")


def _run(
    open_service: "Callable[[Clock], AbstractAsyncContextManager[Opened]]",
    *,
    demo: bool,
    inputs: "Inputs | None",
    last_screen: "LastScreen | None",
) -> object:
    if os.environ.get("LC_TERMINAL") == "iTerm2" or os.environ.get("TERM_PROGRAM") == "iTerm.app":
        # It loses what input methods commit under the kitty protocol; Textual reads this when imported.
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    from okr_tui.services.background import COLLECT_RARELY, SystemClock
    from okr_tui.ui.app import OkrApp

    # What the first screen leaves behind makes room for what is imported after it.
    gc.set_threshold(*COLLECT_RARELY)

    last = None
    if inputs:
        from okr_tui.services.last_snapshot import LastSnapshot

        last = LastSnapshot(inputs)
    clock = SystemClock()
    app = OkrApp(
        lambda: open_service(clock),
        zone=local_zone(),
        demo=demo,
        clock=clock.time,
        describe_crash=describe_crash,
        last=last,
        last_screen=last_screen,
    )
    result = app.run()
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)
    return result
