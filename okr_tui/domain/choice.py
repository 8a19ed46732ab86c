"""Which key takes a request, and why. Pure: equal state, configuration and request give an equal answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from okr_tui.domain.faults import BlockCause
from okr_tui.domain.health import Judge, Verdict, absent
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy, Strategy, step
from okr_tui.domain.state import FRESH_ACCOUNT, FRESH_KEY, AccountState, Block, PoolState
from okr_tui.domain.values import dataclass

FULL: Final = 100.0
SAVED: Final = "; included quota goes before bought credit"


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """The configured pool: keys in order, the fingerprint of the preferred one, the strategy, the cloud."""

    keys: tuple[Key, ...] = ()
    preferred: str | None = None
    strategy: Strategy = "sticky"
    cloud: str = ""
    person: str | None = None
    """What records call this person where several share the log; None on a log of one's own."""
    _indexes: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        indexes: dict[str, int] = {}
        for index, key in enumerate(self.keys, 1):
            indexes.setdefault(key.fingerprint, index)
        object.__setattr__(self, "_indexes", indexes)

    def in_use(self, state: PoolState) -> tuple[Key, ...]:
        """Return the keys that requests and readings may be sent with: usable, and not switched off."""
        return tuple(key for key in self.keys if key.usable and not state.key(key.fingerprint).disabled)

    def index(self, fingerprint: str | None) -> int | None:
        """Return the 1-based index of a key, or None when it is not in the pool."""
        return self._indexes.get(fingerprint) if fingerprint is not None else None


def other_person(who: str | None, config: PoolConfig) -> str | None:
    """Return the name of another person who wrote a record; None for this one and on a log of one's own."""
    return None if who == config.person else who


def absent_key_name(owner: str | None) -> str:
    """Return what a key is called that this machine does not hold; `owner` is another person who used it."""
    return f"a key of {owner}'s" if owner else "a removed key"


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
    `trial` says that this request tests a key whose block is over; `only` is the 1-based index of the one
    key that the strategy allows, 0 when it allows none, None when it allows all.
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
        """When the first blocked key that may be chosen is due back by itself, in epoch seconds."""
        due = (
            verdict.until
            for index, verdict in enumerate(self.verdicts, 1)
            if not verdict.eligible
            and verdict.until is not None
            and not verdict.state.traits.needs_person
            and self.only in (None, index)
        )
        return min(due, default=None)


def _judge(state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy) -> Judge:
    """Return what gives the keys' verdicts for this request."""
    accounts: set[str] = set()
    for key in config.keys:
        known = state.keys.get(key.fingerprint, FRESH_KEY)
        if key.usable and not known.disabled:
            accounts.add(known.account or key.fingerprint)
            if len(accounts) > 1:
                break
    return Judge(
        state,
        now=request.now,
        policy=policy,
        model=request.model,
        alone=len(accounts) <= 1,
        wall=common_refusal(state, config, policy),
        past_busy=request.past_busy,
        cloud=config.cloud,
        person=config.person,
    )


SETTLING: Final = 8
"""Keys that mostly settle whether all accounts are refused; only then is every account looked at."""


def _suspended(state: PoolState) -> Iterator[AccountState]:
    return (account for account in state.accounts.values() if BlockCause.SUSPENDED in account.blocks)


def _are_several(found: Iterator[object]) -> bool:
    """Return whether there are two or more."""
    return next(found, None) is not None and next(found, None) is not None


