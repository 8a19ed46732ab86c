"""What a front may see and ask of the service: immutable snapshots down, commands up."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from okr_tui.domain.feed import Entry, FeedFilter, Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.models import Model
from okr_tui.domain.view import PoolView

KeepIn = Literal["file", "keyring"]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and the 1-based places of the keys that may use it.

    `replaced_by` is the living successor of one that is gone, or that is to go while it is still listed.
    `favourite` as pi's settings have it.
    """

    model: Model
    keys: tuple[int, ...]
    replaced_by: str | None = None
    favourite: bool = False


@dataclass(frozen=True, slots=True)
class ModelList:
    """The model list as last known. `refreshed_at` is epoch seconds, None before the first success.

    `error` says why the last refresh failed; the rows are then the last good ones.
    """

    rows: tuple[ModelRow, ...] = ()
    refreshed_at: float | None = None
    refreshing: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One value in force, the place it comes from, and the places that also set it but lost, in words.

    `editable` when `change_setting` takes its name; `locked` says why it cannot take effect, "" when it can.
    """

    name: str
    value: str
    origin: str
    shadowed: tuple[str, ...] = ()
    editable: bool = False
    locked: str = ""


@dataclass(frozen=True, slots=True)
class TrustQuestion:
    """A project's settings file that asks for what only a trusted one gets, and what that is, in words."""

    project_file: Path
    wants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsView:
    """What a front shows of the settings. A problem is one line with its file, line and column.

    `open_to_others` is a settings file with keys that other users of the machine can read.
    """

    cloud_url: str
    global_file: Path
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    theme: str | None = None
    lines: tuple[SettingLine, ...] = ()
    trust: TrustQuestion | None = None
    open_to_others: Path | None = None
    removable: tuple[str, ...] = ()
    """What `restore_key` would bring back, newest first, by mask."""
    keymap: tuple[tuple[str, str], ...] = ()
    """Keys by action, as written."""


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The gateway: where it answers, or None for both; what is wrong with it, or why it did not start.

    `elsewhere`: another process runs it. `ending`: answers under way are given a few seconds. `outdated`: the
    settings changed since it started. `autostart`: the settings ask for one when a front opens.
    """

    url: str | None = None
    daemon_url: str | None = None
    elsewhere: bool = False
    ending: bool = False
    outdated: bool = False
    error: str | None = None
    autostart: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a front shows, at one moment (epoch seconds). Entries run from oldest to newest.

    `log` says, a line each, what is wrong with the log. `clock_ahead`: seconds by which this machine's clock
    is ahead of the cloud's; 0 while they agree.
    """

    at: float
    pool: PoolView
    models: ModelList
    settings: SettingsView
    entries: tuple[Entry, ...] = ()
    gateway: GatewayView = GatewayView()
    log: tuple[str, ...] = ()
    clock_ahead: float = 0.0

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with settings and log, a line each."""
        return (*self.settings.problems, *self.log)


class Service(Protocol):
    """The service as fronts use it. Every command raises an OkrError with one line when it cannot be done."""

    @property
    def snapshot(self) -> Snapshot:
        """The present state."""

    def snapshots(self) -> AsyncIterator[Snapshot]:
        """The present state, then a new one after each change; changes faster than the reader are joined."""

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """A page of older lines, before a place of the log, or of newer ones, behind a place."""

    async def key_history(self, fingerprint: str) -> KeyHistory:
        """What a key did over the last hours."""

    async def use_key(self, index: int) -> str:
        """Prefer the key at the 1-based place and write the choice; answers what was done and where."""

    async def rotate(self) -> str:
        """Prefer the next key that is not known to be blocked; answers like `use_key`."""

    async def refresh_models(self) -> str:
        """Read the model list again; answers how many there are."""

    async def test_key(self, index: int) -> str:
        """Read balance and identity of a key now, at no cost; answers what they say."""

    async def reset_key(self, index: int) -> str:
        """Forget every block of a key and its account."""

    async def set_enabled(self, index: int, *, enabled: bool) -> str:
        """Take a key out of the pool or put it back."""

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Add a key to the global settings: its text, or a reference to it in the system's secret store."""

    async def remove_key(self, index: int) -> str:
        """Take a key out of the settings; `restore_key` brings it back while this process lives."""

    async def restore_key(self) -> str:
        """Put the key that was removed last back where it was."""

    async def label_key(self, index: int, label: str | None) -> str:
        """Give a key another label, or none."""

    async def favour_model(self, model: str, *, wanted: bool) -> str:
        """Take a model into pi's `enabledModels` where that takes effect, or out of it."""

    async def change_setting(self, name: str, text: str | None) -> str:
        """Write one value, named as its line is, where it takes effect; None goes back to the default."""

    async def trust_project(self, *, trusted: bool) -> str:
        """Answer the trust question; remembered by the file's path and content."""

    async def close_file(self) -> str:
        """Make the settings file that others can read its owner's alone."""

    async def switch_gateway(self) -> str:
        """Start the gateway in this process or stop it; answers where it is, or that it ended."""
