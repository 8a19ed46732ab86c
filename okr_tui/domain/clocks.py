"""Which times can be believed: this machine's clock compared with others, and times from outside."""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

FAR: Final = 120.0
"""Seconds between two clocks beyond which times of return mislead."""

LAST: Final = 253_402_128_000.0
"""The 30th of December 9999, the last day that calendars of all zones have."""


def has_date(at: float) -> bool:
    """Return whether every zone's calendar has this time (epoch seconds), and it is not before 1970."""
    return 0 <= at <= LAST


def ahead_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds `now` is ahead of the clock that dated an answer; None where none did.

    An answer from a cache says how old it is (`age`), so its date is that much older. Headers are lower case,
    unless the mapping ignores case.
    """
    try:
        dated = parsedate_to_datetime(headers["date"]).timestamp()
        return now - dated - int(headers.get("age", "0"))
    except (KeyError, ValueError, OverflowError):
        return None


def is_far(seconds: float | None) -> bool:
    """Return whether a difference between two clocks, in seconds, is worth a warning."""
    return seconds is not None and abs(seconds) > FAR


def from_the_future(times: Sequence[float], now: float) -> float | None:
    """Return by how many seconds the latest of these is later than `now`; None when that is not far."""
    latest = max(times, default=now) - now
    return latest if is_far(latest) and latest > 0 else None
