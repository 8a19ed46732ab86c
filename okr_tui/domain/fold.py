"""The fold: how each record changes what is known of the pool. `fold` of the log is the pool's state."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar
from zlib import crc32

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.policy import Policy, step
from okr_tui.domain.quota import Balance, Sample, next_reset
from okr_tui.domain.records import Attempt, BalanceRead, Disabled, Enabled, IdentityRead, Record, Reset, Trial
from okr_tui.domain.state import (
    AccountState,
    Block,
    Blocks,
    Cause,
    KeyState,
    ModelState,
    PoolState,
    ServiceState,
)


def jitter(bounds: tuple[float, float], seed: str) -> float:
    """A wait between the bounds that is the same in every process that folds the same log."""
    low, high = bounds
    return low + (high - low) * crc32(seed.encode()) / 0xFFFFFFFF


def capped(until: float, since: float, longest: float) -> float:
    """A deadline no further ahead than is believable."""
    return min(until, since + longest)


def later(first: Block, second: Block) -> Block:
    """Of two blocks of one cause the one that ends later; an open-ended one ends last."""
    if first.until is None or second.until is None:
        return first if first.until is None else second
    return first if first.until >= second.until else second


def spent_until(
    window: str | None, since: float, balance: Balance | None, count: int, policy: Policy, seed: str
) -> float:
    """When a spent window may be tried again: the server's time, else the calendar's, else a growing wait."""
    told = balance.resets_at(window) if balance else None
    if told is None or told <= since:
        told = next_reset(window, since) or since + step(policy.spent_steps, count)
    longest = policy.longest_block if window in ("session", "weekly", "hourly") else policy.longest_period
    return capped(told + jitter(policy.spent_jitter, f"{seed}{since}"), since, longest)


def escalated(block: Block | None, started: float) -> int:
    """The step of a block that follows `block`: one up only if the failing request began after its end."""
    if block is None:
        return 0
    over = block.until is not None and started >= block.until
    return block.step + 1 if over else block.step


def longer(block: Block, existing: Block | None) -> Block:
    """A new block of one cause never ends before the one it replaces, nor counts as older than it."""
    if existing is None:
        return block
    since = max(block.since, existing.since)
    if later(existing, block) is block:
        return replace(block, since=since)
    if since == existing.since:
        return existing
    return replace(existing, since=since, text=block.text, status=block.status)


def fault_effect(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    """The state after a request failed with this fault."""
    if record.client == "probe" and fault.kind not in (FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN):
        return state
    match fault.kind:
        case FaultKind.SPENT:
            return _spent(state, record, fault, policy)
        case FaultKind.SLOWED:
            return _slowed(state, record, fault, policy)
        case FaultKind.BUSY:
            return _busy(state, record, fault, policy)
        case FaultKind.UNAUTHORIZED:
            return _unauthorized(state, record, fault, policy)
        case FaultKind.NO_PLAN:
            return _no_plan(state, record, fault, policy)
        case FaultKind.FORBIDDEN:
            return _forbidden(state, record, fault, policy)
        case FaultKind.GONE:
            return _gone(state, record, fault, policy)
        case FaultKind.TRANSIENT:
            return _transient(state, record, fault, policy)
        case FaultKind.REQUEST if fault.max_output and record.model:
            return state.with_model(record.model, max_output=fault.max_output)
        case _:
            return state


def _block(cause: Cause, record: Attempt, fault: Fault, until: float | None) -> Block:
    return Block(cause, record.at, until, fault.text, fault.status, fault.window, record.model)


def _block_account(state: PoolState, record: Attempt, block: Block) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    blocks = state.account(identifier).blocks
    return state.with_account(
        identifier, blocks={**blocks, block.cause: longer(block, blocks.get(block.cause))}
    )


def _spent(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    count = escalated(account.blocks.get(Cause.SPENT), record.started)
    until = spent_until(fault.window, record.at, account.balance, count, policy, identifier)
    block = replace(_block(Cause.SPENT, record, fault, until), step=count)
    return _block_account(state, record, block)


def _slowed(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    existing = state.account(state.account_of(record.fingerprint)).blocks.get(Cause.SLOWED)
    count = escalated(existing, record.started)
    wait = step(policy.slowed_steps, count) if fault.retry_after is None else fault.retry_after
    block = _block(Cause.SLOWED, record, fault, record.at + min(wait, policy.slowed_longest))
    return _block_account(state, record, replace(block, step=count))


def _busy(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    if fault.max_concurrent:
        slots, until = fault.max_concurrent, None
    else:
        slots = max(1, account.slot_count(policy, record.at) - 1)
        until = record.at + policy.busy_lowered
    state = state.with_account(identifier, slots=slots, slots_until=until, clean=0)
    rest = policy.busy_rest if fault.retry_after is None else fault.retry_after
    return _block_account(
        state, record, _block(Cause.BUSY, record, fault, record.at + min(rest, policy.busy_longest))
    )


def _unauthorized(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    blocks = state.key(record.fingerprint).blocks
    existing = blocks.get(Cause.INVALID)
    doubt = _block(Cause.INVALID, record, fault, record.at + policy.invalid_steps[0])
    block = _refused(doubt, existing, record, policy.invalid_steps, policy)
    return state.with_key(record.fingerprint, blocks={**blocks, Cause.INVALID: block})


def _refused(
    doubt: Block, existing: Block | None, record: Attempt, rechecks: tuple[float, ...], policy: Policy
) -> Block:
    """The block after a refusal: a doubt at first, certain once a reading refuses too, then looked at rarely.

    Only a reading begun when the last look was due makes the next look later.
    """
    if record.client != "probe" and existing and existing.confirmed:
        return existing
    if record.client != "probe" or existing is None:
        recheck = record.at + policy.confirm_after[1]
        return longer(replace(doubt, confirmed=False, recheck=recheck), existing)
    count = existing.step
    if existing.confirmed and existing.recheck is not None and record.started >= existing.recheck:
        count += 1
    recheck = record.at + step(rechecks, count)
    return replace(doubt, since=existing.since, until=None, step=count, recheck=recheck)


def _no_plan(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    return _block_model(state, record, _block(Cause.NO_PLAN, record, fault, record.at + policy.no_plan))


def _block_model(state: PoolState, record: Attempt, block: Block) -> PoolState:
    if not record.model:
        return state
    identifier = state.account_of(record.fingerprint)
    models = state.account(identifier).models
    return state.with_account(
        identifier, models={**models, record.model: longer(block, models.get(record.model))}
    )


def _forbidden(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    identifier = state.account_of(record.fingerprint)
    blocks = state.account(identifier).blocks
    existing = blocks.get(Cause.SUSPENDED)
    doubt = _block(Cause.SUSPENDED, record, fault, record.at + policy.forbidden_model)
    block = _refused(doubt, existing, record, (policy.suspended_recheck,), policy)
    return state.with_account(identifier, blocks={**blocks, Cause.SUSPENDED: block})


def _gone(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    if not record.model:
        return state
    return state.with_model(record.model, block=_block(Cause.GONE, record, fault, record.at + policy.gone))


def _transient(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    account = state.account_of(record.fingerprint)
    if fault.scope is Scope.MODEL and record.model:
        return _overloaded(state, record, fault, account, policy)
    state = _shaky(state, record, fault, policy)
    outage = state.service.outage
    if outage and outage.until is not None and record.started < outage.until:
        if record.started <= outage.since:
            return state
        until = max(outage.until, record.at + policy.alone_longest)
        return replace(state, service=ServiceState(replace(outage, since=record.at, until=until)))
    failures = _recent(state.service.failures, record, account, policy)
    alone = sum(who == account for _, who in failures) >= policy.outage_alone_after
    if outage or alone or len({who for _, who in failures}) > 1:
        count = escalated(outage, record.started)
        until = record.at + step(policy.outage_steps, count)
        outage = replace(_block(Cause.OUTAGE, record, fault, until), step=count)
    return replace(state, service=ServiceState(outage, failures))


def _overloaded(state: PoolState, record: Attempt, fault: Fault, account: str, policy: Policy) -> PoolState:
    """An overloaded model is no fault of the key; it rests once two accounts have met it."""
    model = state.model(record.model or "")
    failures = _recent(model.failures, record, account, policy)
    block = model.block
    gone = block is not None and block.cause is Cause.GONE and block.holds(record.at)
    if not gone and len({who for _, who in failures}) > 1:
        block = _block(Cause.OVERLOADED, record, fault, record.at + policy.overloaded)
    return state.with_model(record.model or "", failures=failures, block=block)


def _recent(
    failures: tuple[tuple[float, str], ...], record: Attempt, account: str, policy: Policy
) -> tuple[tuple[float, str], ...]:
    kept = tuple(item for item in failures if record.at - item[0] <= policy.outage_window)
    return (*kept, (record.at, account))


def _shaky(state: PoolState, record: Attempt, fault: Fault, policy: Policy) -> PoolState:
    """A key that fails again and again while others succeed rests for a while."""
    key = state.key(record.fingerprint)
    since = key.streak_since if key.streak else record.at
    blocks = key.blocks
    others = any(
        other.last_ok >= since - policy.outage_window
        for fingerprint, other in state.keys.items()
        if fingerprint != record.fingerprint
    )
    if key.streak + 1 >= policy.shaky_after and others:
        block = _block(Cause.SHAKY, record, fault, record.at + policy.shaky)
        blocks = {**blocks, Cause.SHAKY: longer(block, blocks.get(Cause.SHAKY))}
    return state.with_key(record.fingerprint, streak=key.streak + 1, streak_since=since, blocks=blocks)


SAMPLES = 120
SAMPLE_AGE = 7200
Name = TypeVar("Name")


def balance_read(state: PoolState, record: BalanceRead, policy: Policy) -> PoolState:
    """The state after an account's quota was read."""
    state = authenticated(state, record.fingerprint, record.started, policy)
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    if account.balance_at is not None and record.at < account.balance_at:
        return state
    used = record.balance.used_percent
    samples = account.samples
    if used is not None:
        recent = [sample for sample in samples if record.at - sample.at <= SAMPLE_AGE]
        samples = (*recent[-SAMPLES + 1 :], Sample(record.at, used))
    before = account.balance.purchased_usd if account.balance else 0.0
    bought = record.balance.purchased_usd > before
    blocks = dict(account.blocks)
    if spent := blocks.get(Cause.SPENT):
        blocks[Cause.SPENT] = _spent_after(spent, record, policy, identifier, bought=bought)
    models = _without_plan_blocks(account.models, record.started) if bought else account.models
    return state.with_account(
        identifier,
        balance=record.balance,
        balance_at=record.at,
        samples=samples,
        blocks=blocks,
        models=models,
    )


