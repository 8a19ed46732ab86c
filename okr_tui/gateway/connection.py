"""The callers' connections: aiohttp's parser, in C, reads one request after the other for an application.

Slow callers are cut off, those who take no answer too, and where there are too many connections the one that
is missed least gives way. `aiohttp.web` is not used: its server costs twice as much, and corrects less.
"""

import asyncio
import re
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from starlette.types import ASGIApp, Message, Scope

from okr_tui.gateway.guard import MAX_HEAD_BYTES
from okr_tui.gateway.headers import RawHeaders
from okr_tui.gateway.request import BODY, CONNECTION

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

HEAD_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 60.0
WRITE_LOOKS: Final = 10
WRITE_LEAST: Final = 1024
"""Bytes that a caller has to take within WRITE_SECONDS."""
IDLE_SECONDS: Final = 75
ACCEPTED_AT_ONCE: Final = 8
"""Connections that are accepted before others are looked at: they may be too many."""
STARTED_AT_ONCE: Final = 4
"""Requests that begin in one turn of the loop."""
MOST_CONNECTIONS: Final = 4096
RESERVED_FILES: Final = 64
"""Open files that are left for the log, settings and what the program has open anyway."""
NO_FILES_LEFT: Final = "too many open files: idle connections are closed; raise the limit (`ulimit -n`)"
MOST_FIELDS: Final = 1000
"""Header lines of a request, and of its trailers, that are read at all; the guard allows fewer."""
READ_AHEAD: Final = 64 * 1024
"""Bytes of a body, or of requests to come, that are held before the caller has to wait."""
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
CLOSE: Final = b"connection: close\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
MALFORMED: Final = "the request is not valid HTTP"


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

    Those that have shown no credentials give way first, then those on which nothing is under way. `report`
    is called with a line when open files run out all the same.
    """

    def __init__(self, report: Callable[[str], None] = lambda _: None) -> None:
        self._strangers: dict[CallerConnection, None] = {}
        self._known: dict[CallerConnection, None] = {}
        self._report: Callable[[str], None] | None = report

    def add(self, connection: "CallerConnection") -> None:
        """Add a new connection; where there are too many, close the one that is missed least."""
        self._strangers[connection] = None
        if len(self._strangers) + len(self._known) > most_connections():
            self._close_one(connection)

    def admit(self, connection: "CallerConnection") -> None:
        """Note that valid credentials came on a connection."""
        if self._strangers.pop(connection, connection) is None:
            self._known[connection] = None

    def remove(self, connection: "CallerConnection") -> None:
        """Forget a connection that has ended."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def files_ran_out(self) -> None:
        """Make room after a connection could not be accepted."""
        for _ in range(ACCEPTED_AT_ONCE):
            self._close_one()
        if self._report:
            self._report(NO_FILES_LEFT)
            self._report = None  # once says it, and there may be very many

    def _close_one(self, newest: "CallerConnection | None" = None) -> None:
        older = (stranger for stranger in self._strangers if stranger is not newest)
        idle = (known for known in self._known if known.is_idle)
        if connection := next(older, None) or next(idle, newest):
            self.remove(connection)
            connection.abort()


class Starter:
    """Starts the tasks of requests, a few in each turn of the loop.

    Where many come at once, the first are on their way to the cloud before the last have begun; else none
    would be sent before all are read, checked and given a key.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        """The requests that have begun and not ended."""
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Coroutine[None, None, None]] = deque()
        self._started = 0
        """How many have begun in this turn."""

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Start a task now, or in one of the next turns."""
        if not self._started:
            self._loop.call_soon(self._go_on)
        if self._started < STARTED_AT_ONCE:
            self._begin(work)
        else:
            self._waiting.append(work)

    def flush(self) -> None:
        """Start all that wait."""
        while self._waiting:
            self._begin(self._waiting.popleft())

    def _go_on(self) -> None:
        self._started = 0
        for _ in range(min(STARTED_AT_ONCE, len(self._waiting))):
            self._begin(self._waiting.popleft())
        if self._started:
            self._loop.call_soon(self._go_on)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._started += 1
        task = self._loop.create_task(work)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


