"""The gateway on a socket: bounds on a request's head, and an end when it is asked for."""

import asyncio
import errno
import os
import socket
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from okr_tui.domain.errors import OkrError
from okr_tui.gateway.guard import LONGEST_HEAD
from okr_tui.gateway.headers import RawHeaders
from okr_tui.gateway.request import CONNECTION
from okr_tui.services.background import tune_gc

HEAD_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 3
IDLE_SECONDS: Final = 75
BACKLOG: Final = 2048
CHUNKED: Final = b"\r\ntransfer-encoding: chunked\r\n"


def listen(host: str, port: int, choosing: str = "--port, or port in okr-tui.gateway") -> socket.socket:
    """A listening socket; raises OkrError when the address cannot be had.

    `choosing` tells with what another port is chosen.
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
            words = f"another program listens there; choose another port with {choosing}"
        else:
            words = os.strerror(error.errno or 0)
        raise OkrError(f"cannot listen on {host} port {port}: {words}") from None
    return listener


class _Protocol(H11Protocol):
    """A connection that is cut when what it owes takes too long, or nobody takes the answer."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _leave: Callable[[], None] | None = None
    _chunked = False

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Its requests hold it: if it held itself, it would be garbage that is looked for seldom.
        super().__init__(config, server_state, {**app_state, CONNECTION: weakref.proxy(self)}, _loop)

    async def begin(self, status: int, headers: RawHeaders, data: bytes) -> None:
        """See Connection."""
        response = h11.Response(status_code=status, headers=list(headers), reason=STATUS_PHRASES[status])
        if await self._is_heard():
            head = self.conn.send(response) or b""
            self._chunked = CHUNKED in head.lower()
            self.transport.write(head + self._framed(data))
        self.cycle.response_started = True

    async def write(self, data: bytes) -> None:
        """See Connection."""
        if await self._is_heard():
            self.transport.write(self._framed(data))

    async def _is_heard(self) -> bool:
        if self.flow.write_paused:
            await self.flow.drain()
        return not self.cycle.disconnected

    def _framed(self, data: bytes) -> bytes:
        """A piece as it goes over the wire. h11 keeps nothing of a chunk, and takes long for it."""
        if self._chunked and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return self.conn.send(h11.Data(data=data)) or b""

    def watch(self, leave: Callable[[], None]) -> None:
        """See Connection."""
        self._leave = leave
        if self.cycle.disconnected:
            leave()

    def unwatch(self, leave: Callable[[], None]) -> None:
        """See Connection."""
        if self._leave is leave:  # the connection's next request may have begun
            self._leave = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.MUST_CLOSE:
            return  # its last request is here, and what comes after that is none
        super().data_received(data)
        if self.flow.read_paused and self.conn.their_state is not h11.SEND_BODY:
            ahead, _ = self.conn.trailing_data
            if len(ahead) <= HIGH_WATER_LIMIT:
                self.flow.resume_reading()  # who does not read does not hear of an end
        if self._is_owed():
            self._watch()
        else:
            self._forget()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it still answers would come after the last word

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._unstick()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._leave:
            self._leave()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._unstick()
        super().resume_writing()

    def _is_owed(self) -> bool:
        """Whether the caller has a head to send, or the rest of a body that nobody reads any more."""
        answered = self.cycle is not None and self.cycle.response_complete
        return self.conn.their_state is h11.IDLE or (self.conn.their_state is h11.SEND_BODY and answered)

    def _watch(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class _Server(uvicorn.Server):
    """uvicorn's, without its ten looks a second at whether it is to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Until it is told to end."""
        await self.ended.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program around the server."""
        yield


@asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve until the block is left; answers under way then have a few seconds to end.

    The task is the server's: while the block lasts, it only ends by a failure.
    """
    config = uvicorn.Config(
        application,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        # The application tells of its own errors; what is left is connections that were cut on purpose.
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    tune_gc()
    try:
        yield task
    finally:
        server.ended.set()
        await asyncio.wait([task])
        for connection in list(server.server_state.connections):
            connection.transport.abort()  # what has not been taken in time would be waited for
        # Those cut off have a record to write yet.
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
    task.result()
