"""The facts the program learns, one immutable record each. The log of these is the only pool state.

Times are epoch seconds. Keys appear by fingerprint only; accounts by the identifier the cloud gives.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from okr_tui.domain.faults import Fault
from okr_tui.domain.quota import Balance

Client = Literal["dashboard", "cli", "gateway", "probe"]
Outcome = Literal["ok", "fault", "cancelled"]


class Fact(BaseModel):
    """What every record has: when it became known."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    at: float


class Command(Fact):
    """What a person or their settings asked for, and through which client; None in older logs."""

    client: Client | None = None


class Trial(Fact):
    """A block ran out and one request goes out to see; others wait for it, in every process."""

    kind: Literal["trial"] = "trial"
    fingerprint: str
    owner: str = ""
    """Names the request; when several begin at once, the first in the log has the trial."""


class Attempt(Fact):
    """One request sent with one key, and how it ended."""

    kind: Literal["attempt"] = "attempt"
    started: float
    client: Client
    fingerprint: str
    model: str | None = None
    path: str
    outcome: Outcome
    fault: Fault | None = None
    next_fingerprint: str | None = None
    first_byte_ms: int | None = None
    duration_ms: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    in_flight: int = 1
    """Requests this process had under way on the account, this one included."""


class BalanceRead(Fact):
    """A reading of an account's quota, made with the key of that fingerprint."""

    kind: Literal["balance"] = "balance"
    started: float
    fingerprint: str
    balance: Balance


class IdentityRead(Fact):
    """Which account a key belongs to, and its plan."""

    kind: Literal["identity"] = "identity"
    started: float
    fingerprint: str
    account: str
    plan: str | None = None


class Use(Command):
    """A person chose the preferred key."""

    kind: Literal["use"] = "use"
    fingerprint: str


class Reset(Command):
    """A person declared a key healthy: everything older than this is forgotten, in every process."""

    kind: Literal["reset"] = "reset"
    fingerprint: str


class Enabled(Command):
    """A person put a key back into the pool."""

    kind: Literal["enabled"] = "enabled"
    fingerprint: str


class Disabled(Command):
    """A person took a key out of the pool."""

    kind: Literal["disabled"] = "disabled"
    fingerprint: str


class SettingsRead(Command):
    """Settings were read again: how many keys there are now, and what is wrong."""

    kind: Literal["settings"] = "settings"
    keys: int
    cloud_url: str
    problems: tuple[str, ...] = ()

    def says_the_same(self, other: "SettingsRead") -> bool:
        """Whether only time and client differ: several processes read the same files."""
        return self.model_copy(update={"at": other.at, "client": other.client}) == other


class ModelsRead(Fact):
    """The model list was refreshed, or could not be."""

    kind: Literal["models"] = "models"
    count: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    error: str | None = None


Record = Annotated[
    Attempt
    | BalanceRead
    | IdentityRead
    | Use
    | Reset
    | Enabled
    | Disabled
    | SettingsRead
    | ModelsRead
    | Trial,
    Field(discriminator="kind"),
]

_adapter: TypeAdapter[Record] = TypeAdapter(Record, config=ConfigDict(defer_build=True))


def encode(record: Record) -> str:
    """The record as one line of JSON."""
    return record.model_dump_json(exclude_none=True)


def decode(text: str) -> Record:
    """A record from its JSON; raises pydantic.ValidationError when it is none of ours."""
    return _adapter.validate_json(text)
