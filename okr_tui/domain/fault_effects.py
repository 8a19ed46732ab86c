"""What each kind of fault does to the pool's state."""

from dataclasses import replace

from okr_tui.domain.deadlines import escalated, longer, spent_until
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.policy import Policy, step
from okr_tui.domain.records import Attempt
from okr_tui.domain.state import Block, Cause, PoolState, ServiceState


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
