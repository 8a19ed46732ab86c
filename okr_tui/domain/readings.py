"""What free readings tell the fold: an account's balance, a key's account and plan, that a key is good."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from okr_tui.domain.deadlines import later, longer, spent_until
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Sample
from okr_tui.domain.records import BalanceRead, IdentityRead
from okr_tui.domain.state import AccountState, Block, Blocks, Cause, ModelState, PoolState

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
