"""The fold: the pool's state as one machine. `fold` of the log is the state, `apply` is one step of it.

In the order of reading: the steps by kind of record; a request that succeeded; a request that failed, by the
rule of its fault; what a free reading settles; how long blocks last, and which of two applies.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from okr_tui.domain.faults import CREDITS, BlockCause, Fault, Rule, Scope
from okr_tui.domain.policy import Policy, jitter, step
from okr_tui.domain.quota import Balance, Sample, next_reset
from okr_tui.domain.records import (
    Alert,
    Attempt,
    BalanceRead,
    Disabled,
    Enabled,
    IdentityRead,
    Record,
    Reset,
    ResetUndone,
    Trial,
)
from okr_tui.domain.state import (
    AccountState,
    Block,
    Failure,
    Forgotten,
    KeyState,
    ModelState,
    PoolState,
    ServiceState,
)

SAMPLES: Final = 120
"""Readings of an account that are kept for its pace."""
SAMPLE_AGE: Final = 7200
"""Seconds after which a reading no longer counts for the pace."""
ALERTS_KEPT: Final = 35 * 86400
"""Seconds for which the last alert of a name is kept; what still holds then is announced once more."""
REMEMBERED: Final = 32
"""Requests that are known to have failed in the outage under way."""
AT_ONCE: Final = 1
"""A Retry-After of fewer seconds is an invitation to ask again at once; it is followed once in a row."""
Failures = tuple[Failure, ...]
Name = TypeVar("Name")


def fold(records: Iterable[Record], policy: Policy, state: PoolState | None = None) -> PoolState:
    """Return the pool's state after these records, from an empty log or from `state`."""
    run = _Successes(state or PoolState(), policy)
    for record in records:
        if not run.count(record):
            run = _Successes(step_of(run.state(), record, policy), policy)
    return run.state()


def apply(state: PoolState, record: Record, policy: Policy) -> PoolState:
    """Return the state after one more record. Records that say nothing of the pool change nothing."""
    return fold((record,), policy, state)


@dataclass(slots=True)
class _Account:
    """The account of a run of successes: `clean` counts as the state does."""

    known: AccountState
    slots: int
    clean: int


@dataclass(slots=True)
class _Tally:
    """What the successes of one key change of it, of those that began before `before`."""

    account: _Account
    known: KeyState
    before: float
    requests: int = 0
    last_at: float = 0

    def changes(self) -> dict[str, Any]:
        """Return the fields of the key that change."""
        return {
            "requests": self.known.requests + self.requests,
            "last_used": max(self.known.last_used, self.last_at),
            "last_ok": max(self.known.last_ok, self.last_at),
            "proven": True,
            "streak": 0,
        }


class _Successes:
    """A run of requests that succeeded and lift nothing, which is most of every log.

    They only count, so the state is made once, at the end of the run.
    """

    def __init__(self, state: PoolState, policy: Policy) -> None:
        self._state = state
        self._policy = policy
        self._calm = not state.clouds
        self._tallies: dict[str, _Tally | None] = {}
        self._accounts: dict[str, _Account] = {}

    def count(self, record: Record) -> bool:
        """Count a record if it is such a success; return whether it was."""
        if not isinstance(record, Attempt) or record.outcome != "ok" or record.client == "probe":
            return False
        fingerprint, at = record.fingerprint, record.at
        if fingerprint not in self._tallies:
            self._tallies[fingerprint] = self._begin(fingerprint)
        tally = self._tallies[fingerprint]
        if tally is None or record.started >= tally.before:
            return False
        account = tally.account
        if record.model is not None:
            model = self._state.models.get(record.model)
            if (model and (model.block or model.failures)) or record.model in account.known.models:
                return False
        known, slots = account.known, account.slots
        if known.slots_until is not None:
            slots = known.slot_count(self._policy, at)
        if record.in_flight >= slots:
            if account.clean + 1 >= self._policy.busy_clean_requests:
                return False
            account.clean += 1
        tally.requests += 1
        if at > tally.last_at:
            tally.last_at = at
        return True

    def _begin(self, fingerprint: str) -> _Tally | None:
        """Return the tally of a key; None while something is amiss with its cloud."""
        if not self._calm:
            return None
        key = self._state.key(fingerprint)
        identifier = key.account or fingerprint
        known = self._state.account(identifier)
        # A success that began later lifts a block or ends a trial.
        begins = [block.since for blocks in (key.blocks, known.blocks) for block in blocks.values()]
        if key.trial_at is not None:
            begins.append(key.trial_at)
        if identifier not in self._accounts:
            slots = known.slot_count(self._policy, 0)
            self._accounts[identifier] = _Account(known, slots, known.clean)
        return _Tally(self._accounts[identifier], key, min(begins, default=math.inf))

    def state(self) -> PoolState:
        """Return the state after the run."""
        counted = {name: tally for name, tally in self._tallies.items() if tally and tally.requests}
        if not counted:
            return self._state
        state = self._state.with_keys({name: tally.changes() for name, tally in counted.items()})
        for identifier, account in self._accounts.items():
            if account.clean != account.known.clean:
                state = state.with_account(identifier, clean=account.clean)
        return state


