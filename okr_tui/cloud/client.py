"""The client of Ollama Cloud: the only code that sends a key."""

import asyncio
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Protocol, Self, runtime_checkable

import httpx

from okr_tui.cloud.compression import decoded
from okr_tui.cloud.documents import (
    Identity,
    Listing,
    parse,
    read_balance,
    read_identity,
    read_models,
    read_usage,
    with_details,
)
from okr_tui.cloud.endpoints import BALANCE, IDENTITY, SHOW, TAGS, USAGE, Endpoint
from okr_tui.cloud.errors import may_be_answer, no_answer_of_ollama, no_response, response_fault
from okr_tui.cloud.failures import failure
from okr_tui.cloud.http_policy import (
    DOCUMENT_SECONDS,
    HEADERS,
    HttpxTransport,
    document_timeout,
    exchange_timeout,
    proxy_for,
)
from okr_tui.cloud.network import DIRECT, Network, Proxy, UnusableNetworkError
from okr_tui.domain.addresses import NO_CLOUD, NO_KEY_IS_SENT
from okr_tui.domain.errors import CloudError
from okr_tui.domain.faults import Fault
from okr_tui.domain.keys import Key
from okr_tui.domain.models import Model
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.usage import CloudBucket
from okr_tui.domain.values import dataclass

CALL_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {**HEADERS, "accept": "*/*", "content-type": "application/json"}.items()
]


FAILURES = (httpx.HTTPError, UnusableNetworkError)
"""What a transport raises where there is no answer."""


Lines = tuple[tuple[bytes, bytes], ...]
"""Header lines: names and values."""
HEADS_KEPT: Final = 1024
"""How many heads of calls are kept: each client sends the same lines, with any of the keys."""
UNSENDABLE: Final = re.compile(rb"[\x00\r\n]")
"""What ends a line of a head, or may where it is read carelessly."""


@runtime_checkable
class ShortWay(Protocol):
    """A transport that sends plain requests for less."""

    async def post(
        self, url: httpx.URL, head: bytes, body: bytes, patience: Mapping[str, float | None]
    ) -> httpx.Response | None:
        """Send a plain POST and return its response, open and unread; None, and nothing sent, for others."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to pass on: its path on the cloud and its JSON body, with the model it names.

    `headers` have names in lower case. `streams` says that the body asks for the answer piece by piece;
    `query` follows the path's question mark. `caller`: who asked, by name, where that is known.
    """

    path: str
    body: bytes
    model: str | None = None
    method: str = "POST"
    headers: Sequence[tuple[bytes, bytes]] = ()
    streams: bool = True
    query: str = ""
    caller: str | None = None


