"""The settings as the program uses them: every value with the place it came from, and what was wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.words import printable
from okr_tui.settings.document import Section
from okr_tui.settings.json_edit import place

T = TypeVar("T")

LayerName = Literal["option", "environment", "runtime", "project", "global", "default"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands: its layer, and the file and position or the variable (or option) in it."""

    layer: LayerName
    file: Path | None = None
    line: int | None = None
    column: int | None = None
    variable: str | None = None

    def describe(self) -> str:
        """One line, such as "global ~/.pi/agent/settings.json:7", "environment OLLAMA_HOST" or "default"."""
        if self.file:
            return f"{self.layer} {place(_short(self.file), self.line, None)}"
        return f"{self.layer} {self.variable}" if self.variable else self.layer


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in what the user configured; the program goes on without it.

    An error means a file or section that could not be used; a warning, one value that was not.
    """

    message: str
    path: Path | None = None
    line: int | None = None
    column: int | None = None
    severity: Severity = "warning"

    @classmethod
    def of(cls, error: SettingsError, more: str = "") -> "Problem":
        """The problem an error tells of; `more` is added to its message."""
        where = place(error.path, error.line, error.column)
        message = str(error).removeprefix(f"{where}: ") + more
        return cls(message, Path(error.path), error.line, error.column, "error")

    @classmethod
    def at(cls, origin: Origin, message: str) -> "Problem":
        """A warning about the value that stands at `origin`."""
        if origin.file is None:
            return cls(f"{origin.describe()}: {message}")
        return cls(message, origin.file, origin.line, origin.column)

    def describe(self) -> str:
        """One line: the place as `file:line:column`, as far as it is known, and the message."""
        message = printable(self.message)
        if self.path is None:
            return message
        return f"{place(_short(self.path), self.line, self.column)}: {message}"


@dataclass(frozen=True, slots=True)
class Valued(Generic[T]):
    """A value, where it comes from, and which lower places also set it, highest first.

    The value is left out of the text form: the address of a store or a daemon may carry a password.
    `note` says in words what else led to it; "" as a rule.
    """

    value: T = field(repr=False)
    origin: Origin
    shadowed: tuple[Origin, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key of the pool is configured, for those who change it there.

    `section` and `name` ("apiKeys" or "apiKey") say which value; `position` counts from 0 in a list or a
    comma-separated text, and is None for a value that is one key. `also` are later places of the same key.
    """

    origin: Origin
    section: str
    name: str
    position: int | None
    reference: SecretStr = field(repr=False)
    also: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a reload falls back on: the last good sections, and what key commands printed."""

    sections: Mapping[tuple[Path, str], Section] = field(default_factory=dict, repr=False)
    commands: Mapping[tuple[str, str], SecretStr] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user configured, merged. No text form of it shows a secret.

    keys, places: the pool in order, and where each key of it is configured.
    active_index: from 0, always within the pool; 0 when the pool is empty.
    enabled_models: pi's favourite models as written, none when all are meant (domain/favourites.py).
    keymap, policy, gateway, chat: as written, project over global; their users check them.
    files: every file looked at, whether it exists or not.
    project_trusted, project_refused: the answer in the global file's `okr-tui.trustedProjects`, if any.
    project_digest: SHA-256 of the project file's content that was read; "" when there is none to speak of.
    project_wants: what it asks for that only a trusted one gets, in words.
    open_to_others: files with keys in them that other users of the machine may read or write.
        The chat section may hold secrets of tool servers, so no text form of the settings shows it.
    origins: the places of each value in keymap, policy, gateway and chat by "policy.NAME", the deciding one
        first.
    index_target, index_section: the file and section where a new activeKeyIndex takes effect.
    index_shadow: words for the user when none does, because an option or a variable decides.
    signature: equal for equal content of all that was read, wherever in the files it stands.
    """

    keys: tuple[Key, ...]
    places: tuple[Place, ...]
    cloud_url: Valued[str]
    active_index: Valued[int]
    base_url: Valued[str]
    strategy: Valued[str]
    store: Valued[str | None]
    theme: Valued[str | None]
    enabled_models: Valued[tuple[str, ...]]
    keymap: Mapping[str, str]
    policy: Mapping[str, object]
    gateway: Mapping[str, object]
    chat: Mapping[str, object] = field(repr=False)
    files: tuple[Path, ...]
    global_file: Path
    project_file: Path
    project_trusted: bool
    project_refused: bool
    project_digest: str
    project_wants: tuple[str, ...]
    open_to_others: tuple[Path, ...]
    origins: Mapping[str, tuple[Origin, ...]]
    problems: tuple[Problem, ...]
    index_target: Path
    index_section: str
    index_shadow: str | None
    signature: str
    kept: Kept = field(default_factory=Kept, repr=False, compare=False)


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