def _spent_after(block: Block, record: BalanceRead, policy: Policy, seed: str, *, bought: bool) -> Block:
    """A spent block after a reading: over, moved to the server's own time, or as it was.

    New usage shows late, so only a reading begun a while after the block may say that there is room.
    """
    balance = record.balance
    if record.started < block.since or not balance.understood or not block.holds(record.at):
        return block
    used = balance.included_percent
    room = used is not None and used < policy.spent_free_percent
    if bought or (room and record.started - block.since >= policy.balance_lag):
        return replace(block, until=record.at)
    if balance.resets_at(block.window) is None:
        return block
    until = spent_until(block.window, block.since, balance, block.step, policy, seed)
    return replace(block, until=until)


def _without_plan_blocks(models: Mapping[str, Block], started: float) -> dict[str, Block]:
    """The models' blocks without those that a plan or credit seen by a later request may have lifted."""
    return {
        name: block
        for name, block in models.items()
        if block.cause is not Cause.NO_PLAN or block.since >= started
    }


def authenticated(state: PoolState, fingerprint: str, started: float, policy: Policy) -> PoolState:
    """The cloud accepted the key: doubts about it that are older than the request are settled."""
    state = _accepted(state, fingerprint, started)
    identifier = state.account_of(fingerprint)
    account = state.account(identifier)
    suspended = account.blocks.get(Cause.SUSPENDED)
    if suspended is None or suspended.since >= started:
        return state
    blocks = {cause: block for cause, block in account.blocks.items() if cause is not Cause.SUSPENDED}
    models = dict(account.models)
    if suspended.model and not suspended.confirmed:
        until = suspended.since + policy.forbidden_model
        narrower = replace(suspended, cause=Cause.FORBIDDEN, until=until, confirmed=True, recheck=None)
        models[suspended.model] = longer(narrower, models.get(suspended.model))
    return state.with_account(identifier, blocks=blocks, models=models)


