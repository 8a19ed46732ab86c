"""A transport for httpx on aiohttp's connection pool.

httpx's own pool goes through all connections at every request, so its cost grows with the square of the
requests in progress, and a gateway has many. The transport of the package httpx-aiohttp is as fast, but lets
some of aiohttp's errors through and copies large bodies.

aiohttp's session costs a plain request more than its connections and its parser together, so that one goes
over these directly (`Transport.post`).
"""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any, Final, Self

import httpx
from multidict import CIMultiDict
from yarl import URL

from okr_tui.cloud.compression import NOT_ENCODED
from okr_tui.cloud.http_policy import HttpxTransport, IdleClock, proxy_for
from okr_tui.cloud.network import DIRECT, Network, Proxy, without_default_certificates

# It reads the system's certificates twice, 50 ms, for contexts in whose place `_certificates` puts ours.
with without_default_certificates():
    import aiohttp
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.http_exceptions import HttpProcessingError

PIECE: Final = 256 * 1024
ERRORS: tuple[tuple[type[Exception], type[httpx.HTTPError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (HttpProcessingError, httpx.RemoteProtocolError),
    (OSError, httpx.ReadError),
)
"""aiohttp's errors as httpx's; the first that fits decides."""
DISCONNECTED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)
FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
INFORMATIONAL: Final = frozenset(range(100, 200)) - {101}
"""Statuses that another one follows; 101 is an answer."""


def _translated(error: aiohttp.ClientError | HttpProcessingError | OSError) -> httpx.HTTPError:
    """Return an error of aiohttp as httpx's."""
    kind = next(kind for known, kind in ERRORS if isinstance(error, known))
    status = f" {error.status}" if isinstance(error, aiohttp.ClientResponseError) else ""
    return kind(f"{type(error).__name__}{status}")


Origin = tuple[str, str, int | None]
"""Scheme, host and port of an address."""


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

    def __init__(
        self, content: aiohttp.StreamReader, connection: Connection | aiohttp.ClientResponse
    ) -> None:
        self._content = content
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            if chunk := await self._content.readany():
                return chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from error
        raise StopAsyncIteration

    @property
    def at_end(self) -> bool:
        """Whether all of the answer has arrived and was read."""
        return self._content.at_eof()

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end: then it has been released."""
        if not self._content.at_eof():
            self._connection.close()


CONNECTED: Final[ContextVar[bool]] = ContextVar("connected")
"""Whether the request of this task opened a connection, and did not go over one that was kept."""


class _Protocol(ResponseHandler):
    """A connection whose patience costs a note of the time for each piece, and not a timer."""

    _heard = math.inf
    """When something came last; infinite while nothing is waited for."""

    def _reschedule_timeout(self) -> None:
        if not self._read_timeout:
            return
        self._heard = self._loop.time()
        timer = self._read_timeout_handle
        if timer is not None and timer.when() > self._heard + self._read_timeout:
            timer.cancel()
            timer = None
        if timer is None:
            self._read_timeout_handle = self._loop.call_later(self._read_timeout, self._look)

    def _drop_timeout(self) -> None:
        self._heard = math.inf
        if self.transport is None or self._connection_lost_called:
            super()._drop_timeout()

    def _look(self) -> None:
        """Give up once nothing has come for the whole time; look again later if something has."""
        self._read_timeout_handle = None
        if not self._read_timeout or self._heard == math.inf:
            return
        left = self._heard + self._read_timeout - self._loop.time()
        if left > 0:
            self._read_timeout_handle = self._loop.call_later(left, self._look)
        else:
            self._on_read_timeout()


def _parts(connection: Connection) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return both sides of a connection. Raises ClientConnectionResetError if it has just ended."""
    protocol = connection.protocol
    if protocol is None or protocol.transport is None or protocol.transport.is_closing():
        raise aiohttp.ClientConnectionResetError
    return protocol, protocol.transport


class _Connector(aiohttp.TCPConnector):
    """Notes new connections, and limits the time for one, with the look-up of its name and a proxy's consent.

    aiohttp's own tracing and limit do so too, but cost something where a connection is kept.
    """

    def __init__(self) -> None:
        super().__init__(limit=0)
        make: Callable[..., ResponseHandler] = _Protocol
        self._factory = partial(make, loop=self._loop)

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
        self._connector: _Connector | None = None
        self._proxies: dict[Origin, Proxy | None] = {}
        self._targets: dict[Origin, aiohttp.ClientRequest] = {}
        """By origin: what the connector is asked with, which looks at where it goes and nothing else."""
        self._socks = HttpxTransport(network)
        self._idle = IdleClock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, open and unread.

        Raises httpx's errors, and UnusableNetworkError for a proxy or certificates that cannot be used.
        """
        url = request.url
        proxy = self._proxy((url.scheme, url.host, url.port), url)
        if proxy and proxy.scheme == "socks5":
            return await self._socks.handle_async_request(request)
        whole = isinstance(request.stream, httpx.ByteStream)
        body = request.read() if whole else await request.aread()
        timeout = request.extensions.get("timeout", {})
        limits = _limits(timeout.get("connect"), timeout.get("read"))
        return await self._tried(partial(self._send, request, body, limits, proxy))

    async def post(
        self, url: httpx.URL, head: bytes, body: bytes, patience: Mapping[str, float | None]
    ) -> httpx.Response | None:
        """Send a plain request as `handle_async_request` does; None, and nothing is sent, if it is not plain.

        A plain one needs no proxy and fits into one piece. `head`: its header lines, without Content-Length.
        """
        origin = (url.scheme, url.host, url.port)
        if self._proxy(origin, url) or len(body) > PIECE:
            return None
        limits = _limits(patience["connect"], patience["read"])
        return await self._tried(partial(self._post, origin, url, head, body, limits))

    async def _tried(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Send a request, and again if its connection had been closed while it was idle."""
        CONNECTED.set(False)
        was_not_taken = self._idle.start()
        try:
            response = await send()
        except FAILURES as error:
            lost = isinstance(error, DISCONNECTED) and not CONNECTED.get()
            if not lost or not was_not_taken():
                raise _translated(error) from error
            try:
                response = await send()
            except FAILURES as failure:
                raise _translated(failure) from failure
        self._idle.answered()
        return response

    async def _post(
        self, origin: Origin, url: httpx.URL, head: bytes, body: bytes, limits: aiohttp.ClientTimeout
    ) -> httpx.Response:
        """Send a plain request over a connection, without a session. Raises one of FAILURES."""
        target = self._targets.get(origin) or self._target(origin, url)
        connection = await self._opened().connect(target, [], limits)
        try:
            protocol, pipe = _parts(connection)
            protocol.set_response_params(
                read_until_eof=True, auto_decompress=False, read_timeout=limits.sock_read
            )
            parts = (url.raw_path, head, len(body), body)
            pipe.write(b"POST %b HTTP/1.1\r\n%b\r\ncontent-length: %d\r\n\r\n%b" % parts)
            protocol.start_timeout()
            message, content = await protocol.read()
            while message.code in INFORMATIONAL:
                message, content = await protocol.read()
        except BaseException:
            connection.close()
            raise
        content.on_eof(connection.release)
        return httpx.Response(
            message.code,
            headers=httpx.Headers(message.raw_headers, "latin-1"),  # else it looks through all for theirs
            stream=_Body(content, connection),
            extensions=NOT_ENCODED if "content-encoding" not in message.headers else None,
        )

    async def _send(
        self, request: httpx.Request, body: bytes, limits: aiohttp.ClientTimeout, proxy: Proxy | None
    ) -> httpx.Response:
        """Send any request. Raises one of FAILURES."""
        connector = self._opened()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        response = await self._session.request(
            request.method,
            _parsed(str(request.url)),
            headers=CIMultiDict(
                [(name.decode("ascii"), value.decode()) for name, value in request.headers.raw]
            ),
            data=_pieces(body) if len(body) > PIECE else body or None,
            allow_redirects=False,
            timeout=limits,
            proxy=proxy.url if proxy else None,
            ssl=self._certificates(request.url, proxy),
        )
        return httpx.Response(
            response.status, headers=list(response.raw_headers), stream=_Body(response.content, response)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        connector, self._connector = self._connector, None
        try:
            if session:
                await session.close()
            if connector:
                await connector.close()
        finally:
            await self._socks.aclose()

    def _proxy(self, origin: Origin, url: httpx.URL) -> Proxy | None:
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(self._network, url)
        return self._proxies[origin]

    def _certificates(self, url: httpx.URL, proxy: Proxy | None = None) -> ssl.SSLContext | bool:
        """Return what to trust on the way to an address; True where nothing of it is encrypted."""
        secure = url.scheme == "https" or (proxy is not None and proxy.scheme == "https")
        return self._network.certificates.context if secure else True

    def _target(self, origin: Origin, url: httpx.URL) -> aiohttp.ClientRequest:
        loop, trusted = asyncio.get_running_loop(), self._certificates(url)
        found = aiohttp.ClientRequest("POST", _parsed(str(url)), loop=loop, ssl=trusted)
        self._targets[origin] = found
        return found

    def _opened(self) -> _Connector:
        if self._connector is None:
            self._connector = _Connector()
        return self._connector
