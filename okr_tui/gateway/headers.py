"""Which headers pass, in both directions. Names and values are bytes, as they come over the wire."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

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
# What speaks of the caller, or of the connection between the caller and here.
CALLERS_OWN: Final = HOP_BY_HOP | {
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
CALLERS_PREFIXES: Final = (b"x-okr-", b"x-forwarded", b"sec-", b"cf-", b"access-control-")
# What would make a client act on this address as if it were the cloud's.
CLOUDS_OWN: Final = HOP_BY_HOP | {
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
"""How many judged names are remembered; a client sends the same few over and over."""


@lru_cache(maxsize=NAMES)
def _goes_up(name: bytes) -> bool:
    return (
        name not in CALLERS_OWN
        and not name.startswith(CALLERS_PREFIXES)
        and not any(word in name for word in SECRET_WORDS)
    )


@lru_cache(maxsize=NAMES)
def _goes_down(name: bytes) -> bool:
    return name not in CLOUDS_OWN and not name.startswith(b"access-control-")


def by_name(headers: RawHeaders) -> dict[str, str]:
    """The headers by lower-case name; of several with one name, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def upward(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The caller's headers that the cloud gets to see."""
    found = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower() for name, value in found if name == b"connection" for word in value.split(b",")
    }
    return [
        (name, value) for name, value in found if _goes_up(name) and name not in named and _is_text(value)
    ]


def _is_text(value: bytes) -> bool:
    """Whether the way to the cloud, which takes UTF-8 alone, leaves a value as it is."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def downward(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The cloud's headers that the caller gets to see; the server sends none with a control character."""
    found = [(name.lower(), value) for name, value in headers]
    return [(name, value) for name, value in found if _goes_down(name) and not CONTROLS.search(value)]


def query_upward(query: bytes) -> str:
    """The caller's query without the time stamp that a daemon signs its requests with."""
    return "&".join(part for part in query.decode("latin-1").split("&") if part.partition("=")[0] != "ts")