def _accepted(state: PoolState, fingerprint: str, started: float) -> PoolState:
    blocks: Blocks = {
        cause: block
        for cause, block in state.key(fingerprint).blocks.items()
        if cause is not Cause.INVALID or block.since >= started
    }
    return state.with_key(fingerprint, proven=True, blocks=blocks)


def identity_read(state: PoolState, record: IdentityRead) -> PoolState:
    """The state after a key's account was read; what was known of the key alone joins the account."""
    state = _accepted(state, record.fingerprint, record.started)
    if not record.account:
        return state
    known = state.key(record.fingerprint)
    state = state.with_key(record.fingerprint, account=record.account, identity_at=record.at)
    account = state.account(record.account)
    if known.account is None:
        moved = state.account(record.fingerprint)
        state = _renamed(state, record.fingerprint, record.account)
        state, account = _joined(state, record.account, account, moved)
    if account.plan != record.plan:
        models = _without_plan_blocks(account.models, record.started) if account.plan else account.models
        account = replace(account, plan=record.plan, models=models)
    return replace(state, accounts={**state.accounts, record.account: account})


def _renamed(state: PoolState, provisional: str, identifier: str) -> PoolState:
    """The state with a key's provisional account known by its own name, in the recent failures too."""

    def renamed(failures: tuple[tuple[float, str], ...]) -> tuple[tuple[float, str], ...]:
        return tuple((at, identifier if who == provisional else who) for at, who in failures)

    def model(known: ModelState) -> ModelState:
        return replace(known, failures=renamed(known.failures)) if known.failures else known

    return replace(
        state,
        accounts={name: account for name, account in state.accounts.items() if name != provisional},
        models={name: model(known) for name, known in state.models.items()},
        service=replace(state.service, failures=renamed(state.service.failures)),
    )