class Cloud:
    """The cloud at one address. Failures are CloudErrors with a fault.

    `transport` replaces the way to the network, which otherwise follows `network`. `on_headers` is called
    with the headers of each response. `scrubber` hides secrets in what the cloud says of a failure; every key
    that is sent becomes known to it.
    """

    def __init__(
        self,
        url: str,
        policy: Policy,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        network: Network = DIRECT,
        on_headers: Callable[[Mapping[str, str]], None] = lambda _: None,
        scrubber: Scrubber | None = None,
    ) -> None:
        self.url = url
        self.refused = NO_KEY_IS_SENT if url == NO_CLOUD else ""
        """Why nothing is sent at all; "" where there is a cloud."""
        self.scrubber = scrubber or Scrubber()
        self._on_headers = on_headers
        self._network = network
        self._extensions = {"timeout": exchange_timeout(policy).as_dict()}
        self._document_extensions = {"timeout": document_timeout(policy).as_dict()}
        self._whole_extensions = {"timeout": exchange_timeout(policy, document=True).as_dict()}
        self._transport = transport or HttpxTransport(network)
        self._short = self._transport if isinstance(self._transport, ShortWay) else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def models(self) -> Listing:
        """Read `GET /api/tags`: the models that the cloud serves. No key is sent. Raises CloudError."""
        found = read_models(await self._document(TAGS))
        if found is None:
            raise self._error(TAGS, no_response("the answer is not a model list"))
        return found

    async def details(self, model: Model) -> Model:
        """Read `POST /api/show`: a model with its details. No key is sent. Raises CloudError."""
        return with_details(model, await self._document(SHOW, {"model": model.id}))

    async def balance(self, key: Key) -> Balance:
        """Read `GET /api/balance`: the quota of the key's account. Raises CloudError."""
        return read_balance(await self._document(BALANCE, key=key))

    async def usage(self, key: Key) -> tuple[CloudBucket, ...]:
        """Read `GET /api/usage`: what the key's account used, by day over 30 days. Raises CloudError."""
        found = read_usage(await self._document(USAGE, key=key, query="?range=30d"))
        if found is None:
            raise self._error(USAGE, no_response("the answer is not a usage history"))
        return found

    async def identity(self, key: Key) -> Identity:
        """Read `POST /api/me`: the account and plan of a key. Raises CloudError."""
        identity = read_identity(await self._document(IDENTITY, key=key))
        if identity is None:
            raise self._error(IDENTITY, no_response("the answer names no account"))
        return identity

    async def show(self, body: bytes) -> httpx.Response:
        """Pass on `POST /api/show` and return the answer, read, whatever its status. No key is sent.

        Raises CloudError when there is no answer.
        """
        return await self._whole(SHOW, body)

    async def relay(self, endpoint: Endpoint, key: Key, query: str = "") -> httpx.Response:
        """Return the answer of an endpoint about the key's account as it came, read, if it is a success.

        `query` follows the path's question mark. Raises CloudError for a refusal, or without an answer.
        """
        response = await self._whole(endpoint, b"", key, f"?{query}" if query else "")
        self._note(response.headers)
        fault = response_fault(response.status_code, response.headers, response.content, endpoint.path)
        if fault:
            raise self._error(endpoint, fault)
        return response

    async def send(self, call: Call, key: Key) -> httpx.Response:
        """Send a call with a key; return the response, open and unread. Raises CloudError without one.

        A key without a text is not sent.
        """
        if self.refused:
            self._require(f"{call.method} {call.path}")
        address = self.url.rstrip("/") + call.path
        url = httpx.URL(f"{address}?{call.query}") if call.query else _parsed(address)
        credentials = self._sent(key) if key.usable else None
        extensions = self._extensions if call.streams else self._whole_extensions
        try:
            response = await self._post(call, url, credentials, extensions)
            if response is None:
                headers = call_headers(tuple(call.headers), credentials)
                response = await self._open(call.method, url, headers, call.body, extensions)
        except FAILURES as error:
            raise self._error(f"{call.method} {call.path}", self.failure(error)) from None
        self._note(response.headers)
        return response

    def _require(self, what: object) -> None:
        if self.refused:
            raise self._error(what, no_response(f"the settings name no usable cloud; {self.refused}"))

    def failure(self, error: BaseException) -> Fault:
        """Return the fault of an exchange that ended with an error of the connection."""
        return failure(error, _parsed(self.url), self._proxy())

    def _note(self, headers: Mapping[str, str]) -> None:
        """Pass on the headers of an answer that may be the cloud's; a login page has a date of its own."""
        if may_be_answer(headers.get("content-type", "")):
            self._on_headers(headers)

    def _sent(self, key: Key) -> bytes:
        """Return the header of a key, which the cloud may repeat from now on."""
        text = key.secret.get_secret_value()
        self.scrubber.add(text)
        return b"Bearer " + text.encode()

    def _error(self, what: object, fault: Fault) -> CloudError:
        fault = replace(fault, text=self.scrubber.scrub(fault.text))
        return CloudError(f"{what}: {fault.text}", fault)

    async def _post(
        self, call: Call, url: httpx.URL, credentials: bytes | None, extensions: Mapping[str, Any]
    ) -> httpx.Response | None:
        """Send a call the short way, where the transport has one and the call is plain; None if not."""
        if call.method != "POST" or self._short is None:
            return None
        head = call_head(url.netloc, tuple(call.headers), credentials)
        response = await self._short.post(url, head, call.body, extensions["timeout"])
        return response and await _plain(response)

    async def _open(
        self,
        method: str,
        url: httpx.URL,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        """Send a request; return the response, open and plain. Raises one of FAILURES.

        The transport is called directly: a client of httpx would keep cookies and take passwords from
        elsewhere, and costs as much as all the rest.
        """
        # Complete, and a stream for a body: then httpx takes them as they are.
        whole = [(b"host", url.netloc), *headers, (b"content-length", b"%d" % len(body))]
        stream = httpx.ByteStream(body)
        request = httpx.Request(method, url, headers=whole, stream=stream, extensions=dict(extensions))
        return await _plain(await self._transport.handle_async_request(request))

    async def _whole(
        self, endpoint: Endpoint, body: bytes, key: Key | None = None, query: str = ""
    ) -> httpx.Response:
        """Send a request for a document and return the response, read within the endpoint's bounds."""
        self._require(endpoint)
        headers = CALL_HEADERS
        if key:
            headers = [*headers, (b"authorization", self._sent(key))]
        content = bytearray()
        url = _parsed(self.url.rstrip("/") + endpoint.path + query)
        try:
            async with asyncio.timeout(DOCUMENT_SECONDS):
                response = await self._open(endpoint.method, url, headers, body, self._document_extensions)
                try:
                    assert isinstance(response.stream, httpx.AsyncByteStream)
                    async for chunk in response.stream:
                        content += chunk
                        if len(content) > endpoint.longest:
                            megabytes = endpoint.longest // 1024 // 1024
                            raise self._error(
                                endpoint, no_response(f"the answer is longer than {megabytes} MB")
                            )
                finally:
                    await response.aclose()
        except (*FAILURES, TimeoutError) as error:
            raise self._error(endpoint, self.failure(error)) from None
        return httpx.Response(response.status_code, headers=response.headers, content=bytes(content))

    async def _document(
        self, endpoint: Endpoint, body: object = None, *, key: Key | None = None, query: str = ""
    ) -> object:
        sent = b"" if body is None else json.dumps(body).encode()
        response = await self._whole(endpoint, sent, key, query)
        self._note(response.headers)
        fault = response_fault(response.status_code, response.headers, response.content, endpoint.path)
        if fault:
            raise self._error(endpoint, fault)
        try:
            return parse(response.content)
        except ValueError:
            raise self._error(endpoint, no_answer_of_ollama(response.headers, response.status_code)) from None

    def _proxy(self) -> Proxy | None:
        try:
            return proxy_for(self._network, _parsed(self.url))
        except UnusableNetworkError:
            return None


async def _plain(response: httpx.Response) -> httpx.Response:
    """Return a response whose body is plain. Raises httpx.DecodingError."""
    try:
        return decoded(response)
    except httpx.DecodingError:
        await response.aclose()
        raise


@functools.lru_cache(maxsize=HEADS_KEPT)
def call_headers(own: Lines, credentials: bytes | None) -> Lines:
    """Return the header lines of a call, without Host and Content-Length. Raises httpx.LocalProtocolError."""
    named = {name for name, _ in own}
    common = [(name, value) for name, value in CALL_HEADERS if name not in named]
    lines = (*common, *own, *([(b"authorization", credentials)] if credentials else ()))
    if any(UNSENDABLE.search(name + value) for name, value in lines):
        raise httpx.LocalProtocolError("a header has a control character")
    return lines


@functools.lru_cache(maxsize=HEADS_KEPT)
def call_head(host: bytes, own: Lines, credentials: bytes | None) -> bytes:
    """Return the same lines after Host as they are sent. Raises httpx.LocalProtocolError."""
    return b"\r\n".join([b"%b: %b" % line for line in ((b"host", host), *call_headers(own, credentials))])


@functools.lru_cache(maxsize=64)
def _parsed(address: str) -> httpx.URL:
    return httpx.URL(address)
