"""What a request does after a fault: once more on the same key, on to the next, or give up."""

from enum import Enum

from okr_tui.domain.faults import Fault, FaultKind
from okr_tui.domain.policy import Policy


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
