"""Header lines: what those of a request say, and which are passed on, either way."""

import base64
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from okr_tui.domain.scrubber import Scrubber
from okr_tui.gateway.errors import client_name

RawHeaders = Iterable[tuple[bytes, bytes]]
SESSION_HEADERS: Final = (
    "x-session-id",
    "session-id",
    "session_id",
    "x-conversation-id",
    "anthropic-session-id",
    "x-claude-code-session-id",
)
"""Headers by which callers name a conversation, the one that counts first."""
CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What the cloud's endpoints act on, or what names a conversation. All else describes the caller, another
# service's account, or the connection between the caller and this gateway, and stays here.
FORWARDED: Final = frozenset(
    {
        b"accept",
        b"content-type",
        b"idempotency-key",
        b"openai-beta",
        b"x-client-request-id",
        b"x-ollama-client-version",
        *(name.encode() for name in SESSION_HEADERS),
    }
)
FORWARDED_PREFIXES: Final = (b"anthropic-", b"x-stainless-")
SECRET_WORDS: Final = (b"auth", b"cookie", b"key", b"token", b"secret", b"password")
"""Parts of names that no prefix lets through; `idempotency-key` is named whole."""
# What clients act on or quote in reports. All else would make a client take this address for the cloud's own,
# or reveals the cloud's internals.
RETURNED: Final = frozenset(
    {
        b"content-language",
        b"content-type",
        b"openai-processing-ms",
        b"openai-version",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-request-id",
        b"x-should-retry",
    }
)
PLAIN_TYPES: Final = frozenset({b"text/event-stream", b"application/json", b"application/x-ndjson"})
"""Values that hold no secret, whatever the secrets are."""
UNBUFFERED: Final = (b"x-accel-buffering", b"no")
"""Has nginx pass an answer on as it comes (nginx.org, ngx_http_proxy_module, proxy_buffering)."""
RETURNED_PREFIXES: Final = (b"x-ratelimit-", b"anthropic-ratelimit-")
NAMES: Final = 512
"""How many names are cached; a client sends the same few in every request."""


@lru_cache(maxsize=NAMES)
def _is_forwarded(name: bytes) -> bool:
    return name in FORWARDED or (
        name.startswith(FORWARDED_PREFIXES) and not any(word in name for word in SECRET_WORDS)
    )


@lru_cache(maxsize=NAMES)
def _is_returned(name: bytes) -> bool:
    return name in RETURNED or name.startswith(RETURNED_PREFIXES)


def _passable(headers: RawHeaders, is_passed: Callable[[bytes], bool]) -> list[tuple[bytes, bytes]]:
    """Return the headers on a list, without those that concern one connection alone; names in lower case."""
    found = [(name.lower(), value) for name, value in headers]
    hops = {
        word.strip().lower() for name, value in found if name == b"connection" for word in value.split(b",")
    }
    return [(name, value) for name, value in found if is_passed(name) and name not in hops]


def by_name(headers: RawHeaders) -> dict[str, str]:
    """Return the headers by lower-case name; the last of several with one name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def request_headers(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Return the caller's headers that are sent to the cloud."""
    return [(name, value) for name, value in _passable(headers, _is_forwarded) if _is_text(value)]


def _is_text(value: bytes) -> bool:
    """Whether a value is UTF-8, the only encoding that the client of the cloud sends unchanged."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def response_headers(headers: RawHeaders, scrubber: Scrubber) -> list[tuple[bytes, bytes]]:
    """Return the cloud's headers that are sent to the caller, none with a control character or a secret."""
    found = [item for item in _passable(headers, _is_returned) if not CONTROLS.search(item[1])]
    values = b" ".join([value for _, value in found if value not in PLAIN_TYPES])
    if not values or scrubber.scrub_bytes(values) == values:
        return found
    return [(name, value) for name, value in found if scrubber.scrub_bytes(value) == value]


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as they are sent."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


LENGTH: Final = b"content-length"
HEADS_KEPT: Final = 256
"""How many heads of callers with valid credentials are kept."""
_kept: dict[tuple[tuple[bytes, bytes], ...], "Head"] = {}


class Head:
    """The header lines of a request, without Content-Length, and what they say.

    A client sends the same ones with each of its requests, so all of it is read once. Names are in lower
    case.
    """

    def __init__(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.headers = headers
        self.by_name = by_name(headers)
        """The last value of each name."""

    def keep(self) -> None:
        """Keep what is known of these lines for the next request that has them."""
        if self.headers not in _kept:
            if len(_kept) >= HEADS_KEPT:
                del _kept[next(iter(_kept))]
            _kept[self.headers] = self

    @cached_property
    def size(self) -> int:
        """Bytes of all names and values."""
        return sum(len(name) + len(value) for name, value in self.headers)

    @cached_property
    def has_controls(self) -> bool:
        """Whether a value has a control character in it."""
        return bool(CONTROLS.search(b"".join([value for _, value in self.headers])))

    @cached_property
    def client(self) -> str | None:
        """The caller's program, where it is a known one."""
        return client_name(self.by_name)

    @cached_property
    def forwarded(self) -> Sequence[tuple[bytes, bytes]]:
        """The lines that are sent to the cloud."""
        return tuple(request_headers(self.headers))

    @cached_property
    def host(self) -> str:
        """The name in the Host header in lower case, without its port or the dot at the end."""
        host = self.by_name.get("host", "").lower()
        name, colon, port = host.rpartition(":")
        return (name if colon and (port.isdigit() or not port) else host).removesuffix(".")

    @cached_property
    def origins(self) -> Sequence[str]:
        """The values of every Origin header, in lower case."""
        return self._every(b"origin")

    @cached_property
    def sites(self) -> Sequence[str]:
        """The words of every Sec-Fetch-Site header, in lower case."""
        return [word.strip() for value in self._every(b"sec-fetch-site") for word in value.split(",")]

    @cached_property
    def credentials(self) -> Sequence[str]:
        """What may be a token."""
        return [text for text in _credentials(self.by_name) if text]

    def _every(self, wanted: bytes) -> list[str]:
        return [value.decode("latin-1").strip().lower() for name, value in self.headers if name == wanted]


def head_of(headers: Iterable[tuple[bytes, bytes]]) -> Head:
    """Return the head that consists of these lines, whose names are in lower case."""
    lines = tuple([line for line in headers if line[0] != LENGTH])
    return _kept.get(lines) or Head(lines)


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield text.strip()
    elif scheme.lower() == "basic":  # as user name or password: both stand in addresses
        with contextlib.suppress(ValueError):
            yield from base64.b64decode(text.strip(), validate=True).decode().split(":", 1)
    yield headers.get("x-api-key", "")
    yield headers.get("api-key", "")
