"""What went wrong with a request, whom it concerns, and what the request does next."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from okr_tui.domain.policy import Policy


class FaultKind(StrEnum):
    """What went wrong, as the policy tells faults apart."""

    TRANSIENT = "transient"
    ENDPOINT = "endpoint"
    UNAUTHORIZED = "unauthorized"
    BUSY = "busy"
    SPENT = "spent"
    SLOWED = "slowed"
    NO_PLAN = "no-plan"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    REQUEST = "request"


class Scope(StrEnum):
    """Whom a fault concerns."""

    KEY = "key"
    ACCOUNT = "account"
    ACCOUNT_MODEL = "account-model"
    MODEL = "model"
    SERVICE = "service"
    ENDPOINT = "endpoint"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure and its scope. `retry_after` is in seconds; `text` is bounded and names no account.

    `max_concurrent` is the account's slot count where the cloud told it, `max_output` the model's
    longest answer in tokens where the request asked for more.
    """

    kind: FaultKind
    scope: Scope
    text: str = ""
    status: int | None = None
    window: str | None = None
    retry_after: float | None = None
    max_concurrent: int | None = None
    max_output: int | None = None


class Step(Enum):
    """The next move of a request that failed before anything of it reached the caller."""

    SAME_KEY = "same key"
    NEXT_KEY = "next key"
    GIVE_UP = "give up"


NEXT_AT_ONCE = frozenset(
    {
        FaultKind.SPENT,
        FaultKind.SLOWED,
        FaultKind.BUSY,
        FaultKind.UNAUTHORIZED,
        FaultKind.NO_PLAN,
        FaultKind.FORBIDDEN,
    }
)


def next_step(fault: Fault, passing: int, *, clamped: bool, policy: Policy) -> Step:
    """The step after a fault.

    `passing` counts the request's transient faults, this one included; `clamped` says that its output
    limit was already lowered once.
    """
    if fault.kind in NEXT_AT_ONCE:
        return Step.NEXT_KEY
    if fault.kind is FaultKind.TRANSIENT and passing < policy.transient_sends:
        return Step.SAME_KEY if passing == 1 else Step.NEXT_KEY
    if fault.max_output and not clamped:
        return Step.SAME_KEY
    return Step.GIVE_UP


@dataclass(frozen=True, slots=True)
class Hop:
    """A key that was tried before the one that answered, and its fault."""

    fingerprint: str
    index: int | None
    fault: Fault
