"""What the cloud itself knows: who sent what with which key, and when which account was good."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okr_tui.demo import SimulatedCloud
from okr_tui.demo.scenarios import Change
from okr_tui.demo.state import fingerprint

GRACE: Final = 3.0
"""Seconds after a reading could show that an account is back until it counts as good.

By the default policy that would be 30 s; the policy of a run is more than ten times as quick.
"""
CHAT: Final = "/api/chat"
DEFINITE: Final = (401, 403, 429)
NO_SLOT: Final = b"too many concurrent requests"


@dataclass(slots=True)
class Period:
    """A time from `since` to `until`, in epoch seconds of this machine's clock.

    `full`: of a log that is away, whether nothing can be kept on disk meanwhile either.
    """

    since: float
    until: float = float("inf")
    full: bool = False

    def meets(self, since: float, until: float) -> bool:
        """Return whether a part of this lies between two moments."""
        return self.since <= until and self.until >= since


def meeting(periods: Iterable[Period], since: float, until: float) -> list[Period]:
    """Return the periods of which a part lies between two moments."""
    return [period for period in periods if period.meets(since, until)]


@dataclass(slots=True, eq=False)
class Sent:
    """A request as the cloud received it. `request` is the name its process gave it, `PROCESS/NUMBER`."""

    at: float
    account: str
    fingerprint: str
    request: str = ""
    ended: float = float("inf")
    status: int | None = None
    broken: bool = False
    no_slot: bool = False
    """Whether it was told that no slot is free, which says nothing of a block."""

    @property
    def process(self) -> int:
        """The number of the process that sent it; 0 when it was killed before it could say."""
        return int(self.request.partition("/")[0] or 0)

    @property
    def failed(self) -> bool:
        """Whether the cloud failed, and not the key."""
        return self.broken or self.status is None or self.status >= 500


@dataclass(slots=True)
class Truth:
    """Every request that a cloud received, and every time at which one of its accounts was not good."""

    cloud: SimulatedCloud
    sent: list[Sent] = field(default_factory=list)
    blocked: dict[str, list[Period]] = field(default_factory=dict)
    """By account: when it was spent, or its key refused."""
    full: dict[str, list[Period]] = field(default_factory=dict)
    """By account: when others used all its slots."""

    _answer: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        answer = self._answer = self.cloud.app

        async def witnessed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope.get("path") == CHAT:
                await self._witness(scope, receive, send)
            else:
                await answer(scope, receive, send)

        self.cloud.app = witnessed

    async def _witness(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and note what came and what went."""
        headers = dict(scope["headers"])
        text = headers[b"authorization"].decode().removeprefix("Bearer ")
        sent = Sent(time.time(), self.cloud.state.credentials[text].account.name, fingerprint(text))
        self.sent.append(sent)
        body = b""

        async def heard() -> Message:
            nonlocal body
            message = await receive()
            if message["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    sent.request = json.loads(body)["messages"][-1]["content"]
            return message

        async def reported(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
            elif message.get("body", b"").startswith(b'{"error"'):
                sent.broken = sent.status == 200
                sent.no_slot = NO_SLOT in message["body"]
            await send(message)

        try:
            await self._answer(scope, heard, reported)
        finally:
            sent.ended = time.time()

    def change(self, change: Change) -> None:
        """Change an account, and note what that makes of it."""
        state, now = self.cloud.state, time.time()
        state.apply(change, state.advance())
        account = state.accounts[change.account]
        blocked = self.blocked.setdefault(change.account, [])
        if change.restore or change.suspended is False:
            blocked[-1].until = now
        if change.revoke or change.suspended:
            blocked.append(Period(now))
        if change.session is not None:
            blocked.append(Period(now, account.windows["session"].ends))
        full = self.full.setdefault(change.account, [])
        if change.elsewhere:
            full.append(Period(now))
        elif change.elsewhere == 0:
            full[-1].until = now

    def good(self, account: str, since: float, until: float) -> bool:
        """Return whether an account was good for any request all the time, and was seen to be."""
        ill = (*self.blocked.get(account, ()), *self.full.get(account, ()))
        return not meeting(ill, since - GRACE, until)

    def refusal(self, sent: Sent) -> Period | None:
        """Return the time of the block that a send met; None when it met none."""
        met = meeting(self.blocked.get(sent.account, ()), sent.at, sent.at)
        return met[0] if met and sent.status in DEFINITE else None
