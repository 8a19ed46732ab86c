"""What the cloud itself counts for an account, where its plan reports it. Pure.

Source: docs.ollama.com/cloud/usage, `GET /api/usage`. It counts what all machines and programs of an account
do, and lags behind, so it is shown next to the sums of the log, never instead of them.
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

CLOUD_USAGE: Final = "cloud-usage"
"""The name of the document in the store: the last reading of each account."""


class CloudCounts(NamedTuple):
    """Counts of a stretch of time; None is what the account's plan does not report."""

    requests: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    usage_usd: float | None = None


class CloudBucket(NamedTuple):
    """The counts of a day of UTC, from and until in epoch seconds; the last day is not over yet."""

    since: float
    until: float
    counts: CloudCounts


class CloudReading(NamedTuple):
    """A reading of an account's days, made at a moment in epoch seconds."""

    at: float
    buckets: tuple[CloudBucket, ...]

    def between(self, since: float, until: float) -> CloudBucket | None:
        """Return the sum of the days that reach into a stretch of time; None without any."""
        days = [day for day in self.buckets if day.until > since and day.since <= until]
        if not days:
            return None
        counts = CloudCounts._make(_sum(column) for column in zip(*(day.counts for day in days), strict=True))
        return CloudBucket(days[0].since, days[-1].until, counts)


def _sum(column: tuple[float | None, ...]) -> float | None:
    known = [value for value in column if value is not None]
    return round(sum(known), 5) if len(known) == len(column) else None


def write_readings(readings: Mapping[str, CloudReading]) -> str:
    """Return the readings of accounts as text."""
    return json.dumps(readings, separators=(",", ":"), ensure_ascii=False)


def read_readings(text: str | None) -> dict[str, CloudReading]:
    """Read what `write_readings` wrote; nothing from any other text."""
    try:
        return {
            str(account): CloudReading(
                at, tuple(CloudBucket(since, until, CloudCounts(*counts)) for since, until, counts in buckets)
            )
            for account, (at, buckets) in json.loads(text or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}
