"""A request's body: received in bounds, unpacked, and looked into for the model and the conversation."""

import asyncio
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive

from okr_tui.domain.models import bare_name
from okr_tui.gateway.dialects import FailureError, failed

LARGEST: Final = 64 * 1024 * 1024
PATIENCE: Final = 4
PIECE: Final = 256 * 1024
SECONDS: Final = 120.0
LONGEST_MODEL: Final = 256
SESSION_HEADERS: Final = (
    "x-session-id",
    "session-id",
    "session_id",
    "x-conversation-id",
    "anthropic-session-id",
    "x-claude-code-session-id",
)


class CallerGoneError(Exception):
    """There is nobody left to answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for. `document` is let go once this is made; only bytes are kept."""

    body: bytes
    model: str | None = None
    streams: bool | None = None
    opening: str | None = field(default=None, repr=False)
    """What tells the conversation from others, as digest; None where nothing does."""


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


def look(body: bytes, headers: Mapping[str, str]) -> Asked:
    """What a JSON body asks for; raises FailureError when it is none, or names an impossible model."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise failed(400, "the request is not valid JSON") from None
    if not isinstance(document, dict):
        raise failed(400, "the request is not a JSON object")
    model, streams = document.get("model"), document.get("stream")
    name = None
    if model is not None:
        name = _model_name(model)
        if name != model:
            body = json.dumps({**document, "model": name}, ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
    return Asked(body, name, streams if isinstance(streams, bool) else None, _conversation(document, headers))


def _model_name(model: object) -> str:
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL or not model.isprintable():
        raise failed(
            400, f"the model's name has to be a text of at most {LONGEST_MODEL} printable characters"
        )
    return bare_name(model)


def _conversation(document: Mapping[str, object], headers: Mapping[str, str]) -> str | None:
    """A digest of the session that the caller names, else of the first words, whatever the model."""
    named = [headers[name] for name in SESSION_HEADERS if headers.get(name)]
    metadata = document.get("metadata")
    places = (
        document.get("prompt_cache_key"),
        document.get("session_id"),
        metadata.get("user_id") if isinstance(metadata, dict) else None,
        document.get("user"),
    )
    named += [value for value in places if isinstance(value, str) and value]
    first: object = named[0] if named else list(_first_words(document))
    if not first:
        return None
    text = json.dumps([bool(named), first], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _first_words(document: Mapping[str, object]) -> Iterator[object]:
    """The system prompt and the first message of the user, in any dialect."""
    for name in ("system", "instructions", "prompt"):
        if document.get(name):
            yield document[name]
    messages = document.get("messages", document.get("input"))
    if isinstance(messages, str):
        yield messages
        return
    seen = set()
    for message in messages if isinstance(messages, list) else ():
        role = message.get("role") if isinstance(message, dict) else None
        role = "system" if role == "developer" else role
        if role in ("system", "user") and role not in seen:
            seen.add(role)
            yield message.get("content")
        if role == "user":
            return
