"""The states of a key, one row each, and the one function that says which of them a key is in.

Screen and choice ask the same function: what is shown as blocked is never chosen.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import Enum, StrEnum
from functools import cached_property, lru_cache
from math import inf
from typing import Any, Final

from okr_tui.domain.faults import BlockCause, ClientCause, Tone
from okr_tui.domain.policy import Policy
from okr_tui.domain.state import FRESH_ACCOUNT, FRESH_KEY, TEAM, AccountState, Block, KeyState, PoolState
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import WINDOW_WORDS


class State(StrEnum):
    """The words a person sees."""

    __hash__ = str.__hash__  # states are keys of tables; the hash of Enum is slow

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
        cause: what a client gets when no key can serve because all are so.
        wait: whether a request waits for it.
        blocked: whether its end is news: a key that comes back from it has a line in the feed.
        retried: whether the key is tried again at its end, and not known to be back.
        needs_person: whether only a person brings the key back.
        refused: whether the cloud refuses the key or its account for good, as far as is known.
        plain: whether the word says enough, without a reason, where there is little room.
    """

    glyph: str
    tone: Tone
    cause: ClientCause
    wait: Wait = Wait.NEVER
    blocked: bool = False
    retried: bool = False
    needs_person: bool = False
    refused: bool = False
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
        refused=True,
    ),
    State.SUSPENDED: StateTraits(
        glyph="■",
        tone="fault",
        cause=ClientCause.NO_VALID_KEY,
        blocked=True,
        retried=True,
        needs_person=True,
        refused=True,
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
"""The rank of each cause, strongest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a key is good for now. `until` is epoch seconds; `trial`: the next request tests it.

    `estimated`: the cloud has not said `until` itself.
    `ended`: when the last of the blocks that are to be tested ended, in epoch seconds.
    """

    state: State
    eligible: bool
    reason: str = ""
    until: float | None = None
    window: str | None = None
    trial: bool = False
    ended: float = 0.0
    estimated: bool = False

    @property
    def needs_person(self) -> bool:
        """Whether only a person ends the state."""
        return self.state.traits.needs_person


READY: Final = Verdict(State.READY, eligible=True)
NOT_TRUSTED: Final = Verdict(State.OFF, eligible=False, reason="not trusted")
UNVERIFIED: Final = Verdict(State.UNVERIFIED, eligible=True, reason="not tried yet")
DISABLED: Final = Verdict(State.OFF, eligible=False, reason="switched off by you")
PROBING: Final = Verdict(State.PROBING, eligible=False, reason="one request is trying it")


class Judge:
    """Tells what each key is good for at one moment, for requests of one kind.

    Args:
        now: epoch seconds.
        model: what the requests ask for; None for whatever.
        alone: no other account could take them.
        wall: what refuses all accounts, and so replaces their own refusals.
        past_busy: the cloud's refusals for taken slots are ignored.
        cloud: the address that they go to.
        person: what records call the person who asks.
    """

    def __init__(
        self,
        state: PoolState,
        *,
        now: float,
        policy: Policy,
        model: str | None = None,
        alone: bool = False,
        wall: Block | None = None,
        past_busy: bool = False,
        cloud: str = "",
        person: str | None = None,
    ) -> None:
        self._person = person
        self._state = state
        self._now = now
        self._policy = policy
        self._model = model
        self._alone = alone
        self._wall = wall
        self._past_busy = past_busy
        self._as_they_are = not (alone or wall or past_busy)
        """Whether blocks apply as they are in the state, but for those of accounts with bought credit."""
        whole = state.model(model).block if model is not None else None
        self._common = [block for block in (whole, state.service(cloud).outage) if block]

    def verdict(self, fingerprint: str, *, in_flight: int = 0, trusted: bool = True) -> Verdict:
        """Return a key's state; `in_flight` is what this process has under way on its account."""
        found = self._verdict_or_blocks(fingerprint, in_flight, trusted=trusted)
        if isinstance(found, Verdict):
            return found
        if len(found) == 1:
            return blocked(found[0])
        strongest = blocked(min(found, key=lambda block: STRENGTH[block.cause]))
        last = max(found, key=lambda block: inf if block.until is None else block.until)
        if last.until == strongest.until:
            return strongest
        return replace(strongest, until=last.until, estimated=last.estimated)

    def usable(self, fingerprint: str, in_flight: int = 0, *, trusted: bool = True) -> Verdict | None:
        """Return the verdict of a key that may be used; None of one that may not."""
        key = self._state.keys.get(fingerprint, FRESH_KEY)
        account = self._state.accounts.get(key.account or fingerprint, FRESH_ACCOUNT)
        # In a pool that is spent or busy every key has to be looked at: no lists are made for those.
        if in_flight and in_flight >= account.slot_count(self._policy, self._now):
            return None
        if (
            self._as_they_are
            and account.blocks
            and not (account.balance and account.balance.purchased_usd > 0)
        ):
            now = self._now
            for block in account.blocks.values():
                if block.until is None or now < block.until:
                    return None
        found = self._verdict_or_blocks(fingerprint, in_flight, trusted=trusted)
        return found if isinstance(found, Verdict) and found.eligible else None

    def _verdict_or_blocks(self, fingerprint: str, in_flight: int, *, trusted: bool) -> Verdict | list[Block]:
        """Return a key's verdict, or the blocks that hold it back, without the words for them."""
        if not trusted:
            return NOT_TRUSTED
        key = self._state.keys.get(fingerprint, FRESH_KEY)
        if key.disabled:
            return DISABLED if key.disabled_by in (None, self._person) else _disabled_by(key.disabled_by)
        identifier = key.account or fingerprint
        account = self._state.accounts.get(identifier, FRESH_ACCOUNT)
        over: list[Block] = []
        if key.blocks or account.blocks or account.models or self._common or account.plan == TEAM:
            blocks = self._blocks(key, account, identifier)
            now = self._now
            if holding := [block for block in blocks if block.until is None or now < block.until]:
                return holding
            over = [block for block in blocks if BLOCKS[block.cause].trial]
            if over and self._trial_under_way(identifier, over):
                return PROBING
        if in_flight:
            slots = account.slot_count(self._policy, self._now)
            if in_flight >= slots:
                return _busy(slots)
        if over:
            return _back(max([block.until or 0.0 for block in over]))
        return READY if key.proven else UNVERIFIED

    def _blocks(self, key: KeyState, account: AccountState, identifier: str) -> list[Block]:
        """Return the blocks that concern a key, as they are applied."""
        blocks = [*key.blocks.values(), *account.blocks.values(), *self._common]
        if account.plan == TEAM:
            blocks += self._team_blocks(identifier)
        if self._model is not None and (block := account.models.get(self._model)):
            blocks.append(block)
        if self._wall:
            blocks = [self._wall if block.cause is BlockCause.SUSPENDED else block for block in blocks]
        if self._past_busy:
            blocks = [block for block in blocks if block.cause is not BlockCause.BUSY]
        bought = account.balance is not None and account.balance.purchased_usd > 0
        if bought or self._alone:
            policy, alone = self._policy, self._alone
            blocks = [_eased(block, policy, alone=alone, bought=bought) for block in blocks]
        return blocks

    def _team_blocks(self, identifier: str) -> list[Block]:
        """Return what other members of an account's team have found spent."""
        quota = self._state.quota_of(identifier)
        if quota == identifier:
            return []
        return [block for other, block in self._spent_by_quota.get(quota, ()) if other != identifier]

    @cached_property
    def _spent_by_quota(self) -> Mapping[str, list[tuple[str, Block]]]:
        found: dict[str, list[tuple[str, Block]]] = {}
        for identifier, account in self._state.accounts.items():
            if account.plan == TEAM and (block := account.blocks.get(BlockCause.SPENT)):
                found.setdefault(self._state.quota_of(identifier), []).append((identifier, block))
        return found

    @cached_property
    def _trials(self) -> Mapping[str, float]:
        """When the last trial that is under way began, by account."""
        found: dict[str, float] = {}
        for fingerprint, key in self._state.keys.items():
            if key.trial_at is not None and key.tries(self._now, self._policy):
                identifier = key.account or fingerprint
                found[identifier] = max(found.get(identifier, key.trial_at), key.trial_at)
        return found

    def _trial_under_way(self, identifier: str, over: list[Block]) -> bool:
        """Return whether some key that shares an ended block already has its one trial on the way."""
        if not self._trials:
            return False
        for block in over:
            last = self._trials.get(identifier)
            if block.cause is BlockCause.OUTAGE:
                last = max(self._trials.values())
            if last is not None and block.until is not None and last >= block.until:
                return True
        return False


def verdict(
    state: PoolState,
    fingerprint: str,
    *,
    now: float,
    policy: Policy,
    in_flight: int = 0,
    trusted: bool = True,
    **request: Any,
) -> Verdict:
    """Return the state of one key; the arguments are those of a Judge and of its verdict."""
    judge = Judge(state, now=now, policy=policy, **request)
    return judge.verdict(fingerprint, in_flight=in_flight, trusted=trusted)


def absent(why: str) -> Verdict:
    """Return the verdict of a key whose reference gives none."""
    return Verdict(State.MISSING, eligible=False, reason=why)


def _back(ended: float) -> Verdict:
    return Verdict(State.READY, eligible=True, reason="back, to be tried", trial=True, ended=ended)


@lru_cache(maxsize=64)
def _disabled_by(who: str | None) -> Verdict:
    return Verdict(State.OFF, eligible=False, reason=f"switched off by {who}")


@lru_cache(maxsize=64)
def _busy(slots: int) -> Verdict:
    reason = f"all {slots} request slots taken" if slots > 1 else "its one request slot is taken"
    return Verdict(State.BUSY, eligible=False, reason=reason)


def blocked(block: Block) -> Verdict:
    """Return the verdict that a block gives."""
    traits = BLOCKS[block.cause]
    reason = traits.words
    if block.cause is BlockCause.SPENT:
        reason = spent_words(block.window)
    elif block.cause is BlockCause.OUTAGE and block.status and block.on_the_way:
        reason = block.text or reason  # an answer came, though not one of use
    elif block.cause is BlockCause.OUTAGE and block.text and block.status is None:
        # Why there was no answer; what to do about it is with the request that failed.
        reason = f"{reason}: {block.text.partition('; ')[0]}"
    elif traits.quotes:
        doubt = "" if block.confirmed else ", being confirmed"
        reason = f"{block.status or ''} {block.text or reason}{doubt}".strip()
    return Verdict(
        traits.state,
        eligible=False,
        reason=reason,
        until=block.until,
        window=block.window,
        estimated=block.estimated,
    )


def spent_words(window: str | None) -> str:
    """Return which quota is spent: "5h spent", or "quota spent" where the window is not known."""
    return f"{WINDOW_WORDS.get(window or '', 'quota')} spent"


def pool_cause(states: Collection[str]) -> ClientCause:
    """Return what a client gets when no key can serve, from the words of the keys' states, at least one.

    The key that is likely to be back first decides, so one that only a person brings back counts last.
    """
    order = list(ClientCause)
    return min((State(state).traits.cause for state in states), key=order.index)


def _eased(block: Block, policy: Policy, *, alone: bool, bought: bool) -> Block:
    """Return a block as it is applied: a sole account is not kept back for long by what may pass, and bought
    credit may replace a spent window, so one request tries it now and then.
    """
    if block.until is None:
        return block
    if block.cause is BlockCause.SPENT and bought:
        return replace(block, until=min(block.until, block.since + policy.spent_trial))
    if alone and BLOCKS[block.cause].eased:
        return replace(block, until=min(block.until, block.since + policy.alone_longest))
    return block