def common_refusal(state: PoolState, config: PoolConfig, policy: Policy) -> Block | None:
    """Return what refuses all accounts in the same way; None where a refusal is about its account.

    Accounts that are blocked for a reason of their own do not speak against it. The waits grow with every
    request that met it since.
    """
    refused: dict[str, Block] = {}
    for index, key in enumerate(config.keys):
        if index == SETTLING and not _are_several(_suspended(state)):
            return None
        known = state.keys.get(key.fingerprint, FRESH_KEY)
        if not key.usable or known.disabled:
            continue
        identifier = known.account or key.fingerprint
        blocks = state.accounts.get(identifier, FRESH_ACCOUNT).blocks
        if found := blocks.get(BlockCause.SUSPENDED):
            refused[identifier] = found
        elif BlockCause.INVALID not in known.blocks and BlockCause.SPENT not in blocks:
            return None
    begun = [block.since for block in refused.values()]
    if len(refused) < 2 or max(begun) - min(begun) > policy.alike_within:
        return None
    newest = max(refused.values(), key=lambda block: block.looked_at or block.since)
    since = newest.looked_at or newest.since
    looks = sum(block.looks for block in refused.values())
    until = since + step(policy.outage_steps, looks)
    return replace(newest, cause=BlockCause.OUTAGE, since=since, until=until, recheck=None)


def choose(state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy) -> Selection:
    """Return the key for this request by the pool's strategy, among those that are eligible and untried.

    Keys are evaluated in the order in which the strategy wants them, so most requests need one verdict.
    """
    judge = _judge(state, config, request, policy)
    flights, tried = request.in_flight, request.tried
    pinned = config.strategy == "pinned"

    def usable(key: Key) -> Verdict | None:
        if key.missing:
            return None
        in_flight = 0
        if tried or flights:
            identifier = state.account_of(key.fingerprint)
            if key.fingerprint in tried or identifier in tried:
                return None
            in_flight = flights.get(identifier, 0)
        return judge.usable(key.fingerprint, in_flight, trusted=key.trusted)

    cache: list[tuple[Verdict, ...]] = []

    def all_verdicts() -> tuple[Verdict, ...]:
        if not cache:
            cache.append(
                tuple(
                    [
                        absent(key.missing)
                        if key.missing
                        else judge.verdict(
                            key.fingerprint,
                            in_flight=flights.get(state.account_of(key.fingerprint), 0) if flights else 0,
                            trusted=key.trusted,
                        )
                        for key in config.keys
                    ]
                )
            )
        return cache[0]

    only = (config.index(config.preferred) or 0) if pinned else None
    bought = frozenset() if pinned else _living_on_bought(state, request.now)
    spender: tuple[Key, str, Verdict] | None = None
    for key, why, wanted in _ranked(state, config, request, policy):
        verdict = usable(key)
        if verdict is None:
            continue
        if bought and not _may_spend(key, config, policy) and state.account_of(key.fingerprint) in bought:
            spender = spender or (key, why, verdict)
            continue  # an account with included quota goes first
        if wanted:
            why += SAVED if spender else ""
        elif spends_bought(state, key, request.now):
            why = f"{why}; spends bought credit"
        elif spender or _any_left_out(state, config, bought, policy, usable):
            why += SAVED
        return Selection(key, why, all_verdicts, trial=verdict.trial, only=only)
    if spender:
        key, why, verdict = spender
        why = f"{why}; spends bought credit: no key has included quota left"
        return Selection(key, why, all_verdicts, trial=verdict.trial, only=only)
    why = "no key is eligible" if config.keys else "no key is configured"
    return Selection(None, why, all_verdicts, only=only)


def _living_on_bought(state: PoolState, now: float) -> frozenset[str]:
    """Return the accounts that have nothing but bought credit left."""
    return frozenset(
        identifier
        for identifier, account in state.accounts.items()
        if account.balance and account.balance.credits and _spends_bought(account, now)
    )


def _any_left_out(
    state: PoolState,
    config: PoolConfig,
    bought: frozenset[str],
    policy: Policy,
    usable: Callable[[Key], Verdict | None],
) -> bool:
    """Return whether a key that could be used was left out, since it would spend bought credit."""
    return bool(bought) and any(
        state.account_of(key.fingerprint) in bought
        and not _may_spend(key, config, policy)
        and usable(key) is not None
        for key in config.keys
    )


Ranked = tuple[Key, str, bool]
"""A key, why the strategy comes to it, and whether a request stays with it while it can."""


