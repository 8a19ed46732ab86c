"""What is known of keys, accounts, models and the service: plain immutable values, made by the fold."""

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any, Final, TypeVar

from okr_tui.domain.faults import BlockCause, Fault
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, Sample
from okr_tui.domain.records import Alert
from okr_tui.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """Something is not to be used from `since` to `until` (epoch seconds).

    `until` None: only a fact lifts it, and `recheck` says when it is looked at again. `estimated`: `until` is
    what calendar or policy say, as the cloud has not said it yet. `step` counts the failures before this one,
    `confirmed` is false while a refusal of the key waits for its second witness.
    """

    cause: BlockCause
    since: float
    until: float | None = None
    text: str = ""
    status: int | None = None
    window: str | None = None
    model: str | None = None
    step: int = 0
    confirmed: bool = True
    recheck: float | None = None
    looks: int = 0
    looked_at: float | None = None
    """How many requests met a confirmed refusal again, and when the last of them did."""
    estimated: bool = False

    def holds(self, now: float) -> bool:
        """Return whether the block's time is not over."""
        return self.until is None or now < self.until

    @property
    def on_the_way(self) -> bool:
        """Whether, of an outage, something between here and the cloud failed or answered, not the cloud."""
        return self.status is None or self.status < 500


Blocks = Mapping[BlockCause, Block]
Value = TypeVar("Value")
TEAM: Final = "team"
"""The plan whose accounts share one quota."""


def replacer(of: type[Value]) -> Callable[..., Value]:
    """Return `dataclasses.replace` for one frozen class with slots, in a third of its time.

    Most of a fold is such copies. As for a named tuple, the code is made of the names of the fields.
    """
    names = [each.name for each in fields(of)]  # type: ignore[arg-type]
    parameters = ", ".join(f"{name}=KEPT" for name in names)
    lines = [f"    set_{name}(new, old.{name} if {name} is KEPT else {name})" for name in names]
    code = "\n".join((f"def replace(old, *, {parameters}):", "    new = make(of)", *lines, "    return new"))
    found: dict[str, Any] = {"KEPT": object(), "make": object.__new__, "of": of}
    found |= {f"set_{name}": getattr(of, name).__set__ for name in names}
    exec(code, found)  # noqa: S102 made of this module's own names
    replace: Callable[..., Value] = found["replace"]
    return replace


@dataclass(frozen=True, slots=True)
class Failure:
    """A recent passing failure: when (epoch seconds), on which account, and what had been asked."""

    at: float
    account: str
    request: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a reset made of no account, of the key, its account and the clouds by address; epoch seconds.

    `at`: when that was. `reset_at`: the reset before it, 0 without one.
    """

    at: float
    reset_at: float
    key: Blocks
    account: Blocks
    models: Mapping[str, Block]
    outages: Mapping[str, Block] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyState:
    """The state of one key. Times are epoch seconds."""

    account: str | None = None
    identity_at: float | None = None
    disabled: bool = False
    disabled_by: str | None = None
    """Who switched it off, where several people share the log."""
    blocks: Blocks = field(default_factory=dict)
    requests: int = 0
    faults: int = 0
    last_fault: Fault | None = None
    last_fault_at: float | None = None
    last_used: float = 0
    last_ok: float = 0
    proven: bool = False
    """An authenticated request succeeded."""
    streak: int = 0
    streak_since: float = 0
    streak_request: str | None = None
    trial_at: float | None = None
    trial_owner: str | None = None
    reset_at: float = 0
    forgotten: Forgotten | None = None

    def tries(self, now: float, policy: Policy) -> bool:
        """Return whether a trial of this key is under way."""
        # A clock that was set back must not make a trial last until it has caught up.
        return self.trial_at is not None and abs(now - self.trial_at) < policy.trial_lapses


@dataclass(frozen=True, slots=True)
class AccountState:
    """The state of one account, or of a key whose account is not known yet."""

    plan: str | None = None
    blocks: Blocks = field(default_factory=dict)
    models: Mapping[str, Block] = field(default_factory=dict)
    balance: Balance | None = None
    balance_at: float | None = None
    samples: tuple[Sample, ...] = ()
    offered_more_at: float | None = None
    """When another plan or more credit was seen, until that must have reached all of the cloud."""
    slots: int | None = None
    slots_until: float | None = None
    clean: int = 0

    def slot_count(self, policy: Policy, now: float) -> int:
        """Return how many requests the account takes at once: as learned, else as its plan begins."""
        if self.slots is not None and (self.slots_until is None or now < self.slots_until):
            return self.slots
        return policy.slots.get(self.plan or "", policy.slots_unknown)


@dataclass(frozen=True, slots=True)
class ModelState:
    """The state of one model, for whichever key."""

    block: Block | None = None
    failures: tuple[Failure, ...] = ()
    max_output: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The cloud as a whole: its outage, and the recent failures that may become one.

    `requests` are those whose failures made the outage: one of them failing again says nothing new.
    """

    outage: Block | None = None
    failures: tuple[Failure, ...] = ()
    requests: tuple[str, ...] = ()


