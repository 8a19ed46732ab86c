"""One request: an eligible key, a response stream, fail-over before the first output and none after it.

This is the only code that spends a key.
"""

import contextlib
import hashlib
import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import field, replace

from okr_tui.cloud.client import Call, Cloud
from okr_tui.domain.choice import Selection, SelectionRequest
from okr_tui.domain.errors import NO_KEY, CloudError, NoKeyError, PoolBlockedError, SettingsError
from okr_tui.domain.faults import Fault, Hop, Rule, Scope, Step, next_step
from okr_tui.domain.health import Verdict
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt, Client, Outcome, Trial
from okr_tui.domain.schedule import from_the_future
from okr_tui.domain.traffic import RunningRequest
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import sentence
from okr_tui.services.admission import Admission, SlotWait, Ticket
from okr_tui.services.current_cloud import UseCloud
from okr_tui.services.exchange import Exchange, Refusal, RefusedError
from okr_tui.services.live_pool import LivePool
from okr_tui.services.shared_slots import SharedSlots


def clamped(call: Call, most: int) -> Call:
    """Return the call with its output limit lowered to `most` tokens, where it asks for more."""
    try:
        document = json.loads(call.body)
    except ValueError:
        return call
    if not isinstance(document, dict):
        return call
    lowered = False
    for holder, name in (
        (document, "max_tokens"),
        (document, "max_completion_tokens"),
        (document, "max_output_tokens"),
        (document.get("options"), "num_predict"),
    ):
        wanted = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(wanted, int) and wanted > most:
            holder[name] = most
            lowered = True
    return replace(call, body=json.dumps(document).encode()) if lowered else call


def _trace() -> str:
    """Return the name of a request in the log. It hides nothing, so no call of the system is made for it."""
    return f"{random.getrandbits(48):012x}"


@dataclass(slots=True)
class Progress:
    """What a request has been through so far. `passing` counts its transient faults.

    `began` is monotonic seconds, `since` epoch seconds; `trace` names it in the log. `slots` is set once the
    cloud had no slot for it; `in_line` is when it began to wait for one that other machines hold, in
    monotonic seconds; `exchange` is its present send, None while it waits for a key.
    """

    call: Call
    client: Client
    began: float
    conversation: str | None
    hops: list[Hop]
    tried: set[str]
    passing: int = 0
    clamped: bool = False
    same: Key | None = None
    refusal: Refusal | None = None
    slots: SlotWait | None = None
    trace: str = field(default_factory=_trace)
    since: float = 0.0
    in_line: float | None = None
    exchange: Exchange | None = None

    @property
    def running(self) -> RunningRequest:
        """The request as it is shown while it runs."""
        sent = self.exchange
        begun = sent.started + sent.first_byte_ms / 1000 if sent and sent.first_byte_ms is not None else None
        return RunningRequest(
            trace=self.trace,
            sender=self.call.caller or self.client,
            model=self.call.model or self.call.path,
            key=sent.index if sent else None,
            fingerprint=sent.key.fingerprint if sent else None,
            since=self.since,
            first_at=begun,
            tokens=sent.outputs if sent else 0,
        )

    @property
    def left_out(self) -> frozenset[str]:
        """The accounts and fingerprints that are not to be used now."""
        return frozenset(self.tried | self.slots.accounts if self.slots else self.tried)


@dataclass(frozen=True, slots=True)
class Flight:
    """One send under way. `in_flight` is how many of its account there were when it began."""

    ticket: Ticket
    exchange: Exchange
    use: AbstractContextManager[Cloud]
    in_flight: int


