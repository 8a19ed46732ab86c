"""One request of a client and the answer to it, on the bare server interface."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from okr_tui.gateway.body import CallerGoneError
from okr_tui.gateway.dialects import CLIENT_HEADER, Dialect, Failure, as_told, dialect_of, error_document
from okr_tui.gateway.headers import RawHeaders, by_name

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


class Visit:
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
