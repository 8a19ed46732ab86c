"""The fold: how each record changes what is known of the pool. `fold` of the log is the pool's state."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from okr_tui.domain.fault_effects import fault_effect
from okr_tui.domain.faults import FaultKind, is_public
from okr_tui.domain.policy import Policy
from okr_tui.domain.readings import authenticated, balance_read, identity_read
from okr_tui.domain.records import (
    Attempt,
    BalanceRead,
    Disabled,
    Enabled,
    IdentityRead,
    Record,
    Reset,
    Trial,
)
from okr_tui.domain.state import AccountState, Block, KeyState, PoolState, ServiceState

NOT_THE_KEYS: Final = frozenset({FaultKind.REQUEST, FaultKind.ENDPOINT, FaultKind.GONE})
"""Faults that are the caller's or the model's and never count against a key."""
Name = TypeVar("Name")


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
    if is_public(record.path):
        return state
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
