"""Answers that come compressed although `identity` was asked for: unpacked as they arrive, in bounded pieces.

Something on the way may compress, whatever the request says. A few bytes can stand for gigabytes, so no
decoder gives more than PIECE at once, and each reader stops at a bound of its own.
"""

import importlib.util
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Protocol

import httpx

PIECE: Final = 64 * 1024
MOST_ENCODINGS: Final = 2
MOST_MEMBERS: Final = 1000
"""How many gzip members one answer may have: empty ones cost time and give nothing."""
ZSTD_INPUT: Final = 256
"""Bytes fed to zstd at once: its smallest block, of 4 bytes, can stand for 128 KiB."""
ZSTD_WINDOW: Final = 8 * 1024 * 1024


NOT_ENCODED: Final = {"encoded": False}
"""The extensions of a response whose transport has seen already that its body is plain."""


class Decoder(Protocol):
    """Undoes one encoding. Raises DecodingError for what is not of it."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes stand for, in pieces of a bounded length."""


def decoded(response: httpx.Response) -> httpx.Response:
    """Return a response, open and unread, whose body is plain and whose headers say so.

    Raises DecodingError for an encoding that cannot be undone here.
    """
    if response.extensions == NOT_ENCODED or not (named := response.headers.get("content-encoding")):
        return response
    names = [name.strip().lower() for name in named.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return response
    if len(names) > MOST_ENCODINGS or any(name not in ENCODINGS for name in names):
        raise httpx.DecodingError(f"the answer is compressed as {named[:40]!r}, which was not asked for")
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    for name in reversed(names):
        stream = _Plain(stream, ENCODINGS[name]())
    headers = [
        (name, value)
        for name, value in response.headers.raw
        if name.lower() not in (b"content-encoding", b"content-length")
    ]
    return httpx.Response(response.status_code, headers=headers, stream=stream)


class _Plain(httpx.AsyncByteStream):
    """The bytes of a stream, decoded."""

    def __init__(self, stream: httpx.AsyncByteStream, decoder: Decoder) -> None:
        self._stream = stream
        self._decoder = decoder

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            for piece in self._decoder.feed(chunk):
                yield piece

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


class _Gzip:
    def __init__(self) -> None:
        self._members = 0
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder.eof:
                self._members += 1
                if not data.strip(b"\0"):
                    return  # padding
                if self._members >= MOST_MEMBERS:
                    raise _damaged("gzip")
                self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(self._decoder, data, "gzip")
            data = self._decoder.unused_data


class _Deflate:
    """The zlib format, as the standard has it, or bare deflate, as many servers have it."""

    def __init__(self) -> None:
        self._decoder: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None and data:
            wrapped = data[0] & 0x0F == 8 and data[0] >> 4 <= 7
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        if self._decoder and not self._decoder.eof:
            yield from _inflated(self._decoder, data, "deflate")


def _inflated(decoder: Any, data: bytes, name: str) -> Iterator[bytes]:
    try:
        while piece := decoder.decompress(data, PIECE):
            yield piece
            data = decoder.unconsumed_tail
            if decoder.eof:
                return
    except zlib.error:
        raise _damaged(name) from None


class _Zstd:
    def __init__(self) -> None:
        package = importlib.import_module("zstandard")
        self._error: type[Exception] = package.ZstdError
        self._decoder = package.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_INPUT):
            if self._decoder.eof:
                return
            try:
                plain = self._decoder.decompress(data[start : start + ZSTD_INPUT])
            except self._error:
                raise _damaged("zstd") from None
            for at in range(0, len(plain), PIECE):
                yield plain[at : at + PIECE]


class _Brotli:
    def __init__(self) -> None:
        package = importlib.import_module("brotli")
        self._error: type[Exception] = package.error
        self._decoder = package.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            plain = self._decoder.process(data, output_buffer_limit=PIECE)
            while plain:
                for at in range(0, len(plain), PIECE):  # the limit is not exact
                    yield plain[at : at + PIECE]
                plain = self._decoder.process(b"", output_buffer_limit=PIECE)
        except (self._error, TypeError):  # releases before 1.2 know no limit
            raise _damaged("br") from None


def _damaged(name: str) -> httpx.DecodingError:
    return httpx.DecodingError(f"the answer's {name} encoding is damaged")


ENCODINGS: Final[dict[str, type[_Gzip | _Deflate | _Zstd | _Brotli]]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
}
for _name, _package, _decoder in (("zstd", "zstandard", _Zstd), ("br", "brotli", _Brotli)):
    if importlib.util.find_spec(_package):
        ENCODINGS[_name] = _decoder
