"""Which headers are passed on, in both directions. Names and values are bytes, as sent."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from okr_tui.domain.scrubber import Scrubber

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
# or tells of the cloud's inside.
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
    values = b" ".join(value for _, value in found)
    if scrubber.scrub_bytes(values) == values:
        return found
    return [(name, value) for name, value in found if scrubber.scrub_bytes(value) == value]


def request_query(query: bytes) -> str:
    """Return the caller's query without the time stamp of a daemon's signature."""
    return "&".join(part for part in query.decode("latin-1").split("&") if part.partition("=")[0] != "ts")
