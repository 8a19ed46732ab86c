"""Who may use the gateway: no foreign host name, no web page, and only with the token."""

import hmac
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Protocol
from urllib.parse import unquote

from starlette.types import Scope

from okr_tui.domain.addresses import is_loopback
from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.errors import failure_error
from okr_tui.gateway.headers import CONTROLS, LENGTH, Head, raw_headers
from okr_tui.gateway.request import NO_CONTENT, Response
from okr_tui.gateway.tokens import ANYBODY, SHORTEST, Caller, Tokens
from okr_tui.settings.table import GatewayOptions

LOCAL_NAMES: Final = ("*.internal", "*.local")
"""Names that only networks of one's own have, containers' for their host among them: no web site can."""
FOREIGN_HOST: Final = (
    "this gateway does not answer to that host name: add it to okr-tui.gateway.hosts if it is yours"
)
WEB_PAGE: Final = "requests from this origin are refused: add it to okr-tui.gateway.origins to allow them"
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
OWN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for the own page, and for an address that a person typed."""
MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_TARGET_BYTES: Final = 8 * 1024
SCHEME: Final = b"http://"
UNAUTHORIZED: Final = "this gateway's token is missing or wrong: `okr-tui connect` shows how to give it"


def origin_form(scope: Scope) -> Scope:
    """Return a request to a whole address as one to a path on its host (RFC 9112, 3.2.2)."""
    target: bytes = scope["raw_path"]
    if target[: len(SCHEME)].lower() != SCHEME:
        return scope
    host, slash, rest = target[len(SCHEME) :].partition(b"/")
    path = slash + rest or b"/"
    headers = [(b"host", host), *((name, value) for name, value in scope["headers"] if name != b"host")]
    return {**scope, "raw_path": path, "path": unquote(path.decode("ascii")), "headers": headers}


def plain_path(path: str) -> str:
    """Return a path without the doubled and trailing slashes that base URLs of clients make."""
    if "//" not in path and not path.endswith("/"):
        return path
    return SLASHES.sub("/", path).rstrip("/") or "/"


SLASHES: Final = re.compile("/{2,}")


class Guard(Protocol):
    """Decides for one port which requests are answered."""

    def admit(self, scope: Scope, head: Head) -> str:
        """Return the path to answer; raise FailureError for a request that is refused."""


class HeadChecks:
    """The checks of a request's head that every port makes, whatever credentials it carries."""

    def __init__(self, host: str, options: Callable[[], GatewayOptions] = GatewayOptions) -> None:
        self._options = options
        self._exposed = not is_loopback(host)
        names = {host.lower(), socket.gethostname().lower()} if self._exposed else {host.lower()}
        self._hosts = LOOPBACK_NAMES | names

    def check(self, scope: Scope, head: Head) -> None:
        """Raise FailureError for a head that is too large, ambiguous, or for another host."""
        lengths = [value for name, value in scope["headers"] if name == LENGTH]
        if len(head.headers) + len(lengths) > MAX_HEADERS:
            raise failure_error(431, f"more than {MAX_HEADERS} headers")
        if head.size + sum([len(LENGTH) + len(value) for value in lengths]) > MAX_HEAD_BYTES:
            raise failure_error(431, f"the request's head is larger than {MAX_HEAD_BYTES // 1024} KiB")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            raise failure_error(414, f"the request's address is longer than {MAX_TARGET_BYTES // 1024} KiB")
        if head.has_controls or any(map(CONTROLS.search, lengths)):
            raise failure_error(400, "a header contains control characters")
        # A proxy between may have used the other one to find where the request ends.
        if lengths and "transfer-encoding" in head.by_name:
            raise failure_error(400, "the request has both Content-Length and Transfer-Encoding")
        # Any web site can make a browser send requests here, under a host name of its choice too.
        if not self._is_known(head.host):
            raise failure_error(403, FOREIGN_HOST)

    def _is_known(self, name: str) -> bool:
        if name in self._hosts or matches(name, self._options().hosts):
            return True
        if self._exposed and matches(name, LOCAL_NAMES):
            return True
        try:  # no web site can make its own name resolve to an address that is written out
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self._exposed or address.is_loopback


class TokenGuard:
    """Guards the main port: a token is needed. Whose it is becomes the scope's user."""

    def __init__(
        self, token: SecretStr | Tokens, host: str, options: Callable[[], GatewayOptions] = GatewayOptions
    ) -> None:
        self._tokens = token
        self._head_checks = HeadChecks(host, options)
        self._options = options

    def admit(self, scope: Scope, head: Head) -> str:
        """Return the path without a token before it; raise FailureError without a valid token."""
        path: str = scope["path"]
        self._head_checks.check(scope, head)
        if head.origins or head.sites:
            own = f"{scope.get('scheme', 'http')}://{head.by_name['host']}"
            _refuse_web_pages(head, own, self._options().origins)
        first, slash, rest = path.lstrip("/").partition("/")
        caller = self._caller(first) if len(first) >= SHORTEST else None
        if caller:
            path = slash + rest or "/"
        for text in head.credentials:
            caller = self._caller(text) or caller
        is_open = plain_path(path) in OPEN_PATHS or (scope.get("method") == "HEAD" and path == "/")
        if caller is None and not is_open:
            raise failure_error(401, UNAUTHORIZED, "unauthorized", {"www-authenticate": "Bearer"})
        scope["user"] = caller or ANYBODY
        return path

    def _caller(self, text: str) -> Caller | None:
        if isinstance(self._tokens, Tokens):
            return self._tokens.caller(text)
        token = self._tokens.get_secret_value().encode()
        return ANYBODY if hmac.compare_digest(text.encode("utf-8", "surrogatepass"), token) else None


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Return whether a text is one of those listed, where an asterisk matches any letters."""
    plain = text.isascii() and text.isprintable() and text
    return bool(plain) and any(text == each or fnmatchcase(text, each) for each in patterns)


def _refuse_web_pages(head: Head, own: str, listed: Sequence[str]) -> None:
    """Raise FailureError for a page of another origin, whichever of several such headers says so."""
    own = own.lower()
    if not all(origin == own or matches(origin, listed) for origin in head.origins):
        raise failure_error(403, WEB_PAGE)
    if any(matches(origin, listed) for origin in head.origins):
        return  # whose requests are to another site than their own
    if not OWN_SITES.issuperset(head.sites):
        raise failure_error(403, WEB_PAGE)


def cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    """Return the headers by which a page of a listed origin may read an answer (fetch.spec.whatwg.org)."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"*"),
        (b"vary", b"origin"),
    ]


HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9_-]+(?: *, *[A-Za-z0-9_-]+)*")


def preflight(headers: Mapping[str, str]) -> Response:
    """Return the answer to a browser that asks before it sends a request of a listed origin."""
    wanted = headers.get("access-control-request-headers", "")
    allowed = {
        "access-control-allow-methods": "GET, HEAD, POST",
        "access-control-allow-headers": wanted if HEADER_NAMES.fullmatch(wanted) else "authorization, *",
        "access-control-max-age": "600",
    }
    if headers.get("access-control-request-private-network") == "true":
        allowed["access-control-allow-private-network"] = "true"
    return Response(b"", None, NO_CONTENT, raw_headers(allowed))
