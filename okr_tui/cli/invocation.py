"""The options before the verb, and the service that they open."""

import contextlib
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from okr_tui.cli.output import note
from okr_tui.domain.errors import NoKeyError, OkrError, PoolBlockedError, SettingsError, StoreError
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.values import dataclass

if TYPE_CHECKING:
    from okr_tui.domain.records import Client
    from okr_tui.services.background import Clock
    from okr_tui.services.configuration import Configuration
    from okr_tui.services.current_cloud import MakeTransport
    from okr_tui.services.kept_events import KeptEvents
    from okr_tui.services.kept_settings import SettingValue
    from okr_tui.services.overview import Inputs, Overview
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.layers import Sources


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options of the root command; `environment` and `state` replace the user's own."""

    settings: Path | None = None
    project: Path = Path()
    cloud_url: str | None = None
    store: str | None = None
    environment: Mapping[str, str] | None = None
    state: Path | None = None
    policy: Mapping[str, object] = field(default_factory=dict)
    """Numbers of the pool's policy in place of the settings', for a simulated cloud."""

    @property
    def state_folder(self) -> Path:
        """The folder of the gateway's token and of the announcements of running gateways."""
        from okr_tui.store.factory import state_folder

        return self.state or state_folder()

    def sources(self, *, asks: bool = True) -> "Sources":
        """Return where settings are read from; `asks` as there."""
        from okr_tui.settings.layers import Sources

        return Sources(
            global_file=self._global_file,
            named=self.settings is not None,
            asks=asks,
            project_dir=self.project,
            environment=self._variables,
            options=self._options,
            policy=self.policy,
        )

    @property
    def files(self) -> tuple[Path, Path]:
        """The paths of the global and the project's settings file, which need not exist."""
        from okr_tui.settings.locations import project_file

        return Path(os.path.abspath(self._global_file)), project_file(self.project)

    @property
    def inputs(self) -> "Inputs":
        """Everything that settings are read from."""
        from okr_tui.services.overview import Inputs

        named = self.settings is not None
        return Inputs(self.files, self._variables, self._options, self.policy, named=named)

    @property
    def _options(self) -> Mapping[str, object]:
        return {"cloud_url": self.cloud_url, "store": self.store}

    @property
    def _variables(self) -> Mapping[str, str]:
        return os.environ if self.environment is None else self.environment

    @property
    def _global_file(self) -> Path:
        from okr_tui.settings.locations import default_global_file

        return self.settings or default_global_file(self._variables)

    def store_address(self) -> str | None:
        """Return the address of the log, None for the default, without resolving keys where it can."""
        from okr_tui.settings.locations import store_address

        def read_all() -> str | None:
            from okr_tui.settings.layers import load

            return load(self.sources()).store.value

        return store_address(self.store, self._variables, self._global_file, self.project, read_all)

    def kept_overview(self) -> "Overview | None":
        """Return what an earlier run kept of the pool and the models, if nothing has changed since."""
        from okr_tui.services.overview import kept
        from okr_tui.store.factory import end

        log = self._log_file()
        return kept(self.inputs, lambda: end(log), time()) if log else None

    def kept_settings(self) -> "tuple[SettingValue, ...] | None":
        """Return what an earlier run kept of the settings in force, if they are the same."""
        from okr_tui.services.kept_settings import kept

        return kept(self.inputs)

    def kept_events(self, age: int | None) -> "tuple[KeptEvents, list[tuple[int, str]]] | None":
        """Return what an earlier run kept of the events, and the records of the last `age` seconds.

        None where it does not count any more.
        """
        from okr_tui.services.kept_events import since

        log, now = self._log_file(), time()
        return since(self.inputs, log, now - age if age is not None else 0.0, now) if log else None

    def _log_file(self) -> Path | None:
        """Return the log's file; None for another kind of log, or for a user without a home folder."""
        from okr_tui.store.factory import sqlite_path

        try:
            return sqlite_path(self.store_address())
        except StoreError:
            return None  # the service reports it

    def open_service(
        self,
        client: "Client",
        *,
        watching: bool = True,
        make_transport: "MakeTransport | None" = None,
        clock: "Clock | None" = None,
    ) -> AbstractAsyncContextManager["PoolService"]:
        """Open the service, for `async with`; `make_transport` replaces its way to the network."""
        from okr_tui.services.pool_service import PoolService
        from okr_tui.services.service import LOG_PROGRESS

        if client != "dashboard" and sys.stderr.isatty():
            LOG_PROGRESS.set(progress_notes())
        return PoolService.open(
            self.sources(),
            client=client,
            watching=watching,
            zone=local_zone(),
            make_transport=make_transport,
            clock=clock,
            scrubber=SCRUBBER,
        )


NOTED_EVERY = 2.0
"""Seconds between two notes of how far something has come."""


