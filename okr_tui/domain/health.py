"""The states of a key, one row each, and the one function that says which of them a key is in.

Screen and choice ask the same function: what is shown as blocked is never chosen.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Final

from okr_tui.domain.faults import BlockCause, ClientCause, Tone
from okr_tui.domain.policy import Policy
from okr_tui.domain.state import Block, PoolState


class State(StrEnum):
    """The words a person sees."""

    UNVERIFIED = "unverified"
    READY = "ready"
    BUSY = "busy"
    SLOWED = "slowed"
    SPENT = "spent"
    SHAKY = "shaky"
    MISSING = "missing"
    INVALID = "invalid"
    SUSPENDED = "suspended"
    OFF = "off"
    PROBING = "probing"
    NO_PLAN = "no-plan"
    GONE = "gone"
    OUTAGE = "outage"

    @property
    def traits(self) -> "StateTraits":
        """The state's row."""
        return STATES[self]


class Wait(Enum):
    """Whether a request that no key can take now waits for a key in this state."""

    SLOT = "up to policy.queue_wait, for a request under way to end"
    PASSING = "where the state ends within policy.slowed_wait"
    NEVER = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTraits:
    """One state of a key.

    Attributes:
        glyph: one cell wide.
        tone: how it is shown.
        cause: what a client is told when no key can serve because all are so.
        wait: whether a request waits for it.
        blocked: whether its end is news: a key that comes back from it has a line in the feed.
        retried: whether the key is tried again at its end, and not known to be back.
        needs_person: whether only a person brings the key back.
        plain: whether the word says enough, without a reason, where there is little room.
    """

    glyph: str
    tone: Tone
    cause: ClientCause
    wait: Wait = Wait.NEVER
    blocked: bool = False
    retried: bool = False
    needs_person: bool = False
    plain: bool = False


