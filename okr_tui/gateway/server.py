"""The gateway on a socket: uvicorn with time-outs for slow callers, and an orderly end."""

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
from okr_tui.gateway.guard import MAX_HEAD_BYTES
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
            words = f"another program listens there; choose another port with {choosing}"
        else:
            words = os.strerror(error.errno or 0)
        raise OkrError(f"cannot listen on {host} port {port}: {words}") from None
    return listener


class _Protocol(H11Protocol):
    """A connection that is cut when the caller is too slow to send its request or to take the answer."""

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
        # A reference to itself would keep it until the next, rare, garbage collection.
        super().__init__(config, server_state, {**app_state, CONNECTION: weakref.proxy(self)}, _loop)

    async def begin(self, status: int, headers: RawHeaders, data: bytes) -> None:
        """Begin an answer; write its head and first piece together."""
        response = h11.Response(status_code=status, headers=list(headers), reason=STATUS_PHRASES[status])
        if await self._can_write():
            head = self.conn.send(response) or b""
            self._chunked = CHUNKED in head.lower()
            self.transport.write(head + self._framed(data))
        self.cycle.response_started = True

    async def write(self, data: bytes) -> None:
        """Write a further piece, as soon as the caller takes it."""
        if await self._can_write():
            self.transport.write(self._framed(data))

    async def _can_write(self) -> bool:
        if self.flow.write_paused:
            await self.flow.drain()
        return not self.cycle.disconnected

    def _framed(self, data: bytes) -> bytes:
        """Return a piece as it is sent. h11 would do the same with a chunk, but slowly."""
        if self._chunked and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return self.conn.send(h11.Data(data=data)) or b""

    def watch(self, leave: Callable[[], None]) -> None:
        """Call `leave` once the caller is gone."""
        self._leave = leave
        if self.cycle.disconnected:
            leave()

    def unwatch(self, leave: Callable[[], None]) -> None:
        """Stop calling `leave`."""
        if self._leave is leave:  # the connection's next request may have begun
            self._leave = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.MUST_CLOSE:
            return  # its last request has arrived, and bytes after it are no request
        super().data_received(data)
        if self.flow.read_paused and self.conn.their_state is not h11.SEND_BODY:
            ahead, _ = self.conn.trailing_data
            if len(ahead) <= HIGH_WATER_LIMIT:
                self.flow.resume_reading()  # without reading, a closed connection is not noticed
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
        """Whether the caller has to send a head, or the rest of a body that is not read any more."""
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
    """uvicorn's server, ended by an event instead of a flag that is polled ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until the server is to end."""
        await self.ended.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program around the server."""
        yield


@asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve until the block is left; answers in progress then have a few seconds to end.

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
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
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
