"""Every number of the pool's policy, in one place. Times are seconds unless a name says otherwise."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal, get_args
from zlib import crc32

from okr_tui.domain.values import dataclass

Strategy = Literal["sticky", "drain", "headroom", "round-robin", "pinned"]
SpendBought = Literal["last", "preferred"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a number from the settings may be, by the names of the comparisons; None is no limit."""

    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None


DAY = 86400
LONGEST = 100 * DAY
Positive = Annotated[float, Limits(gt=0, le=LONGEST)]
NotNegative = Annotated[float, Limits(ge=0, le=LONGEST)]
Wait = Annotated[float, Limits(gt=0, le=3600)]
"""How long one request may be held up by one thing."""
Count = Annotated[int, Limits(gt=0, le=1000)]
Steps = Annotated[tuple[Positive, ...], Limits(min_length=1, max_length=50)]
Bounds = tuple[NotNegative, NotNegative]
# Ollama allows ten readings of a balance a minute and user (docs.ollama.com/api/balance). Whoever sets these,
# there is room for second looks after faults.
Pace = Annotated[float, Limits(ge=30, le=DAY)]
Gap = Annotated[float, Limits(ge=10, le=DAY)]


@dataclass(frozen=True, slots=True)
class Policy:
    """The defaults; the settings section `okr-tui.policy` may override each by its name."""

    # A spent window comes back at the server's own time; without one, by the calendar or by these steps.
    spent_steps: Steps = (6 * 3600, 12 * 3600, 24 * 3600)
    spent_jitter: Bounds = (20, 60)
    spent_free_percent: Annotated[float, Limits(gt=0, le=100)] = 98
    spent_rechecks: Steps = (600, 900, 1800, 3600)
    spent_trial: Positive = 3600
    balance_lag: NotNegative = 90
    """New usage takes this long to show in a balance, so an earlier reading lifts no block."""

    slowed_steps: Steps = (15, 30, 60, 120, 300)
    slowed_longest: Positive = 300
    slowed_wait: Annotated[float, Limits(ge=0, le=3600)] = 10

    busy_gaps: Steps = (1, 2, 4, 8)
    """A request that found all slots taken asks again after these, else when one of ours becomes free."""
    busy_resends: Count = 6
    busy_rest: Positive = 10
    busy_longest: Positive = 30
    busy_lowered: Positive = 600
    busy_clean_requests: Count = 20
    slots: Annotated[Mapping[str, Count], Limits(max_length=50)] = field(
        default_factory=lambda: {"free": 1, "pro": 3, "max": 10, "team": 10}
    )
    slots_unknown: Count = 1
    slot_lease: Annotated[float, Limits(ge=1, le=600)] = 15
    """How long the slots of a machine that died stay taken on a log that several machines share."""
    queue_longest: Annotated[int, Limits(gt=0, le=10_000)] = 64
    queue_wait: Wait = 60

    invalid_steps: Steps = (300, 3600, 6 * 3600, 24 * 3600)
    confirm_after: Bounds = (1, 2)
    confirm_at_exit: Positive = 3
    suspended_recheck: Positive = 24 * 3600
    alike_within: Positive = 60
    """Refusals of all accounts within this time are not about the accounts, but about the way."""
    forbidden_model: Positive = 300
    no_plan: Positive = 24 * 3600
    gone: Positive = 3600

    retry_same: Bounds = (0.5, 1)
    transient_sends: Annotated[int, Limits(gt=0, le=10)] = 3
    shaky_after: Count = 2
    shaky: Positive = 30
    outage_window: Positive = 30
    outage_steps: Steps = (10, 20, 40, 60)
    outage_alone_after: Count = 3
    alone_longest: Positive = 10
    overloaded: Positive = 30

    trial_lapses: Positive = 120
    """A trial whose end was never recorded (its process died) stops holding others back after this."""
    sends: Annotated[int, Limits(gt=0, le=50)] = 5
    """Sends after which a request that is asked to slow down, again and again, gives up."""
    request_longest: Wait = 120
    connect: Wait = 10
    first_byte: Wait = 120
    document: Wait = 600
    """The patience for an answer that comes as one document: nothing of it arrives before all is there."""
    idle: Wait = 180
    sign_of_life: Wait = 10
    """How often a client that waits for the first event of a stream gets a comment."""
    held_back: Annotated[int, Limits(gt=0, le=4 * 1024 * 1024)] = 65536
    spend_bought: SpendBought = "last"
    """When bought credit is spent: once no key has included quota left, or as the preferred key has to."""
    conversation_idle: Positive = 3600
    ramp_step: NotNegative = 0.25
    unknown_headroom: Annotated[float, Limits(ge=0, le=1)] = 0.5
    longest_block: Annotated[float, Limits(ge=3600, le=LONGEST)] = 8 * DAY
    longest_period: Annotated[float, Limits(ge=DAY, le=LONGEST)] = 35 * DAY

    forecast_least: Positive = 60
    """A pace is computed from readings that are at least so far apart."""
    poll_shown: tuple[Pace, Pace] = (60, 120)
    poll_idle: tuple[Pace, Pace] = (300, 600)
    poll_jitter: Annotated[float, Limits(ge=0, lt=1)] = 0.1
    poll_gap: Gap = 10
    identity_every: Annotated[float, Limits(ge=3600, le=LONGEST)] = DAY
    usage_every: Annotated[float, Limits(ge=60, le=DAY)] = 15 * 60


def step(steps: tuple[float, ...], count: int) -> float:
    """Return the wait after `count` earlier failures: the list's item, the last one ever after."""
    return steps[min(count, len(steps) - 1)]


def jitter(bounds: tuple[float, float], seed: str) -> float:
    """Return a wait between the bounds that is the same in every process that folds the same log."""
    low, high = bounds
    return low + (high - low) * crc32(seed.encode()) / 0xFFFFFFFF
