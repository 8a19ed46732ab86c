"""The client of Ollama Cloud: the only code that sends a key."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from okr_tui.cloud.documents import (
    Identity,
    read_balance,
    read_identity,
    read_models,
    read_usage,
    with_details,
)
from okr_tui.cloud.endpoints import BALANCE, IDENTITY, SHOW, TAGS, USAGE, Endpoint
from okr_tui.cloud.errors import no_response, response_fault
from okr_tui.cloud.http_policy import DOCUMENT_LONGEST, HEADERS, exchange_timeout, failure_text, new_client
from okr_tui.domain.cloud_usage import CloudBucket
from okr_tui.domain.errors import CloudError
from okr_tui.domain.faults import Fault
from okr_tui.domain.keys import Key
from okr_tui.domain.models import Model
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance

CALL_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {**HEADERS, "accept": "*/*", "content-type": "application/json"}.items()
]
TOO_LONG = f"the answer is longer than {DOCUMENT_LONGEST // 1024 // 1024} MB"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to pass on: its path on the cloud and its JSON body, with the model it names.

    `headers` have names in lower case. `streams` says that the body asks for the answer piece by piece;
    `query` follows the path's question mark.
    """

    path: str
    body: bytes
    model: str | None = None
    method: str = "POST"
    headers: Sequence[tuple[bytes, bytes]] = ()
    streams: bool = True
    query: str = ""


class Cloud:
    """The cloud at one address. Failures are CloudErrors with a fault.

    `transport` replaces the network. `heard` is called with the headers of each document that arrives.
    """

    def __init__(
        self,
        url: str,
        policy: Policy,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        heard: Callable[[Mapping[str, str]], None] = lambda _: None,
    ) -> None:
        self.url = url
        self._heard = heard
        self._extensions = {"timeout": exchange_timeout(policy).as_dict()}
        self._transport = transport
        self._client = new_client(url, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def models(self) -> tuple[Model, ...]:
        """Read `GET /api/tags`: the models that the cloud serves. No key is sent. Raises CloudError."""
        found = read_models(await self._document(TAGS))
        if found is None:
            raise _error(TAGS, no_response("the answer is not a model list"))
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
            raise _error(USAGE, no_response("the answer is not a usage history"))
        return found

    async def identity(self, key: Key) -> Identity:
        """Read `POST /api/me`: the account and plan of a key. Raises CloudError."""
        identity = read_identity(await self._document(IDENTITY, key=key))
        if identity is None:
            raise _error(IDENTITY, no_response("the answer names no account"))
        return identity

    async def show(self, body: bytes) -> httpx.Response:
        """Pass on `POST /api/show` and return the answer, whatever its status. No key is sent.

        Raises CloudError when there is no answer.
        """
        headers = {"content-type": "application/json"}
        try:
            return await self._client.post(SHOW.path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise _error(SHOW, no_response(failure_text(error))) from None

    async def send(self, call: Call, key: Key) -> httpx.Response:
        """Send a call with a key; return the response, open and unread. Raises CloudError without one.

        A transport is called directly where there is one: httpx's handling of cookies, redirects and
        authentication has no use here and costs as much as all the rest.
        """
        address = self.url.rstrip("/") + call.path
        url = httpx.URL(f"{address}?{call.query}") if call.query else _parsed(address)
        named = {name for name, _ in call.headers}
        # Complete, and a stream for a body: then httpx takes them as they are.
        headers = [
            (b"host", url.netloc),
            *((name, value) for name, value in CALL_HEADERS if name not in named),
            *call.headers,
            (b"authorization", b"Bearer " + key.secret.get_secret_value().encode()),
            (b"content-length", b"%d" % len(call.body)),
        ]
        stream = httpx.ByteStream(call.body)
        request = httpx.Request(call.method, url, headers=headers, stream=stream, extensions=self._extensions)
        try:
            if self._transport:
                return await self._transport.handle_async_request(request)
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _error(f"{call.method} {call.path}", no_response(failure_text(error))) from None

    async def _document(
        self, endpoint: Endpoint, body: object = None, *, key: Key | None = None, query: str = ""
    ) -> object:
        headers = {"authorization": f"Bearer {key.secret.get_secret_value()}"} if key else {}
        content = bytearray()
        try:
            async with self._client.stream(
                endpoint.method, endpoint.path + query, json=body, headers=headers
            ) as response:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > DOCUMENT_LONGEST:
                        raise _error(endpoint, no_response(TOO_LONG))
        except httpx.HTTPError as error:
            raise _error(endpoint, no_response(failure_text(error))) from None
        self._heard(response.headers)
        fault = response_fault(response.status_code, response.headers, bytes(content), endpoint.path)
        if fault:
            raise _error(endpoint, fault)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise _error(endpoint, no_response("the answer is not JSON")) from None


@functools.lru_cache(maxsize=64)
def _parsed(address: str) -> httpx.URL:
    return httpx.URL(address)


def _error(what: object, fault: Fault) -> CloudError:
    return CloudError(f"{what}: {fault.text}", fault)
