"""Which settings a front may change one by one, what each accepts, and where a change takes effect."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.policy import Policy
from okr_tui.services.service import SettingLine
from okr_tui.settings import policy, values
from okr_tui.settings.gateway import Options
from okr_tui.settings.schema import Origin, Settings, Valued

SCALARS: Final = ("strategy", "theme")
GROUPS: Final = ("keymap", "policy", "gateway")
WORDS: Final = {"true": True, "false": False}
GATEWAY: Final = {"host": "host", "port": "port", "daemonPort": "daemon_port", "autostart": "autostart"}


def setting_path(name: str) -> tuple[str, ...]:
    """Where a setting stands in the section of ours. Raises SettingsError for one that is not changed so."""
    group, _, member = name.partition(".")
    if name in SCALARS:
        return (name,)
    known = {"keymap": True, "policy": member in policy.NAMES, "gateway": member in GATEWAY}
    if member and known.get(group):
        return group, member
    raise SettingsError(f"{name} cannot be changed here; edit the file")


def checked(name: str, text: str) -> object:
    """The value that a person typed. Raises SettingsError with what is expected, on one line."""
    group, *members = setting_path(name)
    if group == "strategy":
        try:
            return values.strategy(text)
        except values.UnusableError as error:
            raise SettingsError(f"strategy: {error}") from None
    if group == "policy":
        value = _number(text)
        _, refused = policy.override({members[0]: value})
        if refused:
            raise SettingsError(refused[0].removeprefix("okr-tui.").removesuffix("; the default is used"))
        return value
    if group == "gateway":
        value = text if members == ["host"] else _number(text)
        _, problems = Options.read({members[0]: value})
        if problems:
            raise SettingsError(problems[0].removeprefix("okr-tui.").removesuffix("; it is not used"))
        return value
    return text


def target(settings: Settings, name: str) -> Path:
    """The file where a change takes effect. Raises SettingsError when none is: something else decides."""
    origin = _origin(settings, name)
    if locked := _locked(origin):
        raise SettingsError(f"{name}: {locked}")
    return origin.file or settings.global_file


def editable_lines(lines: tuple[SettingLine, ...], settings: Settings) -> tuple[SettingLine, ...]:
    """The lines of all settings with what can be changed marked, and the numbers left at their default."""
    known = {line.name: _marked(line, settings) for line in lines}
    missing = [line for line in _defaults() if line.name not in known]
    keys = [line for line in known.values() if line.name.startswith("key ")]
    others = [line for line in known.values() if not line.name.startswith("key ")]
    members = sorted(
        (line for line in (*others, *missing) if "." in line.name),
        key=lambda line: line.name.partition(".")[0],
    )
    return (*keys, *(line for line in others if "." not in line.name), *members)


def _marked(line: SettingLine, settings: Settings) -> SettingLine:
    try:
        setting_path(line.name)
    except SettingsError:
        return line
    return replace(line, editable=True, locked=_locked(_origin(settings, line.name)))


def _defaults() -> Iterator[SettingLine]:
    for name, member in GATEWAY.items():
        yield _default(f"gateway.{name}", getattr(Options(), member))
    for name in sorted(policy.NAMES):
        yield _default(f"policy.{name}", getattr(Policy(), name))


def _default(name: str, value: object) -> SettingLine:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(_short(value))
    return SettingLine(name, text, "default", editable=True)


def _short(value: object) -> object:
    """Whole numbers without a point."""
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _origin(settings: Settings, name: str) -> Origin:
    scalars: dict[str, Valued[str] | Valued[str | None]] = {
        "strategy": settings.strategy,
        "theme": settings.theme,
    }
    if name in scalars:
        return scalars[name].origin
    return settings.origins.get(name, (Origin("default"),))[0]


def _locked(origin: Origin) -> str:
    if origin.file is not None or origin.layer == "default":
        return ""
    return f"{origin.describe()} decides; what a file says takes effect only without it"


def _number(text: str) -> object:
    """What is meant by a number, a list of numbers with or without brackets, or true and false."""
    text = text.strip()
    if text in WORDS:
        return WORDS[text]
    for written in (text, f"[{text}]"):
        try:
            return json.loads(written, parse_constant=str)
        except ValueError:
            continue
    raise SettingsError("a number is expected, or a list such as 15, 30, 60")
