"""One function says what a key's state is, whether it may be used and why not: for screen and choice."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from okr_tui.domain.policy import Policy
from okr_tui.domain.state import Block, Cause, PoolState


class State(StrEnum):
    """The words a person sees."""

    UNVERIFIED = "unverified"
    READY = "ready"
    BUSY = "busy"
    SLOWED = "slowed"
    SPENT = "spent"
    SHAKY = "shaky"
    INVALID = "invalid"
    SUSPENDED = "suspended"
    OFF = "off"
    PROBING = "probing"
    NO_PLAN = "no-plan"
    GONE = "gone"
    OUTAGE = "outage"


WORDS: dict[Cause, tuple[State, str]] = {
    Cause.INVALID: (State.INVALID, "key refused"),
    Cause.SUSPENDED: (State.SUSPENDED, "account refused"),
    Cause.SPENT: (State.SPENT, "spent"),
    Cause.NO_PLAN: (State.NO_PLAN, "the plan does not include this model"),
    Cause.GONE: (State.GONE, "the cloud no longer has this model"),
    Cause.OUTAGE: (State.OUTAGE, "the cloud does not answer"),
    Cause.OVERLOADED: (State.OUTAGE, "the model is overloaded"),
    Cause.FORBIDDEN: (State.NO_PLAN, "the account may not use this model"),
    Cause.SLOWED: (State.SLOWED, "rate limited"),
    Cause.BUSY: (State.BUSY, "all request slots taken"),
    Cause.SHAKY: (State.SHAKY, "failing while others succeed"),
}
ORDER = {cause: rank for rank, cause in enumerate(Cause)}
WINDOW_WORDS = {"session": "5h", "hourly": "hour", "weekly": "week", "monthly": "month", "credits": "credits"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a key is good for now. `until` is epoch seconds; `trial`: the next request tests it."""

    state: State
    eligible: bool
    reason: str = ""
    until: float | None = None
    window: str | None = None
    trial: bool = False


READY: Final = Verdict(State.READY, eligible=True)
UNVERIFIED: Final = Verdict(State.UNVERIFIED, eligible=True, reason="not tried yet")
BACK: Final = Verdict(State.READY, eligible=True, reason="back, to be tried", trial=True)


def verdict(
    state: PoolState,
    fingerprint: str,
    *,
    now: float,
    policy: Policy,
    model: str | None = None,
    in_flight: int = 0,
    alone: bool = False,
) -> Verdict:
    """A key's state for a request of `model`; `alone` says that no other account could take it.

    `in_flight` is what this process has under way on the key's account.
    """
    key = state.key(fingerprint)
    if key.disabled:
        return Verdict(State.OFF, eligible=False, reason="switched off by you")
    account = state.account(state.account_of(fingerprint))
    blocks = [
        *key.blocks.values(),
        *account.blocks.values(),
        *_team_blocks(state, fingerprint),
        *_model_blocks(state, fingerprint, model),
    ]
    if state.service.outage:
        blocks.append(state.service.outage)
    if blocks:
        bought = bool(account.balance and account.balance.purchased_usd > 0)
        eased = (_eased(block, policy, alone=alone, bought=bought) for block in blocks)
        blocks = sorted(eased, key=lambda block: ORDER[block.cause])
        if holding := [block for block in blocks if block.holds(now)]:
            ends = [block.until for block in holding if block.until is not None]
            until = max(ends) if len(ends) == len(holding) else None
            return replace(blocked(holding[0]), until=until)
    over = [block for block in blocks if block.cause not in (Cause.BUSY, Cause.SLOWED, Cause.NO_PLAN)]
    if over and _trial_under_way(state, fingerprint, over, now, policy):
        return Verdict(State.PROBING, eligible=False, reason="one request is trying it")
    slots = account.slot_count(policy, now)
    if in_flight >= slots:
        return Verdict(State.BUSY, eligible=False, reason=f"all {slots} request slots taken")
    if over:
        return BACK
    return READY if key.proven else UNVERIFIED


def blocked(block: Block) -> Verdict:
    """The verdict that a block gives."""
    word, reason = WORDS[block.cause]
    if block.cause is Cause.SPENT:
        reason = f"{WINDOW_WORDS.get(block.window or '', 'quota')} spent"
    elif block.cause in (Cause.INVALID, Cause.SUSPENDED):
        doubt = "" if block.confirmed else ", being confirmed"
        reason = f"{block.status or ''} {block.text or reason}{doubt}".strip()
    return Verdict(word, eligible=False, reason=reason, until=block.until, window=block.window)


def _team_blocks(state: PoolState, fingerprint: str) -> list[Block]:
    """What other members of the key's team have found spent."""
    account = state.account_of(fingerprint)
    quota = state.quota_of(account)
    if quota == account:
        return []
    others = (other for other in state.accounts if other != account and state.quota_of(other) == quota)
    found = (state.account(other).blocks.get(Cause.SPENT) for other in others)
    return [block for block in found if block]


def _model_blocks(state: PoolState, fingerprint: str, model: str | None) -> list[Block]:
    if model is None:
        return []
    pair = state.account(state.account_of(fingerprint)).models.get(model)
    whole = state.model(model).block
    return [block for block in (pair, whole) if block]


def _eased(block: Block, policy: Policy, *, alone: bool, bought: bool) -> Block:
    """A block as it is applied: a sole account is not kept back for long by what may pass, and bought
    credit may stand for a spent window, so one request tries it now and then.
    """
    if block.until is None:
        return block
    if block.cause is Cause.SPENT and bought:
        return replace(block, until=min(block.until, block.since + policy.spent_trial))
    if alone and block.cause in (Cause.OUTAGE, Cause.SHAKY, Cause.OVERLOADED):
        return replace(block, until=min(block.until, block.since + policy.alone_longest))
    return block


def _trial_under_way(
    state: PoolState, fingerprint: str, over: list[Block], now: float, policy: Policy
) -> bool:
    """Whether some key that shares an ended block already has its one trial on the way."""
    account = state.account_of(fingerprint)
    for block in over:
        for other, key in state.keys.items():
            shares = block.cause is Cause.OUTAGE or state.account_of(other) == account
            if not shares or not key.tries(now, policy):
                continue
            if block.until is not None and (key.trial_at or 0.0) >= block.until:
                return True
    return False