def step_of(state: PoolState, record: Record, policy: Policy) -> PoolState:
    """Return the state after a record of any kind, one by one: what `fold` does, without its short cut."""
    match record:
        case Attempt():
            return _attempt(state, record, policy)
        case BalanceRead():
            return _balance_read(state, record, policy)
        case IdentityRead():
            return _identity_read(state, record)
        case Trial():
            return _trial(state, record, policy)
        case Enabled() | Disabled():
            off = isinstance(record, Disabled)
            return state.with_key(record.fingerprint, disabled=off, disabled_by=record.who if off else None)
        case Reset():
            return _reset(state, record)
        case ResetUndone():
            return _reset_undone(state, record)
        case Alert() if record.follows(state.alerts.get(record.name)):
            return replace(state, alerts=_alerts_with(state.alerts, record))
        case _:
            return state


def _attempt(state: PoolState, record: Attempt, policy: Policy) -> PoolState:
    key = state.key(record.fingerprint)
    if record.client == "probe":
        if record.outcome == "ok":
            return _authenticated(state, record.fingerprint, record.started, policy)
    else:
        ended = key.trial_at is not None and key.trial_at <= record.started
        state = state.with_key(
            record.fingerprint,
            requests=key.requests + 1,
            last_used=max(key.last_used, record.at),
            trial_at=None if ended else key.trial_at,
            trial_owner=None if ended else key.trial_owner,
        )
        if record.outcome == "ok":
            return _success(state, record, policy)
    fault = record.fault
    if record.outcome == "cancelled" or fault is None or record.started < key.reset_at:
        return state
    if record.client != "probe" and fault.traits.blames_key:
        state = state.with_key(
            record.fingerprint, faults=key.faults + 1, last_fault=fault, last_fault_at=record.at
        )
    if record.client == "probe" and fault.traits.rule is not Rule.DOUBT:
        return state
    if fault.may_be_empty_balance and _has_no_money(state, record):
        fault = fault.as_empty_balance()
    return RULES[fault.traits.rule](state, record, fault, policy)


def _alerts_with(alerts: Mapping[str, Alert], record: Alert) -> Mapping[str, Alert]:
    """Return the alerts with one more, without those that ended long ago."""
    ends = {name: each.at if each.over else each.until or each.at for name, each in alerts.items()}
    kept = {name: each for name, each in alerts.items() if record.at - ends[name] < ALERTS_KEPT}
    return {**kept, record.name: record}


def _has_no_money(state: PoolState, record: Attempt) -> bool:
    """Return whether the account lives on dollars, and its newest reading shows that none are left."""
    balance = state.account(state.account_of(record.fingerprint)).balance
    dollars = balance.credits if balance else None
    if dollars is None or not dollars.allowance_usd or dollars.allowance_usd <= 0:
        return False
    return dollars.balance_usd <= 0 and (dollars.purchased_usd or 0) <= 0


def _trial(state: PoolState, record: Trial, policy: Policy) -> PoolState:
    """Give the trial to the first in the log; others that began on the same block have none."""
    account = state.account_of(record.fingerprint)
    for fingerprint, key in state.keys.items():
        shares = state.service(record.cloud).outage or state.account_of(fingerprint) == account
        if shares and key.tries(record.at, policy) and (key.trial_at or 0.0) >= record.ended:
            return state
    return state.with_key(record.fingerprint, trial_at=record.at, trial_owner=record.owner)


