"""Who may speak to the gateway: no web page, and nobody without the token."""

import hmac
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import SecretStr

from okr_tui.gateway.dialects import failed
from okr_tui.gateway.options import is_loopback

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
OPEN_PATHS: Final = frozenset({"/healthz"})
MOST_HEADERS: Final = 100
LONGEST_HEAD: Final = 64 * 1024
UNAUTHORIZED: Final = "this gateway's token is missing or wrong: `okr-tui connect` shows how to give it"


class Guard:
    """Checks a request's head before anything else is done with it."""

    def __init__(self, token: SecretStr, host: str) -> None:
        self._token = token.get_secret_value().encode()
        self._exposed = not is_loopback(host)
        names = {host.lower(), socket.gethostname().lower()} if self._exposed else {host.lower()}
        self._hosts = LOOPBACK_NAMES | names

    def admit(self, path: str, headers: list[tuple[bytes, bytes]]) -> str:
        """The path without the token that may stand before it; raises FailureError for who may not enter."""
        if len(headers) > MOST_HEADERS:
            raise failed(431, f"more than {MOST_HEADERS} headers")
        if len(path) + sum(len(name) + len(value) for name, value in headers) > LONGEST_HEAD:
            raise failed(431, f"the request's head is larger than {LONGEST_HEAD // 1024} KiB")
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        self._check_origin(found)
        first, slash, rest = path.removeprefix("/").partition("/")
        in_path = self._is_token(first)
        if in_path:
            path = slash + rest or "/"
        offered = [self._is_token(text) for text in _offered(found)]
        if not in_path and not any(offered) and path not in OPEN_PATHS:
            raise failed(401, UNAUTHORIZED, "unauthorized", {"www-authenticate": "Bearer"})
        return path

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        """A page of any web site can make a browser send requests here, under a name of its choice too."""
        host = headers.get("host", "").lower()
        if not self._knows(_host_name(host)):
            raise failed(403, "this gateway does not answer under that host name")
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            raise failed(403, "requests of web pages are not answered")
        if headers.get("sec-fetch-site", "").lower() == "cross-site":
            raise failed(403, "requests of web pages are not answered")

    def _knows(self, name: str) -> bool:
        if name in self._hosts:
            return True
        try:  # no web site can make its own name resolve to an address that is written out
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self._exposed

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._token)


def _offered(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield text.strip()
    yield headers.get("x-api-key", "")


def _host_name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
