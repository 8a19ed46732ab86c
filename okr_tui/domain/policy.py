"""Every number of the pool's policy, in one place. Times are seconds unless a name says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args
from zlib import crc32

Strategy = Literal["sticky", "drain", "headroom", "round-robin", "pinned"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a number from the settings may be, by the names of the comparisons; None is no limit."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    min_length: int | None = None


Positive = Annotated[float, Limits(gt=0)]
NotNegative = Annotated[float, Limits(ge=0)]
Count = Annotated[int, Limits(gt=0)]
Steps = Annotated[tuple[Positive, ...], Limits(min_length=1)]
Bounds = tuple[NotNegative, NotNegative]


@dataclass(frozen=True, slots=True)
class Policy:
    """The defaults; the settings section `okr-tui.policy` may override each by its name."""

    # A spent window comes back at the server's own time; without one, by the calendar or by these steps.
    spent_steps: Steps = (6 * 3600, 12 * 3600, 24 * 3600)
    spent_jitter: Bounds = (20, 60)
    spent_free_percent: Positive = 98
    spent_rechecks: Steps = (600, 900, 1800, 3600)
    spent_trial: Positive = 3600
    balance_lag: NotNegative = 90
    """New usage takes this long to show in a balance, so an earlier reading lifts no block."""

    slowed_steps: Steps = (15, 30, 60, 120, 300)
    slowed_longest: Positive = 300
    slowed_wait: NotNegative = 10

    busy_rest: Positive = 10
    busy_longest: Positive = 30
    busy_lowered: Positive = 600
    busy_clean_requests: Count = 20
    slots: Mapping[str, Count] = field(default_factory=lambda: {"free": 1, "pro": 3, "max": 10, "team": 10})
    slots_unknown: Count = 1
    queue_longest: Count = 64
    queue_wait: Positive = 60

    invalid_steps: Steps = (300, 3600, 6 * 3600, 24 * 3600)
    confirm_after: Bounds = (1, 2)
    confirm_at_exit: Positive = 3
    suspended_recheck: Positive = 24 * 3600
    forbidden_model: Positive = 300
    no_plan: Positive = 24 * 3600
    gone: Positive = 3600

    retry_same: Bounds = (0.5, 1)
    transient_sends: Count = 3
    shaky_after: Count = 2
    shaky: Positive = 30
    outage_window: Positive = 30
    outage_steps: Steps = (10, 20, 40, 60)
    outage_alone_after: Count = 3
    alone_longest: Positive = 10
    overloaded: Positive = 30

    trial_lapses: Positive = 120
    """A trial whose end was never recorded (its process died) stops holding others back after this."""
    sends: Count = 5
    request_longest: Positive = 120
    connect: Positive = 10
    first_byte: Positive = 120
    idle: Positive = 180
    held_back: Count = 65536
    conversation_idle: Positive = 3600
    ramp_step: NotNegative = 0.25
    unknown_headroom: float = 0.5
    longest_block: Positive = 8 * 86400
    longest_period: Positive = 35 * 86400

    forecast_least: Positive = 60
    """A pace is told from readings that are at least so far apart."""
    poll_shown: tuple[Positive, Positive] = (60, 120)
    poll_idle: tuple[Positive, Positive] = (300, 600)
    poll_jitter: Annotated[float, Limits(ge=0, lt=1)] = 0.1
    poll_gap: Positive = 10
    identity_every: Positive = 24 * 3600
    usage_every: Positive = 15 * 60


def step(steps: tuple[float, ...], count: int) -> float:
    """Return the wait after `count` earlier failures: the list's item, the last one for ever after."""
    return steps[min(count, len(steps) - 1)]


def jitter(bounds: tuple[float, float], seed: str) -> float:
    """Return a wait between the bounds that is the same in every process that folds the same log."""
    low, high = bounds
    return low + (high - low) * crc32(seed.encode()) / 0xFFFFFFFF
