"""The gateway on its ports, and its orderly end."""

import asyncio
import errno
import importlib
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from okr_tui import __version__
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.addresses import url
from okr_tui.domain.errors import OkrError
from okr_tui.gateway.app import Gateway, Record
from okr_tui.gateway.connection import ACCEPTED_AT_ONCE, CallerConnection, Connections, Starter
from okr_tui.gateway.daemon import HOST as DAEMON_HOST
from okr_tui.gateway.daemon import DaemonGuard, identity_files
from okr_tui.gateway.tokens import Tokens, load_token
from okr_tui.services.background import tune_gc
from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.services.pool_service import PoolService
from okr_tui.services.port_holder import holder
from okr_tui.settings.table import GatewayOptions

GRACE_SECONDS: Final = 30.0
CUT_SECONDS: Final = 2.0
"""How long answers that are cut at the end may take to say so and to be recorded."""
BACKLOG: Final = 2048
OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def listen(host: str, port: int, choosing: str = "--port, or port in okr-tui.gateway") -> socket.socket:
    """Open a listening socket; raise OkrError when the address cannot be used.

    `choosing` names the option that chooses another port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        # Only a socket that names its protocol gets TCP_NODELAY; without it every small answer waits 40 ms.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as error:
        raise OkrError(f"cannot listen on {host}: {error.strerror}") from None
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            words = f"{holder(port) or 'another program'} listens there; choose another port with {choosing}"
        else:
            words = os.strerror(error.errno or 0)
        raise OkrError(f"cannot listen on {host} port {port}: {words}") from None
    return listener


class _Server:
    """Accepts connections on a socket until `ended` is set.

    `grace` is for how many seconds answers in progress may go on at the end, `stop_now` cuts that short.
    """

    def __init__(
        self, application: ASGIApp, connections: Connections, grace: float, stop_now: asyncio.Event
    ) -> None:
        self._application = application
        self._connections = connections
        self._grace = grace
        self._stop_now = stop_now
        self._open_now: set[CallerConnection] = set()
        self._starter = Starter()
        self.ended = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until the end."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, sock=listener, backlog=ACCEPTED_AT_ONCE)
        listener.listen(BACKLOG)  # asyncio takes the number of connections to accept at once for it
        try:
            await self.main_loop()
        finally:
            server.close()
            listener.close()
            await self._shut_down()

    async def main_loop(self) -> None:
        """Wait until the server is to end."""
        await self.ended.wait()

    def _connection(self) -> CallerConnection:
        return CallerConnection(self._application, self._connections, self._open_now, self._starter)

    async def _shut_down(self) -> None:
        """Let answers end in time, then cut them, which lets them say so."""
        for connection in tuple(self._open_now):
            connection.end()
        self._starter.flush()
        tasks = self._starter.tasks
        if tasks and self._grace > 0 and not self._stop_now.is_set():
            stopping = asyncio.ensure_future(self._stop_now.wait())
            answered = asyncio.ensure_future(asyncio.wait(set(tasks)))
            await asyncio.wait({stopping, answered}, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            answered.cancel()
        if tasks:
            for task in tasks:
                task.cancel()
            await asyncio.wait(set(tasks), timeout=CUT_SECONDS)
        for connection in tuple(self._open_now):
            connection.abort()  # what has not been taken in time would be waited for
        # Those cut off have a record to write yet.
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _accepting(connections: Connections) -> Iterator[None]:
    """Handle the loop's complaint, thousands of times over, that no open file is left for a connection."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in OUT_OF_FILES and "socket" in context:
            connections.files_ran_out()
        elif before:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        if loop.get_exception_handler() is handle:
            loop.set_exception_handler(before)


@asynccontextmanager
async def serving(
    application: ASGIApp,
    listener: socket.socket,
    connections: Connections | None = None,
    *,
    grace: float | None = None,
    stop_now: asyncio.Event | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve until the block is left; answers in progress then have `grace` seconds, or until `stop_now`.

    The task is the server's: while the block lasts, it only ends by a failure. `connections` counts those of
    all ports of one gateway.
    """
    connections = connections or Connections()
    grace = GRACE_SECONDS if grace is None else grace
    server = _Server(application, connections, grace, stop_now or asyncio.Event())
    task = asyncio.create_task(server.serve(listener))
    tune_gc()
    with _accepting(connections):
        try:
            yield task
        finally:
            server.ended.set()
            await asyncio.wait([task])
    task.result()


def _import_early() -> None:
    """Import what reads requests; where that fails, the first request tries again and says why."""
    with suppress(OSError, ImportError):
        importlib.import_module(READS_REQUESTS)


READS_REQUESTS: Final = "okr_tui.gateway.request_fields"
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
        report: Callable[[str], None],
        stop_now: asyncio.Event | None = None,
    ) -> AsyncGenerator["Host", None]:
        """Serve a pool until the block is left; answers in progress then have `options.grace_seconds`, or
        until `stop_now` is set; those that are left get an error.

        `state` is the folder of the token. `status` makes the document of `/okr/status` from the address;
        `access` and `report` are as Gateway takes them. Raises OkrError when a port or the token cannot be
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
            await asyncio.to_thread(load_token, state)
            tokens = Tokens(state, service.scrubber, service.budgets.limit_callers)
            gateway = Gateway(
                service,
                tokens,
                options.host,
                status=lambda: status(address),
                access=access,
                report=report,
            )
            connections = Connections(report)
            serve = partial(serving, connections=connections, grace=options.grace_seconds, stop_now=stop_now)
            servers = [await stack.enter_async_context(serve(gateway, listener))]
            if daemon:
                servers.append(await stack.enter_async_context(serve(gateway.behind(guard), daemon)))
            presence = Presence(address, daemon_address, os.getpid(), __version__)
            try:
                stack.enter_context(announced(state, presence))
            except OkrError as error:  # on a full disk its clients are served all the same
                report(f"{error}; other okr-tui commands do not find it")
            # It takes a tenth of a second, which the first request need not wait for.
            asyncio.get_running_loop().run_in_executor(None, _import_early)
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
