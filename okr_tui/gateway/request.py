"""One request of a client and the answer to it, on the bare server interface."""

import asyncio
import io
import json
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final, Protocol

from starlette.types import Message, Receive, Scope, Send

from okr_tui.cloud.endpoints import Dialect, dialect_of
from okr_tui.domain.values import dataclass
from okr_tui.gateway.errors import (
    SOURCE_HEADER,
    Failure,
    FailureError,
    error_document,
    error_record,
    failure_error,
    for_client,
    overlooks_errors,
    streams_errors,
)
from okr_tui.gateway.headers import UNBUFFERED, RawHeaders, head_of, raw_headers
from okr_tui.gateway.tokens import ANYBODY, Caller
from okr_tui.services.background import Timers


def request_query(query: bytes) -> str:
    """Return the caller's query without the time stamp of a daemon's signature."""
    if not query:
        return ""
    return "&".join(part for part in query.decode("latin-1").split("&") if part.partition("=")[0] != "ts")


NO_CONTENT: Final = 204
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MOST_MEMBERS: Final = 100
"""How many gzip members a body may have: empty ones cost time and give nothing."""
DRAINED_BODIES: Final = 4
CHUNK_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 120.0


class CallerGoneError(Exception):
    """The caller closed its connection before the answer ended."""


async def receive_body(receive: Receive) -> bytes:
    """Read the whole body; raise FailureError when too large or too slow, CallerGoneError when cut off.

    The rest of a body that is too large is read for a while, since many clients read no answer before they
    have sent it.
    """
    # A buffer gives its bytes away without copying them.
    buffer = io.BytesIO()
    received = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while received <= DRAINED_BODIES * MAX_BODY_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CallerGoneError
                received += len(message.get("body", b""))
                if received <= MAX_BODY_BYTES:
                    buffer.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise failure_error(408, f"the request did not arrive within {BODY_SECONDS:g} s") from None
    if received > MAX_BODY_BYTES:
        raise _too_large(MAX_BODY_BYTES)
    return buffer.getvalue()