class Dispatcher:
    """Sends requests with the pool's keys. `faulted` is called with every fault, to look into it."""

    def __init__(self, pool: LivePool, use_cloud: UseCloud, faulted: Callable[[Key, Fault], None]) -> None:
        self._pool = pool
        self._use_cloud = use_cloud
        self._faulted = faulted
        self._conversations: dict[str, tuple[str, float]] = {}
        self._compared = False
        self._under_way: dict[str, Progress] = {}
        self.admission = Admission(pool)
        self._slots = SharedSlots(pool)

    @property
    def _policy(self) -> Policy:
        return self._pool.policy

    @property
    def running(self) -> tuple[RunningRequest, ...]:
        """The requests that have not ended, oldest first."""
        return tuple(progress.running for progress in self._under_way.values())

    def send(
        self, call: Call, client: Client, conversation: str | None = None, *, avoid: Collection[str] = ()
    ) -> "Sending":
        """Open an exchange whose first output has arrived; leaving the block hangs up and records the end.

        Args:
            call: what to send.
            client: who sends, for the log.
            conversation: its requests stay on one account while that is ready.
            avoid: fingerprints and accounts not to be used.

        Raises NoKeyError without keys, PoolBlockedError when no key is eligible, RefusedError when the
        request failed. A fault after the first output comes out of the exchange's iterator as CloudError.
        """
        return Sending(
            self, Progress(call, client, self._pool.clock.monotonic(), conversation, [], set(avoid))
        )

    async def open(self, progress: Progress) -> Flight:
        """Send a request until an exchange begins, as `send` says. Raises what that raises."""
        with self._use_cloud() as cloud:
            if cloud.refused:
                raise SettingsError(f"the settings name no usable cloud; {cloud.refused}")
        model = progress.call.model
        if model and (most := self._pool.state.model(model).max_output):
            progress.call = clamped(progress.call, most)
        if not self._compared:
            await self._compare_clocks()
        progress.since = self._pool.clock.time()
        self._under_way[progress.trace] = progress
        self._pool.announce()
        while True:
            same, progress.same = progress.same, None
            asked = self._pool.clock.monotonic()
            await self._pool.catch_up()
            ticket = await self.admission.enter(
                lambda: self._request(progress),
                lambda selection: self._blocked(selection, progress),
                same=same,
                slots=progress.slots,
                since=progress.in_line,
            )
            if not await self._has_slot(progress, ticket):
                progress.in_line = asked if progress.in_line is None else progress.in_line
                if progress.slots:
                    progress.slots.lost(self._pool.clock.monotonic(), self._policy)
                continue
            if not await self._still_good(progress, ticket):
                continue
            progress.in_line = None
            flight = await self._begin_flight(progress, ticket)
            fault = flight.exchange.fault
            if fault is None:
                return flight
            await self.end_flight(progress, flight)
            await self._next(progress, ticket.key, fault)

    def end(self, progress: Progress) -> None:
        """Forget a request that has ended."""
        self._slots.free(progress.trace)
        if self._under_way.pop(progress.trace, None):
            self._pool.announce()

    async def close(self) -> None:
        """Give back what the requests of this process held."""
        await self._slots.close()

    async def _has_slot(self, progress: Progress, ticket: Ticket) -> bool:
        """Return whether other machines left a slot for the ticket; if not, give it back."""
        good = False
        try:
            good = await self._slots.take(ticket.account, progress.trace, ticket.key.fingerprint)
        finally:
            if not good:
                self.admission.leave(ticket, had_slot=False)
        return good

    async def _compare_clocks(self) -> None:
        """Ask the cloud for the time, once, if the log holds records of the future.

        This machine's clock may be behind, so that blocks seem to hold which are long over.
        """
        self._compared = True
        if from_the_future(tuple(self._pool.recent_times), self._pool.clock.time()) is not None:
            with contextlib.suppress(CloudError), self._use_cloud() as cloud:
                await cloud.models()

    async def _still_good(self, progress: Progress, ticket: Ticket) -> bool:
        """Return whether the ticket still holds after what others did meanwhile; if not, give it back."""
        pool = self._pool
        as_issued = pool.state is ticket.state and pool.config is ticket.config
        if ticket.at_once and not ticket.trial and as_issued:
            return True
        good = False
        try:
            await self._pool.catch_up()
            good, trial = True, ticket.trial
            changed = self._pool.state is not ticket.state or self._pool.config is not ticket.config
            verdict = self._current_verdict(progress, ticket) if changed or trial else None
            if changed:
                good = verdict is not None and verdict.eligible
                trial = verdict is not None and verdict.trial
            if good and trial:
                good = await self._begin_trial(ticket.key, verdict.ended if verdict else 0.0)
        finally:
            if not good:
                self.admission.leave(ticket)
                self._slots.free(progress.trace)
        return good

    def _current_verdict(self, progress: Progress, ticket: Ticket) -> Verdict | None:
        """Return what the key of a ticket is good for now; None where the pool does not hold it any more."""
        flights = Counter(self._pool.flights)
        flights[self._pool.state.account_of(ticket.account)] -= 1
        request = replace(self._request(progress), in_flight=flights)
        if progress.slots and ticket.account in progress.slots.accounts:
            request = replace(request, past_busy=True)
        index = self._pool.config.index(ticket.key.fingerprint)
        return None if index is None else self._pool.choose(request).verdicts[index - 1]

    async def _begin_trial(self, key: Key, ended: float) -> bool:
        """Return whether this request has the trial of its key after a block that ended then.

        The log decides among all that began one.
        """
        owner = uuid.uuid4().hex
        now = self._pool.clock.time()
        cloud = self._pool.config.cloud
        record = Trial(at=now, fingerprint=key.fingerprint, owner=owner, cloud=cloud, ended=ended)
        await self._pool.note(record)
        return self._pool.state.key(key.fingerprint).trial_owner == owner

    async def _begin_flight(self, progress: Progress, ticket: Ticket) -> Flight:
        """Send once, up to the first output or a fault."""
        key = ticket.key
        in_flight = self._pool.flights.get(self._pool.state.account_of(ticket.account), 0)
        use = self._use_cloud()
        exchange = Exchange(
            use.__enter__(), progress.call, key, self._policy, self._pool.clock, self._pool.timers
        )
        exchange.hops = tuple(progress.hops)
        exchange.index = self._pool.config.index(key.fingerprint)
        progress.exchange = exchange
        flight = Flight(ticket, exchange, use, in_flight)
        try:
            self._pool.announce()
            await exchange.__aenter__()
        except BaseException:
            await self.end_flight(progress, flight)
            raise
        if exchange.fault is None:
            self._remember(progress, ticket.account)
        return flight

    async def end_flight(self, progress: Progress, flight: Flight) -> None:
        """Hang up, give back the slot and record the attempt."""
        try:
            await flight.exchange.__aexit__(None, None, None)
        finally:
            try:
                await self._note_end(progress, flight)
            finally:
                flight.use.__exit__(None, None, None)

    async def _note_end(self, progress: Progress, flight: Flight) -> None:
        ticket, exchange = flight.ticket, flight.exchange
        progress.exchange = None
        if exchange.fault is None or exchange.committed:
            self._under_way.pop(progress.trace, None)  # the record takes its place
        taken = exchange.fault is not None and exchange.fault.traits.rule is Rule.SLOTS
        self.admission.leave(ticket, had_slot=not taken)
        self._slots.free(progress.trace)
        await self._record(progress, exchange, flight.in_flight)
        if exchange.fault:
            if exchange.fault.traits.rule is Rule.WINDOW:
                self.admission.switched()
            progress.refusal = exchange.refusal
            progress.hops.append(Hop(ticket.key.fingerprint, exchange.index, exchange.fault))
            self._faulted(ticket.key, exchange.fault)

    def _request(self, progress: Progress) -> SelectionRequest:
        account = None
        if progress.conversation:
            account, used = self._conversations.get(progress.conversation, (None, 0.0))
            if self._pool.clock.monotonic() - used > self._policy.conversation_idle:
                account = None
        now = self._pool.clock.time()
        return SelectionRequest(now, progress.call.model, account, self._pool.flights, progress.left_out)

    def _blocked(self, selection: Selection, progress: Progress) -> Exception:
        config = self._pool.config
        if not config.keys:
            return NoKeyError(NO_KEY)
        if progress.slots or (progress.hops and any(verdict.eligible for verdict in selection.verdicts)):
            return _refused(progress, progress.hops[-1].fault)
        now = self._pool.clock.time()
        reasons = "; ".join(
            f"#{index} {sentence(verdict, now)}" for index, verdict in enumerate(selection.verdicts, 1)
        )
        states = frozenset(verdict.state.value for verdict in selection.verdicts)
        whom = "no other key" if progress.tried and not progress.hops else "no key"
        outage = self._pool.state.service(config.cloud).outage
        return PoolBlockedError(
            f"{whom} can take this request: {reasons}",
            selection.earliest,
            states,
            on_the_way=outage is not None and outage.holds(now) and outage.on_the_way,
        )

    def _remember(self, progress: Progress, account: str) -> None:
        if not progress.conversation:
            return
        now = self._pool.clock.monotonic()
        known = self._conversations
        known.pop(progress.conversation, None)
        known[progress.conversation] = (account, now)
        # The longest idle come first.
        while now - known[first := next(iter(known))][1] > self._policy.conversation_idle:
            del known[first]

    async def _next(self, progress: Progress, key: Key, fault: Fault) -> None:
        """Prepare the next send after a fault, or raise when there is none to be made.

        A definite verdict on a key costs one send, so that a request passes many dead keys and reaches a good
        one. A key that is only slowed may be used again, so those sends are bounded.
        """
        if fault.passes:
            progress.passing += 1
        step = self._step(progress, fault)
        late = self._pool.clock.monotonic() - progress.began > self._policy.request_longest
        slowed = sum(hop.fault.traits.rule is Rule.RETRY_AFTER for hop in progress.hops)
        if step is Step.GIVE_UP or slowed >= self._policy.sends or late:
            raise _refused(progress, fault)
        if step is Step.NEXT_KEY:
            account = self._pool.state.account_of(key.fingerprint)
            if fault.traits.rule is Rule.SLOTS:
                self._wait_for_slot(progress, key.fingerprint)
            elif fault.traits.rule is not Rule.RETRY_AFTER:
                progress.tried.add(key.fingerprint)
                if fault.scope is not Scope.KEY:
                    progress.tried.add(account)
            return
        progress.same = key
        if fault.max_output:
            progress.clamped = True
            progress.call = clamped(progress.call, fault.max_output)
        else:
            await self._pool.clock.sleep(random.uniform(*self._policy.retry_same))  # noqa: S311 a wait

    def _wait_for_slot(self, progress: Progress, fingerprint: str) -> None:
        now = self._pool.clock.monotonic()
        if progress.slots is None:
            keys = self._pool.config.keys
            accounts = {self._pool.state.account_of(key.fingerprint) for key in keys}
            most = len(accounts) + self._policy.busy_resends
            progress.slots = SlotWait(now, most, lambda key: self._pool.state.account_of(key))
        progress.slots.refused(fingerprint, now, self._policy)

    def _step(self, progress: Progress, fault: Fault) -> Step:
        return next_step(fault, progress.passing, clamped=progress.clamped, policy=self._policy)

    async def _record(self, progress: Progress, exchange: Exchange, in_flight: int) -> None:
        outcome: Outcome = "fault" if exchange.fault else "ok" if exchange.complete else "cancelled"
        now = self._pool.clock.time()
        record = Attempt(
            at=now,
            started=exchange.started,
            client=progress.client,
            caller=progress.call.caller,
            fingerprint=exchange.key.fingerprint,
            model=progress.call.model,
            path=progress.call.path,
            outcome=outcome,
            fault=exchange.fault,
            first_byte_ms=exchange.first_byte_ms,
            duration_ms=exchange.duration_ms,
            input_tokens=exchange.input_tokens,
            cached_tokens=exchange.cached_tokens,
            output_tokens=exchange.output_tokens,
            in_flight=in_flight,
            cloud=exchange.cloud,
            request=self._name(progress.call) if exchange.fault else None,
            trace=progress.trace if exchange.fault or progress.hops else None,
            begun=True if exchange.fault and exchange.committed else None,
        )
        if exchange.fault and not exchange.committed:
            record = replace(record, next_fingerprint=self._following(progress, record, exchange.fault))
        if record.outcome == "ok" and progress.client == "gateway":
            self._pool.note_soon(record)  # its caller has the answer, and waits for nothing more
        else:
            await self._pool.note(record, hurried=record.fault is not None)

    def _name(self, call: Call) -> str:
        """Return a name for what a call asks, the same for its repeats in every process of this pool.

        Without the pool's first key no one can tell which text it is of.
        """
        secret = next((key.secret.get_secret_value() for key in self._pool.config.keys), "")
        salt = hashlib.sha256(secret.encode()).digest()
        return hashlib.blake2s(call.path.encode() + call.body, key=salt, digest_size=8).hexdigest()

    def _following(self, progress: Progress, record: Attempt, fault: Fault) -> str | None:
        """Return the fingerprint of the key that the request moves to, for the log."""
        passing = progress.passing + fault.passes
        step = next_step(fault, passing, clamped=progress.clamped, policy=self._policy)
        if step is not Step.NEXT_KEY:
            return record.fingerprint if step is Step.SAME_KEY else None
        account = self._pool.state.account_of(record.fingerprint)
        request = self._request(progress)
        tried = request.tried | {record.fingerprint, account}
        following = self._pool.choose_after(record, replace(request, tried=tried)).key
        return following.fingerprint if following else None


class Sending:
    """One request: entering the block sends it, leaving the block ends it.

    A generator as a context manager would cost each request four times as much.
    """

    __slots__ = ("_dispatcher", "_flight", "_progress")

    def __init__(self, dispatcher: Dispatcher, progress: Progress) -> None:
        self._dispatcher = dispatcher
        self._progress = progress
        self._flight: Flight

    async def __aenter__(self) -> Exchange:
        try:
            self._flight = await self._dispatcher.open(self._progress)
        except BaseException:
            self._dispatcher.end(self._progress)
            raise
        return self._flight.exchange

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._dispatcher.end_flight(self._progress, self._flight)
        finally:
            self._dispatcher.end(self._progress)


def _refused(progress: Progress, fault: Fault) -> RefusedError:
    """Return the error of a request that failed on every key it was sent with; each is named once."""
    what = progress.call.model or progress.call.path
    last = {hop.fingerprint: hop for hop in progress.hops}
    tried = "; ".join(f"#{hop.index or '?'} {hop.fault.sentence}" for hop in last.values())
    return RefusedError(f"{what} failed on {tried}", fault, progress.refusal)
