"""Which request gets which key, and in which order the others wait.

Requests wait in one line; the first that a key can take is served first. After an account is spent, requests
move to the next one gradually instead of all at once. All waits are counted on a clock that never goes back.
"""

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import field, replace

from okr_tui.domain.choice import PoolConfig, Selection, SelectionRequest, was_tried
from okr_tui.domain.health import Wait
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.state import PoolState
from okr_tui.domain.values import dataclass
from okr_tui.services.live_pool import LivePool

SOON = 0.01
Constraints = tuple[str | None, str | None, frozenset[str]]
"""Model, account of the conversation, and what was tried: all that distinguishes one request from another."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A key to send with, and the account whose slot is held. `trial`: the request tests the key.

    `state` and `config` are what it was issued on; `at_once` says that nothing was waited for.
    """

    key: Key
    account: str
    trial: bool
    state: PoolState
    config: PoolConfig
    at_once: bool = False


@dataclass(slots=True, eq=False)
class SlotWait:
    """A request that found no slot at the cloud: on which accounts, how often, and when it asks again.

    `since` and `due` are monotonic seconds. It asks again when a request of ours ends, and a few times as
    time passes: others may use the account too. `refusals` are its sends that found no slot, `most` how
    many there may be.
    """

    since: float
    most: int
    account_of: Callable[[str], str]
    keys: set[str] = field(default_factory=set)
    refusals: int = 0
    due: float = math.inf
    _looks: int = 0
    _looked_at: set[str] = field(default_factory=set)

    @property
    def accounts(self) -> set[str]:
        """The accounts that had no slot, by the names they have now."""
        return set(map(self.account_of, self.keys))

    def refused(self, fingerprint: str, now: float, policy: Policy) -> None:
        """Note that the account of a key had no slot."""
        self.keys.add(fingerprint)
        self._looked_at.add(fingerprint)
        self.refusals += 1
        self._rest(now, policy)

    def looked(self, now: float, policy: Policy) -> None:
        """Note that it asks again because its time has come."""
        self._looks += 1
        self._rest(now, policy)

    def lost(self, now: float, policy: Policy) -> None:
        """Note that another machine took the slot for which it would have asked again."""
        self._looks = max(0, self._looks - 1)
        self.postponed(now, policy)

    def postponed(self, now: float, policy: Policy) -> None:
        """Note that its time has come, and none of the accounts can be asked again yet."""
        gaps = policy.busy_gaps
        self.due = now + gaps[min(self._looks, len(gaps) - 1)]

    def _rest(self, now: float, policy: Policy) -> None:
        gaps = policy.busy_gaps
        self.due = now + gaps[self._looks] if self._looks < len(gaps) else math.inf

    @property
    def exhausted(self) -> bool:
        """Whether no send is left."""
        return self.refusals >= self.most

    def requests(self, request: SelectionRequest, freed: str | None) -> tuple[SelectionRequest, ...]:
        """Return what to ask for, best first: the account of the slot that became free, or each in turn."""
        accounts = self.accounts
        tried = request.tried - accounts
        if freed is not None:
            return (replace(request, tried=tried | (accounts - {freed}), past_busy=True),)
        looked_at = set(map(self.account_of, self._looked_at))
        if looked_at >= accounts:
            self._looked_at.clear()
            looked_at = set()
        turns = (tried | looked_at, tried)
        return tuple(replace(request, tried=frozenset(left_out), past_busy=True) for left_out in turns)


@dataclass(slots=True, eq=False)
class Waiter:
    """A request in line. `request` is made again each time; `refuse` makes the error to raise.

    `entered` is monotonic seconds; `slots` is set once the cloud had no slot for it.
    """

    request: Callable[[], SelectionRequest]
    refuse: Callable[[Selection], Exception]
    entered: float
    ticket: asyncio.Future[Ticket]
    slots: SlotWait | None = None
    patience: float = 0.0


