"""Which key the next request takes, why not each other one, and what would follow if a key failed. Pure."""

from dataclasses import dataclass

from okr_tui.domain.choice import Choice, PoolConfig, SelectionRequest, choose, headroom
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.fold import apply
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance
from okr_tui.domain.records import Attempt
from okr_tui.domain.state import PoolState


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """How a key stands in a choice. `reason` is why it is taken, or why not; `until` is epoch seconds."""

    index: int
    key: Key
    state: State
    eligible: bool
    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A choice in words. `chosen` is one of `keys`, or None; at `earliest` the first blocked one is back."""

    model: str | None
    chosen: KeyExplanation | None
    why: str
    keys: tuple[KeyExplanation, ...]
    earliest: float | None


def explain(state: PoolState, config: PoolConfig, question: SelectionRequest, policy: Policy) -> Explanation:
    """Which key takes this request, and why."""
    choice = choose(state, config, question, policy)
    keys = tuple(
        _standing(index, key, judged, choice, state, config, question, policy)
        for index, (key, judged) in enumerate(zip(config.keys, choice.verdicts, strict=True), 1)
    )
    chosen = next((standing for standing in keys if standing.key is choice.key), None)
    return Explanation(question.model, chosen, choice.why, keys, choice.earliest)


def explain_failure(
    state: PoolState, config: PoolConfig, question: SelectionRequest, policy: Policy, key: Key
) -> Explanation:
    """Which key would take this request if `key` were found spent now."""
    balance = state.account(state.account_of(key.fingerprint)).balance
    fault = Fault(FaultKind.SPENT, Scope.ACCOUNT, "quota spent", 429, tightest_window(balance))
    record = Attempt(
        at=question.now,
        started=question.now,
        client="cli",
        fingerprint=key.fingerprint,
        model=question.model,
        path="/api/chat",
        outcome="fault",
        fault=fault,
    )
    return explain(apply(state, record, policy), config, question, policy)


def reasons(
    choice: Choice, state: PoolState, config: PoolConfig, question: SelectionRequest, policy: Policy
) -> tuple[str, ...]:
    """Why each key is taken, or why not, in pool order."""
    return tuple(
        _standing(index, key, judged, choice, state, config, question, policy).reason
        for index, (key, judged) in enumerate(zip(config.keys, choice.verdicts, strict=True), 1)
    )


def tightest_window(balance: Balance | None) -> str:
    """The limit of an account that is hit first; a session's where nothing is known."""
    if balance is None:
        return "session"
    known = [
        (window.used_percent, window.name) for window in balance.windows if window.used_percent is not None
    ]
    if balance.credits and balance.credits.used_percent is not None:
        known.append((balance.credits.used_percent, "credits"))
    return max(known)[1] if known else "credits" if balance.credits else "session"


def _standing(
    index: int,
    key: Key,
    judged: Verdict,
    choice: Choice,
    state: PoolState,
    config: PoolConfig,
    question: SelectionRequest,
    policy: Policy,
) -> KeyExplanation:
    if not judged.eligible:
        reason = judged.reason or judged.state.value
    elif key is choice.key:
        reason = choice.why
    else:
        reason = _passed_over(key, choice.key, state, config, question, policy)
    return KeyExplanation(index, key, judged.state, judged.eligible, reason, judged.until)


def _passed_over(
    key: Key,
    chosen: Key | None,
    state: PoolState,
    config: PoolConfig,
    question: SelectionRequest,
    policy: Policy,
) -> str:
    """Why a key that may be used is not the one."""
    account = state.account_of(key.fingerprint)
    if {key.fingerprint, account} & question.tried:
        return "this request has already failed on it"
    if chosen is None or config.strategy == "pinned":
        return f"the pool is pinned to #{config.index(config.preferred) or '?'}"
    first = f"#{config.index(chosen.fingerprint)}"
    taken = state.account_of(chosen.fingerprint)
    if account == taken:
        return f"shares the quota of {first}"
    if config.strategy == "sticky" and taken == question.conversation:
        return f"{first} has served this conversation"
    if config.strategy == "sticky" and chosen.fingerprint == config.preferred:
        return f"{first} is preferred"
    if config.strategy == "drain":
        return f"comes after {first} from the preferred key on"
    if config.strategy != "round-robin":
        if headroom(state, key.fingerprint, policy) < headroom(state, chosen.fingerprint, policy):
            return f"less quota left than {first}"
        if question.in_flight.get(account, 0) > question.in_flight.get(taken, 0):
            return f"more requests under way than {first}"
    if state.key(key.fingerprint).last_used > state.key(chosen.fingerprint).last_used:
        return f"used more recently than {first}"
    return f"as good as {first}, which comes first"
