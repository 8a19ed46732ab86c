"""Which key the next request takes, why not each other one, and what would follow if a key failed. Pure."""

from collections.abc import Sequence

from okr_tui.domain.choice import (
    PoolConfig,
    Selection,
    SelectionRequest,
    choose,
    headroom,
    spends_bought,
    took_over,
)
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.fold import apply
from okr_tui.domain.health import State, Verdict, Wait
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import tightest_window
from okr_tui.domain.records import Attempt
from okr_tui.domain.state import PoolState
from okr_tui.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """A key's part in a selection. `reason` says why it is taken, or why not; `until` is epoch seconds."""

    index: int
    key: Key
    state: State
    eligible: bool
    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A selection in words. `chosen` is one of `keys`, or None; a blocked one is back at `earliest`."""

    model: str | None
    chosen: KeyExplanation | None
    why: str
    keys: tuple[KeyExplanation, ...]
    earliest: float | None


def explain(state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy) -> Explanation:
    """Return which key takes this request, and why."""
    selection = choose(state, config, request, policy)
    verdicts = selection.verdicts
    given = reasons(selection, verdicts, state, config, request, policy)
    keys = tuple(
        KeyExplanation(index, key, verdict.state, verdict.eligible, reason, verdict.until)
        for index, (key, verdict, reason) in enumerate(zip(config.keys, verdicts, given, strict=True), 1)
    )
    chosen = next((found for found in keys if found.key is selection.key), None)
    why = selection.why
    if chosen is None and not any(found.eligible for found in keys):
        busy = any(found.state.traits.wait is Wait.SLOT for found in keys)
        why = "no key is free; it waits for the first that is" if busy else why
    return Explanation(request.model, chosen, why, keys, selection.earliest)


def explain_failure(
    state: PoolState, config: PoolConfig, request: SelectionRequest, policy: Policy, key: Key
) -> Explanation:
    """Return which key would take this request if `key` were found spent now."""
    balance = state.account(state.account_of(key.fingerprint)).balance
    fault = Fault(FaultKind.SPENT, Scope.ACCOUNT, "quota spent", 429, tightest_window(balance))
    record = Attempt(
        at=request.now,
        started=request.now,
        client="cli",
        fingerprint=key.fingerprint,
        model=request.model,
        path="/api/chat",
        outcome="fault",
        fault=fault,
    )
    return explain(apply(state, record, policy), config, request, policy)


def reasons(
    selection: Selection,
    verdicts: Sequence[Verdict],
    state: PoolState,
    config: PoolConfig,
    request: SelectionRequest,
    policy: Policy,
) -> tuple[str, ...]:
    """Return why each key is taken, or why not, in pool order, from the keys' verdicts."""
    compared = _Comparison(selection.key, state, config, request, policy)
    return tuple(
        (verdict.reason or verdict.state.value)
        if not verdict.eligible
        else selection.why
        if key is selection.key
        else compared.why_not(key)
        for key, verdict in zip(config.keys, verdicts, strict=True)
    )


class _Comparison:
    """Tells why keys that may be used are not the chosen one, of which everything is looked up once."""

    def __init__(
        self,
        chosen: Key | None,
        state: PoolState,
        config: PoolConfig,
        request: SelectionRequest,
        policy: Policy,
    ) -> None:
        self._state = state
        self._config = config
        self._request = request
        self._policy = policy
        self._chosen = chosen
        if chosen is None:
            return
        sticky = config.strategy == "sticky"
        self._first = f"#{config.index(chosen.fingerprint)}"
        self._taken = state.account_of(chosen.fingerprint)
        self._is_preferred = sticky and chosen.fingerprint == config.preferred
        self._took_over = sticky and took_over(chosen, state, config)
        self._spends_bought = spends_bought(state, chosen, request.now)
        self._room = headroom(state, chosen.fingerprint, policy)

    def why_not(self, key: Key) -> str:
        """Return why a key that may be used is not the one."""
        state, config, request = self._state, self._config, self._request
        account = state.account_of(key.fingerprint)
        if request.tried and {key.fingerprint, account} & request.tried:
            return "this request has already failed on it"
        chosen = self._chosen
        if chosen is None or config.strategy == "pinned":
            return f"the pool is pinned to #{config.index(config.preferred) or '?'}"
        first, taken = self._first, self._taken
        if account == taken:
            return f"shares the quota of {first}"
        if config.strategy == "sticky" and taken == request.conversation:
            return f"{first} has served this conversation"
        if spends_bought(state, key, request.now) and not self._spends_bought:
            return f"only bought credit is left; {first} has included quota"
        if self._is_preferred:
            return f"{first} is preferred"
        if self._took_over:
            return f"{first} served last"
        if config.strategy == "drain":
            return f"comes after {first}, counting from the preferred key"
        if config.strategy != "round-robin":
            if headroom(state, key.fingerprint, self._policy) < self._room:
                return f"less quota left than {first}"
            if request.in_flight.get(account, 0) > request.in_flight.get(taken, 0):
                return f"more requests running than {first}"
        if state.key(key.fingerprint).last_used > state.key(chosen.fingerprint).last_used:
            return f"used more recently than {first}"
        return f"as good as {first}, which comes first"
