"""The service as user interfaces see it: immutable snapshots down, commands up."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, Protocol

from okr_tui.domain.alerts import DEFAULT_RULES, AlertRules
from okr_tui.domain.faults import Tone
from okr_tui.domain.feed import Entry, FeedFilter
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.models import Model
from okr_tui.domain.records import AlertEvent
from okr_tui.domain.schedule import clock_problem
from okr_tui.domain.traffic import NO_TRAFFIC, Rates, RecentUsage, RunningRequest
from okr_tui.domain.usage import Cell, CloudReading, UsageSum
from okr_tui.domain.usage_charts import Period, QuotaHistory
from okr_tui.domain.values import dataclass
from okr_tui.domain.view import PoolView

KeepIn = Literal["file", "keyring"]
LOG_PROGRESS: ContextVar[Callable[[str], object]] = ContextVar("log_progress", default=lambda _: None)
"""Called with how far the log was read, in words, where opening the service takes long."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and the 1-based indexes of the keys that may use it.

    `replaced_by`: the listed successor of a model that is gone or announced to go.
    `favourite`: pi's settings enable it.
    """

    model: Model
    keys: tuple[int, ...]
    replaced_by: str | None = None
    favourite: bool = False


@dataclass(frozen=True, slots=True)
class ModelList:
    """The model list as last known. `refreshed_at` in epoch seconds, None before the first success.

    `error` says why the last refresh failed; the rows are then the last good ones. `skipped` counts models
    that are left out because their names cannot be shown. `favourites_only`: pi's settings name favourites,
    so that pi offers no other models.
    """

    rows: tuple[ModelRow, ...] = ()
    refreshed_at: float | None = None
    refreshing: bool = False
    error: str | None = None
    skipped: int = 0
    lacking: str | None = None
    """Of which models the details could not be read, and why."""
    favourites_only: bool = False

    @property
    def skipped_words(self) -> str:
        """Say how many models are left out; empty without any."""
        if not self.skipped:
            return ""
        have = "model has a name" if self.skipped == 1 else "models have names"
        return f"{self.skipped} {have} that cannot be shown"


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One value in force, where it comes from, and where else it is set without effect, in words.

    `editable`: `change_setting` takes its name; `locked` says why a change has no effect, "" when it has.
    """

    name: str
    value: str
    origin: str
    shadowed: tuple[str, ...] = ()
    editable: bool = False
    locked: str = ""


@dataclass(frozen=True, slots=True)
class TrustQuestion:
    """A project's settings file that asks for what only a trusted file gets, and what that is, in words."""

    project_file: Path
    wants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsView:
    """The settings as they are shown. A problem is one line with its file, line and column.

    `open_to_others`: a settings file with keys that other users of the machine can read.
    """

    cloud_url: str
    global_file: Path
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    theme: str | None = None
    lines: tuple[SettingLine, ...] = ()
    trust: TrustQuestion | None = None
    open_to_others: Path | None = None
    nameless: bool = False
    """Whether the log may be shared, and has no name for this person."""
    keymap: tuple[tuple[str, str], ...] = ()
    """Keys of the keyboard by action, as written."""


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The gateway: its addresses, None while none runs; its error, or why it did not start.

    `elsewhere`: another process runs it. `ending`: answers under way are being cut off. `outdated`: the
    settings changed since it started. `autostart`: the settings ask for one when the dashboard opens.
    """

    url: str | None = None
    daemon_url: str | None = None
    elsewhere: bool = False
    ending: bool = False
    outdated: bool = False
    error: str | None = None
    autostart: bool = False


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was spent since a moment, and the readings of quota, as of a moment (epoch seconds).

    `names` are accounts and keys in words; `first` is when the first of all usage was; `read_since` is how
    far back readings of quota were looked for.
    """

    at: float
    since: float
    usage: Mapping[Cell, UsageSum]
    accounts: Mapping[str, str]
    names: Mapping[str, str]
    cloud: Mapping[str, CloudReading]
    quotas: tuple[QuotaHistory, ...]
    first: float | None = None
    read_since: float | None = None


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """An alert for a person, by an identity of its own; `at` in epoch seconds.

    `subject` and `window` say which alerts are about one thing.
    """

    identity: str
    at: float
    event: AlertEvent
    tone: Tone
    text: str
    subject: str = ""
    window: str | None = None


