"""What a timeline or the control interface may do to the simulated cloud. Seconds count at speed 1."""

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
class Rule:
    """A fault for the next `times` requests (None: for all) that match every selector given.

    `key` is a label or a fingerprint. `seconds` is the wait of `slow-first-byte`. `after` is the number of
    pieces a stream sends before it fails. `in_stream` sends a named error as a record of a stream that began
    well.
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


Action = Change | Outage | Rule
