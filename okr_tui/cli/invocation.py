"""The options before the verb, and the service that they open."""

import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from okr_tui.cli.output import note
from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.domain.records import Client
    from okr_tui.services.current_cloud import MakeTransport
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.layers import Sources


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options of the root command; `environment` and `state` stand in for the user's own."""

    settings: Path | None = None
    project: Path = Path()
    cloud_url: str | None = None
    store: str | None = None
    debug: bool = False
    environment: Mapping[str, str] | None = None
    state: Path | None = None

    @property
    def state_folder(self) -> Path:
        """The folder of the gateway's token and of the announcements of running gateways."""
        from okr_tui.store.factory import state_folder

        return self.state or state_folder()

    def sources(self) -> "Sources":
        """Return where settings are read from."""
        from okr_tui.settings.layers import Sources, default_global_file

        environment = os.environ if self.environment is None else self.environment
        return Sources(
            global_file=self.settings or default_global_file(environment),
            project_dir=self.project,
            environment=environment,
            options={"cloud_url": self.cloud_url, "store": self.store},
        )

    def open_service(
        self,
        client: "Client",
        *,
        watching: bool = True,
        make_transport: "MakeTransport | None" = None,
    ) -> AbstractAsyncContextManager["PoolService"]:
        """Open the service, for `async with`; `make_transport` replaces its way to the network."""
        from okr_tui.services.pool_service import PoolService

        return PoolService.open(
            self.sources(),
            client=client,
            watching=watching,
            zone=local_zone(),
            make_transport=make_transport,
        )


def local_zone() -> tzinfo:
    """Return the time zone of this machine."""
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return zone


T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# A negative number is a wrong number and not an option of another name.
NUMBERED: dict[str, Any] = {"ignore_unknown_options": True}


def key_number(text: str) -> int:
    """Parse the number of a key, counted from 1. Raises BadParameter or UsageError."""
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise click.BadParameter(f"{text!r} is not the number of a key")
    if text.startswith("-") or int(digits) == 0:
        raise click.UsageError(f"Invalid key index: {text}; keys count from 1")
    return int(digits)


def run(
    invocation: Invocation,
    work: "Callable[[PoolService], Coroutine[None, None, T]]",
    *,
    with_problems: bool = True,
) -> T:
    """Open the service, do the work and close it.

    A fault that the work met is confirmed before the end, so that the next command knows of it. Problems of
    the settings go to standard error first, unless the work shows them itself.
    """

    import asyncio

    async def once() -> T:
        async with invocation.open_service("cli", watching=False) as service:
            for problem in service.problems if with_problems else ():
                note(f"okr-tui: {problem}")
            longest = service.pool.policy.confirm_at_exit
            try:
                done = await work(service)
            except OkrError:
                await service.quota_poller.settle(longest)
                raise
            await service.quota_poller.settle(longest)
            return done

    return asyncio.run(once())