class LocalZone(tzinfo):
    """The time zone of this machine, with the offset that it has at each moment: in winter and in summer."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Return the offset of a local time."""
        return None if dt is None else _with_offset(dt).utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002 tzinfo's signature
        """Return None: the system gives the whole offset only."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Return the zone's name at a local time."""
        return None if dt is None else _with_offset(dt).tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time of a moment."""
        seconds = dt.replace(tzinfo=UTC, microsecond=0).timestamp()
        local = datetime.fromtimestamp(seconds)  # noqa: DTZ006 the zone is the question
        return local.replace(microsecond=dt.microsecond, tzinfo=self)


def progress_notes() -> Callable[[str], None]:
    """Return what prints how far something long has come, to standard error and not too often."""
    noted = -math.inf

    def show(words: str) -> None:
        nonlocal noted
        if monotonic() - noted >= NOTED_EVERY:
            noted = monotonic()
            note(f"okr-tui: {words}")

    return show


def _with_offset(local: datetime) -> datetime:
    return local.replace(tzinfo=None).astimezone()


def local_zone() -> tzinfo:
    """Return the time zone of this machine."""
    return LocalZone()


SCRUBBER = Scrubber()
"""Knows every secret that this process has read, for the text of an unexpected error."""

T = TypeVar("T")
HOOKS_AT_EXIT = 5.0
"""Seconds that a command waits for the hooks of what it found out."""

exit_code_option = click.option(
    "--exit-code", "with_code", is_flag=True, help="Exit with 3 without a key, 4 when every key is blocked."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one document per line.")
# A negative number is a wrong number and not an option of another name.
NUMBERED: dict[str, Any] = {"ignore_unknown_options": True}


def screen_problems(configuration: "Configuration") -> list[str]:
    """Return what the dashboard cannot use of theme and keymap, a line each.

    Textual knows their names; it is imported only where one of them is set.
    """
    settings, found = configuration.settings, list[str]()
    if not settings.keymap and settings.theme.value is None:
        return found
    view = configuration.view(())
    if view.keymap:
        from okr_tui.ui.keymap import keymap, keymap_problems

        found += keymap_problems(view, keymap(view.keymap).problems)
    if view.theme is not None:
        from textual.theme import BUILTIN_THEMES

        from okr_tui.ui.keymap import theme_problems
        from okr_tui.ui.themes import theme_names

        found += theme_problems(view, theme_names(BUILTIN_THEMES))
    return found


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
AGE = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)


def age(text: str) -> int:
    """Parse an age such as 90s, 15m, 2h, 3d or 1w into seconds. Raises BadParameter."""
    found = AGE.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is not an age such as 90s, 15m, 2h, 3d or 1w")
    return int(found[1]) * SECONDS[found[2]]


def key_number(text: str) -> int:
    """Parse the number of a key, counted from 1. Raises BadParameter or UsageError."""
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise click.BadParameter(f"{text!r} is not the number of a key")
    if text.startswith("-") or int(digits) == 0:
        raise click.UsageError(f"Invalid key index: {text}; keys count from 1")
    return int(digits)


def end_with_code(total: int, *, usable: bool) -> None:
    """End the command with the code for no key of `total`, or for none that is usable; else do nothing."""
    if not total:
        raise click.exceptions.Exit(NoKeyError.exit_code)
    if not usable:
        raise click.exceptions.Exit(PoolBlockedError.exit_code)


def _at_a_terminal() -> bool:
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def ask_for_name(invocation: Invocation) -> None:
    """Ask at a terminal what a log on a server shall call this person, as long as the settings do not say.

    Elsewhere nothing is asked, and records call them SOMEONE, as they do who only press enter.
    """
    if not _at_a_terminal():
        return
    import asyncio

    from okr_tui.services.configuration import SOMEONE, Configuration, check_value
    from okr_tui.store.factory import is_shared

    if not is_shared(invocation.store_address()):
        return

    def usable(text: str) -> str:
        try:
            check_value("name", text)
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
        return text.strip()

    async def ask() -> None:
        configuration = await Configuration.read(invocation.sources(asks=False))
        if configuration.settings.person.value:
            return
        question = "Other people may share this log. What should records call you?"
        name = click.prompt(question, default=SOMEONE, value_proc=usable, err=True)
        try:
            await configuration.write("name", name)
        except SettingsError as error:
            note(f"okr-tui: the name was not saved: {error}")

    asyncio.run(ask())


def run(
    invocation: Invocation,
    work: "Callable[[PoolService], Coroutine[None, None, T]]",
    *,
    with_problems: bool = True,
) -> T:
    """Open the service, do the work and close it.

    A fault that the work met is confirmed before the end, so that the next command knows of it. Problems of
    the settings go to standard error first, unless the work shows them itself. Raises OkrError at once where
    the environment names certificates that cannot be used, and at the end where a choice of the user is lost.
    """

    import asyncio

    ask_for_name(invocation)

    async def once() -> T:
        failure: OkrError | None = None
        async with contextlib.AsyncExitStack() as closing:
            service = await closing.enter_async_context(invocation.open_service("cli", watching=False))
            if unusable := service.network.certificate_problems(service.cloud.url):
                raise OkrError(unusable[0])
            problems = (*service.problems, *screen_problems(service.configuration)) if with_problems else ()
            for problem in problems:
                note(f"okr-tui: {problem}")
            try:
                done = await work(service)
            except OkrError as error:
                failure = error
            await _finish(service)
            try:
                await closing.aclose()
            except StoreError as lost:
                if failure is None and service.pool.loses_choices:
                    raise
                note(f"okr-tui: {lost}")
            finally:
                for problem in service.hook_problems:  # also of those that the end has stopped
                    note(f"okr-tui: {problem}")
        if failure:
            raise failure
        return done

    return asyncio.run(once())


async def _finish(service: "PoolService") -> None:
    """Let readings and hooks of what a command found out end before the command does."""
    await service.quota_poller.settle(service.pool.policy.confirm_at_exit)
    await service.alerts.finish(HOOKS_AT_EXIT)


def overview(
    invocation: Invocation,
    prepare: "Callable[[PoolService], Coroutine[None, None, None]] | None" = None,
    *,
    with_problems: bool = True,
) -> "Overview":
    """Return what the verbs show that ask the cloud nothing: as an earlier run kept it, else from the log.

    With `prepare`, which gets the service first, it is always from the log.
    """

    async def work(service: "PoolService") -> "Overview":
        if prepare:
            await prepare(service)
        problems = screen_problems(service.configuration)
        service.keeps_overview = not problems
        found = service.overview
        return found._replace(problems=(*found.problems, *problems))

    kept = None if prepare else invocation.kept_overview()
    return kept or run(invocation, work, with_problems=with_problems)
