"""The pool as it is shown: one immutable snapshot for screen, commands and gateway."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from okr_tui.domain.choice import PoolConfig, SelectionRequest, choose, common_refusal
from okr_tui.domain.explain import reasons
from okr_tui.domain.faults import BlockCause, Fault
from okr_tui.domain.forecast import pool_empty_at
from okr_tui.domain.health import State, Verdict, Wait, blocked
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, Sample
from okr_tui.domain.state import FRESH_ACCOUNT, FRESH_KEY, TEAM, AccountState, KeyState, PoolState
from okr_tui.domain.values import dataclass


@dataclass(slots=True, unsafe_hash=True)
class KeyView:
    """One row of the pool. Times are epoch seconds; `index` and `account_keys` count from 1.

    It is not changed, like all of the view. To be frozen would make a thousand of them take four times as
    long, which is a third of the whole view.
    """

    index: int
    fingerprint: str
    masked: str
    label: str | None
    origin: str
    verdict: Verdict
    preferred: bool
    account: str | None
    account_keys: tuple[int, ...]
    plan: str | None
    balance: Balance | None
    read_at: float | None
    requests: int
    faults: int
    last_fault: Fault | None
    last_fault_at: float | None
    blocked_models: tuple[str, ...]
    in_flight: int
    slots: int
    used_percent: float | None = None
    reason: str = ""
    """Why the next request takes this key, or why not."""
    identity_at: float | None = None
    models: tuple[tuple[str, Verdict], ...] = ()
    """The models that the account may not use for now, each with why and until when."""
    samples: tuple[Sample, ...] = ()
    same_as: int | None = None
    """The key of the same account that shows their quota; None for that key itself.

    It is the first that works, so that a refused key does not hide the quota of the others.
    """

    @property
    def bought_usd(self) -> float:
        """The bought credit that is left, in dollars; 0 where none is known."""
        return self.balance.purchased_usd if self.balance else 0.0

    @property
    def state(self) -> State:
        """The word for the key's state."""
        return self.verdict.state


@dataclass(frozen=True, slots=True)
class PoolView:
    """The whole pool at one moment. `active` is the key the next request takes, None when there is none."""

    keys: tuple[KeyView, ...] = ()
    active: int | None = None
    preferred: int | None = None
    strategy: str = "sticky"
    person: str | None = None
    """What records call this person on a log that several share."""
    why: str = ""
    earliest: float | None = None
    empty_at: float | None = None
    forecast_least: float = 60
    """Seconds that readings have to be apart before a forecast is made of them, as the policy has it."""
    outage: Verdict | None = None
    counts: Mapping[State, int] = field(default_factory=dict)
    """Keys per state in use."""

    @property
    def waits_for_slot(self) -> bool:
        """Whether no key is free but some are only in use: the next request waits for one of them."""
        usable = any(row.verdict.eligible for row in self.keys)
        return not usable and any(row.state.traits.wait is Wait.SLOT for row in self.keys)

    @property
    def is_pinned_away(self) -> bool:
        """Whether the one key that the strategy allows cannot take a request, though others could."""
        pinned = self.strategy == "pinned" and self.active is None and self.preferred is not None
        return pinned and any(row.verdict.eligible for row in self.keys)

    @property
    def is_blocked(self) -> bool:
        """Whether no key is free and none will be by itself as soon as an answer under way ends."""
        return bool(self.keys) and not self.waits_for_slot and not any(r.verdict.eligible for r in self.keys)


def view(
    state: PoolState,
    config: PoolConfig,
    policy: Policy,
    now: float,
    in_flight: Mapping[str, int] | None = None,
) -> PoolView:
    """Return the pool as the log says it is at `now` (epoch seconds)."""
    flights = in_flight or {}
    request = SelectionRequest(now, in_flight=flights)
    selection = choose(state, config, request, policy)
    verdicts = selection.verdicts
    why = reasons(selection, verdicts, state, config, request, policy)
    known = [_Known.of(state, key) for key in config.keys]
    sharing: dict[str, list[int]] = {}
    for index, each in enumerate(known, 1):
        sharing.setdefault(each.quota, []).append(index)
    indexes = {quota: tuple(found) for quota, found in sharing.items()}
    lost = {index for index, verdict in enumerate(verdicts, 1) if verdict.state.traits.needs_person}
    representatives = {
        quota: found[0] if len(found) == 1 else _first_usable(found, lost) for quota, found in indexes.items()
    }
    rows = tuple(
        [
            _row(
                each,
                index,
                verdict,
                reason,
                indexes[each.quota],
                representatives[each.quota],
                config,
                policy,
                now,
                flights,
            )
            for index, (each, verdict, reason) in enumerate(zip(known, verdicts, why, strict=True), 1)
        ]
    )
    outage = state.service(config.cloud).outage
    if outage is None or not outage.holds(now):
        outage = common_refusal(state, config, policy)
    return PoolView(
        keys=rows,
        active=config.index(selection.key.fingerprint) if selection.key else None,
        preferred=config.index(config.preferred),
        strategy=config.strategy,
        person=config.person,
        why=selection.why,
        earliest=selection.earliest,
        empty_at=pool_empty_at(
            state,
            # A key that is answering is as usable as a free one, and other processes see it as free.
            (row.fingerprint for row in rows if row.verdict.eligible or row.state.traits.wait is Wait.SLOT),
            now,
            least=policy.forecast_least,
        ),
        forecast_least=policy.forecast_least,
        outage=blocked(outage) if outage and outage.holds(now) else None,
        counts=Counter(row.state for row in rows),
    )


