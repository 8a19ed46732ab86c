"""An account of the simulated cloud: who owns it, what it may still spend, how many requests it may run."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

REQUEST_UNITS = 100
SHORT_CHAT_UNITS = 200
DOLLARS_PER_UNIT = 0.0004
PLAN_SLOTS = {"free": 1, "pro": 3, "max": 10}
QUEUE_LIMITS = {"free": 5, "pro": 15, "max": 15}


def timestamp(moment: float) -> str:
    """Epoch seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class Window:
    """A quota that fills with use and is empty again at every point of a grid of `length` seconds."""

    length: float
    units: float
    used: float
    started: float
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = self.started + self.length

    def refresh(self, now: float) -> None:
        """Empty the window if its end has passed."""
        if now >= self.ends:
            self.used = 0.0
            self.ends = self.started + ((now - self.started) // self.length + 1) * self.length

    def charge(self, units: float) -> None:
        """Add use; a window never holds more than 100 percent."""
        self.used = min(100.0, self.used + 100 * units / self.units)

    @property
    def remaining(self) -> float:
        """Percent left."""
        return round(100 - self.used, 2)


@dataclass(slots=True)
class Use:
    """What one finished request cost, for the usage history."""

    time: float
    units: float
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Account:
    """The state of one account. Credits plans have one `monthly` window and its allowance in dollars."""

    name: str
    plan: str
    slots: int
    windows: dict[str, Window]
    allowance: float | None = None
    purchased: float = 0.0
    suspended: bool = False
    revoked: set[int] = field(default_factory=set)
    elsewhere: int = 0
    active: int = 0
    reads: deque[float] = field(default_factory=deque)
    history: deque[Use] = field(default_factory=lambda: deque(maxlen=10_000))

    def refresh(self, now: float) -> None:
        """Let every window that has ended start again."""
        for window in self.windows.values():
            window.refresh(now)

    def spent(self) -> str | None:
        """Return the name of the window that refuses requests now; None while purchased credit is left."""
        full = [name for name, window in self.windows.items() if window.used >= 100]
        return full[-1] if full and self.purchased <= 0 else None

    def charge(self, use: Use) -> None:
        """Book a finished request on the windows, or on purchased credit once a window is full."""
        self.history.append(use)
        if any(window.used >= 100 for window in self.windows.values()):
            self.purchased = max(0.0, self.purchased - use.units * DOLLARS_PER_UNIT)
            return
        for window in self.windows.values():
            window.charge(use.units)

    def identity(self) -> dict[str, object]:
        """Return the answer of POST /api/me, with the capitalised names of the real one."""
        return {
            "ID": str(uuid5(NAMESPACE_URL, f"okr-tui demo {self.name}")),
            "Email": f"{self.name}@example.com",
            "Name": self.name,
            "Bio": "",
            "AvatarURL": "",
            "FirstName": "",
            "LastName": "",
            "Plan": self.plan,
        }

    def balance(self) -> dict[str, object]:
        """Return the answer of GET /api/balance, in the shape of the account's plan generation."""
        included: dict[str, object]
        if self.allowance is None:
            included = {
                name: {"remaining_percent": window.remaining, "resets_at": timestamp(window.ends)}
                for name, window in self.windows.items()
            }
        else:
            window = self.windows["monthly"]
            included = {
                "balance_usd": round(self.allowance * (100 - window.used) / 100, 5),
                "allowance_usd": self.allowance,
                "period": {"from": timestamp(window.ends - window.length), "until": timestamp(window.ends)},
            }
        return {"included": included, "purchased": {"balance_usd": round(self.purchased, 5)}}
