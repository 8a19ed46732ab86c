"""The gateway inside the dashboard: what `g` starts. Its code is read when it is first asked for."""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from okr_tui.cli.documents import status_document
from okr_tui.cli.invocation import Invocation
from okr_tui.domain.errors import OkrError
from okr_tui.services.gateway_switch import Hosting, Running

if TYPE_CHECKING:
    from okr_tui.services.pool_service import PoolService

ADVICE = "`okr-tui connect CLIENT` shows how to use it"


def hosting(invocation: Invocation, service: "PoolService") -> Hosting:
    """How the dashboard of a keyring runs a gateway."""
    state = invocation.state_folder

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Running, None]:
        from okr_tui.domain.addresses import is_loopback

        options = service.configuration.settings.gateway
        if not is_loopback(options.host):
            raise OkrError(f"other machines can reach {options.host}: `okr-tui serve --expose` allows that")
        # In a thread, so that the screen answers meanwhile.
        await asyncio.to_thread(importlib.import_module, "okr_tui.gateway.host")
        from okr_tui.gateway.host import Host

        async with Host.open(
            service,
            options,
            state,
            status=lambda url: status_document(service.snapshot, service.pool.store.name, url),
            trouble=service.gateway.tell,
        ) as host:
            yield host

    # Only a gateway in the user's own state folder is the one that `connect` knows.
    advice = ADVICE if invocation.state is None else f"its token is in {state / 'gateway-token'}"
    return Hosting(state, opened, advice)