class Cycle:
    """One request of a connection and its answer: an ASGI cycle, and a `request.Connection`."""

    def __init__(
        self, message: RawRequestMessage, payload: StreamReader, connection: "CallerConnection"
    ) -> None:
        # As it came over the wire: an ollama daemon signs it so.
        path, _, query = message.path.encode("utf-8", "surrogateescape").partition(b"?")
        is_current = message.version == HttpVersion11
        # After a request for an upgrade, which is not granted, the parser may leave bytes out.
        self.keep_alive = is_current and not message.should_close and not message.upgrade
        """Whether the connection goes on after this answer."""
        self.payload = payload
        self.is_gone = False
        """Whether nothing of the answer can be sent any more."""
        self.is_begun = False
        self.is_answered = False
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1" if is_current else "1.0",
            "server": connection.server,
            "client": connection.client,
            "scheme": "http",
            "root_path": "",
            # A reference to itself would keep it until the next, rare, garbage collection.
            "state": {CONNECTION: weakref.proxy(self)},
            "method": message.method,
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in message.raw_headers],
        }
        self._is_read = payload.is_eof()
        """Whether the application has the whole body."""
        if self._is_read:
            self.scope[BODY] = payload.read_nowait()
        expects = is_current and message.headers.get("expect", "").lower() == "100-continue"
        self._awaits_consent = expects and not self._is_read
        self._connection = connection
        self._changed: asyncio.Event | None = None
        """Where somebody waits: set once the answer is sent or cannot be any more."""
        self._head: bytes | None = None
        self._is_chunked = False
        self._is_bodiless = message.method == "HEAD"
        self._left: int | None = None
        """Bytes of the answer that are due, where its head says how many it has."""
        self._leave: Callable[[], None] | None = None

    async def run(self, application: ASGIApp) -> None:
        """Have the request answered; cut the connection where the answer does not come to its end."""
        try:
            await application(self.scope, self.receive, self.send)
        finally:
            if not self.is_answered and not self.is_gone:
                self._connection.close()

    async def receive(self) -> Message:
        """Return a piece of the body; after the last, wait until the caller is gone or the answer is sent."""
        body = self.scope.pop(BODY, None)
        if body is None and not self._is_read and not self.is_gone and not self.is_answered:
            if self._awaits_consent:
                self._awaits_consent = False
                self._connection.write(CONTINUE)
            try:
                body = await self.payload.readany()
            except (HttpProcessingError, ConnectionError):
                self.is_gone = True  # or it sends what is no HTTP
            self._is_read = self.payload.at_eof()
        if body is not None and not self.is_gone and not self.is_answered:
            return {"type": "http.request", "body": body, "more_body": not self._is_read}
        if not self.is_gone and not self.is_answered:
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take an ASGI message of an answer."""
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
            return
        await self.write(message.get("body", b""), last=not message.get("more_body", False))

    async def begin(self, status: int, headers: RawHeaders, data: bytes, *, last: bool = False) -> None:
        """Begin an answer; write its head and first piece together, and its end with the last."""
        self._begin(status, headers)
        await self.write(data, last=last)

    def _begin(self, status: int, headers: RawHeaders) -> None:
        """Make the head, which goes out with the first piece. Raises ValueError if it cannot be sent."""
        if self.is_begun:
            raise ValueError("an answer has begun already")
        if self._awaits_consent:
            self.keep_alive = False  # whether the body still comes, nobody knows
        says_close = False
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b""))]
        for name, value in headers:
            if not _is_token(name) or UNSENDABLE.search(value):
                raise ValueError(f"the header {name!r} cannot be sent")
            known = name.lower()
            if known == b"content-length":
                self._left = int(value)
            elif known == b"transfer-encoding":
                continue
            elif known == b"connection" and value.lower() == b"close":
                self.keep_alive, says_close = False, True
            lines.append(b"%b: %b\r\n" % (name, value))
        if self._is_bodiless or status in (204, 304):
            self._is_bodiless, self._left = True, None
        elif self._left is None and self.scope["http_version"] == "1.1":
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive and not says_close:
            lines.append(CLOSE)
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        self.is_begun = True

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece, as soon as the caller takes it, and the end with the last one."""
        if self._connection.writing_paused and not self.is_gone:
            await self._connection.drained.wait()
        if not self.is_gone:
            self._write(data, last=last)

    def write_now(self, data: bytes) -> None:
        """Send a last piece, and the end, without waiting until the caller takes it."""
        if not self.is_gone and not self.is_answered:
            self.keep_alive = False
            self._write(data, last=True)

    def _write(self, data: bytes, *, last: bool) -> None:
        """Send a piece, and the end with the last one. Raises ValueError for more or less than was named."""
        if not self.is_begun or self.is_answered:
            raise ValueError("no answer is under way")
        if self._is_bodiless:
            data = b""
        elif self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (last and self._left):
                raise ValueError("the answer is not as long as its head says")
        elif data and self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if last and self._is_chunked:
            data += b"0\r\n\r\n"
        if self._head:
            data, self._head = self._head + data, None
        if data:
            self._connection.write(data)
        if last:
            self.is_answered = True
            self._notify()
            self._connection.go_on()

    def _notify(self) -> None:
        if self._changed:
            self._changed.set()

    def lose(self) -> None:
        """Note that the caller is gone."""
        self.is_gone = True
        self._notify()
        self.payload.set_exception(ConnectionResetError())
        leave, self._leave = self._leave, None
        if leave:
            leave()

    def admit(self) -> None:
        """Keep the connection before those of callers that have shown no credentials."""
        self._connection.admit()

    def watch(self, leave: Callable[[], None]) -> None:
        """Call `leave` once the caller is gone."""
        self._leave = leave
        if self.is_gone:
            leave()

    def unwatch(self) -> None:
        """Call nobody when the caller is gone."""
        self._leave = None


