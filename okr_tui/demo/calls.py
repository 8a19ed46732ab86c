"""One request on its way through the simulated cloud, and the refusals it can meet."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from okr_tui.demo.accounts import QUEUE_LIMITS, REQUEST_UNITS, Account, Use
from okr_tui.demo.catalogue import FAULTS
from okr_tui.demo.compatible import anthropic_error, openai_error
from okr_tui.demo.dialects import encode, native_error
from okr_tui.demo.scenarios import Rule
from okr_tui.demo.state import Received, State

CONCURRENCY_RETRY_SECONDS = 10


class Refusal(Exception):  # noqa: N818  a refusal is an answer, not a defect
    """The request is answered with a named fault."""

    def __init__(
        self, name: str, values: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name)
        self.name = name
        self.headers = headers
        self.values = values

    def response(self, path: str) -> Response:
        """Return the fault in the error envelope of a path."""
        fault = FAULTS[self.name]
        headers = dict(fault.headers if self.headers is None else self.headers)
        if fault.page is not None:
            return Response(fault.page, fault.status, headers, "text/html" if fault.page else None)
        text = fault.render(self.values, compatible=path.startswith("/v1/"))
        if path == "/v1/messages":
            body = anthropic_error(text, fault.status, f"req_{uuid4().hex[:24]}")
        elif path.startswith("/v1/"):
            body = openai_error(text, fault.status)
        else:
            body = {**native_error(text), **fault.extra}
        return Response(encode(body), fault.status, headers, headers.get("content-type", "application/json"))


class Hangup(Exception):  # noqa: N818  the caller is gone, nothing is wrong
    """There is nobody left to answer."""


@dataclass(slots=True)
class Call:
    """A request with everything known of it. `fault` is a misbehaviour the answer must show."""

    state: State
    request: Request
    received: Received
    pace: float
    body: Mapping[str, object] = field(default_factory=dict)
    fault: Rule | None = None
    occupied: Account | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def account(self) -> Account:
        """The account that pays; only where a key was demanded."""
        return self.state.accounts[str(self.received.account)]

    @property
    def breaking(self) -> Rule | None:
        """The fault, if it is one that breaks an answer in the middle."""
        fault = self.fault
        breaks = fault is not None and (fault.in_stream or fault.fault.startswith("stream-"))
        return fault if breaks else None

    def refuse(self, name: str, headers: Mapping[str, str] | None = None, **values: object) -> Refusal:
        """Return a refusal that speaks of this call's account and model."""
        known = {"name": self.received.account, "model": self.received.model}
        return Refusal(name, {key: value for key, value in known.items() if value} | values, headers)

    def occupy(self) -> None:
        """Take one of the account's slots until `release`, or refuse."""
        account = self.account
        active = account.active + account.elsewhere
        if active >= account.slots:
            queue = str(QUEUE_LIMITS[account.plan])
            retry = math.ceil(CONCURRENCY_RETRY_SECONDS / self.state.speed)
            headers = {
                "retry-after": str(retry),
                "x-ratelimit-active": str(active),
                "x-ratelimit-max-concurrent": str(account.slots),
                "x-ratelimit-queue-limit": queue,
                "x-ratelimit-queued": queue,
            }
            raise self.refuse("concurrency", headers)
        account.active += 1
        self.occupied = account

    def release(self) -> None:
        """Give the slot back and book what was really sent."""
        if self.occupied is None:
            return
        self.occupied.active -= 1
        units = REQUEST_UNITS + self.input_tokens + self.output_tokens
        self.occupied.charge(Use(self.state.clock(), units, self.input_tokens, self.output_tokens))
        self.occupied = None

    async def linger(self, seconds: float | None) -> None:
        """Let time pass, for ever if None; a caller who leaves meanwhile ends the call."""
        try:
            await asyncio.wait_for(self._gone(), seconds)
        except TimeoutError:
            return
        raise Hangup

    async def _gone(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    async def drop(self) -> None:
        """Close the connection without a word more."""
        connections: dict[tuple[str, int], asyncio.Transport] = self.request.scope.get("connections", {})
        client = self.request.client
        if client is not None and (client.host, client.port) in connections:
            connections[client.host, client.port].abort()
        await asyncio.sleep(0)
