"""The rules for every byte that leaves for the cloud, whichever library carries it.

- One proxy rule: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`; this machine is reached directly.
- One trust: the system's certificates and certifi's, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` names.
- No cookies: a cookie would tie the accounts of one person together.
- No `~/.netrc`: its passwords are not meant for the cloud.
- No redirects: a key goes to the address that was set and nowhere else.
- Bounds on time, on connections and on what is read of a document.

`new_client` applies them to httpx; `aiohttp_transport` takes them from here.
"""

import functools
import os
import platform
import ssl
import urllib.request
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from okr_tui import __version__
from okr_tui.domain.addresses import is_loopback
from okr_tui.domain.policy import Policy

HEADERS: Final = {
    "user-agent": f"okr-tui/{__version__} (python {platform.python_version()})",
    "accept-encoding": "identity",
}
DOCUMENT_SECONDS: Final = 20.0
"""The patience for a document (balance, identity, models): to connect, and between two pieces of it."""
DOCUMENT_LONGEST: Final = 16 * 1024 * 1024
"""How many bytes of a document are read."""
FOLLOW_REDIRECTS: Final = False
MOST_CONNECTIONS: Final = 64
KEPT_CONNECTIONS: Final = 16
PROXY_SCHEMES: Final = ("http", "https")


class UnusableProxyError(httpx.ProxyError):
    """The environment names a proxy of a kind that cannot be used; the text holds no address."""


def exchange_timeout(policy: Policy) -> httpx.Timeout:
    """Return the limits of a model's answer: to connect, and between two pieces; there is no total."""
    return httpx.Timeout(policy.idle, connect=policy.connect)


def proxy_for(url: httpx.URL) -> str | None:
    """Return the address of the proxy before a server, None where it is reached directly.

    Raises UnusableProxyError for a proxy that is not HTTP, or has no valid address.
    """
    if is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    known = urllib.request.getproxies()
    proxy = known.get(url.scheme) or known.get("all")
    if not proxy:
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme.lower() not in PROXY_SCHEMES:
        raise UnusableProxyError(
            f"{scheme[:16]} proxies are not supported: set HTTPS_PROXY to one that starts with http://"
        )
    proxy = proxy if separator else f"http://{proxy}"
    try:
        return str(httpx.URL(proxy))
    except httpx.InvalidURL:
        raise UnusableProxyError("the proxy's address in the environment is not valid") from None


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the certificates that are trusted, for every connection."""
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def new_client(url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Return a client of one server. A transport replaces the network; it has to keep the rules itself."""
    proxy = None
    if transport is None:
        try:
            proxy = proxy_for(httpx.URL(url))
        except UnusableProxyError as error:
            transport = _Unreachable(error)
    return httpx.AsyncClient(
        base_url=url,
        transport=transport,
        headers=HEADERS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=FOLLOW_REDIRECTS,
        trust_env=False,
        proxy=proxy,
        verify=True if transport else tls_context(),
        timeout=DOCUMENT_SECONDS,
        limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS),
    )


class _Unreachable(httpx.AsyncBaseTransport):
    """Fails every request: what is wrong with the way out is told where it is needed, not at the start."""

    def __init__(self, error: UnusableProxyError) -> None:
        self._error = error

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        raise self._error


FAILURES: Final[dict[type[httpx.HTTPError], str]] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.ConnectError: "no connection",
    httpx.RemoteProtocolError: "connection cut",
    httpx.ReadError: "connection cut",
    httpx.ProxyError: "the proxy refuses the connection",
}


def failure_text(error: httpx.HTTPError) -> str:
    """Return what went wrong on the way, in words; httpx's own text may carry addresses."""
    if isinstance(error, UnusableProxyError):
        return str(error)
    return FAILURES.get(type(error), type(error).__name__)