def _joined(
    state: PoolState, identifier: str, account: AccountState, moved: AccountState
) -> tuple[PoolState, AccountState]:
    """One account of two; a person's reset of any of its keys outweighs older blocks of both."""
    keys = [name for name, key in state.keys.items() if key.account == identifier]
    reset_at = max(state.key(name).reset_at for name in keys)
    for name in keys:
        state = state.with_key(name, reset_at=reset_at)
    newer = moved if (moved.balance_at or 0) > (account.balance_at or 0) else account
    learned = account if account.slots else moved
    return state, replace(
        account,
        blocks=_merged(account.blocks, moved.blocks, reset_at),
        models=_merged(account.models, moved.models, reset_at),
        balance=newer.balance,
        balance_at=newer.balance_at,
        samples=newer.samples,
        slots=learned.slots,
        slots_until=learned.slots_until,
    )


def _merged(first: Mapping[Name, Block], second: Mapping[Name, Block], reset_at: float) -> dict[Name, Block]:
    merged = dict(first)
    for name, block in second.items():
        merged[name] = later(merged[name], block) if name in merged else block
    return {name: block for name, block in merged.items() if block.since >= reset_at}


NOT_THE_KEYS: Final = frozenset({FaultKind.REQUEST, FaultKind.ENDPOINT, FaultKind.GONE})
"""Faults that are the caller's or the model's and never count against a key."""


def fold(records: Iterable[Record], policy: Policy, state: PoolState | None = None) -> PoolState:
    """The pool's state after these records, from an empty log or from `state`."""
    state = state or PoolState()
    for record in records:
        state = apply(state, record, policy)
    return state


def apply(state: PoolState, record: Record, policy: Policy) -> PoolState:
    """The state after one more record. Records that say nothing of the pool change nothing."""
    match record:
        case Attempt():
            return _attempt(state, record, policy)
        case BalanceRead():
            return balance_read(state, record, policy)
        case IdentityRead():
            return identity_read(state, record)
        case Trial():
            return _trial(state, record, policy)
        case Enabled() | Disabled():
            return state.with_key(record.fingerprint, disabled=isinstance(record, Disabled))
        case Reset():
            return _reset(state, record)
        case _:
            return state


