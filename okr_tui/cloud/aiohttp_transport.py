"""A transport for httpx on aiohttp's connection pool.

httpx's own pool goes through all connections at every request, so its cost grows with the square of the
requests in progress, and a gateway has many. The transport of the package httpx-aiohttp is as fast, but lets
some of aiohttp's errors through and copies large bodies.
"""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from okr_tui.cloud.http_policy import HttpxTransport, IdleClock, proxy_for
from okr_tui.cloud.network import DIRECT, Network, Proxy

PIECE: Final = 256 * 1024
ERRORS: tuple[tuple[type[Exception], type[httpx.HTTPError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (OSError, httpx.ReadError),
)
"""aiohttp's errors as httpx's; the first that fits decides."""
DISCONNECTED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)


def _translated(error: aiohttp.ClientError | OSError) -> httpx.HTTPError:
    """Return an error of aiohttp as httpx's."""
    kind = next(kind for known, kind in ERRORS if isinstance(error, known))
    status = f" {error.status}" if isinstance(error, aiohttp.ClientResponseError) else ""
    return kind(f"{type(error).__name__}{status}")


@lru_cache(maxsize=64)
def _parsed(address: str) -> URL:
    return URL(address, encoded=True)


@lru_cache(maxsize=64)
def _limits(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a large body a piece at a time; sent whole, it would be copied."""
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


class _Body(httpx.AsyncByteStream):
    """The bytes of an answer, as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = self._response.content.readany
        try:
            while chunk := await read():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from error

    @property
    def at_end(self) -> bool:
        """Whether all of the answer has arrived and was read."""
        return self._response.content.at_eof()

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


CONNECTED: Final[ContextVar[bool]] = ContextVar("connected")
"""Whether the request of this task opened a connection, and did not go over one that was kept."""


class _Connector(aiohttp.TCPConnector):
    """Notes new connections, and limits the time for one, with the look-up of its name and a proxy's consent.

    aiohttp's own tracing and limit do so too, but cost something where a connection is kept.
    """

    async def _create_connection(self, request: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:  # noqa: ASYNC109 aiohttp names it
        CONNECTED.set(True)
        try:
            async with asyncio.timeout(timeout.sock_connect):
                return await super()._create_connection(request, traces, timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(str(error)) from error


class Transport(httpx.AsyncBaseTransport):
    """Carries httpx's requests by the rules of http_policy; through a SOCKS proxy httpx itself does."""

    def __init__(self, network: Network = DIRECT) -> None:
        self._network = network
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[tuple[str, str, int | None], Proxy | None] = {}
        self._socks = HttpxTransport(network)
        self._idle = IdleClock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, open and unread.

        Raises httpx's errors, and UnusableNetworkError for a proxy or certificates that cannot be used.
        """
        proxy = self._proxy(request.url)
        if proxy and proxy.scheme == "socks5":
            return await self._socks.handle_async_request(request)
        whole = isinstance(request.stream, httpx.ByteStream)
        body = request.read() if whole else await request.aread()
        timeout = request.extensions.get("timeout", {})
        CONNECTED.set(False)
        was_not_taken = self._idle.start()
        headers = CIMultiDict([(name.decode("ascii"), value.decode()) for name, value in request.headers.raw])
        for last in (False, True):
            try:
                response = await self._opened().request(
                    request.method,
                    _parsed(str(request.url)),
                    headers=headers,
                    data=_pieces(body) if len(body) > PIECE else body or None,
                    allow_redirects=False,
                    timeout=_limits(timeout.get("connect"), timeout.get("read")),
                    proxy=proxy.url if proxy else None,
                    ssl=self._network.certificates.context if request.url.scheme == "https" else True,
                )
                break
            except (aiohttp.ClientError, OSError) as error:
                lost = isinstance(error, DISCONNECTED) and not CONNECTED.get()
                if last or not lost or not was_not_taken():
                    raise _translated(error) from error
        self._idle.answered()
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=_Body(response))

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        try:
            if session:
                await session.close()
        finally:
            await self._socks.aclose()

    def _proxy(self, url: httpx.URL) -> Proxy | None:
        place = (url.scheme, url.host, url.port)
        if place not in self._proxies:
            self._proxies[place] = proxy_for(self._network, url)
        return self._proxies[place]

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session
