"""The gateway on a socket: uvicorn with time-outs for slow callers, and an orderly end."""

import asyncio
import errno
import os
import re
import socket
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from okr_tui import __version__
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.domain.addresses import url
from okr_tui.domain.errors import OkrError
from okr_tui.gateway.app import Gateway, Record
from okr_tui.gateway.daemon import HOST as DAEMON_HOST
from okr_tui.gateway.daemon import DaemonGuard, identity_files
from okr_tui.gateway.guard import MAX_HEAD_BYTES
from okr_tui.gateway.plain import UNFINISHED, PlainCycle, PlainRequest, read_plain
from okr_tui.gateway.request import CONNECTION, RawHeaders
from okr_tui.gateway.tokens import Tokens, load_token
from okr_tui.services.background import tune_gc
from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.services.pool_service import PoolService
from okr_tui.services.port_holder import holder
from okr_tui.settings.table import GatewayOptions

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

HEAD_SECONDS: Final = 5.0
HOLD_SECONDS: Final = 0.05
"""How long the body of a plain request may come after its head, as many clients send it."""
WRITE_SECONDS: Final = 60.0
WRITE_LOOKS: Final = 10
WRITE_LEAST: Final = 1024
"""Bytes that a caller has to take within WRITE_SECONDS."""
GRACE_SECONDS: Final = 30.0
CUT_SECONDS: Final = 2.0
"""How long answers that are cut at the end may take to say so and to be recorded."""
IDLE_SECONDS: Final = 75
BACKLOG: Final = 2048
ACCEPTED_AT_ONCE: Final = 8
"""Connections that are accepted before others are looked at: they may be too many."""
MOST_CONNECTIONS: Final = 4096
RESERVED_FILES: Final = 64
"""Open files that are left for the log, settings and what the program has open anyway."""
NO_FILES_LEFT: Final = "too many open files: idle connections are closed; raise the limit (`ulimit -n`)"
CHUNKED: Final = b"\r\ntransfer-encoding: chunked\r\n"
OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
END_OF_HEAD: Final = b"\r\n\r\n"
AMBIGUOUS: Final = re.compile(rb"(?<!\r)\n|\n[ \t]")


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


