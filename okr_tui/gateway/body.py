"""A request's body: received in bounds and unpacked."""

import asyncio
import gzip
import io
import zlib
from typing import Final

from starlette.types import Receive

from okr_tui.gateway.dialects import FailureError, failed

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
