"""Which key takes a request, and why. Pure: equal state, configuration and request give an equal answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from okr_tui.domain.faults import BlockCause
from okr_tui.domain.health import Verdict, verdict
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy, Strategy, step
from okr_tui.domain.state import Block, PoolState

FULL: Final = 100.0
SAVED: Final = "; included quota goes before bought credit"


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """The configured pool: keys in order, the fingerprint of the preferred one, the strategy."""

    keys: tuple[Key, ...] = ()
    preferred: str | None = None
    strategy: Strategy = "sticky"

    def in_use(self, state: PoolState) -> tuple[Key, ...]:
        """Return the keys that requests and readings may be sent with: usable, and not switched off."""
        return tuple(key for key in self.keys if key.usable and not state.key(key.fingerprint).disabled)

    def index(self, fingerprint: str | None) -> int | None:
        """Return the 1-based place of a key, or None when it is not in the pool."""
        for place, key in enumerate(self.keys, 1):
            if key.fingerprint == fingerprint:
                return place
        return None


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What a request asks of the pool.

    `now` is epoch seconds; `conversation` the account that has served this conversation; `in_flight` the
    requests under way per account; `tried` the accounts and fingerprints this request already failed on.
    """

    now: float
    model: str | None = None
    conversation: str | None = None
    in_flight: Mapping[str, int] = field(default_factory=dict)
    tried: frozenset[str] = frozenset()
    past_busy: bool = False
    """Look at accounts again whose slots the cloud called taken."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The key to use, or none, and the reason in words.

    `judge` gives every key's verdict: most requests go to the first key they ask for, and need no other's.
    `trial` says that this request tests a key whose block is over; `only` is the 1-based place of the one
    key that the strategy allows, None when it allows all.
    """

    key: Key | None
    why: str
    judge: Callable[[], tuple[Verdict, ...]] = field(repr=False, compare=False)
    trial: bool = False
    only: int | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every key's verdict, in pool order."""
        return self.judge()

    @property
    def earliest(self) -> float | None:
        """When the first blocked key that may be chosen is due back, in epoch seconds."""
        due = (
            judged.until
            for place, judged in enumerate(self.verdicts, 1)
            if not judged.eligible and judged.until is not None and self.only in (None, place)
        )
        return min(due, default=None)


def _judging(
    state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy
) -> Callable[[Key], Verdict]:
    """Return what tells a key's verdict for this request."""
    accounts = {state.account_of(key.fingerprint) for key in config.in_use(state)}
    alone = len(accounts) <= 1
    wall = common_refusal(state, config, policy)

    def judge(key: Key) -> Verdict:
        return verdict(
            state,
            key.fingerprint,
            now=request.now,
            policy=policy,
            model=request.model,
            in_flight=request.in_flight.get(state.account_of(key.fingerprint), 0),
            alone=alone,
            trusted=key.trusted,
            missing=key.missing,
            wall=wall,
            past_busy=request.past_busy,
        )

    return judge


def common_refusal(state: PoolState, config: PoolConfig, policy: Policy) -> Block | None:
    """Return what refuses all accounts alike; None where a refusal is about its account.

    Accounts that are blocked for a reason of their own do not speak against it. The waits grow with every
    request that met it since.
    """
    refused, others = [], set()
    for identifier in {state.account_of(key.fingerprint) for key in config.in_use(state)}:
        blocks = state.account(identifier).blocks
        if found := blocks.get(BlockCause.SUSPENDED):
            refused.append(found)
        elif BlockCause.SPENT not in blocks:
            others.add(identifier)
    if (
        len(refused) < 2
        or max(b.since for b in refused) - min(b.since for b in refused) > policy.alike_within
    ):
        return None
    for key in config.keys:
        invalid = BlockCause.INVALID in state.key(key.fingerprint).blocks
        if not invalid and state.account_of(key.fingerprint) in others:
            return None
    newest = max(refused, key=lambda block: block.looked_at or block.since)
    since = newest.looked_at or newest.since
    looks = sum(block.looks for block in refused)
    until = since + step(policy.outage_steps, looks)
    return replace(newest, cause=BlockCause.OUTAGE, since=since, until=until, recheck=None)


def verdicts(
    state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy
) -> tuple[Verdict, ...]:
    """Every key's verdict for this request, in pool order."""
    return tuple(map(_judging(state, config, request, policy), config.keys))


