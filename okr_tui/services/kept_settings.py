"""What `config list` and `config get` print, and the small file that keeps it between runs.

A run that had to read all layers leaves it. It counts as long as settings files, environment and options are
the same; then the next run reads none of them, and loads no modules that do. Values are as people are shown
them: no key, no password.
"""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from okr_tui.services.overview import Inputs
from okr_tui.store.kept_files import KeptFiles

FILES: Final = KeptFiles("settings")


class SettingValue(NamedTuple):
    """A setting in force: its value as JSON has it and in words, its source, and those without effect."""

    name: str
    value: Any
    words: str
    origin: str
    shadowed: tuple[str, ...]


def keep(values: Iterable[SettingValue], inputs: Inputs) -> None:
    """Keep the values for the next run."""
    FILES.write(inputs.name, json.dumps((inputs.digest, list(values)), separators=(",", ":")))


def kept(inputs: Inputs) -> tuple[SettingValue, ...] | None:
    """Return the values that an earlier run kept; None where anything has changed since."""
    try:
        digest, found = json.loads(FILES.read(inputs.name) or "null")
        if digest != inputs.digest:
            return None
        lines = (SettingValue(*each) for each in found)
        return tuple(line._replace(shadowed=tuple(line.shadowed)) for line in lines)
    except (TypeError, ValueError, LookupError, RecursionError):
        return None
