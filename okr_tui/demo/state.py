"""The accounts and the whole state of the simulated cloud, moved on by the clock only when asked."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from okr_tui.demo.catalogue import BEHAVIOURS, FAULTS
from okr_tui.demo.scenarios import Action, Change, FaultRule, Holder, Outage, Past, Scenario

REQUEST_UNITS = 100
SHORT_CHAT_UNITS = 200
DOLLARS_PER_UNIT = 0.0004
PLAN_SLOTS = {"free": 1, "pro": 3, "max": 10}
QUEUE_LIMITS = {"free": 5, "pro": 15, "max": 15}


def timestamp(moment: float) -> str:
    """Epoch seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class SimulatedWindow:
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
class UsageRecord:
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
    windows: dict[str, SimulatedWindow]
    allowance: float | None = None
    purchased: float = 0.0
    suspended: bool = False
    revoked: set[int] = field(default_factory=set)
    elsewhere: int = 0
    active: int = 0
    reads: deque[float] = field(default_factory=deque)
    history: deque[UsageRecord] = field(default_factory=lambda: deque(maxlen=10_000))

    def refresh(self, now: float) -> None:
        """Let every window that has ended start again."""
        for window in self.windows.values():
            window.refresh(now)

    def spent(self) -> str | None:
        """Return the name of the window that refuses requests now; None while purchased credit is left."""
        full = [name for name, window in self.windows.items() if window.used >= 100]
        return full[-1] if full and self.purchased <= 0 else None

    def charge(self, use: UsageRecord) -> None:
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


def key_text(label: str) -> str:
    """Return the key of a label: shaped like a real one, derived from the label alone, worth nothing."""
    digest = hashlib.sha256(f"okr-tui demo {label}".encode()).hexdigest()
    return f"{digest[:32]}.{digest[32:56]}"


def fingerprint(text: str) -> str:
    """Return what the request log says of a key instead of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that was handed out: the `number`th of its account."""

    text: str
    label: str
    fingerprint: str
    account: Account
    number: int

    @property
    def valid(self) -> bool:
        """Whether the key is not revoked."""
        return self.number not in self.account.revoked


@dataclass(slots=True)
class Received:
    """A request as the log keeps it. `status` stays None while, or if, nothing was answered."""

    time: float
    method: str
    path: str
    key: str | None = None
    account: str | None = None
    model: str | None = None
    status: int | None = None


class CloudState:
    """Accounts, keys, faults to come and requests seen."""

    def __init__(self, scenario: Scenario, speed: float, clock: Callable[[], float]) -> None:
        self.scenario = scenario
        self.speed = speed
        self.clock = clock
        self.started = clock()
        self.accounts = {holder.name: self._account(holder) for holder in scenario.holders}
        self.credentials = {
            credential.text: credential
            for holder in scenario.holders
            for credential in self._credentials(holder)
        }
        self.rules: list[FaultRule] = []
        self.outage: FaultRule | None = None
        self.outage_ends = 0.0
        self.requests: deque[Received] = deque(maxlen=100_000)
        self._played = 0

    def advance(self) -> float:
        """Play what the timeline holds up to now, let windows reset, and return now."""
        now = self.clock()
        while (due := self._due()) is not None and due[0] <= now:
            self._played += 1
            self.apply(due[1], due[0])
        for account in self.accounts.values():
            account.refresh(now)
        if now >= self.outage_ends:
            self.outage = None
        return now

    def apply(self, action: Action, moment: float) -> None:
        """Carry out an action as of a moment. Unknown accounts, keys and faults are a ValueError."""
        match action:
            case Change():
                self._change(action, moment)
            case Outage():
                self.outage = self._known(FaultRule(action.fault, times=None))
                self.outage_ends = moment + action.seconds / self.speed
            case FaultRule():
                self.rules.append(self._known(replace(action)))
            case Past():
                history = self._named(action.account).history
                history.extend(UsageRecord(at, REQUEST_UNITS + i + o, i, o) for at, i, o in action.requests)

    def take_fault(self, received: Received, credential: Credential | None) -> FaultRule | None:
        """Return the fault this request must meet, if any; a rule with a count is used up by one."""
        if self.outage is not None:
            return self.outage
        names = (credential.label, credential.fingerprint) if credential else ()
        for rule in self.rules:
            if (
                (rule.key is None or rule.key in names)
                and rule.account in (None, received.account)
                and rule.model in (None, received.model)
                and rule.path in (None, received.path)
            ):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                if rule.fills and received.account:
                    self.accounts[received.account].windows[rule.fault].used = 100.0
                return rule
        return None

    def _due(self) -> tuple[float, Action] | None:
        timeline = self.scenario.timeline
        if not timeline or (self.scenario.repeat is None and self._played >= len(timeline)):
            return None
        round_number, index = divmod(self._played, len(timeline))
        seconds, action = timeline[index]
        return self.started + (seconds + round_number * (self.scenario.repeat or 0)) / self.speed, action

    def _change(self, change: Change, moment: float) -> None:
        account = self._named(change.account)
        account.refresh(moment)
        used = {"session": change.session, "weekly": change.weekly, "monthly": change.monthly}
        if change.credits is not None and account.allowance:
            used["monthly"] = 100 - 100 * change.credits / account.allowance
        for name, percent in used.items():
            if percent is not None:
                if name not in account.windows:
                    raise ValueError(f"account {account.name!r} has no {name} window")
                account.windows[name].used = float(percent)
        for name in ("purchased", "suspended", "slots", "elsewhere", "plan"):
            value = getattr(change, name)
            if value is not None:
                setattr(account, name, value)
        if change.revoke is not None:
            account.revoked.add(change.revoke)
        if change.restore is not None:
            account.revoked.discard(change.restore)

    def _named(self, name: str) -> Account:
        if name not in self.accounts:
            raise ValueError(f"no account {name!r}")
        return self.accounts[name]

    def _known(self, rule: FaultRule) -> FaultRule:
        if rule.fault not in FAULTS and rule.fault not in BEHAVIOURS:
            raise ValueError(f"no fault {rule.fault!r}")
        return rule

    def _account(self, holder: Holder) -> Account:
        windows = {
            allowance.window: SimulatedWindow(
                self.scenario.length(allowance.window) / self.speed,
                allowance.chats * SHORT_CHAT_UNITS,
                allowance.used,
                self.started,
            )
            for allowance in holder.allowances
        }
        return Account(
            holder.name,
            holder.plan,
            PLAN_SLOTS[holder.plan] if holder.slots is None else holder.slots,
            windows,
            allowance=holder.dollars,
            purchased=holder.purchased,
            suspended=holder.suspended,
            revoked=set(holder.revoked),
            elsewhere=holder.elsewhere,
        )

    def _credentials(self, holder: Holder) -> list[Credential]:
        account = self.accounts[holder.name]
        labels = [f"{holder.name} {number}" for number in range(1, holder.keys + 1)]
        return [
            Credential(key_text(label), label, fingerprint(key_text(label)), account, number)
            for number, label in enumerate(labels, start=1)
        ]
