"""Which headers are passed on, in both directions. Names and values are bytes, as sent."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from okr_tui.domain.scrubber import Scrubber

RawHeaders = Iterable[tuple[bytes, bytes]]
CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# They describe the caller, or the connection between the caller and this gateway.
NOT_FORWARDED: Final = HOP_BY_HOP | {
    b"accept-encoding",
    b"content-encoding",
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    b"origin",
    b"referer",
    b"user-agent",
    b"via",
    b"x-real-ip",
}
SECRET_WORDS: Final = (b"auth", b"cookie", b"api-key", b"apikey", b"token", b"secret")
NOT_FORWARDED_PREFIXES: Final = (b"x-okr-", b"x-forwarded", b"sec-", b"cf-", b"access-control-")
# What would make a client act on this address as if it were the cloud's.
NOT_RETURNED: Final = HOP_BY_HOP | {
    b"alt-svc",
    b"content-length",
    b"date",
    b"location",
    b"server",
    b"set-cookie",
    b"strict-transport-security",
    b"via",
}
NAMES: Final = 512
"""How many names are cached; a client sends the same few in every request."""


@lru_cache(maxsize=NAMES)
def _is_forwarded(name: bytes) -> bool:
    return (
        name not in NOT_FORWARDED
        and not name.startswith(NOT_FORWARDED_PREFIXES)
        and not any(word in name for word in SECRET_WORDS)
    )


@lru_cache(maxsize=NAMES)
def _is_returned(name: bytes) -> bool:
    return name not in NOT_RETURNED and not name.startswith(b"access-control-")


def by_name(headers: RawHeaders) -> dict[str, str]:
    """Return the headers by lower-case name; the last of several with one name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def request_headers(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Return the caller's headers that are sent to the cloud."""
    found = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for name, value in found if name == b"connection" for word in value.split(b",")
    }
    return [
        (name, value)
        for name, value in found
        if _is_forwarded(name) and name not in named and _is_text(value)
    ]


def _is_text(value: bytes) -> bool:
    """Whether a value is UTF-8, the only encoding that the client of the cloud sends unchanged."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def response_headers(headers: RawHeaders, scrubber: Scrubber) -> list[tuple[bytes, bytes]]:
    """Return the cloud's headers that are sent to the caller, none with a control character or a secret."""
    found = [(name.lower(), value) for name, value in headers]
    return [
        (name, value)
        for name, value in found
        if _is_returned(name) and not CONTROLS.search(value) and scrubber.scrub_bytes(value) == value
    ]


def request_query(query: bytes) -> str:
    """Return the caller's query without the time stamp of a daemon's signature."""
    return "&".join(part for part in query.decode("latin-1").split("&") if part.partition("=")[0] != "ts")