class _Known(NamedTuple):
    """A key, and what the log says of it, its account and the name of their quota."""

    key: Key
    state: KeyState
    identifier: str
    account: AccountState
    quota: str

    @classmethod
    def of(cls, state: PoolState, key: Key) -> "_Known":
        own = state.keys.get(key.fingerprint, FRESH_KEY)
        identifier = own.account or key.fingerprint
        account = state.accounts.get(identifier, FRESH_ACCOUNT)
        quota = state.quota_of(identifier) if account.plan == TEAM else identifier
        return cls(key, own, identifier, account, quota)


def _row(
    known: _Known,
    index: int,
    key_verdict: Verdict,
    reason: str,
    sharing: tuple[int, ...],
    speaker: int,
    config: PoolConfig,
    policy: Policy,
    now: float,
    flights: Mapping[str, int],
) -> KeyView:
    key, own, account = known.key, known.state, known.account
    models = sorted(account.models.items()) if account.models else ()
    held = {name: block for name, block in models if block.holds(now)}
    return KeyView(
        index=index,
        fingerprint=key.fingerprint,
        masked=key.masked,
        label=key.label,
        origin=key.origin,
        verdict=key_verdict,
        preferred=key.fingerprint == config.preferred,
        account=own.account,
        account_keys=sharing,
        plan=account.plan,
        balance=account.balance,
        read_at=account.balance_at,
        requests=own.requests,
        faults=own.faults,
        last_fault=own.last_fault,
        last_fault_at=own.last_fault_at,
        blocked_models=tuple(held),
        in_flight=flights.get(known.identifier, 0),
        slots=account.slot_count(policy, now),
        used_percent=account.balance.used_percent if account.balance else None,
        reason=reason,
        identity_at=own.identity_at,
        models=tuple([(name, blocked(block)) for name, block in held.items()]) if held else (),
        samples=account.samples,
        same_as=None if speaker == index else speaker,
    )


def _first_usable(sharing: tuple[int, ...], lost: Collection[int]) -> int:
    """Return the key whose row shows a quota, of those that share it."""
    return next((index for index in sharing if index not in lost), sharing[0])


def brackets(rows: Sequence[KeyView]) -> tuple[str, ...]:
    """Return one sign per key that joins neighbours of the same account: "┌", "│", "└", or a blank."""
    signs = []
    for index, row in enumerate(rows):
        shares = len(row.account_keys) > 1
        up = shares and index > 0 and rows[index - 1].account_keys == row.account_keys
        down = shares and index + 1 < len(rows) and rows[index + 1].account_keys == row.account_keys
        signs.append("│" if up and down else "└" if up else "┌" if down else " ")
    return tuple(signs)


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """Which keys may use which models, whatever their quota says at the moment."""

    usable: tuple[int, ...]
    """The 1-based indexes of the keys that may use any model which nothing keeps them from."""
    blocked: Mapping[str, tuple[int, ...]]
    """The 1-based indexes of those that may use a model, for models that not all of these may use."""

    @classmethod
    def of(cls, state: PoolState, rows: tuple[KeyView, ...], now: float) -> "ModelAccess":
        """Return what holds at `now` (epoch seconds)."""
        working = [row for row in rows if not row.state.traits.needs_person]
        partly = {model for row in working for model in row.blocked_models}
        blocked = {
            model: tuple(row.index for row in working if model not in row.blocked_models) for model in partly
        }
        for model, known in state.models.items():
            if known.block and known.block.cause is BlockCause.GONE and known.block.holds(now):
                blocked[model] = ()
        return cls(tuple(row.index for row in working), blocked)

    def keys(self, model: str) -> tuple[int, ...]:
        """Return the 1-based indexes of the keys that may use a model."""
        return self.blocked.get(model, self.usable)
