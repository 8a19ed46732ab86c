"""Ready-made situations: who has which keys, how much is left, and what happens when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Set values of an account; those left out stay. Windows in percent used, `credits` in dollars left."""

    account: str
    session: float | None = None
    weekly: float | None = None
    monthly: float | None = None
    credits: float | None = None
    purchased: float | None = None
    suspended: bool | None = None
    revoke: int | None = None
    restore: int | None = None
    slots: int | None = None
    elsewhere: int | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """For some seconds every request of every key meets the same fault."""

    seconds: float
    fault: str = "unavailable"


@dataclass(slots=True)
class FaultRule:
    """A fault for the next `times` requests (None: for all) that match every selector given.

    `key` is a label or a fingerprint. `seconds` is the wait of `slow-first-byte`. `after` is the number of
    pieces a stream sends before it fails. `in_stream` sends a named error as a record of a stream that began
    well. `fills`: the fault names a window, which is used up from then on.
    """

    fault: str
    times: int | None = 1
    key: str | None = None
    account: str | None = None
    model: str | None = None
    path: str | None = None
    seconds: float = 2.0
    after: int = 4
    in_stream: bool = False
    fills: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """What an account used before the cloud began: the moment (epoch seconds), tokens in and out of requests.

    It is in the history of usage alone: windows and credits are as the scenario has them.
    """

    account: str
    requests: Sequence[tuple[float, int, int]]


Action = Change | Outage | FaultRule | Past
"""What a timeline or the control interface may do to the cloud; seconds count at speed 1."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A window (`session`, `weekly`, `monthly`): how many short chats it holds, percent used at the start."""

    window: str
    chats: float
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class Holder:
    """An account at the start; with `dollars` it is on a credits plan, whose one window is `monthly`."""

    name: str
    plan: str
    allowances: tuple[Allowance, ...]
    keys: int = 1
    dollars: float | None = None
    purchased: float = 0.0
    slots: int | None = None
    elsewhere: int = 0
    suspended: bool = False
    revoked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A situation and its script. All seconds are divided by the cloud's speed.

    The timeline restarts every `repeat` seconds, if given.
    """

    name: str
    holders: tuple[Holder, ...]
    timeline: tuple[tuple[float, Action], ...] = ()
    repeat: float | None = None
    session_seconds: float = 60.0
    weekly_seconds: float = 600.0
    monthly_seconds: float = 300.0
    balance_reads: int = 10
    balance_seconds: float = 60.0

    def length(self, window: str) -> float:
        """Return the seconds between two resets of a window."""
        return {
            "session": self.session_seconds,
            "weekly": self.weekly_seconds,
            "monthly": self.monthly_seconds,
        }[window]


def legacy(session: float, weekly: float, chats: float) -> tuple[Allowance, ...]:
    """Return the two windows of an older plan, from percent used and the size of a session."""
    return Allowance("session", chats, session), Allowance("weekly", chats * 15, weekly)


def credit(chats: float, used: float = 0.0) -> tuple[Allowance, ...]:
    """Return the one window of a credits plan."""
    return (Allowance("monthly", chats, used),)


PLENTY = 100_000

DAY = Scenario(
    "day",
    (
        Holder("amber", "pro", legacy(86, 34.6, 24), keys=2),
        Holder("birch", "free", legacy(68, 12.4, 10)),
        Holder("cedar", "pro", credit(60, 72), dollars=60.0),
    ),
    timeline=(
        # Whoever looks for the first time should see at once what this is about.
        (0, FaultRule("session", account="amber", path="/api/chat", fills=True)),
        (45, Change("amber", revoke=1)),
        (100, Change("amber", restore=1)),
    ),
    monthly_seconds=120.0,
)

CALM = Scenario(
    "calm",
    (
        Holder("amber", "pro", legacy(21, 34.6, PLENTY), keys=2),
        Holder("birch", "max", legacy(4, 12.4, PLENTY), slots=10),
        Holder("cedar", "pro", credit(PLENTY, 25), dollars=60.0, purchased=12.5),
    ),
)

SPENT = Scenario(
    "spent",
    (
        Holder("amber", "pro", legacy(100, 61.2, 24), keys=2),
        Holder("birch", "free", legacy(100, 100, 10)),
        Holder("cedar", "pro", credit(60, 100), dollars=60.0),
    ),
    session_seconds=30.0,
    monthly_seconds=75.0,
)

OUTAGE = Scenario(
    "outage",
    CALM.holders,
    timeline=(
        (8, Outage(10, "unavailable")),
        (28, Outage(6, "connection-dropped")),
        (44, Outage(8, "overloaded")),
    ),
    repeat=60.0,
)

CROWDED = Scenario(
    "crowded",
    (
        Holder("amber", "pro", legacy(21, 34.6, PLENTY), keys=2, elsewhere=2),
        Holder("birch", "free", legacy(4, 12.4, PLENTY)),
        Holder("cedar", "pro", credit(PLENTY, 25), dollars=60.0, slots=2),
    ),
    timeline=(
        (10, Change("amber", elsewhere=3)),
        (20, Change("cedar", elsewhere=2)),
        (30, Change("amber", elsewhere=2)),
        (40, Change("cedar", elsewhere=0)),
    ),
    repeat=50.0,
)

REVOKED = Scenario(
    "revoked",
    (
        Holder("amber", "pro", legacy(21, 34.6, PLENTY), keys=2, revoked=(1,)),
        Holder("birch", "free", legacy(4, 12.4, PLENTY), revoked=(1,)),
        Holder("cedar", "pro", credit(PLENTY, 25), dollars=60.0),
        Holder("dogwood", "pro", legacy(0, 0, PLENTY), suspended=True),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario for scenario in (DAY, CALM, SPENT, OUTAGE, CROWDED, REVOKED)
}
