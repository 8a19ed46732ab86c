"""What a request's body asks for; pictures, tools and options are not parsed."""

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from okr_tui.domain.models import ModelNames
from okr_tui.domain.values import dataclass
from okr_tui.gateway.errors import FailureError, failure_error
from okr_tui.gateway.headers import SESSION_HEADERS

if TYPE_CHECKING:
    from okr_tui.gateway.request_fields import Part, RequestFields

MAX_MODEL_LENGTH: Final = 256
MODEL_NAME: Final = f"the model's name must be a string of at most {MAX_MODEL_LENGTH} printable characters"
MAX_MODEL_FIELDS: Final = 4
"""How many fields named "model" in a body are tried, to find the one that counts."""
AT_ONCE: Final = 256 * 1024
"""Bytes of a body that are parsed on the event loop; a larger one would hold up all streams."""
MANY_CONTAINERS, MANY_VALUES = 20_000, 200_000
"""Opening brackets and commas that are parsed in this process. Python runs nothing else meanwhile."""
ELSEWHERE_SECONDS: Final = 30
ELSEWHERE_BYTES: Final = 4 * 1024**3
CHILD: Final = ("-P", "-c", "from okr_tui.gateway.parse import child; child()")


NO_NAMES: Final = ModelNames()


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """What a request's body asks for. `streams` is None where it does not say."""

    body: bytes
    model: str | None = None
    streams: bool | None = None
    opening: str | None = field(default=None, repr=False)
    """A digest that identifies the conversation; None where nothing does."""
    is_empty: bool = False
    """Whether there is nothing in it for a model to answer."""


def parse_request(body: bytes, headers: Mapping[str, str], names: ModelNames = NO_NAMES) -> ParsedRequest:
    """Parse a JSON body; raise FailureError for anything else, or when the model's name is invalid.

    `names` are what the model may be called. It may be in the field "name" too, as older clients of
    Ollama have it, whose "model" then is empty or missing.
    """
    document = _read(body)
    written = document.get("model")
    name = written or document.get("name") or None
    if name is not None:
        model = _model_name(name, names)
        if model != written:
            body = _renamed(body, written, model) if written else _named(body, model)
        name = model
    is_empty = not (document.get("prompt") or document.get("messages") or document.get("input"))
    return ParsedRequest(body, name, document.get("stream"), _conversation(document, headers), is_empty)


async def parse_body(body: bytes, headers: Mapping[str, str], names: ModelNames = NO_NAMES) -> ParsedRequest:
    """Parse as `parse_request` does, a large body where it holds up no stream."""
    if len(body) <= AT_ONCE:
        return parse_request(body, headers, names)
    return await asyncio.to_thread(_parse_large, body, headers, names)


def _parse_large(body: bytes, headers: Mapping[str, str], names: ModelNames) -> ParsedRequest:
    containers = body.count(b"[") + body.count(b"{")
    if containers <= MANY_CONTAINERS and body.count(b",") <= MANY_VALUES:
        return parse_request(body, headers, names)
    named = {
        "headers": {name: headers[name] for name in SESSION_HEADERS if name in headers},
        "listed": list(names.listed),
        "aliases": dict(names.aliases),
    }
    try:
        done = subprocess.run(  # noqa: S603 this program itself
            (sys.executable, *CHILD),
            input=json.dumps(named).encode() + b"\n" + body,
            capture_output=True,
            timeout=ELSEWHERE_SECONDS,
            check=True,
        )
        parsed, _, renamed = done.stdout.partition(b"\n")
        found = json.loads(parsed)
    except (OSError, subprocess.SubprocessError, ValueError):
        raise failure_error(413, "the request holds more values than can be read") from None
    if "status" in found:
        raise failure_error(found["status"], found["text"])
    return ParsedRequest(renamed or body, found["model"], found["streams"], found["opening"])


def child() -> None:
    """Parse a request of very many values, in a process of its own, from standard input to output."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not everywhere
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ELSEWHERE_BYTES, ELSEWHERE_BYTES))
    named = json.loads(sys.stdin.buffer.readline())
    names = ModelNames(frozenset(named["listed"]), named["aliases"])
    body = sys.stdin.buffer.read()
    try:
        parsed = parse_request(body, named["headers"], names)
    except FailureError as error:
        found: dict[str, object] = {"status": error.failure.status, "text": error.failure.text}
        changed = b""
    else:
        found = {"model": parsed.model, "streams": parsed.streams, "opening": parsed.opening}
        changed = b"" if parsed.body is body else parsed.body
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n" + changed)


def _read(body: bytes) -> "RequestFields":
    from okr_tui.gateway.request_fields import NotAnObjectError, read_fields

    try:
        return read_fields(body)
    except NotAnObjectError as error:
        raise failure_error(
            400, MODEL_NAME if error.has_other_model else "the request is not a JSON object"
        ) from None
    except (ValueError, RecursionError):
        raise failure_error(400, "the request is not valid JSON") from None


def _model_name(model: str, names: ModelNames) -> str:
    if not 0 < len(model) <= MAX_MODEL_LENGTH or not model.isprintable():
        raise failure_error(400, MODEL_NAME)
    return names.resolve(model)


def _renamed(body: bytes, name: str, bare: str) -> bytes:
    """Return the body with another model name, every other byte unchanged where possible."""
    member = re.compile(rb'"model"\s*:\s*' + re.escape(json.dumps(name).encode()))
    for found in itertools.islice(member.finditer(body), MAX_MODEL_FIELDS):
        changed = b"".join(
            (body[: found.start()], b'"model":', json.dumps(bare).encode(), body[found.end() :])
        )
        if _read(changed).get("model") == bare:
            return changed
    return _named(body, bare)


def _named(body: bytes, model: str) -> bytes:
    document = {**json.loads(body), "model": model}
    document.pop("name", None)
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _conversation(document: "RequestFields", headers: Mapping[str, str]) -> str | None:
    """Return a digest of the session that the caller names, else of the first messages."""
    named = (
        next(filter(None, map(headers.get, SESSION_HEADERS)), None)
        or document.get("prompt_cache_key")
        or document.get("session_id")
        or document.get("metadata", {}).get("user_id")
        or document.get("user")
    )
    words = ["session", named] if named else list(filter(None, _first_words(document)))
    if not words:
        return None
    digest = hashlib.sha256()
    for text in words:
        digest.update(b"%d " % len(text))
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _first_words(document: "RequestFields") -> list[str]:
    """Return the system prompt and the first message of the user, in any dialect."""
    words: list[str] = []
    for text in (document.get("system"), document.get("instructions"), document.get("prompt")):
        if text:
            words += _texts(text)
    messages = document.get("messages", document.get("input"))
    if isinstance(messages, str):
        return [*words, messages]
    seen = set()
    for message in messages or ():
        role = message.get("role")
        role = "system" if role == "developer" else role
        if role in ("system", "user") and role not in seen:
            seen.add(role)
            words += _texts(message.get("content"))
        if role == "user":
            break
    return words


def _texts(text: "list[Part] | str | None") -> list[str]:
    if isinstance(text, str):
        return [text]
    return [part.get("text", "") for part in text or ()]
