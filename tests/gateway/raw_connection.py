"""A connection's bare bytes: what is written as it is, and the answers one by one."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.gateway.running_gateway import HOST, TOKEN, RunningGateway
from tests.waiting import LIMIT

SECONDS = LIMIT
LINES_END = b"\r\n"


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A whole answer of the server."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The content as document."""
        return json.loads(self.content)


class RawConnection:
    """One connection to a gateway. Whatever takes longer than `SECONDS` is a TimeoutError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def write(self, *pieces: bytes, end: bool = False) -> None:
        """Write, and with `end` say that nothing follows. It is no error that the server does not listen."""
        try:
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
            if end:
                self.writer.write_eof()
        except OSError:
            return

    async def response(self, *, bodiless: bool = False) -> RawResponse | None:
        """The next answer that is not an interim one; None when the connection ends before its end."""
        while found := await self.next_response(bodiless=bodiless):
            if found.status >= 200:
                return found
        return None

    async def next_response(self, *, bodiless: bool = False) -> RawResponse | None:
        """The next answer, also an interim one; `bodiless` are those to HEAD."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._next_response(bodiless)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _next_response(self, bodiless: bool) -> RawResponse:
        first, *lines = (await self._reader.readuntil(2 * LINES_END)).decode("latin-1").splitlines()
        version, status = first.split(" ")[:2]
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        for name, colon, value in (line.partition(":") for line in filter(None, lines)):
            assert colon
            assert name.lower() not in headers
            headers[name.lower()] = value.strip()
        interim = int(status) < 200
        content = b"" if interim or bodiless else await self._content(headers)
        return RawResponse(int(status), headers, content)

    async def _content(self, headers: Mapping[str, str]) -> bytes:
        if "transfer-encoding" in headers:
            assert headers["transfer-encoding"] == "chunked"
            assert "content-length" not in headers
            return await self._chunks()
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        return await self._reader.read()

    async def _chunks(self) -> bytes:
        content = b""
        while True:
            size = int(await self._reader.readuntil(LINES_END), 16)
            piece = await self._reader.readexactly(size + len(LINES_END))
            assert piece.endswith(LINES_END)
            if size == 0:
                return content
            content += piece[:size]


@asynccontextmanager
async def connect(gateway: RunningGateway) -> AsyncGenerator[RawConnection, None]:
    """A new connection."""
    reader, writer = await asyncio.open_connection(HOST, httpx.URL(gateway.url).port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


def head(
    *lines: bytes,
    method: bytes = b"POST",
    target: bytes = b"/api/chat",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = b"host: localhost",
    token: str | None = TOKEN,
    end: bytes = LINES_END,
) -> bytes:
    """A request's head of these header lines, with a host and the token unless they are None."""
    first = b" ".join((method, target, version))
    shown = f"x-api-key: {token}".encode() if token else None
    return end.join([*filter(None, (first, host, shown)), *lines, b"", b""])


def sized(content: bytes, *lines: bytes, **changes: Any) -> bytes:
    """A request whose body has its length before it."""
    return head(*lines, b"content-length: %d" % len(content), **changes) + content


def chunked(content: bytes, *lines: bytes, trailers: bytes = b"", **changes: Any) -> bytes:
    """A request whose body comes in two chunks."""
    half = len(content) // 2
    parts = (b"%x\r\n%b\r\n" % (len(part), part) for part in (content[:half], content[half:]))
    before = head(*lines, b"transfer-encoding: chunked", **changes)
    return before + b"".join(parts) + b"0\r\n" + trailers + LINES_END
