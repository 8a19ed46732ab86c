"""The facts the program learns, one immutable record each. The log of these is the only pool state.

Times are epoch seconds. Keys appear by fingerprint only; accounts by the identifier the cloud gives.
"""

from dataclasses import replace
from typing import Literal, get_args

from okr_tui.domain.faults import Fault
from okr_tui.domain.quota import Balance
from okr_tui.domain.values import dataclass

Client = Literal["dashboard", "cli", "gateway", "probe"]
Outcome = Literal["ok", "fault", "cancelled"]
AlertEvent = Literal[
    "spent", "slowed", "invalid", "back", "last-key", "empty-soon", "outage", "gateway-down", "window-80",
    "window-95", "unused", "budget",
]  # fmt: skip
ALERT_EVENTS: tuple[AlertEvent, ...] = get_args(AlertEvent)
OWN_EVENTS: tuple[AlertEvent, ...] = ("last-key", "outage", "gateway-down", "budget")
"""Events about a pool, a machine or a person's settings; the others are the same for all who share a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person or their settings asked for, and through which client; None in older logs."""

    at: float
    client: Client | None = None
    who: str | None = None
    """Who, by the name in their settings, where several people share a log; None on a log of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A block ran out and one request goes out to see; others wait for it, in every process."""

    at: float
    kind: Literal["trial"] = "trial"
    fingerprint: str
    owner: str = ""
    """Names the request; when several begin at once, the first in the log has the trial."""
    cloud: str = ""
    """The address it goes to."""
    ended: float = 0.0
    """When the block that it tests ended: a trial from before that tests another one; 0 in older logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request sent with one key, and how it ended."""

    at: float
    kind: Literal["attempt"] = "attempt"
    started: float
    client: Client
    caller: str | None = None
    """Who used the gateway, by the name of their token; None where it had none."""
    who: str | None = None
    """Whose machine sent it, as in Command."""
    fingerprint: str
    model: str | None = None
    path: str
    outcome: Outcome
    fault: Fault | None = None
    next_fingerprint: str | None = None
    first_byte_ms: int | None = None
    duration_ms: int = 0
    input_tokens: int | None = None
    """All tokens of the prompt, cached ones included."""
    cached_tokens: int | None = None
    """Those that the cloud had in its cache; None where it does not report them."""
    output_tokens: int | None = None
    in_flight: int = 1
    """Requests that were under way on the account, this one included, as far as its process knew."""
    cloud: str = ""
    """The address it was sent to; "" in older logs."""
    request: str | None = None
    """Names what was asked, the same for all sends and repeats of one request; None where it went well.

    It is made with a key of the pool, so that the log does not reveal what it stands for.
    """
    trace: str | None = None
    """Names the one request that several sends belong to; None where a single send was all of it."""
    begun: bool | None = None
    """True where the fault came after the caller had received a part of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRead:
    """A reading of an account's quota, made with the key of that fingerprint."""

    at: float
    kind: Literal["balance"] = "balance"
    started: float
    who: str | None = None
    fingerprint: str
    balance: Balance


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRead:
    """Which account a key belongs to, and its plan."""

    at: float
    kind: Literal["identity"] = "identity"
    started: float
    who: str | None = None
    fingerprint: str
    account: str
    plan: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use(Command):
    """A person chose the preferred key."""

    kind: Literal["use"] = "use"
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Command):
    """A person declared a key healthy: everything older than this is forgotten, in every process."""

    kind: Literal["reset"] = "reset"
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetUndone(Command):
    """A person took the last reset of a key back: what it forgot counts again."""

    kind: Literal["reset-undone"] = "reset-undone"
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled(Command):
    """A person put a key back into the pool."""

    kind: Literal["enabled"] = "enabled"
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled(Command):
    """A person took a key out of the pool."""

    kind: Literal["disabled"] = "disabled"
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRead(Command):
    """Settings were read again: how many keys there are now, and their problems."""

    kind: Literal["settings"] = "settings"
    keys: int
    cloud_url: str
    problems: tuple[str, ...] = ()

    def says_the_same(self, other: "SettingsRead") -> bool:
        """Return whether only time, client and person differ: several processes read the same files."""
        return replace(self, at=other.at, client=other.client, who=other.who) == other


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsRead:
    """The model list was refreshed, or could not be."""

    at: float
    kind: Literal["models"] = "models"
    count: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that a person wants to know at once began, or (`over`) ended.

    subject: whom it concerns: an account, a key, a gateway's address, a budget; "" for the pool.
    fingerprint: a key that represents it. window, percent: the quota and how much of it is used.
    until: when it is reset or back, in epoch seconds, which re-arms the alert; None where only its end does.
    estimated: whether the cloud has not said that moment itself.
    empty_at: when the quota is empty at its present pace, in epoch seconds.
    owner: names who raised it; of several, the first in the log runs the hooks.
    who: whose process raised it, as in Command.
    by: names the keys and rules that it was raised by; others may share the log. "" in older logs.
    """

    at: float
    kind: Literal["alert"] = "alert"
    event: AlertEvent
    subject: str = ""
    over: bool = False
    fingerprint: str | None = None
    window: str | None = None
    percent: float | None = None
    until: float | None = None
    estimated: bool = False
    empty_at: float | None = None
    owner: str = ""
    who: str | None = None
    by: str = ""

    @property
    def name(self) -> str:
        """What is raised once only; what concerns a pool or a machine, once by each."""
        own = f" {self.by}" if self.by and self.event in OWN_EVENTS else ""
        return f"{self.event} {self.window or ''} {self.subject}{own}"

    def follows(self, last: "Alert | None") -> bool:
        """Return whether it says something new after the last alert of its name."""
        if last is None or last.over:
            return not self.over
        return self.over or (last.until is not None and self.at >= last.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack:
    """Another model answered instead of the one asked for, since no key could take that.

    `answered_by` begins with `local:` for a model of a local Ollama.
    """

    at: float
    kind: Literal["fallback"] = "fallback"
    client: Client
    caller: str | None = None
    who: str | None = None
    model: str
    answered_by: str


Record = (
    Attempt
    | BalanceRead
    | IdentityRead
    | Use
    | Reset
    | ResetUndone
    | Enabled
    | Disabled
    | SettingsRead
    | ModelsRead
    | Trial
    | Alert
    | FellBack
)
"""Any record; `kind` tells them apart."""
