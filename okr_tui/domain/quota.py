"""Quota: how full an account is, when a window comes back, how fast it empties.

Accounts on older plans have a session and a weekly window in
percent left; newer ones an allowance in dollars per period. A window that is absent or null means
"no such limit", never "nothing left".
"""

from typing import Final

from okr_tui.domain.values import dataclass

SESSION: Final = 18000
HOUR: Final = 3600
WEEK: Final = 604800
FIRST_MONDAY: Final = 345600


def percent(value: float) -> float:
    """Return a part of a whole, 0 to 100, without the noise of arithmetic."""
    return round(min(100.0, max(0.0, value)), 6)


@dataclass(frozen=True, slots=True)
class Window:
    """One limit of an account. `used_percent` is 0 to 100, `resets_at` epoch seconds; None is unknown."""

    name: str
    used_percent: float | None = None
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class Credits:
    """Dollars of the running period, those bought in addition, and the period's end in epoch seconds."""

    balance_usd: float
    allowance_usd: float | None = None
    purchased_usd: float | None = None
    until: float | None = None

    @property
    def used_percent(self) -> float | None:
        """The part of the allowance that is gone; None without an allowance to measure by."""
        if not self.allowance_usd or self.allowance_usd <= 0:
            return None
        return percent(100 * (1 - self.balance_usd / self.allowance_usd))


@dataclass(frozen=True, slots=True)
class Balance:
    """One reading of an account's quota; `understood` is false for a shape this program does not know."""

    windows: tuple[Window, ...] = ()
    credits: Credits | None = None
    understood: bool = True

    def window(self, name: str) -> Window | None:
        """Return the window of that name; "hourly" is an older word for the session."""
        name = "session" if name == "hourly" else name
        return next((window for window in self.windows if window.name == name), None)

    def resets_at(self, name: str | None) -> float | None:
        """Return when the server says a spent window comes back, in epoch seconds."""
        window = self.window(name) if name else None
        if window:
            return window.resets_at
        return self.credits.until if self.credits and name not in ("session", "weekly", "hourly") else None

    @property
    def purchased_usd(self) -> float:
        """The bought credit that is left; 0 where none is known."""
        return (self.credits.purchased_usd if self.credits else None) or 0.0

    @property
    def dollars_left(self) -> float:
        """The dollars that are left, included and bought; 0 on a plan that is not measured in dollars."""
        return max(0.0, self.credits.balance_usd) + max(0.0, self.purchased_usd) if self.credits else 0.0

    @property
    def included_percent(self) -> float | None:
        """How full the tightest limit of the plan itself is, 0 to 100, whatever was bought in addition."""
        most: float | None = None
        for window in self.windows:
            used = window.used_percent
            if used is not None and (most is None or used > most):
                most = used
        if self.credits:
            used = self.credits.used_percent
            if used is not None:
                return used if most is None else max(most, used)
            if self.credits.balance_usd <= 0 and most is None:
                return 100.0
        return most

    @property
    def used_percent(self) -> float | None:
        """How full the tightest limit is, 0 to 100; purchased credit counts as room."""
        return 0.0 if self.purchased_usd > 0 else self.included_percent


def next_reset(window: str | None, now: float) -> float | None:
    """Return when a window comes back by the calendar, strictly after `now`; None if only the server knows.

    Sessions end on a global five-hour grid and weeks on Monday 00:00 UTC (ollama/ollama issue 12532).
    """
    if window == "session":
        return (now // SESSION + 1) * SESSION
    if window == "hourly":
        return (now // HOUR + 1) * HOUR
    if window == "weekly":
        return ((now - FIRST_MONDAY) // WEEK + 1) * WEEK + FIRST_MONDAY
    return None


@dataclass(frozen=True, slots=True)
class Sample:
    """How full an account's tightest limit was at a moment (epoch seconds, percent)."""

    at: float
    used_percent: float


def tightest_window(balance: Balance | None) -> str:
    """Return the limit of an account that is hit first; a session's where nothing is known."""
    if balance is None:
        return "session"
    known = [
        (window.used_percent, window.name) for window in balance.windows if window.used_percent is not None
    ]
    if balance.credits and balance.credits.used_percent is not None:
        known.append((balance.credits.used_percent, "credits"))
    return max(known)[1] if known else "credits" if balance.credits else "session"
