"""Every setting as a line: its value, the place it comes from, and whether and where it is changed.

No line holds a key, a password or a token.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import Key
from okr_tui.domain.scrubber import Scrubber
from okr_tui.services.service import SettingLine, TrustQuestion
from okr_tui.settings.checks import UnusableError, as_text
from okr_tui.settings.keys import kind
from okr_tui.settings.origin import Origin, Valued
from okr_tui.settings.schema import Place, Settings
from okr_tui.settings.table import Setting, find
from okr_tui.store.factory import default_address

LONGEST: Final = 80
KEPT: Final = {
    "literal": "",
    "variable": "in a variable",
    "command": "printed by a command",
    "keyring": "in the system keyring",
}
WORDS: Final = {"true": True, "false": False}
DEFAULT: Final = Origin("default")


def trust_question(settings: Settings) -> TrustQuestion | None:
    """Return the question about the project's file; None without one, or if it was answered."""
    if settings.project_trusted or settings.project_refused or not settings.project_wants:
        return None
    return TrustQuestion(settings.project_file, settings.project_wants)


def setting_lines(settings: Settings) -> tuple[SettingLine, ...]:
    """Return a line for each key, then one for each setting, groups last."""
    pool = zip(settings.keys, settings.places, strict=True)
    keys = [_key_line(at, key, place) for at, (key, place) in enumerate(pool, 1)]
    rows = [row for row in map(find, settings.values) if row]
    scrubber = Scrubber(key.secret.get_secret_value() for key in settings.keys)
    return (*keys, *(_line(row, settings, scrubber) for row in sorted(rows, key=lambda row: row.group)))


def configured(lines: Iterable[SettingLine]) -> tuple[SettingLine, ...]:
    """Return the lines without the members of groups that nothing sets, those of keys last."""
    found = [line for line in lines if "." not in line.name or line.origin != DEFAULT.describe()]
    return tuple(sorted(found, key=lambda line: line.name.startswith("key ")))


def store_address(settings: Settings) -> str:
    """Return where the log is, without a password."""
    return _shown("store", settings.store.value or default_address())


def setting_path(name: str) -> tuple[str, ...]:
    """Return where a setting is in its section. Raises SettingsError if it is not changed one by one."""
    return _editable(name).path


def checked(name: str, text: str) -> object:
    """Return the value that a person typed. Raises SettingsError with what is expected, on one line."""
    row = _editable(name)
    try:
        value: object = text if row.check.takes_text else _number(text)
        row.check.parse(value)
    except UnusableError as error:
        raise SettingsError(f"{name}: {error}") from None
    return value


def target(settings: Settings, name: str) -> Path:
    """Return the file where a change takes effect. Raises SettingsError if an option or variable decides."""
    origin = settings.values[name].origin if name in settings.values else DEFAULT
    if locked := _locked(origin):
        raise SettingsError(f"{name}: {locked}")
    return origin.file or settings.global_file


def _editable(name: str) -> Setting:
    row = find(name)
    if row is None or not row.editable:
        raise SettingsError(f"{name} cannot be changed here; edit the file")
    return row


def _line(row: Setting, settings: Settings, scrubber: Scrubber) -> SettingLine:
    valued = settings.values[row.name]
    origin = valued.origin.describe() + (f" ({valued.note})" if valued.note else "")
    return SettingLine(
        row.name,
        _value(row, valued, settings, scrubber),
        origin,
        tuple(other.describe() for other in valued.shadowed),
        editable=row.editable,
        locked=_locked(valued.origin) if row.editable else "",
    )


def _value(row: Setting, valued: Valued[Any], settings: Settings, scrubber: Scrubber) -> str:
    if row.name == "store":
        return store_address(settings)
    if row.name == "activeKeyIndex":
        at = valued.value
        return f"{at}, key {at + 1} {settings.keys[at].masked}" if settings.keys else ""
    # Some settings take any text, so a key in the wrong place could be in it.
    text = scrubber.mask_keys(_shown(row.name, valued.value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _shown(name: str, value: object) -> str:
    row = find(name)
    return row.check.shown(value) if row and value is not None else as_text(value)


def _key_line(at: int, key: Key, place: Place) -> SettingLine:
    words = (key.masked, key.label or "", KEPT[kind(place.reference)])
    shadowed = tuple(other.describe() for other in place.also)
    return SettingLine(f"key {at}", " ".join(filter(None, words)), place.origin.describe(), shadowed)


def _locked(origin: Origin) -> str:
    if origin.file is not None or origin.layer == "default":
        return ""
    return f"{origin.describe()} overrides every settings file"


def _number(text: str) -> object:
    """Parse a number, a list of numbers with or without brackets, or true and false."""
    text = text.strip()
    if text in WORDS:
        return WORDS[text]
    for written in (text, f"[{text}]"):
        try:
            return json.loads(written, parse_constant=str)
        except ValueError:
            continue
    raise UnusableError("a number is expected, or a list such as 15, 30, 60")
