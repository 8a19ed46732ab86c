"""A transport for httpx on aiohttp's connection pool.

httpx's own pool goes through all connections at every request, so its cost grows with the square of the
requests in progress, and a gateway has many. The transport of the package httpx-aiohttp is as fast, but lets
some of aiohttp's errors through and copies large bodies.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from okr_tui.cloud.http_policy import FOLLOW_REDIRECTS, proxy_for, tls_context

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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        kind = next(kind for known, kind in ERRORS if isinstance(error, known))
        raise kind(type(error).__name__) from error


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
        with _translated():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Transport(httpx.AsyncBaseTransport):
    """Carries httpx's requests, each over a connection of its own, by the rules of http_policy."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[tuple[str, str], str | None] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, open and unread; raise httpx's errors."""
        body = await request.aread()
        timeout = request.extensions.get("timeout", {})
        proxy = self._proxy(request.url)
        with _translated():
            response = await self._opened().request(
                request.method,
                _parsed(str(request.url)),
                headers=CIMultiDict(
                    (name.decode("ascii"), value.decode()) for name, value in request.headers.raw
                ),
                data=_pieces(body) if len(body) > PIECE else body or None,
                allow_redirects=FOLLOW_REDIRECTS,
                timeout=_limits(timeout.get("connect"), timeout.get("read")),
                proxy=proxy,
            )
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=_Body(response))

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def _proxy(self, url: httpx.URL) -> str | None:
        place = (url.scheme, url.host)
        if place not in self._proxies:
            self._proxies[place] = proxy_for(url)
        return self._proxies[place]

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=tls_context()),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session
