"""One request of a client and the answer to it, on the bare server interface."""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from okr_tui.cloud.endpoints import Dialect, dialect_of
from okr_tui.gateway.errors import (
    CLIENT_HEADER,
    Failure,
    FailureError,
    as_told,
    error_document,
    failed,
)
from okr_tui.gateway.headers import RawHeaders, by_name

LARGEST: Final = 64 * 1024 * 1024
PATIENCE: Final = 4
PIECE: Final = 256 * 1024
SECONDS: Final = 120.0


class CallerGoneError(Exception):
    """There is nobody left to answer."""


async def receive_body(receive: Receive, limit: int = LARGEST) -> bytes:
    """The whole body; raises FailureError when it is too large or too slow, CallerGoneError when cut off.

    The rest of one that is too large is heard out for a while, since many clients listen only after that.
    """
    # A buffer gives its bytes away without copying them.
    buffer = io.BytesIO()
    received = 0
    try:
        async with asyncio.timeout(SECONDS):
            while received <= PATIENCE * limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CallerGoneError
                received += len(message.get("body", b""))
                if received <= limit:
                    buffer.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise failed(408, f"the request did not arrive within {SECONDS:g} s") from None
    if received > limit:
        raise _too_large(limit)
    return buffer.getvalue()


def unpack(body: bytes, encoding: str, limit: int = LARGEST) -> bytes:
    """The body without its content encoding."""
    encoding = encoding.strip().lower()
    try:
        plain = body if encoding in ("", "identity") else _plain(body, encoding, limit + 1)
    except (OSError, EOFError, zlib.error):
        raise failed(400, f"the request's {encoding} encoding is damaged") from None
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _plain(body: bytes, encoding: str, most: int) -> bytes:
    if encoding in ("gzip", "x-gzip"):
        return gzip.GzipFile(fileobj=io.BytesIO(body)).read(most)
    if encoding != "zstd":
        raise failed(415, f"content encoding {encoding[:32]!r} is not supported: send gzip or plain JSON")
    try:
        import zstandard
    except ModuleNotFoundError:
        raise failed(
            415, "zstd needs the zstandard package: pip install 'okr-tui[zstd]', or send gzip or plain JSON"
        ) from None
    plain = io.BytesIO()
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            while plain.tell() < most and (piece := reader.read(PIECE)):
                plain.write(piece)
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None
    return plain.getvalue()


def _too_large(limit: int) -> FailureError:
    return failed(413, f"the request is larger than {limit // 1024 // 1024} MiB")


CONNECTION: Final = "connection"
"""What the server calls the caller's connection among what it tells of a request."""


class Connection(Protocol):
    """The caller's end of a request, for answers that come in pieces.

    Messages to the server, and waiting for one that tells of the caller's leaving, cost twice as much.
    """

    async def begin(self, status: int, headers: RawHeaders, data: bytes) -> None:
        """Begin an answer of unknown length; its head and its first piece go out together."""

    async def write(self, data: bytes) -> None:
        """A further piece, sent as soon as the caller takes it."""

    def watch(self, leave: Callable[[], None]) -> None:
        """Call `leave` once the caller is gone, at once if that is so already."""

    def unwatch(self, leave: Callable[[], None]) -> None:
        """Do not call it any more."""


class GatewayRequest:
    """A request under way, with its headers by lower-case name.

    `path` is set once the caller is let in; `status` once the answer has begun.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.headers = by_name(scope["headers"])
        self.method: str = scope["method"]
        self.path: str | None = None
        self.status: int | None = None
        self.model: str | None = None
        self._send = send
        self._ended = False
        self._head: tuple[int, RawHeaders]

    @property
    def dialect(self) -> Dialect:
        """How errors are put for this caller."""
        return dialect_of(self.path or self.scope["path"])

    async def send(self, message: Message) -> None:
        """The server's `send`, with the status and the end noted."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def answer(self, response: Response) -> None:
        """Answer at once."""
        await response(self.scope, self.receive, self.send)

    async def fail(self, failure: Failure) -> None:
        """Answer with an error; what is left of the request is not read any more.

        Once an answer has begun, the server cuts the connection instead.
        """
        if self.status is None:
            failure = as_told(failure, self.headers.get(CLIENT_HEADER))
            headers = {**failure.headers, "connection": "close"}
            document = error_document(self.dialect, failure)
            await self.answer(JSONResponse(document, failure.status, headers))

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Begin an answer of unknown length; its head goes out with its first piece."""
        self._head = status, headers

    async def write(self, data: bytes) -> None:
        """A piece of the answer, sent as soon as the caller takes it."""
        if self.status is None:
            status, headers = self._head
            await self._connection.begin(status, headers, data)
            self.status = status
        else:
            await self._connection.write(data)

    async def end(self) -> None:
        """The end of the answer."""
        if self.status is None:
            await self.write(b"")
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def unless_gone(self, work: Coroutine[None, None, None]) -> None:
        """Do the work; when the caller leaves, it is cancelled at once and CallerGoneError raised.

        Once the answer is sent, what is left of the work is done in any case.
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
            self._connection.unwatch(leave)

    @property
    def _connection(self) -> Connection:
        connection: Connection = self.scope["state"][CONNECTION]
        return connection
