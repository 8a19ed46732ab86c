"""Which headers pass, in both directions."""

from collections.abc import Iterable, Mapping
from typing import Final

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What speaks of the caller, or of the connection between the caller and here.
CALLERS_OWN: Final = HOP_BY_HOP | {
    "accept-encoding",
    "content-encoding",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "origin",
    "referer",
    "user-agent",
    "via",
    "x-real-ip",
}
SECRET_WORDS: Final = ("auth", "cookie", "api-key", "apikey", "token", "secret")
CALLERS_PREFIXES: Final = ("x-okr-", "x-forwarded", "sec-", "cf-", "access-control-")
# What would make a client act on this address as if it were the cloud's.
CLOUDS_OWN: Final = HOP_BY_HOP | {
    "alt-svc",
    "content-length",
    "date",
    "location",
    "server",
    "set-cookie",
    "strict-transport-security",
    "via",
}


def upward(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The caller's headers that the cloud gets to see."""
    found = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    named = {
        word.strip().lower() for name, value in found if name == "connection" for word in value.split(",")
    }
    return {
        name: value
        for name, value in found
        if name not in CALLERS_OWN
        and name not in named
        and not name.startswith(CALLERS_PREFIXES)
        and not any(word in name for word in SECRET_WORDS)
    }


def downward(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The cloud's headers that the caller gets to see."""
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name not in CLOUDS_OWN and not name.startswith("access-control-")
    ]


def query_upward(query: bytes) -> str:
    """The caller's query without the time stamp that a daemon signs its requests with."""
    return "&".join(part for part in query.decode("latin-1").split("&") if part.partition("=")[0] != "ts")