def _reset(state: PoolState, record: Reset) -> PoolState:
    """Forget the blocks of the key and of its account, and what led to them: a person outweighs the log."""
    identifier = state.account_of(record.fingerprint)
    key, account = state.key(record.fingerprint), state.account(identifier)
    outages = {cloud: service.outage for cloud, service in state.clouds.items() if service.outage}
    forgotten = Forgotten(record.at, key.reset_at, key.blocks, account.blocks, account.models, outages)
    if not (forgotten.key or forgotten.account or forgotten.models or outages) and key.forgotten:
        forgotten = key.forgotten
    state = state.with_key(record.fingerprint, blocks={}, streak=0, forgotten=forgotten)
    for fingerprint, key in {record.fingerprint: KeyState(), **state.keys}.items():
        if fingerprint == record.fingerprint or key.account == identifier:
            reset_at = max(state.key(fingerprint).reset_at, record.at)
            state = state.with_key(fingerprint, reset_at=reset_at, trial_at=None)
    for cloud, service in state.clouds.items():
        others = tuple(failure for failure in service.failures if failure.account != identifier)
        state = state.with_service(cloud, ServiceState(None, others))
    return state.with_account(identifier, blocks={}, models={}, slots=None, slots_until=None, clean=0)


def _reset_undone(state: PoolState, record: ResetUndone) -> PoolState:
    """Let what the last reset of a key forgot count again; what was learned since is newer, and stays."""
    forgotten = state.key(record.fingerprint).forgotten
    if forgotten is None:
        return state
    identifier = state.account_of(record.fingerprint)
    for fingerprint, key in state.keys.items():
        if key.reset_at == forgotten.at:
            state = state.with_key(fingerprint, reset_at=forgotten.reset_at)
    key, account = state.key(record.fingerprint), state.account(identifier)
    state = state.with_key(record.fingerprint, blocks={**forgotten.key, **key.blocks}, forgotten=None)
    for cloud, outage in forgotten.outages.items():
        service = state.service(cloud)
        state = state.with_service(cloud, replace(service, outage=service.outage or outage))
    return state.with_account(
        identifier,
        blocks={**forgotten.account, **account.blocks},
        models={**forgotten.models, **account.models},
    )


# A request that succeeded.


def _success(state: PoolState, record: Attempt, policy: Policy) -> PoolState:
    """Lift every block that is older than the request, of whatever took part in it."""
    key = state.key(record.fingerprint)
    state = state.with_key(
        record.fingerprint,
        blocks=_begun_since(key.blocks, record.started),
        last_ok=max(key.last_ok, record.at),
        proven=True,
        streak=0,
    )
    identifier = state.account_of(record.fingerprint)
    state = _lift_common_refusal(state, identifier, record.started, policy)
    account = state.account(identifier)
    models = dict(account.models)
    if record.model in models and models[record.model].since < record.started:
        del models[record.model]
    better = {"blocks": _begun_since(account.blocks, record.started), "models": models}
    learned = _more_slots(account, record, policy)
    if learned or better != {"blocks": account.blocks, "models": account.models}:
        state = state.with_account(identifier, **better, **learned)
    if record.model and (known := state.models.get(record.model)):
        block = known.block if known.block and known.block.since >= record.started else None
        state = state.with_model(record.model, block=block, failures=())
    service = state.service(record.cloud)
    outage = service.outage
    kept = ServiceState(outage, (), service.requests)
    if outage is None or outage.since < record.started:
        kept = ServiceState()
    return state if service == kept else state.with_service(record.cloud, kept)


def _lift_common_refusal(state: PoolState, identifier: str, started: float, policy: Policy) -> PoolState:
    """Lift the refusals of other accounts that came with one of this account, which is accepted again.

    What refused all of them was not about any one of them.
    """
    mine = state.account(identifier).blocks.get(BlockCause.SUSPENDED)
    if mine is None or mine.since >= started:
        return state
    for name, account in state.accounts.items():
        other = account.blocks.get(BlockCause.SUSPENDED)
        if name == identifier or other is None or abs(other.since - mine.since) > policy.alike_within:
            continue
        if (other.looked_at or other.since) < started:
            blocks = {cause: block for cause, block in account.blocks.items() if block is not other}
            state = state.with_account(name, blocks=blocks)
    return state


def _begun_since(blocks: Mapping[Name, Block], at: float) -> dict[Name, Block]:
    """Return the blocks that began at `at` or later: a request begun then says nothing of them."""
    return {name: block for name, block in blocks.items() if block.since >= at}


