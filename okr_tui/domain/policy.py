"""Every number of the pool's policy, in one place. Times are seconds unless a name says otherwise."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

Strategy = Literal["sticky", "drain", "headroom", "round-robin", "pinned"]
Steps = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
Bounds = tuple[NonNegativeFloat, NonNegativeFloat]
STRATEGIES: tuple[str, ...] = get_args(Strategy)


class Policy(BaseModel):
    """The defaults; the settings section `okr-tui.policy` may override each by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    # A spent window comes back at the server's own time; without one, by the calendar or by these steps.
    spent_steps: Steps = (6 * 3600, 12 * 3600, 24 * 3600)
    spent_jitter: Bounds = (20, 60)
    spent_free_percent: PositiveFloat = 98
    spent_rechecks: Steps = (600, 900, 1800, 3600)
    spent_trial: PositiveFloat = 3600
    balance_lag: NonNegativeFloat = 90
    """New usage takes this long to show in a balance, so an earlier reading lifts no block."""

    slowed_steps: Steps = (15, 30, 60, 120, 300)
    slowed_longest: PositiveFloat = 300
    slowed_wait: NonNegativeFloat = 10

    busy_rest: PositiveFloat = 10
    busy_longest: PositiveFloat = 30
    busy_lowered: PositiveFloat = 600
    busy_clean_requests: PositiveInt = 20
    slots: Mapping[str, PositiveInt] = {"free": 1, "pro": 3, "max": 10, "team": 10}
    slots_unknown: PositiveInt = 1
    queue_longest: PositiveInt = 64
    queue_wait: PositiveFloat = 60

    invalid_steps: Steps = (300, 3600, 6 * 3600, 24 * 3600)
    confirm_after: Bounds = (1, 2)
    confirm_at_exit: PositiveFloat = 3
    suspended_recheck: PositiveFloat = 24 * 3600
    forbidden_model: PositiveFloat = 300
    no_plan: PositiveFloat = 24 * 3600
    gone: PositiveFloat = 3600

    retry_same: Bounds = (0.5, 1)
    transient_sends: PositiveInt = 3
    shaky_after: PositiveInt = 2
    shaky: PositiveFloat = 30
    outage_window: PositiveFloat = 30
    outage_steps: Steps = (10, 20, 40, 60)
    outage_alone_after: PositiveInt = 3
    alone_longest: PositiveFloat = 10
    overloaded: PositiveFloat = 30

    trial_lapses: PositiveFloat = 120
    """A trial whose end was never recorded (its process died) stops holding others back after this."""
    sends: PositiveInt = 5
    request_longest: PositiveFloat = 120
    connect: PositiveFloat = 10
    first_byte: PositiveFloat = 120
    idle: PositiveFloat = 180
    held_back: PositiveInt = 65536
    conversation_idle: PositiveFloat = 3600
    ramp_step: NonNegativeFloat = 0.25
    unknown_headroom: float = 0.5
    longest_block: PositiveFloat = 8 * 86400
    longest_period: PositiveFloat = 35 * 86400

    forecast_least: PositiveFloat = 60
    """A pace is told from readings that are at least so far apart."""
    poll_shown: tuple[PositiveFloat, PositiveFloat] = (60, 120)
    poll_idle: tuple[PositiveFloat, PositiveFloat] = (300, 600)
    poll_jitter: float = Field(default=0.1, ge=0, lt=1)
    poll_gap: PositiveFloat = 10
    identity_every: PositiveFloat = 24 * 3600

    @classmethod
    def override(cls, values: Mapping[str, object]) -> "tuple[Policy, tuple[str, ...]]":
        """The policy with these values laid over the defaults, and a line for each that was refused."""
        accepted: dict[str, object] = {}
        refused: list[str] = []
        for name, value in values.items():
            try:
                cls.model_validate({name: value})
            except ValidationError as error:
                words = f"{error.errors()[0]['msg']}; the default is used"
                if name not in cls.model_fields:
                    words = "there is no such setting; it is not used"
                refused.append(f"okr-tui.policy.{name}: {words}")
            else:
                accepted[name] = value
        return cls.model_validate(accepted), tuple(refused)


def step(steps: tuple[float, ...], count: int) -> float:
    """The wait after `count` earlier failures: the list's item, the last one for ever after."""
    return steps[min(count, len(steps) - 1)]
