"""Who is let through to which key, and in which order the others wait.

Requests wait in one line and are served first come, first served among those a key could take. After an
account is spent, the rest go over to the next one by and by instead of all at once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from okr_tui.domain.choice import PoolConfig, Selection, SelectionRequest, was_tried
from okr_tui.domain.health import Wait
from okr_tui.domain.keys import Key
from okr_tui.domain.state import PoolState
from okr_tui.services.live_pool import LivePool

SOON = 0.01
Asked = tuple[str | None, str | None, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A key to send with, and the account whose slot is held. `trial`: the request tests the key.

    `state` and `roster` are what it was given on.
    """

    key: Key
    account: str
    trial: bool
    state: PoolState
    config: PoolConfig


@dataclass(slots=True, eq=False)
class Waiter:
    """A request in line. `request` asks anew each time; `refuse` makes the error when waiting is no use."""

    request: Callable[[], SelectionRequest]
    refuse: Callable[[Selection], Exception]
    entered: float
    ticket: asyncio.Future[Ticket]
    patience: float = 0.0


class Admission:
    """The line before the pool. Every ticket is given back with `leave`."""

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self._line: list[Waiter] = []
        self._serving = False
        self._switched: float | None = None
        self._admitted = 0
        pool.listeners.append(self.serve)

    async def enter(
        self,
        request: Callable[[], SelectionRequest],
        refuse: Callable[[Selection], Exception],
        *,
        same: Key | None,
    ) -> Ticket:
        """A ticket, at once or after a wait for what is only busy; `same` is taken if it is still good."""
        if same and (ticket := self._same(same, request())):
            return ticket
        waiter = Waiter(request, refuse, self._pool.clock.time(), asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        try:
            self.serve()
            while not waiter.ticket.done():
                await self._rest(waiter)
                self.serve()
            return waiter.ticket.result()
        except asyncio.CancelledError:
            if waiter.ticket.done() and not waiter.ticket.cancelled() and not waiter.ticket.exception():
                self.leave(waiter.ticket.result())
            raise
        finally:
            if waiter in self._line:
                self._line.remove(waiter)

    @property
    def waiting(self) -> int:
        """How many requests are in line."""
        return len(self._line)

    def leave(self, ticket: Ticket) -> None:
        """Give a slot back."""
        self._pool.in_flight[ticket.account] -= 1
        self._pool.announce()

    def switched(self) -> None:
        """An account was just found spent: those behind go over slowly."""
        self._switched = self._pool.clock.time()
        self._admitted = 0

    def serve(self) -> None:
        """Give tickets to those in line who can have one now."""
        if self._serving or not self._line:
            return
        self._serving = True
        try:
            blocked: dict[Asked, Selection] = {}
            for waiter in tuple(self._line):
                self._consider(waiter, blocked)
        finally:
            self._serving = False

    def _consider(self, waiter: Waiter, blocked: dict[Asked, Selection]) -> None:
        """`blocked` is what those before were told: slots only get fewer on the way along the line."""
        if waiter.ticket.done():
            return
        if (pause := self._ramp()) > 0:
            waiter.patience = pause
            return
        request = waiter.request()
        asked = (request.model, request.conversation, request.tried)
        selection = blocked.get(asked) or self._pool.choose(request)
        if selection.key:
            self._line.remove(waiter)
            self._admitted += 1
            waiter.ticket.set_result(self._give(selection.key, trial=selection.trial))
            return
        blocked[asked] = selection
        waiter.patience = self._patience(selection, request, waiter.entered)
        if waiter.patience <= 0 or self._line.index(waiter) >= self._pool.policy.queue_longest:
            self._line.remove(waiter)
            waiter.ticket.set_exception(waiter.refuse(selection))

    def _same(self, key: Key, request: SelectionRequest) -> Ticket | None:
        place = self._pool.config.index(key.fingerprint)
        if place is None:
            return None
        judged = self._pool.choose(request).verdicts[place - 1]
        return self._give(key, trial=judged.trial) if judged.eligible else None

    def _give(self, key: Key, *, trial: bool) -> Ticket:
        state = self._pool.state
        account = state.account_of(key.fingerprint)
        self._pool.in_flight[account] += 1
        return Ticket(key, account, trial, state, self._pool.config)

    def _ramp(self) -> float:
        """Seconds until the next may go over after a switch; 0 when nobody needs to wait."""
        policy = self._pool.policy
        if self._switched is None or policy.ramp_step <= 0:
            return 0.0
        since = self._pool.clock.time() - self._switched
        if since > policy.ramp_step * policy.queue_longest:
            self._switched = None
            return 0.0
        return max(0.0, self._admitted * policy.ramp_step - since)

    def _patience(self, selection: Selection, request: SelectionRequest, entered: float) -> float:
        """How long it is worth waiting for a key that is only busy or slowed; 0 when it is not."""
        now, policy, config = self._pool.clock.time(), self._pool.policy, self._pool.config
        ends = []
        for key, judged in zip(config.keys, selection.verdicts, strict=True):
            if config.strategy == "pinned" and key.fingerprint != config.preferred:
                continue
            if was_tried(key, self._pool.state, request):
                continue
            wait = judged.state.traits.wait
            if wait is Wait.SLOT:
                last = entered + policy.queue_wait
                ends.append(min(last, last if judged.until is None else max(judged.until, now + SOON)))
            elif (
                judged.state.traits.wait is Wait.PASSING
                and (judged.until or now) <= entered + policy.slowed_wait
            ):
                ends.append(max(judged.until or now, now + SOON))
        return min((end - now for end in ends if end > now), default=0.0)

    async def _rest(self, waiter: Waiter) -> None:
        """Until the waiter is served or its patience is over."""
        sleep = asyncio.ensure_future(self._pool.clock.sleep(waiter.patience))
        try:
            await asyncio.wait((sleep, waiter.ticket), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not awaited: a cancellation of this request at this moment would be lost with the sleep's.
            sleep.cancel()
