"""What is going on: requests under way, the traffic of a minute, the tokens of the last hours. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Final, NamedTuple

from okr_tui.domain.records import Attempt
from okr_tui.domain.usage import HOUR, Accounts, Cell, on_day
from okr_tui.domain.values import dataclass

RECENT: Final = 60.0
"""Seconds that count as now."""


@dataclass(frozen=True, slots=True)
class RunningRequest:
    """A request of this process that has not ended. Times are epoch seconds.

    `sender` is who asked, `key` the 1-based index of the key it is sent with, None while it waits for one;
    `tokens` are those that have come so far, about one a record; `first_at` is when the first of them came.
    """

    trace: str
    sender: str
    model: str
    key: int | None
    fingerprint: str | None
    since: float
    first_at: float | None = None
    tokens: int = 0

    def tokens_per_second(self, now: float) -> float | None:
        """Return how fast its answer comes; None until that is known."""
        if self.first_at is None or now - self.first_at < 0.5:
            return None
        return self.tokens / (now - self.first_at)


@dataclass(frozen=True, slots=True)
class Rates:
    """The traffic of the last minute: requests that ended, and tokens a second while answers came."""

    requests_per_minute: int = 0
    tokens_per_second: float | None = None


NO_TRAFFIC: Final = Rates()


class RecentAttempts:
    """What the attempts of the last minute add up to, of every process that writes to the log."""

    def __init__(self) -> None:
        self._seconds: dict[float, tuple[int, int, int]] = {}
        """By second: requests that ended, and the tokens and milliseconds of answers that streamed."""

    def add(self, attempts: Iterable[Attempt], now: float) -> None:
        """Take up more attempts; `now` is epoch seconds."""
        for each in attempts:
            if each.client == "probe" or not now - RECENT <= each.at <= now + RECENT:
                continue
            second = each.at // 1
            if second not in self._seconds:
                self._forget(now)
            ended, tokens, streamed_ms = self._seconds.get(second, (0, 0, 0))
            # The sends of one request differ by what followed: only the last has no key after it.
            ended += each.next_fingerprint is None
            if each.outcome == "ok" and each.output_tokens and each.first_byte_ms is not None:
                tokens += each.output_tokens
                streamed_ms += each.duration_ms - each.first_byte_ms
            self._seconds[second] = ended, tokens, streamed_ms

    def _forget(self, now: float) -> None:
        for second in [each for each in self._seconds if each <= now - RECENT - 1]:
            del self._seconds[second]

    def rates(self, running: Sequence[RunningRequest], now: float) -> Rates:
        """Return the rates at a moment; what is streaming now says more of the speed than what has ended."""
        self._forget(now)
        recent = [counts for second, counts in self._seconds.items() if second <= now + RECENT]
        ended, tokens, streamed_ms = map(sum, zip((0, 0, 0), *recent, strict=True))
        speeds = [speed for each in running if (speed := each.tokens_per_second(now)) is not None]
        if speeds:
            return Rates(ended, sum(speeds))
        return Rates(ended, 1000 * tokens / streamed_ms if streamed_ms > 0 else None)


HOURS: Final = 24
"""Hours that the strip of usage goes back."""


class UsageStrip(NamedTuple):
    """The tokens that an account used in each of the last HOURS hours, oldest first."""

    account: str
    tokens: tuple[int, ...]

    @property
    def total(self) -> int:
        """The tokens of all these hours."""
        return sum(self.tokens)


class RecentUsage(NamedTuple):
    """The tokens of the present day in the viewer's zone, and of the last hours by account."""

    today: int = 0
    strips: tuple[UsageStrip, ...] = ()


def recent_usage(
    tokens: Mapping[Cell, int], accounts: Accounts, now: float, zone: tzinfo = UTC
) -> RecentUsage:
    """Return what was used lately, from tokens by the hour; an account that is not known is its key."""
    last = int(now // HOUR)
    hours: dict[str, list[int]] = {}
    for cell, added in tokens.items():
        index = HOURS - 1 - (last - cell.start // HOUR)
        if cell.seconds == HOUR and 0 <= index < HOURS and added:
            name = accounts.get(cell.series.fingerprint, cell.series.fingerprint)
            hours.setdefault(name, [0] * HOURS)[index] += added
    strips = [UsageStrip(name, tuple(by_hour)) for name, by_hour in hours.items()]
    strips.sort(key=lambda strip: (-strip.total, strip.account))
    return RecentUsage(sum(on_day(tokens, now, zone)), tuple(strips))
