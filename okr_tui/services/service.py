"""What a front may see and ask of the service: immutable snapshots down, commands up."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from okr_tui.domain.chat import ChatEvent, Message
from okr_tui.domain.feed import Entry
from okr_tui.domain.models import Model
from okr_tui.domain.view import PoolView


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and the 1-based places of the keys that may use it."""

    model: Model
    keys: tuple[int, ...]
    replaced_by: str | None = None


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
class SettingsView:
    """What a front shows of the settings. A problem is one line with its file, line and column."""

    cloud_url: str
    global_file: Path
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    theme: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a front shows, at one moment (epoch seconds). Entries run from oldest to newest."""

    at: float
    pool: PoolView
    models: ModelList
    settings: SettingsView
    entries: tuple[Entry, ...] = ()


class Service(Protocol):
    """The service as fronts use it. Every command raises an OkrError with one line when it cannot be done."""

    @property
    def snapshot(self) -> Snapshot:
        """The present state."""

    def snapshots(self) -> AsyncIterator[Snapshot]:
        """The present state, then a new one after each change; changes faster than the reader are joined."""

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

    def chat(
        self, model: str, messages: Sequence[Message], *, conversation: str, think: str | None = None
    ) -> AsyncIterator[ChatEvent]:
        """Ask a model; yields Routed, then Deltas, then Finished. Closing the iterator stops the answer."""