def _trial(state: PoolState, record: Trial, policy: Policy) -> PoolState:
    """The first trial in the log stands; those begun beside it, on the same block, are for nothing."""
    account = state.account_of(record.fingerprint)
    for fingerprint, key in state.keys.items():
        shares = state.service.outage is not None or state.account_of(fingerprint) == account
        if shares and key.tries(record.at, policy):
            return state
    return state.with_key(record.fingerprint, trial_at=record.at, trial_owner=record.owner)


def _older(blocks: Mapping[Name, Block], started: float) -> dict[Name, Block]:
    """The blocks that a success of a request begun at `started` does not lift."""
    return {name: block for name, block in blocks.items() if block.since >= started}


def _attempt(state: PoolState, record: Attempt, policy: Policy) -> PoolState:
    key = state.key(record.fingerprint)
    asked = record.client != "probe"
    if record.outcome == "ok" and not asked:
        return authenticated(state, record.fingerprint, record.started, policy)
    changes: dict[str, object] = {}
    if asked:
        ended = key.trial_at is not None and key.trial_at <= record.started
        changes = {
            "requests": key.requests + 1,
            "last_used": max(key.last_used, record.at),
            "trial_at": None if ended else key.trial_at,
            "trial_owner": None if ended else key.trial_owner,
        }
    if record.outcome == "ok":
        return _success(state, record, policy, changes)
    state = state.with_key(record.fingerprint, **changes)
    if record.outcome == "cancelled" or record.fault is None or record.started < key.reset_at:
        return state
    if asked and record.fault.kind not in NOT_THE_KEYS:
        state = state.with_key(
            record.fingerprint,
            faults=key.faults + 1,
            last_fault=record.fault,
            last_fault_at=record.at,
        )
    return fault_effect(state, record, record.fault, policy)


def _success(state: PoolState, record: Attempt, policy: Policy, changes: Mapping[str, object]) -> PoolState:
    """`changes` are those that the key has from any request."""
    key = state.key(record.fingerprint)
    state = state.with_key(
        record.fingerprint,
        **changes,
        blocks=_older(key.blocks, record.started),
        last_ok=max(key.last_ok, record.at),
        proven=True,
        streak=0,
    )
    identifier = state.account_of(record.fingerprint)
    account = state.account(identifier)
    models = dict(account.models)
    if record.model in models and models[record.model].since < record.started:
        del models[record.model]
    better = {"blocks": _older(account.blocks, record.started), "models": models}
    learned = _slots(account, record, policy)
    if learned or better != {"blocks": account.blocks, "models": account.models}:
        state = state.with_account(identifier, **better, **learned)
    if record.model and (known := state.models.get(record.model)):
        block = known.block if known.block and known.block.since >= record.started else None
        state = replace(
            state, models={**state.models, record.model: replace(known, block=block, failures=())}
        )
    outage = state.service.outage
    kept = outage if outage and outage.since >= record.started else None
    return state if state.service == ServiceState(kept) else replace(state, service=ServiceState(kept))


def _slots(account: AccountState, record: Attempt, policy: Policy) -> dict[str, int | None]:
    """The limit grows by one after enough clean requests that filled it."""
    slots = account.slot_count(policy, record.at)
    if record.in_flight < slots:
        return {}
    if account.clean + 1 < policy.busy_clean_requests:
        return {"clean": account.clean + 1}
    return {"clean": 0, "slots": slots + 1, "slots_until": None}


def _reset(state: PoolState, record: Reset) -> PoolState:
    """A person's word outweighs what came before: blocks of the key and its account, and what led to them."""
    identifier = state.account_of(record.fingerprint)
    state = state.with_key(record.fingerprint, blocks={}, streak=0)
    for fingerprint, key in {record.fingerprint: KeyState(), **state.keys}.items():
        if fingerprint == record.fingerprint or key.account == identifier:
            reset_at = max(state.key(fingerprint).reset_at, record.at)
            state = state.with_key(fingerprint, reset_at=reset_at, trial_at=None)
    others = tuple(failure for failure in state.service.failures if failure[1] != identifier)
    state = replace(state, service=ServiceState(None, others))
    return state.with_account(identifier, blocks={}, models={}, slots=None, slots_until=None, clean=0)
