"""The rules for every byte that leaves for the cloud, whichever library carries it.

- One proxy rule and one trust, from the environment (`network`); this machine is reached directly.
- No cookies: a cookie would tie the accounts of one person together.
- No `~/.netrc`: its passwords are not meant for the cloud.
- No redirects: a key goes to the address that was set and nowhere else.
- No compression is asked for; an answer that comes compressed is unpacked in bounded pieces (`compression`).
- Bounds on time, on connections and on what is read of a document.
- A connection that the other side closed while it was idle is no failure: the request is sent once more,
  unless the server may have taken it.

`HttpxTransport` applies them to httpx, `aiohttp_transport.Transport` to aiohttp. Requests go to a transport
directly: httpx's client, with its cookies, redirects and passwords, is not used.
"""

import math
import platform
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from okr_tui import __version__
from okr_tui.cloud.network import Network, Proxy
from okr_tui.domain.policy import Policy

HEADERS: Final = {
    "user-agent": f"okr-tui/{__version__} (python {platform.python_version()})",
    "accept-encoding": "identity",
}
DOCUMENT_SECONDS: Final = 20.0
"""The patience for a whole document (balance, identity, models)."""
MOST_CONNECTIONS: Final = 64
KEPT_CONNECTIONS: Final = 16
STALE_AFTER: Final = 1.0
"""Seconds without an answer after which a kept connection may have been closed before it is used again.

Sooner it was closed by someone who had the request: that is a failure, which is recorded.
"""
SHOWN_WITHIN: Final = 1.0
"""Seconds within which a kept connection shows that it had been closed: a way to the server and back.

Later the server had the request and may have charged for it, so it is not sent again unseen.
"""
CONNECTING: Final = "connect_tcp.started"


def exchange_timeout(policy: Policy, *, document: bool = False) -> httpx.Timeout:
    """Return the limits of a model's answer: to connect, and between two pieces; there is no total.

    Of a `document` nothing arrives before the whole answer is there.
    """
    idle = max(policy.idle, policy.document) if document else policy.idle
    return httpx.Timeout(idle, connect=policy.connect)


def document_timeout(policy: Policy) -> httpx.Timeout:
    """Return the limits of a document, in addition to DOCUMENT_SECONDS for all of it."""
    return httpx.Timeout(DOCUMENT_SECONDS, connect=min(policy.connect, DOCUMENT_SECONDS))


def proxy_for(network: Network, url: httpx.URL) -> Proxy | None:
    """Return the proxy before a server. Raises UnusableNetworkError for one that cannot be used."""
    return network.proxies.find(url.scheme, url.host, url.port)


def client_options(network: Network, url: str) -> dict[str, Any]:
    """Return the arguments that make a client of httpx, or of its successor httpx2, keep these rules.

    Raises UnusableNetworkError for a proxy or certificates that cannot be used.
    """
    address = httpx.URL(url)
    proxy = proxy_for(network, address)
    secure = address.scheme == "https" or (proxy is not None and proxy.scheme == "https")
    return {
        "trust_env": False,
        "follow_redirects": False,
        "proxy": proxy.url if proxy else None,
        "verify": network.certificates.context if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    }


class IdleClock:
    """Tells of requests that failed whether their kept connection had been closed while it was idle."""

    def __init__(self) -> None:
        self._answered = -math.inf

    def answered(self) -> None:
        """Note that a connection is in use."""
        self._answered = time.monotonic()

    def start(self) -> Callable[[], bool]:
        """Start a request; return what says, after a failure without an answer, whether it was not taken."""
        began = time.monotonic()
        stale = began - self._answered >= STALE_AFTER
        return lambda: stale and time.monotonic() - began < SHOWN_WITHIN


class HttpxTransport(httpx.AsyncBaseTransport):
    """Carries requests over httpx's pool, which is light to load: for commands and the dashboard."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pools: dict[tuple[str, Proxy | None], httpx.AsyncHTTPTransport] = {}
        self._idle = IdleClock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, open and unread.

        Raises httpx's errors, and UnusableNetworkError for a proxy or certificates that cannot be used.
        """
        pool = self._pool(request.url)
        connected, was_not_taken = False, self._idle.start()

        async def trace(event: str, _details: object) -> None:
            nonlocal connected
            connected = connected or event.endswith(CONNECTING)

        request.extensions = {**request.extensions, "trace": trace}
        try:
            response = await pool.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if connected or not was_not_taken():
                raise
            response = await pool.handle_async_request(request)
        self._idle.answered()
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def _pool(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        proxy = proxy_for(self._network, url)
        known = (url.scheme, proxy)
        if known not in self._pools:
            # A context that trusts no certificate, where nothing is encrypted.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if url.scheme == "https" or (proxy and proxy.scheme == "https"):
                context = self._network.certificates.context
            inner = context if proxy and proxy.scheme == "https" else None
            self._pools[known] = httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=httpx.Limits(
                    max_connections=MOST_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS
                ),
                proxy=httpx.Proxy(proxy.url, ssl_context=inner) if proxy else None,
            )
        return self._pools[known]