def choose(state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy) -> Selection:
    """Return the key for this request by the pool's strategy, among those that are eligible and untried."""
    judge = _judging(state, config, request, policy)
    if config.strategy == "sticky":
        saved = ""
        for key, why in _wanted(state, config, request):
            judged = judge(key)
            if not judged.eligible or was_tried(key, state, request):
                continue
            if spends_bought(state, key, request.now) and not _may_spend(key, config, policy):
                saved = SAVED  # whoever has included quota goes first
                continue
            return Selection(key, why + saved, lambda: tuple(map(judge, config.keys)), trial=judged.trial)
    found = tuple(map(judge, config.keys))
    usable = {
        key: judged
        for key, judged in zip(config.keys, found, strict=True)
        if judged.eligible and not was_tried(key, state, request)
    }
    only = config.index(config.preferred) if config.strategy == "pinned" else None
    if config.strategy == "pinned":
        usable = {key: judged for key, judged in usable.items() if key.fingerprint == config.preferred}
    if not usable:
        why = "no key is eligible" if config.keys else "no key is configured"
        return Selection(None, why, lambda: found, only=only)
    included = [
        key for key in usable if not spends_bought(state, key, request.now) or _may_spend(key, config, policy)
    ]
    left_out = 0 < len(included) < len(usable)
    key, why = _pick(included or list(usable), state, config, request, policy)
    if spends_bought(state, key, request.now):
        why = f"{why}; spends bought credit"
        if not included and config.strategy != "pinned":
            why = f"{why}: no key has included quota left"
    elif left_out:
        why += SAVED
    return Selection(key, why, lambda: found, trial=usable[key].trial, only=only)


def _wanted(state: PoolState, config: PoolConfig, request: SelectionRequest) -> Iterator[tuple[Key, str]]:
    """Return the keys that a request stays with while it can, and why."""
    if request.conversation:
        for key in config.keys:
            if state.account_of(key.fingerprint) == request.conversation:
                yield key, "has served this conversation"
    if place := config.index(config.preferred):
        yield config.keys[place - 1], "preferred"
    served = [(state.key(key.fingerprint).last_ok, -place, key) for place, key in enumerate(config.keys)]
    for last_ok, _, key in sorted(served, key=lambda item: item[:2], reverse=True):
        if not last_ok:
            return
        yield key, "has taken over" if place else "served last"


def took_over(chosen: Key, state: PoolState, config: PoolConfig) -> bool:
    """Return whether a key was the last that served."""
    last = max((state.key(key.fingerprint).last_ok for key in config.keys), default=0.0)
    return 0 < last == state.key(chosen.fingerprint).last_ok


def _may_spend(key: Key, config: PoolConfig, policy: Policy) -> bool:
    """Return whether a key may spend bought credit while others have included quota."""
    if config.strategy == "pinned":
        return True
    return policy.spend_bought == "preferred" and key.fingerprint == config.preferred


def spends_bought(state: PoolState, key: Key, now: float) -> bool:
    """Return whether a request with this key would be paid with bought credit, as nothing else is left."""
    account = state.account(state.account_of(key.fingerprint))
    balance = account.balance
    if balance is None or balance.purchased_usd <= 0:
        return False
    spent = account.blocks.get(BlockCause.SPENT)
    used = balance.included_percent
    return (spent is not None and spent.holds(now)) or (used is not None and used >= FULL)


def was_tried(key: Key, state: PoolState, request: SelectionRequest) -> bool:
    """Return whether a key is left out because it, or its account, was tried or is to be avoided."""
    if not request.tried:
        return False
    return key.fingerprint in request.tried or state.account_of(key.fingerprint) in request.tried


def _pick(
    usable: list[Key], state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy
) -> tuple[Key, str]:
    match config.strategy:
        case "drain":
            start = (config.index(config.preferred) or 1) - 1
            walk = [*config.keys[start:], *config.keys[:start]]
            return next(key for key in walk if key in usable), "next in pool order from the preferred key"
        case "round-robin":
            return _longest_unused(usable, state, request), "longest unused"
        case "headroom":
            return _roomiest(usable, state, request, policy), "most quota left"
        case "pinned":
            return usable[0], "pinned"
    for key, why in _wanted(state, config, request):
        if key in usable:
            return key, why
    return _roomiest(usable, state, request, policy), "most quota left while the preferred key is blocked"


def _longest_unused(usable: list[Key], state: PoolState, request: SelectionRequest) -> Key:
    """Return what is under way counts as use, since its end is not in the log yet."""

    def rank(key: Key) -> tuple[int, float]:
        return request.in_flight.get(state.account_of(key.fingerprint), 0), state.key(
            key.fingerprint
        ).last_used

    return min(usable, key=rank)


def headroom(state: PoolState, fingerprint: str, policy: Policy) -> float:
    """Return the free part of the key's tightest included window, 0 to 1; an unknown one counts by policy.

    What was bought is no headroom: it costs money.
    """
    balance = state.account(state.account_of(fingerprint)).balance
    used = balance.included_percent if balance else None
    return policy.unknown_headroom if used is None else 1 - used / 100


def _roomiest(usable: list[Key], state: PoolState, request: SelectionRequest, policy: Policy) -> Key:
    def rank(key: Key) -> tuple[float, int, float]:
        account = state.account_of(key.fingerprint)
        busy = request.in_flight.get(account, 0)
        return (
            -headroom(state, key.fingerprint, policy),
            busy,
            state.key(key.fingerprint).last_used,
        )

    return min(usable, key=rank)