# A key that could serve but was left out of a request counts as one that others hold.
STATES: Final[Mapping[State, StateTraits]] = {
    State.UNVERIFIED: StateTraits(glyph="○", tone="info", cause=ClientCause.BUSY),
    State.READY: StateTraits(glyph="●", tone="good", cause=ClientCause.BUSY),
    State.BUSY: StateTraits(glyph="◐", tone="quiet", cause=ClientCause.BUSY, wait=Wait.SLOT, plain=True),
    State.SLOWED: StateTraits(
        glyph="◔", tone="quiet", cause=ClientCause.SLOWED, wait=Wait.PASSING, blocked=True
    ),
    State.SPENT: StateTraits(glyph="▣", tone="warning", cause=ClientCause.QUOTA, blocked=True),
    State.SHAKY: StateTraits(
        glyph="≈", tone="quiet", cause=ClientCause.OUTAGE, wait=Wait.PASSING, blocked=True, retried=True
    ),
    State.MISSING: StateTraits(
        glyph="?", tone="fault", cause=ClientCause.NO_VALID_KEY, needs_person=True, plain=True
    ),
    State.INVALID: StateTraits(
        glyph="✖",
        tone="fault",
        cause=ClientCause.NO_VALID_KEY,
        blocked=True,
        retried=True,
        needs_person=True,
    ),
    State.SUSPENDED: StateTraits(
        glyph="■",
        tone="fault",
        cause=ClientCause.NO_VALID_KEY,
        blocked=True,
        retried=True,
        needs_person=True,
    ),
    State.OFF: StateTraits(
        glyph="–", tone="quiet", cause=ClientCause.NO_VALID_KEY, needs_person=True, plain=True
    ),
    State.PROBING: StateTraits(glyph="◌", tone="info", cause=ClientCause.BUSY, wait=Wait.SLOT),
    State.NO_PLAN: StateTraits(glyph="◇", tone="warning", cause=ClientCause.NO_PLAN),
    State.GONE: StateTraits(glyph="†", tone="quiet", cause=ClientCause.NO_MODEL),
    State.OUTAGE: StateTraits(
        glyph="▲", tone="warning", cause=ClientCause.OUTAGE, wait=Wait.PASSING, blocked=True, retried=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTraits:
    """One cause of a block.

    Attributes:
        state: what a key is called that it blocks.
        words: why, unless the block itself knows more.
        quotes: whether the cloud's own text is shown instead of `words`.
        trial: whether one request tries the key at its end, while others wait for that one.
        eased: whether it is cut short where no other account could serve.
    """

    state: State
    words: str
    quotes: bool = False
    trial: bool = True
    eased: bool = False


BLOCKS: Final[Mapping[BlockCause, BlockTraits]] = {
    BlockCause.INVALID: BlockTraits(state=State.INVALID, words="key refused", quotes=True),
    BlockCause.SUSPENDED: BlockTraits(state=State.SUSPENDED, words="account refused", quotes=True),
    BlockCause.SPENT: BlockTraits(state=State.SPENT, words="spent"),
    BlockCause.NO_PLAN: BlockTraits(
        state=State.NO_PLAN, words="the plan does not include this model", trial=False
    ),
    BlockCause.GONE: BlockTraits(state=State.GONE, words="the cloud no longer has this model"),
    BlockCause.OUTAGE: BlockTraits(state=State.OUTAGE, words="the cloud does not answer", eased=True),
    BlockCause.OVERLOADED: BlockTraits(state=State.OUTAGE, words="the model is overloaded", eased=True),
    BlockCause.FORBIDDEN: BlockTraits(state=State.NO_PLAN, words="the account may not use this model"),
    BlockCause.SLOWED: BlockTraits(state=State.SLOWED, words="rate limited", trial=False),
    BlockCause.BUSY: BlockTraits(state=State.BUSY, words="all request slots taken", trial=False),
    BlockCause.SHAKY: BlockTraits(state=State.SHAKY, words="failing while others succeed", eased=True),
}
STRENGTH: Final = {cause: rank for rank, cause in enumerate(BlockCause)}
"""The place of each cause, strongest first."""
WINDOW_WORDS: Final = {
    "session": "5h",
    "hourly": "hour",
    "weekly": "week",
    "monthly": "month",
    "credits": "credits",
}


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
NOT_TRUSTED: Final = Verdict(State.OFF, eligible=False, reason="not trusted")
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
    trusted: bool = True,
    missing: str = "",
    wall: Block | None = None,
    past_busy: bool = False,
) -> Verdict:
    """Return a key's state for a request of `model`; `alone` says that no other account could take it.

    `in_flight` is what this process has under way on the key's account; `trusted` and `missing` are the key's
    own. `wall` is what refuses all accounts alike and so stands for their own refusals. `past_busy`: what the
    cloud said of taken slots is ignored.
    """
    if not trusted:
        return NOT_TRUSTED
    if missing:
        return Verdict(State.MISSING, eligible=False, reason=missing)
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
    if wall:
        blocks = [wall if block.cause is BlockCause.SUSPENDED else block for block in blocks]
    if past_busy:
        blocks = [block for block in blocks if block.cause is not BlockCause.BUSY]
    if blocks:
        bought = bool(account.balance and account.balance.purchased_usd > 0)
        eased = (_eased(block, policy, alone=alone, bought=bought) for block in blocks)
        blocks = sorted(eased, key=lambda block: STRENGTH[block.cause])
        if holding := [block for block in blocks if block.holds(now)]:
            ends = [block.until for block in holding if block.until is not None]
            until = max(ends) if len(ends) == len(holding) else None
            return replace(blocked(holding[0]), until=until)
    over = [block for block in blocks if BLOCKS[block.cause].trial]
    if over and _trial_under_way(state, fingerprint, over, now, policy):
        return Verdict(State.PROBING, eligible=False, reason="one request is trying it")
    slots = account.slot_count(policy, now)
    if in_flight >= slots:
        return Verdict(State.BUSY, eligible=False, reason=f"all {slots} request slots taken")
    if over:
        return BACK
    return READY if key.proven else UNVERIFIED


def blocked(block: Block) -> Verdict:
    """Return the verdict that a block gives."""
    traits = BLOCKS[block.cause]
    reason = traits.words
    if block.cause is BlockCause.SPENT:
        reason = spent_words(block.window)
    elif block.cause is BlockCause.OUTAGE and block.status and block.status < 500:
        reason = block.text or reason  # an answer came, though not one of use
    elif block.cause is BlockCause.OUTAGE and block.text and block.status is None:
        # Why there was no answer; what to do about it stands with the request that failed.
        reason = f"{reason}: {block.text.partition('; ')[0]}"
    elif traits.quotes:
        doubt = "" if block.confirmed else ", being confirmed"
        reason = f"{block.status or ''} {block.text or reason}{doubt}".strip()
    return Verdict(traits.state, eligible=False, reason=reason, until=block.until, window=block.window)


def spent_words(window: str | None) -> str:
    """Return which quota is spent: "5h spent", or "quota spent" where the window is not known."""
    return f"{WINDOW_WORDS.get(window or '', 'quota')} spent"


def pool_cause(states: Collection[str]) -> ClientCause:
    """Return what a client is told when no key can serve, from the words of the keys' states, at least one.

    The key that is likely to be back first decides, so one that only a person brings back counts last.
    """
    order = list(ClientCause)
    return min((State(state).traits.cause for state in states), key=order.index)


def _team_blocks(state: PoolState, fingerprint: str) -> list[Block]:
    """Return what other members of the key's team have found spent."""
    account = state.account_of(fingerprint)
    quota = state.quota_of(account)
    if quota == account:
        return []
    others = (other for other in state.accounts if other != account and state.quota_of(other) == quota)
    found = (state.account(other).blocks.get(BlockCause.SPENT) for other in others)
    return [block for block in found if block]


def _model_blocks(state: PoolState, fingerprint: str, model: str | None) -> list[Block]:
    if model is None:
        return []
    pair = state.account(state.account_of(fingerprint)).models.get(model)
    whole = state.model(model).block
    return [block for block in (pair, whole) if block]


def _eased(block: Block, policy: Policy, *, alone: bool, bought: bool) -> Block:
    """Return a block as it is applied: a sole account is not kept back for long by what may pass, and bought
    credit may stand for a spent window, so one request tries it now and then.
    """
    if block.until is None:
        return block
    if block.cause is BlockCause.SPENT and bought:
        return replace(block, until=min(block.until, block.since + policy.spent_trial))
    if alone and BLOCKS[block.cause].eased:
        return replace(block, until=min(block.until, block.since + policy.alone_longest))
    return block


def _trial_under_way(
    state: PoolState, fingerprint: str, over: list[Block], now: float, policy: Policy
) -> bool:
    """Return whether some key that shares an ended block already has its one trial on the way."""
    account = state.account_of(fingerprint)
    for block in over:
        for other, key in state.keys.items():
            shares = block.cause is BlockCause.OUTAGE or state.account_of(other) == account
            if not shares or not key.tries(now, policy):
                continue
            if block.until is not None and (key.trial_at or 0.0) >= block.until:
                return True
    return False