_key_with: Final = replacer(KeyState)
_account_with: Final = replacer(AccountState)
_model_with: Final = replacer(ModelState)
FRESH_KEY: Final = KeyState()
FRESH_ACCOUNT: Final = AccountState()
FRESH_MODEL: Final = ModelState()
FRESH_SERVICE: Final = ServiceState()


@dataclass(frozen=True, slots=True)
class PoolState:
    """The state of the whole pool."""

    keys: Mapping[str, KeyState] = field(default_factory=dict)
    accounts: Mapping[str, AccountState] = field(default_factory=dict)
    models: Mapping[str, ModelState] = field(default_factory=dict)
    clouds: Mapping[str, ServiceState] = field(default_factory=dict)
    """The cloud as a whole, by its address: processes of one log may use several."""
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    """The last alert of each name."""

    def key(self, fingerprint: str) -> KeyState:
        """Return the state of a key; one that the log does not know is fresh."""
        return self.keys.get(fingerprint, FRESH_KEY)

    def account_of(self, fingerprint: str) -> str:
        """Return the account of a key; until it is known each key is an account of its own."""
        return self.key(fingerprint).account or fingerprint

    def account(self, identifier: str) -> AccountState:
        """Return the state of an account."""
        return self.accounts.get(identifier, FRESH_ACCOUNT)

    def quota_of(self, identifier: str) -> str:
        """Return the name of an account's quota: members of a team share one, known by period and size."""
        account = self.account(identifier)
        if account.plan != TEAM:
            return identifier
        dollars = account.balance.credits if account.balance else None
        if dollars is None or not dollars.allowance_usd or not dollars.until:
            return identifier
        return f"team {dollars.allowance_usd} {dollars.until}"

    def service(self, cloud: str) -> ServiceState:
        """Return the state of the cloud at an address."""
        return self.clouds.get(cloud, FRESH_SERVICE)

    def with_service(self, cloud: str, service: ServiceState) -> "PoolState":
        """Return the state with that of one cloud changed."""
        clouds = {**self.clouds, cloud: service}
        if service == FRESH_SERVICE:
            del clouds[cloud]
        return _pool_with(self, clouds=clouds)

    def model(self, name: str) -> ModelState:
        """Return the state of a model."""
        return self.models.get(name, FRESH_MODEL)

    def with_key(self, fingerprint: str, **changes: Any) -> "PoolState":
        """Return the state with some fields of one key changed."""
        return self.with_keys({fingerprint: changes})

    def with_keys(self, changes: Mapping[str, Mapping[str, Any]]) -> "PoolState":
        """Return the state with some fields of some keys changed."""
        keys = dict(self.keys)
        for fingerprint, fields_of_key in changes.items():
            keys[fingerprint] = _key_with(self.key(fingerprint), **fields_of_key)
        return _pool_with(self, keys=keys)

    def with_account(self, identifier: str, **changes: Any) -> "PoolState":
        """Return the state with some fields of one account changed."""
        account = _account_with(self.account(identifier), **changes)
        return _pool_with(self, accounts={**self.accounts, identifier: account})

    def with_model(self, name: str, **changes: Any) -> "PoolState":
        """Return the state with some fields of one model changed."""
        return _pool_with(self, models={**self.models, name: _model_with(self.model(name), **changes)})


_pool_with: Final = replacer(PoolState)
