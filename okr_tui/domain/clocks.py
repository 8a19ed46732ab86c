"""Which times can be believed: of this machine's clock beside others, and of what comes from outside."""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

FAR: Final = 120.0
"""Seconds between two clocks from which times of return mislead."""

LAST: Final = 253_402_128_000.0
"""The 30th of December 9999, the last day that calendars of all zones have."""


def has_date(at: float) -> bool:
    """Whether a time in epoch seconds is a number that every zone's calendar has, and not before 1970."""
    return 0 <= at <= LAST


def ahead_of(headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds `now` is ahead of the clock that dated an answer; None where none did.

    What lay in a cache says for how long: its date is as much older. Headers are lower case, or any case
    where the mapping does not care.
    """
    try:
        dated = parsedate_to_datetime(headers["date"]).timestamp()
        return now - dated - int(headers.get("age", "0"))
    except (KeyError, ValueError, OverflowError):
        return None


def is_far(seconds: float | None) -> bool:
    """Whether a difference between two clocks, in seconds, is worth telling."""
    return seconds is not None and abs(seconds) > FAR


def from_the_future(times: Sequence[float], now: float) -> float | None:
    """By how many seconds the latest of these is later than `now`; None when that is not far."""
    latest = max(times, default=now) - now
    return latest if is_far(latest) and latest > 0 else None
