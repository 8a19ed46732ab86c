"""Who may speak to the gateway: under no foreign host name, from no web page, and only with the token."""

import hmac
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from typing import Final, Protocol
from urllib.parse import unquote

from starlette.types import Scope

from okr_tui.domain.addresses import is_loopback
from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.errors import failed
from okr_tui.gateway.headers import CONTROLS

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
OPEN_PATHS: Final = frozenset({"/healthz"})
MOST_HEADERS: Final = 100
LONGEST_HEAD: Final = 64 * 1024
LONGEST_TARGET: Final = 8 * 1024
WHOLE: Final = b"http://"
UNAUTHORIZED: Final = "this gateway's token is missing or wrong: `okr-tui connect` shows how to give it"


def origin_form(scope: Scope) -> Scope:
    """A request to a whole address as one to its path on its host; servers take both (RFC 9112, 3.2.2)."""
    target: bytes = scope["raw_path"]
    if target[: len(WHOLE)].lower() != WHOLE:
        return scope
    host, slash, rest = target[len(WHOLE) :].partition(b"/")
    path = slash + rest or b"/"
    headers = [(b"host", host), *((name, value) for name, value in scope["headers"] if name != b"host")]
    return {**scope, "raw_path": path, "path": unquote(path.decode("ascii")), "headers": headers}


class Gatekeeper(Protocol):
    """Decides for one port who comes in."""

    def enter(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The path to answer; raises FailureError for who may not enter. `headers` are the scope's."""


class HeadChecks:
    """The checks of a request's head that hold on every port, whatever the caller shows."""

    def __init__(self, host: str) -> None:
        self._exposed = not is_loopback(host)
        names = {host.lower(), socket.gethostname().lower()} if self._exposed else {host.lower()}
        self._hosts = LOOPBACK_NAMES | names

    def check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Raises FailureError for a head out of bounds, one of two meanings, or another host."""
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        if len(raw) > MOST_HEADERS:
            raise failed(431, f"more than {MOST_HEADERS} headers")
        if sum([len(name) + len(value) for name, value in raw]) > LONGEST_HEAD:
            raise failed(431, f"the request's head is larger than {LONGEST_HEAD // 1024} KiB")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
            raise failed(414, f"the request's address is longer than {LONGEST_TARGET // 1024} KiB")
        if any(CONTROLS.search(value) for _, value in raw):
            raise failed(400, "a header holds control characters")
        # Whatever stands between may have believed the other one about where the request ends.
        if "transfer-encoding" in headers and "content-length" in headers:
            raise failed(400, "the request has a length and comes in chunks")
        # A page of any web site can make a browser send requests here, under a name of its choice too.
        if not self._knows(_host_name(headers.get("host", "").lower())):
            raise failed(403, "this gateway does not answer under that host name")

    def _knows(self, name: str) -> bool:
        if name in self._hosts:
            return True
        try:  # no web site can make its own name resolve to an address that is written out
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self._exposed


class Guard:
    """The gatekeeper of the main port: whoever has the token."""

    def __init__(self, token: SecretStr, host: str) -> None:
        self._token = token.get_secret_value().encode()
        self._heads = HeadChecks(host)

    def enter(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """See Gatekeeper. The path is told without the token that may stand before it."""
        path: str = scope["path"]
        self._heads.check(scope, headers)
        _refuse_pages(headers)
        first, slash, rest = path.removeprefix("/").partition("/")
        in_path = self._is_token(first)
        if in_path:
            path = slash + rest or "/"
        offered = [self._is_token(text) for text in _offered(headers)]
        if not in_path and not any(offered) and path not in OPEN_PATHS:
            raise failed(401, UNAUTHORIZED, "unauthorized", {"www-authenticate": "Bearer"})
        return path

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._token)


def _refuse_pages(headers: Mapping[str, str]) -> None:
    origin = headers.get("origin")
    foreign = origin is not None and origin.lower().partition("://")[2] != headers["host"].lower()
    if foreign or headers.get("sec-fetch-site", "").lower() == "cross-site":
        raise failed(403, "requests of web pages are not answered")


def _offered(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield text.strip()
    yield headers.get("x-api-key", "")


def _host_name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
