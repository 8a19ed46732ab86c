"""A running gateway: its ports, its token, its servers, and its entry in the registry."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.addresses import url
from okr_tui.domain.errors import OkrError
from okr_tui.gateway.app import Gateway, Record
from okr_tui.gateway.daemon import HOST as DAEMON_HOST
from okr_tui.gateway.daemon import DaemonGuard, identity_files
from okr_tui.gateway.server import Connections, listen, serving
from okr_tui.gateway.tokens import load_token
from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.table import GatewayOptions

DAEMON_CHOOSING: Final = "--daemon-port, or daemonPort in okr-tui.gateway"


class Host:
    """A gateway that is serving. `daemon_url` is the address for an `ollama` daemon, where there is one."""

    def __init__(
        self, address: str, daemon_address: str | None, servers: Sequence[asyncio.Task[None]]
    ) -> None:
        self.url = address
        self.daemon_url = daemon_address
        self._servers = servers

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        service: PoolService,
        options: GatewayOptions,
        state: Path,
        *,
        status: Callable[[str], Record],
        access: Callable[[Record], None] | None = None,
        trouble: Callable[[str], None],
        hurry: asyncio.Event | None = None,
    ) -> AsyncGenerator["Host", None]:
        """Serve a pool until the block is left; answers in progress then have `options.grace_seconds`, or
        until `hurry` is set; those that are left get an error.

        `state` is the folder of the token. `status` makes the document of `/okr/status` from the address;
        `access` and `trouble` are as Gateway takes them. Raises OkrError when a port or the token cannot be
        used.
        """
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(listen(options.host, options.port))
            address = url(options.host, _port(listener))
            daemon, daemon_address = None, None
            if options.daemon_port is not None:
                files = identity_files(service.configuration.environment)
                guard = await asyncio.to_thread(DaemonGuard.open, files, service.clock)
                daemon = stack.enter_context(listen(DAEMON_HOST, options.daemon_port, DAEMON_CHOOSING))
                daemon_address = url(DAEMON_HOST, _port(daemon))
            service.cloud.use_transport(Transport)
            token = await asyncio.to_thread(load_token, state)
            service.scrubber.add(token.get_secret_value())
            gateway = Gateway(
                service,
                token,
                options.host,
                status=lambda: status(address),
                access=access,
                trouble=trouble,
            )
            connections = Connections(trouble)
            serve = partial(serving, connections=connections, grace=options.grace_seconds, hurry=hurry)
            servers = [await stack.enter_async_context(serve(gateway, listener))]
            if daemon:
                servers.append(await stack.enter_async_context(serve(gateway.behind(guard), daemon)))
            stack.enter_context(announced(state, Presence(address, daemon_address, os.getpid())))
            yield cls(address, daemon_address, servers)

    async def failed(self) -> Exception:
        """Wait until a server ends by itself; return what ended it."""
        done, _ = await asyncio.wait(self._servers, return_when=asyncio.FIRST_COMPLETED)
        server = done.pop()
        error = None if server.cancelled() else server.exception()
        return OkrError(f"the gateway's server at {self.url} failed: {error or 'it closed by itself'}")


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