def unpack(body: bytes, encoding: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """Decode a body's content encoding; raise FailureError when that fails."""
    encoding = encoding.strip().lower()
    try:
        plain = body if encoding in ("", "identity") else _plain(body, encoding, limit + 1)
    except (OSError, EOFError, zlib.error):
        raise failure_error(400, f"the request's {encoding} encoding is damaged") from None
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _plain(body: bytes, encoding: str, most: int) -> bytes:
    if encoding in ("gzip", "x-gzip"):
        return _gunzipped(body, most)
    if encoding != "zstd":
        raise failure_error(
            415, f"content encoding {encoding[:32]!r} is not supported: send gzip or plain JSON"
        )
    try:
        import zstandard
    except ModuleNotFoundError:
        raise failure_error(
            415, "zstd needs the extra zstd of okr-tui: add it, or send gzip or plain JSON"
        ) from None
    plain = io.BytesIO()
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            while plain.tell() < most and (piece := reader.read(CHUNK_BYTES)):
                plain.write(piece)
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None
    return plain.getvalue()


def _gunzipped(body: bytes, most: int) -> bytes:
    """Decode gzip; raise OSError for what is damaged, cut off, or in too many members."""
    plain: list[bytes] = []
    for _ in range(MOST_MEMBERS):
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        plain.append(decoder.decompress(body, most))
        most -= len(plain[-1])
        if most <= 0:
            break
        if not decoder.eof:
            raise OSError("the end is missing")
        body = decoder.unused_data.lstrip(b"\0")  # members may be padded
        if not body:
            break
    else:
        raise OSError(f"more than {MOST_MEMBERS} members")
    return b"".join(plain)


def _too_large(limit: int) -> FailureError:
    return failure_error(413, f"the request is larger than {limit // 1024 // 1024} MiB")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; `headers` have names in lower case, and neither its type nor its length."""

    content: bytes
    media_type: str | None = "application/json"
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response that is a JSON document."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # What is no UTF-8 in the name of a file is half a surrogate pair, of which JSON has the escape.
    content = text.encode(errors="backslashreplace")
    return Response(content, status=status, headers=raw_headers(headers or {}))


BODY: Final = "okr_tui.body"
"""The name in the ASGI scope of a body that came whole with its head."""
CONNECTION: Final = "connection"
"""The name of the caller's Connection in the ASGI scope's state."""


class Connection(Protocol):
    """The caller's connection, for answers that come in pieces.

    ASGI messages, and waiting for one that says that the caller left, cost twice as much.
    """

    async def begin(self, status: int, headers: RawHeaders, data: bytes, *, last: bool = False) -> None:
        """Begin an answer of unknown length; send its head and first piece together, and its end too."""

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a further piece, as soon as the caller takes it, and the end with the last."""

    def write_now(self, data: bytes) -> None:
        """Send a last piece without waiting until the caller takes it."""

    def admit(self) -> None:
        """Keep the connection before those of callers that have shown no credentials."""

    def watch(self, leave: Callable[[], None]) -> None:
        """Call `leave` once the caller is gone, at once if it already is."""

    def unwatch(self) -> None:
        """Call nobody when the caller is gone."""


class GatewayRequest:
    """A request in progress and its answer; `headers` are by lower-case name, those that several clients
    send alike without Content-Length.

    `path` is set once the request is admitted; `status` once the answer has begun.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.head = head_of(scope["headers"])
        self.headers = self.head.by_name
        self.method: str = scope["method"]
        self.path: str | None = None
        self.status: int | None = None
        self.model: str | None = None
        self.streams = False
        """Whether an error can follow what has been sent of the answer."""
        self.takes_events = False
        """Whether the caller expects server-sent events, between which comments may come."""
        self._last = b""
        """The end of what has been sent."""
        self.unreadable = 0
        """Records of the answer that were passed on without being understood."""
        self.extra_headers: list[tuple[bytes, bytes]] = []
        """What the head of the answer has in addition to the answer's own headers."""
        self._send = send
        self._ended = False
        self._head: tuple[int, RawHeaders]

    @property
    def client(self) -> str | None:
        """The caller's program, where it is a known one."""
        return self.head.client

    @property
    def caller(self) -> Caller:
        """Whose token came with the request."""
        caller: Caller = self.scope.get("user", ANYBODY)
        return caller

    @property
    def dialect(self) -> Dialect:
        """The dialect of errors to this caller."""
        return dialect_of(self.path or self.scope["path"])

    async def send(self, message: Message) -> None:
        """Send an ASGI message, and note the status and the end of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def answer(self, response: Response) -> None:
        """Send a whole response."""
        headers = [*response.headers, *self.extra_headers]
        if response.media_type:
            headers.append((b"content-type", response.media_type.encode("latin-1")))
        if response.status != NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(response.content)))
        await self.send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": response.content})

    async def fail(self, failure: Failure) -> None:
        """Answer with an error; the rest of the request is not read.

        An answer in progress ends with it where it comes record by record; half a document is no answer, and
        just ends.
        """
        failure = for_client(failure, self.client, self.dialect, begun=self.status is not None)
        path = self.path or self.scope["path"]
        streamed = self.takes_events and not failure.ends and streams_errors(self.client, path)
        if self.status is None and streamed:
            self.begin(200, (*EVENT_STREAM, (SOURCE_HEADER.encode(), failure.source.encode())))
            await self.write(error_record(path, failure), last=True)
        elif self.status is None:
            headers = {**failure.headers, SOURCE_HEADER: failure.source, "connection": "close"}
            document = error_document(self.dialect, failure, self.client)
            await self.answer(json_response(document, failure.status, headers))
        elif self.streams and not self._ended:
            record = error_record(path, failure, self._last)
            if overlooks_errors(self.client, self.dialect):
                await self._connection.write(record)
                self._ended = True  # without its end, so that the server cuts the connection
            else:
                self._connection.write_now(record)

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Begin an answer of unknown length; its head is sent with its first piece."""
        self._head = status, (*headers, UNBUFFERED, *self.extra_headers)

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the answer, as soon as the caller takes it, and the end with the last one."""
        if data:
            self._last = data
        if self.status is None:
            status, headers = self._head
            await self._connection.begin(status, headers, data, last=last)
            self.status = status
        else:
            await self._connection.write(data, last=last)
        self._ended = last

    def admit(self) -> None:
        """Keep the connection before those of callers that have shown no credentials, and their head."""
        self.head.keep()
        if CONNECTION in self.scope.get("state", ()):  # not on another server than ours
            self._connection.admit()

    async def end(self) -> None:
        """End the answer, if its end was not sent with its last piece."""
        if not self._ended:
            await self.write(b"", last=True)

    async def run_until_gone(self, work: Coroutine[None, None, None]) -> None:
        """Run the work; when the caller leaves, cancel it and raise CallerGoneError.

        Once the answer is sent, the rest of the work is done in any case.
        """
        working = asyncio.current_task()
        assert working
        gone = False

        def leave() -> None:
            nonlocal gone
            if not gone and not self._ended:
                gone = working.cancel()

        self._connection.watch(leave)
        try:
            await work
        except asyncio.CancelledError:
            if gone and working.uncancel() == 0:
                raise CallerGoneError from None
            raise
        finally:
            self._connection.unwatch()

    @property
    def _connection(self) -> Connection:
        connection: Connection = self.scope["state"][CONNECTION]
        return connection


EVENT_STREAM: Final = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"))
PING: Final = b": ping\n\n"
"""A comment, which every reader of server-sent events passes over."""


class SignsOfLife:
    """Comments for a caller that waits for its first event, every so many seconds, until `stop`.

    Callers and proxies hang up on a connection on which nothing comes. The answer's head goes out with the
    first comment; nothing of the cloud's, so that another key can still take the request.
    """

    def __init__(self, request: GatewayRequest, every: float, timers: Timers) -> None:
        self._request = request
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._timer = timers.start(every, self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        self._request.begin(200, EVENT_STREAM)
        self._request.streams = True
        while True:
            await self._request.write(PING)
            await asyncio.sleep(self._every)

    async def stop(self) -> None:
        """Stop sending them."""
        self._timer.cancel()
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
