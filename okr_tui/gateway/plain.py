"""Requests of the common form, read and answered without h11, which costs a quarter of a short request.

Only what every reader of HTTP understands alike is read here: one request, whole, of HTTP/1.1 with plain
ASCII in its head, one host, one length, and nothing about how the connection is used. Everything else is
left to h11, untouched.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES

from okr_tui.gateway.request import RawHeaders

LONGEST_HEAD: Final = 16 * 1024
LINE: Final = re.compile(rb"(GET|POST) (/[!-~]*) HTTP/1\.1\r\n")
TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD: Final = re.compile(rb"(" + TOKEN + rb"):[ \t]*([!-~](?:[\t -~]*[!-~])?)[ \t]*\r\n")
FIELDS: Final = re.compile(rb"(?:" + TOKEN + rb":[\t -~]*\r\n)+")
LENGTH: Final = re.compile(rb"[0-9]{1,9}")
END_OF_HEAD: Final = b"\r\n\r\n"
UNCOMMON: Final = frozenset(
    {b"transfer-encoding", b"expect", b"upgrade", b"http2-settings", b"te", b"trailer"}
)
ONCE: Final = (b"host", b"content-length", b"connection")
SENDABLE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
BODY: Final = "okr_tui.body"
"""The name in the ASGI scope of a body that came whole with its head."""


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request that has arrived whole; names of headers in lower case."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Unfinished:
    """What is there is the beginning of such a request: its whole head, and not all of its body."""


UNFINISHED: Final = Unfinished()


def read_plain(data: bytes) -> PlainRequest | Unfinished | None:
    """Return the one request that these bytes are; None where they are anything else, or only a part."""
    end = data.find(END_OF_HEAD, 0, LONGEST_HEAD)
    line = LINE.match(data)
    if end < 0 or line is None or not FIELDS.fullmatch(data, line.end(), end + 2):
        return None
    fields = FIELD.findall(data, line.end(), end + 2)
    if len(fields) != data.count(b"\n", line.end(), end + 2):
        return None  # one has no value
    headers = [(name.lower(), value) for name, value in fields]
    named = dict(headers)
    if len(named) != len(headers):
        times = Counter(name for name, _ in headers)
        if any(times[name] > 1 for name in ONCE):
            return None
    if b"host" not in named or not UNCOMMON.isdisjoint(named):
        return None
    if named.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    length = named.get(b"content-length")
    if length is not None and not LENGTH.fullmatch(length):
        return None
    if (length is None) if line[1] == b"POST" else (length is not None):
        return None
    body = data[end + len(END_OF_HEAD) :]
    missing = int(length or 0) - len(body)
    if missing:
        return UNFINISHED if missing > 0 else None
    return PlainRequest(line[1], line[2], headers, body)


class PlainConnection(Protocol):
    """What the answer to such a request needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl

    def on_response_complete(self) -> None:
        """Go on to what the caller sends next."""


class PlainCycle:
    """One such request and its answer, in the place of uvicorn's RequestResponseCycle."""

    def __init__(self, request: PlainRequest, scope: Scope, connection: PlainConnection) -> None:
        path, _, query = request.target.partition(b"?")
        self.scope: Scope = {
            **scope,
            "method": request.method.decode("ascii"),
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": request.headers,
            BODY: request.body,
        }
        self._connection = connection
        self.disconnected = False
        self.keep_alive = True
        """False once the connection is to be closed after this answer."""
        self.response_started = False
        self.response_complete = False
        self.message_event = asyncio.Event()
        self._body: bytes | None = request.body
        self._head: bytes | None = None
        self._chunked = False
        self._left: int | None = None
        """Bytes of the answer that are due, where its head says how many it has."""

    async def run_asgi(self, app: ASGIApp) -> None:
        """Have the request answered; cut the connection where the answer does not come to its end."""
        try:
            await app(self.scope, self.receive, self.send)
        finally:
            if not self.response_complete and not self.disconnected:
                self._connection.transport.close()

    async def receive(self) -> Message:
        """Return the body, then wait until the caller is gone or the answer is sent."""
        if self._body is not None and not self.disconnected and not self.response_complete:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        while not (self.disconnected or self.response_complete):
            await self.message_event.wait()
            self.message_event.clear()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take an ASGI message of an answer."""
        if message["type"] == "http.response.start":
            self.begin(message["status"], message.get("headers", ()))
            return
        await self.write(message.get("body", b""), last=not message.get("more_body", False))

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Make the head, which goes out with the first piece. Raises ValueError if it cannot be sent."""
        if self.response_started:
            raise ValueError("an answer has begun already")
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, STATUS_PHRASES[status])]
        framed = status in (204, 304)
        for name, value in headers:
            if not re.fullmatch(TOKEN, name) or not SENDABLE.fullmatch(value):
                raise ValueError(f"the header {name!r} cannot be sent")
            known = name.lower()
            if known == b"content-length":
                framed, self._left = True, int(value)
            elif known == b"transfer-encoding":
                continue
            elif known == b"connection" and value.lower() == b"close":
                self.keep_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        if not framed:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        elif self._left is None:
            self._left = 0
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        self.response_started = True

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece, as soon as the caller takes it, and the end with the last one."""
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if not self.disconnected:
            self.write_now(data, last=last)

    def write_now(self, data: bytes, *, last: bool) -> None:
        """Send a piece, and the end with the last one. Raises ValueError for more or less than was named."""
        if not self.response_started or self.response_complete:
            raise ValueError("no answer is under way")
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (last and self._left):
                raise ValueError("the answer is not as long as its head says")
        elif data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if last and self._chunked:
            data += b"0\r\n\r\n"
        if self._head:
            data, self._head = self._head + data, None
        if data:
            self._connection.transport.write(data)
        if last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self._connection.transport.close()
            self._connection.on_response_complete()