LATEST: Final = 20
"""Entries of the log that are looked at for times of the future."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a user interface shows, at one moment (epoch seconds). Entries run from oldest to newest.

    `log`: problems of the log, the connection to the cloud and the background work, a line each.
    `clock_ahead`: seconds by which this machine's clock is ahead of the cloud's; 0 while they agree.
    `running`: the requests of this process that have not ended, oldest first.
    """

    at: float
    pool: PoolView
    models: ModelList
    settings: SettingsView
    entries: tuple[Entry, ...] = ()
    gateway: GatewayView = GatewayView()
    log: tuple[str, ...] = ()
    clock_ahead: float = 0.0
    undoable: tuple[str, ...] = ()
    """What `undo` would take back, in words, the last change first."""
    alerts: tuple[AlertNotice, ...] = ()
    """The latest alerts that the settings want shown, oldest first."""
    rules: AlertRules = DEFAULT_RULES
    running: tuple[RunningRequest, ...] = ()
    rates: Rates = NO_TRAFFIC
    usage: RecentUsage | None = None
    """Of every process on the log; None before it was read."""
    remembered: bool = False
    """Whether it is what the last run left, and not what holds now."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return the problems of settings, log, background work and clock, a line each."""
        clock = self.clock_problem(self.at)
        return (*self.settings.problems, *self.log, *([clock] if clock else ()))

    def clock_problem(self, now: float) -> str | None:
        """Return a warning if a clock is wrong at `now` (epoch seconds)."""
        return clock_problem(
            self.clock_ahead, [entry.at for entry in self.entries[-LATEST:]], now, self.rules.clock_seconds
        )


class Service(Protocol):
    """The service as user interfaces use it.

    Every command returns what was done, in words, or raises an OkrError of one line.
    """

    @property
    def snapshot(self) -> Snapshot:
        """Return the present state."""

    def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the present state, then a new one after each change; quick changes are joined."""

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """Return a page of matching lines, before or after a position in the log."""

    async def key_history(self, fingerprint: str) -> KeyHistory:
        """Return what the key of a fingerprint did over the last hours."""

    async def usage(self, period: Period) -> UsageReport:
        """Return what was spent in a period that ends now."""

    async def use_key(self, index: int) -> str:
        """Prefer the key at a 1-based index and write the choice to the settings."""

    async def rotate(self) -> str:
        """Prefer the next key that is not known to be blocked."""

    async def refresh_models(self) -> str:
        """Read the model list again; return how many there are."""

    async def test_key(self, index: int) -> str:
        """Read identity and balance of a key now, at no cost; return what they say."""

    async def reset_key(self, index: int) -> str:
        """Forget every block of a key and its account."""

    async def set_enabled(self, *indexes: int, enabled: bool) -> str:
        """Put keys into use or take them out of use, as one change."""

    async def try_key(self, secret: SecretStr, label: str | None) -> str:
        """Ask the cloud about a key that is to be added; return what it says. Raises KeyRefusedError."""

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Add a key to the global settings: its text, or a reference to it in the system's secret store."""

    async def remove_key(self, index: int) -> str:
        """Take a key out of the global settings; `undo` brings it back while this process lives."""

    async def undo(self) -> str:
        """Take back the last change of the pool that this process made: see `Snapshot.undoable`."""

    async def label_key(self, index: int, label: str | None) -> str:
        """Give a key another label; None takes its label away."""

    async def set_favourite(self, model: str, *, wanted: bool) -> str:
        """Add a model to the favourites in pi's `enabledModels`, or take it out."""

    async def change_setting(self, name: str, text: str | None) -> str:
        """Write one value, named as its line is, where it takes effect; None goes back to the default."""

    async def trust_project(self, *, trusted: bool) -> str:
        """Remember whether the project's settings file is trusted, by its path and content."""

    async def make_file_private(self) -> str:
        """Make the settings file with keys that others can read readable by its owner only."""

    async def switch_gateway(self) -> str:
        """Start the gateway in this process, or stop it."""