class CallerConnection(BaseProtocol):
    """A connection that is cut when the caller is too slow to send its request or to take the answer.

    One request is read at a time; what comes after it waits until that is answered. `starter` runs the
    requests, `connections` bounds the number of connections.
    """

    def __init__(
        self,
        application: ASGIApp,
        connections: Connections,
        open_now: "set[CallerConnection]",
        starter: Starter,
    ) -> None:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(
            self,
            loop,
            READ_AHEAD,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MOST_FIELDS,
            auto_decompress=False,
            max_msg_queue_size=1,
        )
        super().__init__(loop, parser)
        self._application = application
        self._connections = connections
        self._open_now = open_now
        self._starter = starter
        self._cycle: Cycle | None = None
        self._head_size = 0
        """Bytes that have come of a head that is not whole yet."""
        self._ahead = b""
        """What came during an answer, after its request."""
        self._late: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._stuck: asyncio.TimerHandle | None = None
        self._ends = False
        """Whether nothing that comes is read any more."""
        self.drained = asyncio.Event()
        """Set while the caller takes what is written."""
        self.drained.set()
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._cycle is None or self._cycle.is_answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))
        self._open_now.add(self)
        self._watch()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._ends or self._parser is None:
            return
        if self._cycle is None or not self._cycle.payload.is_eof():
            self._read(data)
        elif self._cycle.keep_alive:
            self._ahead += data
            if len(self._ahead) > READ_AHEAD:
                self.pause_reading()

    def _read(self, data: bytes) -> None:
        assert self._parser
        if self._cycle is None and not self._head_size and data.startswith(b"\n"):
            self._refuse()  # the parser would pass over it, which others do not
            return
        try:
            messages, _, _ = self._parser.feed_data(data)
        except (HttpProcessingError, ValueError):
            self._refuse()
            return
        if messages:
            ((message, payload),) = messages  # the parser waits until it is consumed
            if not _is_clear(message):
                self._refuse()
                return
            self._head_size = 0
            self._answer(Cycle(message, payload, self))
        elif self._cycle is None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._refuse()
            elif self._head_size:
                self._watch()
        elif self._cycle.is_answered:
            self._skip_body()

    def _answer(self, cycle: Cycle) -> None:
        self._forget_late()
        self._cycle = cycle
        self._starter.start(cycle.run(self._application))

    def _refuse(self) -> None:
        """Answer what is not a request, unless an answer is under way; the connection ends with it."""
        cycle = self._cycle
        if cycle is None or not cycle.is_begun:
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
            length = b"content-length: %d\r\n" % len(MALFORMED)
            self.write(head + length + CLOSE + b"\r\n" + MALFORMED.encode())
        self.close()
        if cycle is not None:
            cycle.lose()

    def go_on(self) -> None:
        """Read the next request, after an answer has been sent."""
        cycle = self._cycle
        assert cycle
        if not cycle.keep_alive:
            self.close()
        elif cycle.payload.is_eof():
            self._read_next()
        else:
            self._watch()
            self._skip_body()

    def _skip_body(self) -> None:
        """Leave out what comes of a body that nobody wants."""
        assert self._cycle
        payload = self._cycle.payload
        payload.read_nowait()
        if payload.is_eof():
            self._forget_late()
            self._read_next()

    def _read_next(self) -> None:
        assert self._parser
        self._cycle = None
        self._parser.message_consumed()
        ahead, self._ahead = self._ahead, b""
        self._idle_since = self._loop.time()
        if self._idle is None:
            self._idle = self._loop.call_later(IDLE_SECONDS, self._close_idle)
        self._read(ahead)
        if self._cycle is None or not self._cycle.payload.is_eof():
            self.resume_reading()

    def write(self, data: bytes) -> None:
        """Write, whatever the caller has taken."""
        assert self.transport
        self.transport.write(data)

    def close(self) -> None:
        """Close the connection once everything is written."""
        self._ends = True
        if self.transport:
            self.transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._ends = True
        if self.transport:
            self.transport.abort()

    def end(self) -> None:
        """Take no more requests."""
        if self._cycle is None or self._cycle.is_answered:
            self.close()
        else:
            self._cycle.keep_alive = False

    def admit(self) -> None:
        """Keep the connection before those of callers that have shown no credentials."""
        self._connections.admit(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._open_now.discard(self)
        self._connections.remove(self)
        self._forget_late()
        self._unstick()
        if self._idle is not None:
            self._idle.cancel()
        self.drained.set()
        cycle, self._cycle, self._parser = self._cycle, None, None
        super().connection_lost(exc)
        if cycle:
            cycle.lose()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.drained.clear()
        self._watch_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstick()
        self.drained.set()

    def pause_reading(self) -> None:
        """Let the caller wait: what has come is not wanted yet."""
        self._reading_paused = True
        if self.transport:
            self.transport.pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: ARG002 the parser is never stopped
        """Let the caller send on."""
        if self._reading_paused and len(self._ahead) <= READ_AHEAD:
            self._reading_paused = False
            if self.transport:
                self.transport.resume_reading()

    def _watch(self) -> None:
        if self._late is None:
            self._late = self._loop.call_later(HEAD_SECONDS, self.abort)

    def _forget_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close_idle(self) -> None:
        """Close the connection if nothing came for IDLE_SECONDS; one timer serves many requests."""
        self._idle = None
        if self._cycle is not None:
            return
        left = self._idle_since + IDLE_SECONDS - self._loop.time()
        if left > 0:
            self._idle = self._loop.call_later(left, self._close_idle)
        else:
            self.close()

    def _watch_taking(self, before: int | None = None, looks: int = 0) -> None:
        """Cut the caller off once it has taken next to nothing of the answer for a time.

        It is looked at several times, since a process that was busy itself has given it nothing to take.
        """
        assert self.transport
        left = self.transport.get_write_buffer_size()
        if before is None or before - left >= WRITE_LEAST:
            before, looks = left, 0
        if looks == WRITE_LOOKS:
            self.abort()
        else:
            wait = WRITE_SECONDS / WRITE_LOOKS
            self._stuck = self._loop.call_later(wait, self._watch_taking, before, looks + 1)

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


@lru_cache(maxsize=256)
def _is_token(name: bytes) -> bool:
    return TOKEN.fullmatch(name) is not None


def _is_clear(message: RawRequestMessage) -> bool:
    """Return whether a request is none of those that the parser takes and others understand otherwise."""
    codings = message.headers.getall("transfer-encoding", ())
    return message.version.major == 1 and all(coding.lower() == "chunked" for coding in codings)


def _address(found: Any) -> tuple[str, int] | None:
    """Return host and port of one end of a connection; None where it has none."""
    return (found[0], found[1]) if isinstance(found, tuple) and len(found) >= 2 else None