class Admission:
    """The line in front of the pool. Every ticket is given back with `leave`."""

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self._line: list[Waiter] = []
        self._serving = False
        self._switched: float | None = None
        self._admitted = 0
        self._freed: deque[str] = deque(maxlen=pool.policy.queue_longest)
        """The accounts of requests of ours that have ended while others wait for a slot at the cloud."""
        pool.listeners.append(self.serve)

    async def enter(
        self,
        request: Callable[[], SelectionRequest],
        refuse: Callable[[Selection], Exception],
        *,
        same: Key | None,
        slots: SlotWait | None = None,
        since: float | None = None,
    ) -> Ticket:
        """Return a ticket, after a wait where every key is only busy.

        Args:
            request: what is wanted now; called again each time the request is considered.
            refuse: makes the error to raise when no key can take the request in time.
            same: a key to use again, if it is still eligible.
            slots: what it met at the cloud before, where that had no slot for it; it keeps its place in line.
            since: when it joined the line, in monotonic seconds, if it was served from there but lost its
                slot to another machine.
        """
        if same and (ticket := self._same(same, request())):
            return ticket
        if not self._line and not slots and self._ramp() <= 0:
            selection = self._pool.choose(request())
            if selection.key:
                self._admitted += 1
                return self._give(selection.key, trial=selection.trial, at_once=True)
        entered = slots.since if slots else since if since is not None else self._pool.clock.monotonic()
        waiter = Waiter(request, refuse, entered, asyncio.get_running_loop().create_future(), slots)
        insort(self._line, waiter, key=lambda other: other.entered)
        try:
            self.serve()
            while not waiter.ticket.done():
                await self._rest(waiter)
                self.serve()
            return waiter.ticket.result()
        except asyncio.CancelledError:
            if waiter.ticket.done() and not waiter.ticket.exception():
                self.leave(waiter.ticket.result())
            raise
        finally:
            if waiter in self._line:
                self._line.remove(waiter)

    @property
    def waiting(self) -> int:
        """Return how many requests are in line."""
        return len(self._line)

    def leave(self, ticket: Ticket, *, had_slot: bool = True) -> None:
        """Give back the slot of a ticket; `had_slot` says that the cloud had one for it too."""
        in_flight = self._pool.in_flight
        in_flight[ticket.account] -= 1
        if not in_flight[ticket.account]:
            del in_flight[ticket.account]
        if not any(waiter.slots for waiter in self._line):
            self._freed.clear()
        elif had_slot:
            self._freed.append(ticket.account)
        self._pool.announce()

    def switched(self) -> None:
        """Let requests move on gradually, since an account was just found spent."""
        self._switched = self._pool.clock.monotonic()
        self._admitted = 0

    def serve(self) -> None:
        """Issue tickets to the requests in line that can have one now."""
        if self._serving or not self._line:
            return
        self._serving = True
        try:
            blocked: dict[Constraints, Selection] = {}
            for waiter in tuple(self._line):
                self._consider(waiter, blocked)
        finally:
            self._serving = False

    def _consider(self, waiter: Waiter, blocked: dict[Constraints, Selection]) -> None:
        """Serve, refuse or keep one request.

        `blocked` are the selections for those before it; they hold here too, since slots only get fewer.
        """
        if (pause := self._ramp()) > 0:
            waiter.patience = pause
            return
        request = waiter.request()
        constraints = (request.model, request.conversation, request.tried)
        selection = blocked.get(constraints) or self._pool.choose(request)
        if selection.key is None and waiter.slots:
            selection = self._select_again(waiter, waiter.slots, request, selection)
        if waiter.ticket.done():
            return
        if selection.key:
            self._line.remove(waiter)
            self._admitted += 1
            waiter.ticket.set_result(self._give(selection.key, trial=selection.trial))
            return
        if waiter.slots:
            now = self._pool.clock.monotonic()
            last = waiter.entered + self._pool.policy.queue_wait
            waiter.patience = min(last, math.inf if waiter.slots.exhausted else waiter.slots.due) - now
        else:
            blocked[constraints] = selection
            waiter.patience = self._patience(selection, request, waiter.entered)
        if waiter.patience <= 0 or self._line.index(waiter) >= self._pool.policy.queue_longest:
            self._refuse(waiter, selection)

    def _select_again(
        self, waiter: Waiter, slots: SlotWait, request: SelectionRequest, blocked: Selection
    ) -> Selection:
        """Return the choice for a request whose accounts had no slot: one of them, once it may ask again."""
        now, policy = self._pool.clock.monotonic(), self._pool.policy
        freed = self._freed.popleft() if self._freed and self._freed[0] in slots.accounts else None
        if freed is None and now < slots.due:
            return blocked
        if slots.exhausted:
            if freed is not None:
                self._refuse(waiter, blocked)
            return blocked
        looked, again = blocked, request
        for again in slots.requests(request, freed):
            looked = self._pool.choose(again)
            if looked.key:
                if freed is None:
                    slots.looked(now, policy)
                return looked
        if freed is None:
            slots.postponed(now, policy)
            if self._patience(looked, again, waiter.entered) <= 0:
                self._refuse(waiter, looked)  # the accounts have been found blocked meanwhile
        return looked

    def _refuse(self, waiter: Waiter, selection: Selection) -> None:
        self._line.remove(waiter)
        waiter.ticket.set_exception(waiter.refuse(selection))

    def _same(self, key: Key, request: SelectionRequest) -> Ticket | None:
        index = self._pool.config.index(key.fingerprint)
        if index is None:
            return None
        verdict = self._pool.choose(request).verdicts[index - 1]
        return self._give(key, trial=verdict.trial) if verdict.eligible else None

    def _give(self, key: Key, *, trial: bool, at_once: bool = False) -> Ticket:
        state = self._pool.state
        account = state.account_of(key.fingerprint)
        self._pool.in_flight[account] += 1
        return Ticket(key, account, trial, state, self._pool.config, at_once)

    def _ramp(self) -> float:
        """Return the seconds until the next request may move on after a switch; 0 when none has to wait."""
        policy = self._pool.policy
        if self._switched is None or policy.ramp_step <= 0:
            return 0.0
        since = self._pool.clock.monotonic() - self._switched
        if since > policy.ramp_step * policy.queue_longest:
            self._switched = None
            return 0.0
        return max(0.0, self._admitted * policy.ramp_step - since)

    def _patience(self, selection: Selection, request: SelectionRequest, entered: float) -> float:
        """Return how long to wait for a key that is only busy or slowed; 0 when waiting is no use."""
        now, policy, config = self._pool.clock.time(), self._pool.policy, self._pool.config
        began = now - (self._pool.clock.monotonic() - entered)
        ends = []
        for key, verdict in zip(config.keys, selection.verdicts, strict=True):
            if config.strategy == "pinned" and key.fingerprint != config.preferred:
                continue
            if was_tried(key, self._pool.state, request):
                continue
            wait = verdict.state.traits.wait
            if wait is Wait.SLOT:
                last = began + policy.queue_wait
                ends.append(min(last, last if verdict.until is None else max(verdict.until, now + SOON)))
            elif (
                verdict.state.traits.wait is Wait.PASSING
                and (verdict.until or now) <= began + policy.slowed_wait
            ):
                ends.append(max(verdict.until or now, now + SOON))
        return min((end - now for end in ends if end > now), default=0.0)

    async def _rest(self, waiter: Waiter) -> None:
        """Wait until the request is served or its patience is over."""
        sleep = asyncio.ensure_future(self._pool.clock.sleep(waiter.patience))
        try:
            await asyncio.wait((sleep, waiter.ticket), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not awaited: a cancellation of this request at this moment would be lost with the sleep's.
            sleep.cancel()