def _more_slots(account: AccountState, record: Attempt, policy: Policy) -> dict[str, int | None]:
    """Return the account's changes: one slot more after enough clean requests that filled all it has."""
    slots = account.slot_count(policy, record.at)
    if record.in_flight < slots:
        return {}
    if account.clean + 1 < policy.busy_clean_requests:
        return {"clean": account.clean + 1}
    return {"clean": 0, "slots": slots + 1, "slots_until": None}


# A request that failed: one function for each rule.


def _spent(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    count = _escalated(account.blocks.get(BlockCause.SPENT), record.started)
    until, estimated = _spent_until(fault.window, record.at, account.balance, count, policy, identifier)
    return _block(state, record, fault, until, step=count, estimated=estimated)


def _retry_after(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    traits = fault.traits
    existing = state.account(state.account_of(record.fingerprint)).blocks.get(_cause(fault))
    count = _escalated(existing, record.started)
    wait = fault.retry_after
    if wait is None:
        wait = step(traits.waits(policy), count)
    elif wait < AT_ONCE and count:
        wait = step(traits.waits(policy), count - 1)  # asked again at once, and refused again
    return _block(state, record, fault, record.at + min(wait, traits.longest(policy)), step=count)


def _fewer_slots(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    if fault.max_concurrent:
        slots, until = fault.max_concurrent, None
    else:
        slots = max(1, state.account(identifier).slot_count(policy, record.at) - 1)
        until = record.at + policy.busy_lowered
    state = state.with_account(identifier, slots=slots, slots_until=until, clean=0)
    return _retry_after(state, record, fault, policy)


def _doubt(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    """Doubt a key or account at first; a reading that is refused too makes it certain.

    Only a reading begun when the last look was due makes the next look later.
    """
    of_key = fault.traits.scope is Scope.KEY
    identifier = state.account_of(record.fingerprint)
    blocks = state.key(record.fingerprint).blocks if of_key else state.account(identifier).blocks
    cause = _cause(fault)
    existing = blocks.get(cause)
    block = _block_of(record, fault, record.at + fault.traits.waits(policy)[0])
    if record.client != "probe" and existing and existing.confirmed:
        if of_key or record.started < existing.since:
            return state
        seen = replace(existing, looks=existing.looks + 1, looked_at=record.at)
        return state.with_account(identifier, blocks={**blocks, cause: seen})
    if record.client != "probe" or existing is None:
        recheck = record.at + policy.confirm_after[1]
        block = _longer(replace(block, confirmed=False, recheck=recheck), existing)
    else:
        count = existing.step
        if existing.confirmed and existing.recheck is not None and record.started >= existing.recheck:
            count += 1
        recheck = record.at + step(fault.traits.rechecks(policy), count)
        block = replace(
            block,
            since=existing.since,
            until=None,
            step=count,
            recheck=recheck,
            looks=existing.looks,
            looked_at=existing.looked_at,
        )
    changed = {**blocks, cause: block}
    if of_key:
        return state.with_key(record.fingerprint, blocks=changed)
    return state.with_account(identifier, blocks=changed)


def _for_a_while(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    return _block(state, record, fault, record.at + fault.traits.waits(policy)[0])


def _breaker(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    """Take failures of two requests on two accounts, or of several on one, for an outage of the cloud.

    A request that failed before says nothing new, however often it is sent: it may be what breaks the cloud.
    """
    if fault.scope is Scope.REQUEST:
        return state
    account = state.account_of(record.fingerprint)
    if fault.scope is Scope.MODEL and record.model:
        return _overloaded(state, record, fault, account, policy)
    if fault.traits.blames_key:
        state = _shaky(state, record, fault, policy)
    service = state.service(record.cloud)
    outage, known = service.outage, service.requests
    if outage and (_request_name(record) in known or record.started <= outage.since):
        return state
    requests = (*known, _request_name(record))[-REMEMBERED:]
    if outage and outage.until is not None and record.started < outage.until:
        until = max(outage.until, record.at + policy.alone_longest)
        extended = replace(outage, since=record.at, until=until)
        return state.with_service(record.cloud, ServiceState(extended, (), requests))
    failures = _recent(service.failures, record, account, policy)
    alone = {failure.request for failure in failures if failure.account == account}
    if outage or len(alone) >= policy.outage_alone_after or _is_common(failures):
        count = _escalated(outage, record.started)
        until = record.at + step(fault.traits.waits(policy), count)
        outage = replace(_block_of(record, fault, until), step=count)
        requests = (*known, *dict.fromkeys(failure.request for failure in failures))[-REMEMBERED:]
    return state.with_service(record.cloud, ServiceState(outage, failures, requests if outage else ()))


def _request_name(record: Attempt) -> str:
    """Return the name of what a request asked; older logs have none, and every send counts."""
    return record.request or f"{record.fingerprint} {record.started}"


def _is_common(failures: Failures) -> bool:
    """Return whether two different requests have failed on two different accounts."""
    return any(
        one.account != other.account and one.request != other.request
        for one in failures
        for other in failures
    )


def _overloaded(state: PoolState, record: Attempt, fault: Fault, account: str, policy: Policy) -> PoolState:
    """Let an overloaded model rest once two accounts have met it: it is no fault of a key."""
    model = state.model(record.model or "")
    failures = _recent(model.failures, record, account, policy)
    block = model.block
    gone = block is not None and block.cause is BlockCause.GONE and block.holds(record.at)
    if not gone and _is_common(failures):
        block = _block_of(record, fault, record.at + policy.overloaded, BlockCause.OVERLOADED)
    return state.with_model(record.model or "", failures=failures, block=block)


def _shaky(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    """Let a key rest that fails again and again while others succeed."""
    key = state.key(record.fingerprint)
    if key.streak and key.streak_request == _request_name(record):
        return state
    since = key.streak_since if key.streak else record.at
    blocks = key.blocks
    others = any(
        other.last_ok >= since - policy.outage_window
        for fingerprint, other in state.keys.items()
        if fingerprint != record.fingerprint
    )
    if key.streak + 1 >= policy.shaky_after and others:
        block = _block_of(record, fault, record.at + policy.shaky, BlockCause.SHAKY)
        blocks = {**blocks, BlockCause.SHAKY: _longer(block, blocks.get(BlockCause.SHAKY))}
    return state.with_key(
        record.fingerprint,
        streak=key.streak + 1,
        streak_since=since,
        streak_request=_request_name(record),
        blocks=blocks,
    )


def _recent(failures: Failures, record: Attempt, account: str, policy: Policy) -> Failures:
    kept = tuple(failure for failure in failures if record.at - failure.at <= policy.outage_window)
    return (*kept, Failure(record.at, account, _request_name(record)))


def _blocks_nothing(state: PoolState, record: Attempt, fault: Fault, _: Policy) -> PoolState:
    if fault.max_output and record.model:
        return state.with_model(record.model, max_output=fault.max_output)
    return state


RULES: Final[Mapping[Rule, Callable[[PoolState, Attempt, Fault, Policy], PoolState]]] = {
    Rule.WINDOW: _spent,
    Rule.RETRY_AFTER: _retry_after,
    Rule.SLOTS: _fewer_slots,
    Rule.DOUBT: _doubt,
    Rule.FIXED: _for_a_while,
    Rule.BREAKER: _breaker,
    Rule.NOTHING: _blocks_nothing,
}


def _cause(fault: Fault) -> BlockCause:
    cause = fault.traits.block
    assert cause is not None, f"{fault.kind} blocks by {fault.traits.rule} without a cause"
    return cause


def _block_of(record: Attempt, fault: Fault, until: float | None, cause: BlockCause | None = None) -> Block:
    """Return a block from the end of the request on; `cause` only where it is not the fault's own."""
    return Block(
        cause or _cause(fault), record.at, until, fault.text, fault.status, fault.window, record.model
    )


def _block(
    state: PoolState,
    record: Attempt,
    fault: Fault,
    until: float,
    step: int = 0,
    *,
    estimated: bool = False,
) -> PoolState:
    """Return the state with what the fault's kind concerns blocked until then (epoch seconds)."""
    block = replace(_block_of(record, fault, until), step=step, estimated=estimated)
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    match fault.traits.scope:
        case Scope.ACCOUNT:
            kept = _longer(block, account.blocks.get(block.cause))
            return state.with_account(identifier, blocks={**account.blocks, block.cause: kept})
        case Scope.ACCOUNT_MODEL if record.model:
            kept = _longer(block, account.models.get(record.model))
            return state.with_account(identifier, models={**account.models, record.model: kept})
        case Scope.MODEL if record.model:
            return state.with_model(record.model, block=block)
    return state


# What a free reading settles.


def _authenticated(state: PoolState, fingerprint: str, started: float, policy: Policy) -> PoolState:
    """Settle the doubts of a key and its account that are older than a request the cloud accepted.

    A refusal of the account that nothing confirmed continues for the model it met: it is narrower.
    """
    state = _accepted(state, fingerprint, started)
    identifier = state.account_of(fingerprint)
    account = state.account(identifier)
    suspended = account.blocks.get(BlockCause.SUSPENDED)
    if suspended is None or suspended.since >= started:
        return state
    blocks = {cause: block for cause, block in account.blocks.items() if block is not suspended}
    models = dict(account.models)
    if suspended.model and not suspended.confirmed:
        until = suspended.since + policy.forbidden_model
        narrower = replace(suspended, cause=BlockCause.FORBIDDEN, until=until, confirmed=True, recheck=None)
        models[suspended.model] = _longer(narrower, models.get(suspended.model))
    return state.with_account(identifier, blocks=blocks, models=models)


def _accepted(state: PoolState, fingerprint: str, started: float) -> PoolState:
    blocks = {
        cause: block
        for cause, block in state.key(fingerprint).blocks.items()
        if cause is not BlockCause.INVALID or block.since >= started
    }
    return state.with_key(fingerprint, proven=True, blocks=blocks)


def _balance_read(state: PoolState, record: BalanceRead, policy: Policy) -> PoolState:
    state = _authenticated(state, record.fingerprint, record.started, policy)
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    if account.balance_at is not None and record.at < account.balance_at:
        return state
    used = record.balance.used_percent
    samples = account.samples
    if used is not None:
        recent = [sample for sample in samples if record.at - sample.at <= SAMPLE_AGE]
        samples = (*recent[-SAMPLES + 1 :], Sample(record.at, used))
    before = account.balance or Balance()
    bought = record.balance.purchased_usd > before.purchased_usd
    blocks = dict(account.blocks)
    if spent := blocks.get(BlockCause.SPENT):
        more = bought or (spent.window == CREDITS and record.balance.dollars_left > before.dollars_left)
        blocks[BlockCause.SPENT] = _spent_after(spent, record, policy, identifier, more=more)
    if bought and account.balance is None:
        account = replace(account, models=_without_plan_blocks(account.models, record.started))
    elif bought:
        account = _offered_more(account, record)
    else:
        account = _offered_as_before(account, record, policy)
    account = replace(account, balance=record.balance, balance_at=record.at, samples=samples, blocks=blocks)
    return replace(state, accounts={**state.accounts, identifier: account})


def _spent_after(block: Block, record: BalanceRead, policy: Policy, seed: str, *, more: bool) -> Block:
    """Return a spent block after a reading: over, moved to the server's own time, or as it was.

    New usage shows late, so only a reading begun a while after the block may say that there is room, unless
    there is `more` money than before.
    """
    balance = record.balance
    if record.started < block.since or not balance.understood or not block.holds(record.at):
        return block
    used = balance.included_percent
    room = used is not None and used < policy.spent_free_percent
    if block.window == CREDITS and balance.dollars_left > 0:
        room = True
    if more or (room and record.started - block.since >= policy.balance_lag):
        return replace(block, until=record.at)
    if balance.resets_at(block.window) is None:
        return block
    until, estimated = _spent_until(block.window, block.since, balance, block.step, policy, seed)
    if room and block.until is not None:
        until = min(until, block.until)  # that of the next window, if this one was reset meanwhile
    return replace(block, until=until, estimated=estimated)


def _offered_more(account: AccountState, record: BalanceRead | IdentityRead) -> AccountState:
    """Return an account without the models that another plan, or more credit, seen just now may offer."""
    account = replace(account, offered_more_at=record.at)
    return replace(account, models=_without_plan_blocks(account.models, record.started))


def _offered_as_before(account: AccountState, record: BalanceRead, policy: Policy) -> AccountState:
    """Return an account without the models that were refused right after it had been offered more.

    What is bought is booked late, so a request may have come too soon for it.
    """
    since = account.offered_more_at
    if since is None or record.started < since + policy.balance_lag:
        return account
    models = _without_plan_blocks(account.models, since + policy.balance_lag)
    return replace(account, models=models, offered_more_at=None)


def _without_plan_blocks(models: Mapping[str, Block], before: float) -> dict[str, Block]:
    """Return the blocks without those of the plan that began earlier."""
    return {
        name: block
        for name, block in models.items()
        if block.cause is not BlockCause.NO_PLAN or block.since >= before
    }


def _identity_read(state: PoolState, record: IdentityRead) -> PoolState:
    """Move what was known of the key alone to its account."""
    state = _accepted(state, record.fingerprint, record.started)
    if not record.account:
        return state
    known = state.key(record.fingerprint)
    state = state.with_key(record.fingerprint, account=record.account, identity_at=record.at)
    account = state.account(record.account)
    if known.account is None:
        provisional = state.account(record.fingerprint)
        state = _renamed(state, record.fingerprint, record.account)
        state, account = _joined(state, record.account, account, provisional)
    if account.plan != record.plan:
        account = _offered_more(account, record) if account.plan else account
        account = replace(account, plan=record.plan)
    return replace(state, accounts={**state.accounts, record.account: account})


def _renamed(state: PoolState, provisional: str, identifier: str) -> PoolState:
    """Return the state with a key's provisional account under its own name, in recent failures too."""

    def renamed(failures: Failures) -> Failures:
        return tuple(
            replace(failure, account=identifier) if failure.account == provisional else failure
            for failure in failures
        )

    def model(known: ModelState) -> ModelState:
        return replace(known, failures=renamed(known.failures)) if known.failures else known

    return replace(
        state,
        accounts={name: account for name, account in state.accounts.items() if name != provisional},
        models={name: model(known) for name, known in state.models.items()},
        clouds={
            cloud: replace(service, failures=renamed(service.failures))
            for cloud, service in state.clouds.items()
        },
    )


def _joined(
    state: PoolState, identifier: str, account: AccountState, provisional: AccountState
) -> tuple[PoolState, AccountState]:
    """Make one account of two; a person's reset of any of its keys outweighs older blocks of both."""
    keys = [name for name, key in state.keys.items() if key.account == identifier]
    reset_at = max(state.key(name).reset_at for name in keys)
    for name in keys:
        state = state.with_key(name, reset_at=reset_at)
    newer = provisional if (provisional.balance_at or 0) > (account.balance_at or 0) else account
    learned = account if account.slots else provisional
    return state, replace(
        account,
        blocks=_begun_since(_merged(account.blocks, provisional.blocks), reset_at),
        models=_begun_since(_merged(account.models, provisional.models), reset_at),
        balance=newer.balance,
        balance_at=newer.balance_at,
        samples=newer.samples,
        offered_more_at=account.offered_more_at or provisional.offered_more_at,
        slots=learned.slots,
        slots_until=learned.slots_until,
    )


def _merged(first: Mapping[Name, Block], second: Mapping[Name, Block]) -> dict[Name, Block]:
    merged = dict(first)
    for name, block in second.items():
        merged[name] = _later(merged[name], block) if name in merged else block
    return merged


# How long blocks last, and which of two applies.


def _spent_until(
    window: str | None, since: float, balance: Balance | None, count: int, policy: Policy, seed: str
) -> tuple[float, bool]:
    """Return when a spent window may be tried again, in epoch seconds, and whether that is an estimate.

    It is the server's time, else the calendar's, else a growing wait; never beyond belief.
    """
    at = balance.resets_at(window) if balance else None
    estimated = at is None or at <= since
    if at is None or at <= since:
        at = next_reset(window, since) or since + step(policy.spent_steps, count)
    longest = policy.longest_block if window in ("session", "weekly", "hourly") else policy.longest_period
    return min(at + jitter(policy.spent_jitter, f"{seed}{since}"), since + longest), estimated


def _escalated(block: Block | None, started: float) -> int:
    """Return the step of a block that follows `block`: one up only if the request began after its end."""
    if block is None:
        return 0
    over = block.until is not None and started >= block.until
    return block.step + 1 if over else block.step


def _later(first: Block, second: Block) -> Block:
    """Return the one of two blocks of one cause that ends later; an open-ended one ends last."""
    if first.until is None or second.until is None:
        return first if first.until is None else second
    return first if first.until >= second.until else second


def _longer(block: Block, existing: Block | None) -> Block:
    """Return a new block of one cause, which never ends before the one it replaces nor counts as older."""
    if existing is None:
        return block
    since = max(block.since, existing.since)
    if _later(existing, block) is block:
        return replace(block, since=since)
    if since == existing.since:
        return existing
    return replace(existing, since=since, text=block.text, status=block.status)
