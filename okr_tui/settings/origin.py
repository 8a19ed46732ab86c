"""Where a value of the settings is, and what was wrong with one."""

import os
from dataclasses import field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.text import printable
from okr_tui.domain.values import dataclass
from okr_tui.settings.json_edit import location

T = TypeVar("T")

LayerName = Literal["option", "environment", "runtime", "project", "global", "default"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value is: its layer, and the file and position or the variable (or option) in it."""

    layer: LayerName
    file: Path | None = None
    line: int | None = None
    column: int | None = None
    variable: str | None = None

    def describe(self) -> str:
        """Return one line: "global ~/.pi/agent/settings.json:7", "environment OLLAMA_HOST" or "default"."""
        if self.file:
            return f"{self.layer} {location(_short(self.file), self.line, None)}"
        return f"{self.layer} {self.variable}" if self.variable else self.layer


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in what the user configured; the program continues without it.

    An error means that something written is not in force; a warning, that it is unwise or waits for the user.
    """

    message: str
    path: Path | None = None
    line: int | None = None
    column: int | None = None
    severity: Severity = "error"
    remedy: str = ""
    """What to do, where there is more to say than to change or remove it."""

    @classmethod
    def of(cls, error: SettingsError, more: str = "") -> "Problem":
        """Return the problem an error describes; `more` is added to its message."""
        where = location(error.path, error.line, error.column)
        message = str(error).removeprefix(f"{where}: ") + more
        return cls(message, Path(error.path), error.line, error.column)

    @classmethod
    def at(cls, origin: Origin, message: str, severity: Severity = "error") -> "Problem":
        """Return the problem of the value at `origin`."""
        if origin.file is None:
            return cls(f"{origin.describe()}: {message}", severity=severity)
        return cls(message, origin.file, origin.line, origin.column, severity)

    def describe(self) -> str:
        """Return one line: the location as `file:line:column`, as far as it is known, and the message."""
        message = printable(self.message)
        if self.path is None:
            return message
        return f"{location(_short(self.path), self.line, self.column)}: {message}"


@dataclass(frozen=True, slots=True)
class Valued(Generic[T]):
    """A value, where it comes from, and which lower layers also set it, highest first.

    The value is left out of the text form: the address of a store or a daemon may carry a password.
    `note` says in words what else led to it; "" as a rule.
    """

    value: T = field(repr=False)
    origin: Origin
    shadowed: tuple[Origin, ...] = ()
    note: str = ""


def _short(path: Path) -> str:
    home = Path(os.path.expanduser("~"))
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