def most_connections() -> int:
    """Return how many connections there may be at once: each may need another open file, to the cloud."""
    if resource is None:
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(4, min(MOST_CONNECTIONS, (soft - RESERVED_FILES) // 2))


class Connections:
    """The connections of one gateway, each in the order it came, and the bound on their number.

    Those that have shown no credentials give way first, then those on which nothing is under way. `trouble`
    is called with a line when open files run out all the same.
    """

    def __init__(self, trouble: Callable[[str], None] = lambda _: None) -> None:
        self._strangers: dict[_Protocol, None] = {}
        self._known: dict[_Protocol, None] = {}
        self._trouble: Callable[[str], None] | None = trouble

    def add(self, connection: "_Protocol") -> None:
        """Add a new connection; where there are too many, close the one that is missed least."""
        self._strangers[connection] = None
        if len(self._strangers) + len(self._known) > most_connections():
            self._close_one(connection)

    def admit(self, connection: "_Protocol") -> None:
        """Note that valid credentials came on a connection."""
        if self._strangers.pop(connection, connection) is None:
            self._known[connection] = None

    def remove(self, connection: "_Protocol") -> None:
        """Forget a connection that has ended."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def files_ran_out(self) -> None:
        """Make room after a connection could not be accepted."""
        for _ in range(ACCEPTED_AT_ONCE):
            self._close_one()
        if self._trouble:
            self._trouble(NO_FILES_LEFT)
            self._trouble = None  # once says it, and there may be very many

    def _close_one(self, newest: "_Protocol | None" = None) -> None:
        older = (stranger for stranger in self._strangers if stranger is not newest)
        idle = (known for known in self._known if known.is_idle())
        if connection := next(older, None) or next(idle, newest):
            self.remove(connection)
            connection.transport.abort()


class _Heads(h11.Connection):
    """HTTP as h11 reads it, without what proxies understand in several ways."""

    def next_event(self) -> Any:
        """Return what comes next; raise RemoteProtocolError for bare line feeds or folded lines in a head."""
        if self.their_state is h11.IDLE:
            received, _ = self.trailing_data
            end = received.find(END_OF_HEAD)
            if AMBIGUOUS.search(received, 0, len(received) if end < 0 else end + 2):
                raise h11.RemoteProtocolError("ambiguous line ends")
        return super().next_event()


class _Protocol(H11Protocol):
    """A connection that is cut when the caller is too slow to send its request or to take the answer."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _leave: Callable[[], None] | None = None
    _chunked = False
    _held = b""
    """The beginning of a plain request, whose body is awaited for HOLD_SECONDS."""
    _holding: asyncio.TimerHandle | None = None
    _ahead = b""
    """What came during the answer to a plain request."""

    def __init__(
        self,
        connections: Connections,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # A reference to itself would keep it until the next, rare, garbage collection.
        super().__init__(config, server_state, {**app_state, CONNECTION: weakref.proxy(self)}, _loop)
        self.conn = _Heads(h11.SERVER, MAX_HEAD_BYTES)
        self._all = connections

    async def begin(self, status: int, headers: RawHeaders, data: bytes, *, last: bool = False) -> None:
        """Begin an answer; write its head and first piece together, and its end with the last."""
        if isinstance(self.cycle, PlainCycle):
            self.cycle.begin(status, headers)
            await self.cycle.write(data, last=last)
            return
        response = h11.Response(status_code=status, headers=list(headers), reason=STATUS_PHRASES[status])
        if await self._can_write():
            head = self.conn.send(response) or b""
            self._chunked = CHUNKED in head.lower()
            self.transport.write(head + self._framed(data))
        self.cycle.response_started = True
        if last:
            await self._end()

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Write a further piece, as soon as the caller takes it, and the end with the last."""
        if isinstance(self.cycle, PlainCycle):
            await self.cycle.write(data, last=last)
            return
        if data and await self._can_write():
            self.transport.write(self._framed(data))
        if last:
            await self._end()

    async def _end(self) -> None:
        await self.cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _can_write(self) -> bool:
        if self.flow.write_paused:
            await self.flow.drain()
        return not self.cycle.disconnected

    def _framed(self, data: bytes) -> bytes:
        """Return a piece as it is sent. h11 would do the same with a chunk, but slowly."""
        if self._chunked and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return self.conn.send(h11.Data(data=data)) or b""

    def write_now(self, data: bytes) -> None:
        """Write a last piece, and the end, without waiting until the caller takes it."""
        if isinstance(self.cycle, PlainCycle):
            if not self.cycle.disconnected and not self.cycle.response_complete:
                self.cycle.keep_alive = False
                self.cycle.write_now(data, last=True)
        elif not self.cycle.disconnected and not self.cycle.response_complete:
            end = b"0\r\n\r\n" if self._chunked else b""
            self.transport.write(self._framed(data) + end)
            self.cycle.response_complete = True
            self.transport.close()

    def admit(self) -> None:
        """Keep the connection before those of callers that have shown no credentials."""
        self._all.admit(self)

    def is_idle(self) -> bool:
        """Return whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

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
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.MUST_CLOSE:
            return  # its last request has arrived, and bytes after it are no request
        if self._is_answering_plainly():
            self._ahead += data
            if len(self._ahead) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            return
        if self._is_between_requests():
            held, data = self._held, self._let_go() + data
            found = read_plain(data)
            if isinstance(found, PlainRequest):
                self._answer_plainly(found)
                return
            if found is UNFINISHED and not held:
                self._held = data
                self._holding = self.loop.call_later(HOLD_SECONDS, self._read_held)
                return
        self._read(data)

    def _is_answering_plainly(self) -> bool:
        return isinstance(self.cycle, PlainCycle) and not self.cycle.response_complete

    def _is_between_requests(self) -> bool:
        """Whether h11 has nothing of a request, and waits for none to end."""
        conn = self.conn
        return conn.their_state is h11.IDLE and conn.our_state is h11.IDLE and not conn.trailing_data[0]

    def _let_go(self) -> bytes:
        """Return what was held, and hold it no longer."""
        held, self._held = self._held, b""
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        return held

    def _read_held(self) -> None:
        """Give h11 what was held: the rest takes its time."""
        if not self.transport.is_closing():
            self._read(self._let_go())

    def _answer_plainly(self, request: PlainRequest) -> None:
        self._forget()
        self._unset_keepalive_if_required()
        scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "state": self.app_state.copy(),
        }
        cycle = PlainCycle(request, scope, self)
        self.cycle = cycle  # type: ignore[assignment]
        task = self.loop.create_task(cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _read(self, data: bytes) -> None:
        """Read what comes as h11 does."""
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
        if self._ahead and not self.transport.is_closing():
            ahead, self._ahead = self._ahead, b""
            self.data_received(ahead)

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it still answers would come after the last word

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self)
        self._let_go()
        self._forget()
        self._unstick()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._leave:
            self._leave()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking()

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

    def _watch_taking(self, before: int | None = None, looks: int = 0) -> None:
        """Cut the caller off once it has taken next to nothing of the answer for a time.

        It is looked at several times, since a process that was busy itself has given it nothing to take.
        """
        left = self.transport.get_write_buffer_size()
        if before is None or before - left >= WRITE_LEAST:
            before, looks = left, 0
        if looks == WRITE_LOOKS:
            self.transport.abort()
        else:
            wait = WRITE_SECONDS / WRITE_LOOKS
            self._stuck = self.loop.call_later(wait, self._watch_taking, before, looks + 1)

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class _Server(uvicorn.Server):
    """uvicorn's server, ended by an event instead of a flag that is polled ten times a second.

    `grace` is for how many seconds answers in progress may go on at the end, `hurry` cuts that short.
    """

    def __init__(self, config: uvicorn.Config, grace: float, hurry: asyncio.Event) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()
        self._grace = grace
        self._hurry = hurry

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio takes the number of connections to accept at once for it

    async def main_loop(self) -> None:
        """Wait until the server is to end."""
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections; let answers end in time, then cut them, which lets them say so."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = set(self.server_state.tasks)
        if tasks and self._grace > 0 and not self._hurry.is_set():
            hurrying = asyncio.ensure_future(self._hurry.wait())
            answered = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait({hurrying, answered}, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
            hurrying.cancel()
            answered.cancel()
        if tasks := set(self.server_state.tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CUT_SECONDS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program around the server."""
        yield


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
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve until the block is left; answers in progress then have `grace` seconds to end, or until `hurry`.

    The task is the server's: while the block lasts, it only ends by a failure. `connections` counts those of
    all ports of one gateway.
    """
    connections = connections or Connections()
    config = uvicorn.Config(
        application,
        http=partial(_Protocol, connections),  # type: ignore[arg-type]
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
        backlog=ACCEPTED_AT_ONCE,
    )
    server = _Server(config, GRACE_SECONDS if grace is None else grace, hurry or asyncio.Event())
    task = asyncio.create_task(server.serve(sockets=[listener]))
    tune_gc()
    with _accepting(connections):
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
            await asyncio.to_thread(load_token, state)
            tokens = Tokens(state, service.scrubber, service.budgets.limit_callers)
            gateway = Gateway(
                service,
                tokens,
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
            stack.enter_context(announced(state, Presence(address, daemon_address, os.getpid(), __version__)))
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
