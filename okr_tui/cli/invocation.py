"""What was given before the verb, and the service it leads to."""

import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from okr_tui.domain.records import Client
    from okr_tui.services.keyring import Keyring
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
        """Where the gateway's token is, and where gateways that run are announced."""
        from okr_tui.store.locate import state_folder

        return self.state or state_folder()

    def sources(self) -> "Sources":
        """Where settings are read from."""
        from okr_tui.settings.layers import Sources, default_global_file

        environment = os.environ if self.environment is None else self.environment
        return Sources(
            global_file=self.settings or default_global_file(environment),
            project_dir=self.project,
            environment=environment,
            options={"cloud_url": self.cloud_url, "store": self.store},
        )

    def keyring(
        self,
        client: "Client",
        *,
        watching: bool = True,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> AbstractAsyncContextManager["Keyring"]:
        """The service, opened and closed by `async with`; `transport` is its way to the network."""
        from okr_tui.services.keyring import Keyring

        return Keyring.open(
            self.sources(), client=client, watching=watching, zone=local_zone(), transport=transport
        )


def local_zone() -> tzinfo:
    """The zone of the user's clock."""
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    return zone
