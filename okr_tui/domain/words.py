"""Times and states in words. Every function takes the moment and the zone; none reads a clock."""

from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol

WINDOW_WORDS: Final = {
    "session": "5h",
    "hourly": "hour",
    "weekly": "week",
    "monthly": "month",
    "credits": "credits",
}
"""Short names of quota windows."""


class ShownVerdict(Protocol):
    """What is known of a key: a verdict, or what was kept of one."""

    @property
    def state(self) -> str:
        """The word for the key's state."""

    @property
    def eligible(self) -> bool:
        """Whether requests may take the key."""

    @property
    def reason(self) -> str:
        """Why it is so; "" where the state says enough."""

    @property
    def until(self) -> float | None:
        """When the state ends, in epoch seconds."""

    @property
    def estimated(self) -> bool:
        """Whether that moment is only expected."""

    @property
    def needs_person(self) -> bool:
        """Whether only a person ends the state."""


def moment(at: float, now: float, zone: tzinfo = UTC) -> str:
    """Return a time of day, with seconds when it is near, with a day or date when it is far.

    Behind a change of the clocks it is the time as it will be there, with the name that the zone has then.
    """
    there, here = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    if abs(at - now) < 600:
        shown = f"{there:%H:%M:%S}"
    elif there.date() == here.date() or 0 <= at - now < 12 * 3600:
        shown = f"{there:%H:%M}"
    else:
        shown = f"{there:%a %H:%M}" if abs(at - now) < 6 * 86400 else f"{there:%Y-%m-%d %H:%M}"
    return shown if there.utcoffset() == here.utcoffset() else f"{shown} {there:%Z}"


def span(seconds: float) -> str:
    """Return a length of time for people: "14s", "2h 14m", "3d 4h"."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left}s"
    if left < 3600:
        return f"{left // 60}m {left % 60:02d}s" if left < 600 else f"{left // 60}m"
    if left < 86400:
        return f"{left // 3600}h {left % 3600 // 60:02d}m"
    return f"{left // 86400}d {left % 86400 // 3600}h"


def sentence(verdict: ShownVerdict, now: float, zone: tzinfo = UTC) -> str:
    """Return a verdict in words: "5h spent, back 10:00", or "back ~10:00" where that is an estimate.

    What only a person ends has no time to be back.
    """
    reason = verdict.reason or str(verdict.state)
    if verdict.until is None or verdict.eligible or verdict.needs_person:
        return reason
    name = f" {datetime.fromtimestamp(verdict.until, zone):%Z}" if zone is UTC else ""
    about = "~" if verdict.estimated else ""
    return f"{reason}, back {about}{moment(verdict.until, now, zone)}{name}"


def rfc3339(at: float | None) -> str | None:
    """Return epoch seconds as RFC 3339 in UTC, to the millisecond where there is a fraction."""
    if at is None:
        return None
    precision = "seconds" if at == int(at) else "milliseconds"
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