def _ranked(
    state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy
) -> Iterator[Ranked]:
    """Yield the keys in the order in which the strategy wants them."""
    match config.strategy:
        case "drain":
            start = (config.index(config.preferred) or 1) - 1
            for key in (*config.keys[start:], *config.keys[:start]):
                yield key, "next in pool order from the preferred key", False
        case "round-robin":
            for key in _longest_unused(state, config, request):
                yield key, "longest unused", False
        case "headroom":
            for key in _roomiest(state, config, request, policy):
                yield key, "most quota left", False
        case "pinned":
            if index := config.index(config.preferred):
                yield config.keys[index - 1], "pinned", False
        case _:
            passed: set[str] = set()
            for key, why in _wanted(state, config, request):
                yield key, why, True
                passed.add(key.fingerprint)
            others = len(passed) < len(config.keys)
            for key in _roomiest(state, config, request, policy) if others else ():
                if key.fingerprint not in passed:
                    yield key, "most quota left while the preferred key is blocked", False


def _wanted(state: PoolState, config: PoolConfig, request: SelectionRequest) -> Iterator[tuple[Key, str]]:
    """Return the keys that a request stays with while it can, and why."""
    states, conversation = state.keys, request.conversation
    if conversation:
        for key in config.keys:
            fingerprint = key.fingerprint
            if (states.get(fingerprint, FRESH_KEY).account or fingerprint) == conversation:
                yield key, "has served this conversation"
    if index := config.index(config.preferred):
        yield config.keys[index - 1], "preferred"
    served = [
        (last_ok, -index)
        for index, key in enumerate(config.keys)
        if (last_ok := states.get(key.fingerprint, FRESH_KEY).last_ok)
    ]
    served.sort(reverse=True)
    for _, before in served:
        yield config.keys[-before], "has taken over" if index else "served last"


def took_over(chosen: Key, state: PoolState, config: PoolConfig) -> bool:
    """Return whether a key was the last that served."""
    last = max((state.key(key.fingerprint).last_ok for key in config.keys), default=0.0)
    return 0 < last == state.key(chosen.fingerprint).last_ok


def _may_spend(key: Key, config: PoolConfig, policy: Policy) -> bool:
    """Return whether a key may spend bought credit while others have included quota; `pinned` never asks."""
    return policy.spend_bought == "preferred" and key.fingerprint == config.preferred


def spends_bought(state: PoolState, key: Key, now: float) -> bool:
    """Return whether a request with this key would be paid with bought credit, as nothing else is left."""
    return _spends_bought(state.account(state.account_of(key.fingerprint)), now)


def _spends_bought(account: AccountState, now: float) -> bool:
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


def _longest_unused(state: PoolState, config: PoolConfig, request: SelectionRequest) -> list[Key]:
    """Return the keys by their use; what is under way counts as use, since its end is not in the log yet."""
    states, flights = state.keys, request.in_flight
    ranks = []
    for key in config.keys:
        known = states.get(key.fingerprint, FRESH_KEY)
        busy = flights.get(known.account or key.fingerprint, 0) if flights else 0
        ranks.append((busy, known.last_used))
    return [config.keys[index] for index in sorted(range(len(ranks)), key=ranks.__getitem__)]


def headroom(state: PoolState, fingerprint: str, policy: Policy) -> float:
    """Return the free part of the key's tightest included window, 0 to 1; an unknown one counts by policy.

    What was bought is no headroom: it costs money.
    """
    return _room(state.account(state.account_of(fingerprint)), policy)


def _room(account: AccountState, policy: Policy) -> float:
    used = account.balance.included_percent if account.balance else None
    return policy.unknown_headroom if used is None else 1 - used / 100


def _roomiest(state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy) -> list[Key]:
    """Return the keys by the quota that is left, then by the requests under way, then by their use."""
    states, accounts, flights = state.keys, state.accounts, request.in_flight
    ranks = []
    for key in config.keys:
        known = states.get(key.fingerprint, FRESH_KEY)
        identifier = known.account or key.fingerprint
        busy = flights.get(identifier, 0) if flights else 0
        room = _room(accounts.get(identifier, FRESH_ACCOUNT), policy)
        ranks.append((-room, busy, known.last_used))
    return [config.keys[index] for index in sorted(range(len(ranks)), key=ranks.__getitem__)]
