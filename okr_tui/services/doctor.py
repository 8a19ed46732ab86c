"""Problems of the configuration, each with its remedy. It changes nothing."""

import os
import platform
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from okr_tui.cloud.network import Network
from okr_tui.domain.errors import ADD_A_KEY, SettingsError
from okr_tui.services.configuration import Configuration, store_address, trust_question
from okr_tui.settings import pi
from okr_tui.settings.file import read
from okr_tui.settings.locations import NO_SETTINGS, agent_folder
from okr_tui.settings.lock import STALE
from okr_tui.settings.schema import Settings
from okr_tui.settings.table import ORIGINAL, SHORT
from okr_tui.store.factory import NO_FOLDER, default_address

WRITABLE: Final = "make its folder writable, or choose another place with okr-tui.store or --store"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or note, and its remedy."""

    severity: Literal["error", "warning", "note"]
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that was looked at; `mode` is None when there is none, or it cannot be looked at."""

    path: Path
    mode: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the doctor says. `store` is an address without password; versions are by package."""

    files: tuple[FileState, ...]
    findings: tuple[Finding, ...]
    store: str
    writable: bool | None
    versions: dict[str, str]


def examine(configuration: Configuration) -> Report:
    """Examine everything. Blocks for milliseconds, and up to 5 seconds where a file is being written."""
    settings = configuration.settings
    agent = agent_folder(configuration.environment)
    writable = _is_writable(settings)
    findings = [
        *_problems(configuration),
        *_network(configuration),
        *_loose(settings),
        *_keys(settings),
        *_sections(settings),
        *_locks(settings),
        *_beside(settings, agent, configuration),
    ]
    if writable is False:
        what, remedy = f"the log {store_address(settings)} cannot be written", WRITABLE
        if store_address(settings) == "-":
            what, _, remedy = NO_FOLDER.partition(": ")
        findings.append(Finding("error", what, remedy))
    files = tuple(FileState(path, _mode(path)) for path in (*settings.files, pi.auth_file(agent)))
    versions = {"python": platform.python_version()}
    versions |= {name: _version(name) for name in ("okr-tui", "textual", "httpx", "keyring")}
    return Report(files, tuple(findings), store_address(settings), writable, versions)


def _problems(configuration: Configuration) -> Iterator[Finding]:
    for problem in configuration.settings.problems:
        what = problem.describe()
        remedy = "fix the file" if problem.severity == "error" else "change it there, or remove it"
        if what == NO_SETTINGS:
            what, _, remedy = what.partition(": ")
        yield Finding(problem.severity, what, remedy)


def _network(configuration: Configuration) -> Iterator[Finding]:
    for problem in Network(configuration.environment).problems:
        what, _, remedy = problem.rpartition("; ")
        yield Finding("error", what, remedy)


def _loose(settings: Settings) -> Iterator[Finding]:
    for path in settings.open_to_others:
        what = f"{path} holds keys, and other users may read or write it (mode {_octal(_mode(path))})"
        yield Finding("warning", what, f"chmod 600 {path}")


def _keys(settings: Settings) -> Iterator[Finding]:
    if not settings.keys:
        yield Finding("error", "no key is configured", ADD_A_KEY)
    for at, (key, place) in enumerate(zip(settings.keys, settings.places, strict=True), 1):
        for other in place.also:
            what = f"key {at} {key.masked} of {place.origin.describe()} is also in {other.describe()}"
            yield Finding("note", what, "remove one of them")
    if question := trust_question(settings):
        what = f"{question.project_file} is not trusted; it wants to {'; '.join(question.wants)}"
        yield Finding("note", what, "run okr-tui trust, or okr-tui trust --revoke to stop being asked")
    if settings.index_shadow:
        yield Finding("note", settings.index_shadow, "unset it to let use-key and rotate decide")


def _sections(settings: Settings) -> Iterator[Finding]:
    for path in settings.files:
        root = _root(path)
        if ORIGINAL in root and SHORT in root:
            what = f'{path} has both "{ORIGINAL}" and "{SHORT}": keys of both count, otherwise "{SHORT}" wins'
            yield Finding("warning", what, f'move the contents of "{SHORT}" to "{ORIGINAL}"')


def _locks(settings: Settings) -> Iterator[Finding]:
    for path in settings.files:
        lock = Path(f"{path}.lock")
        try:
            status = lock.lstat()
        except OSError:
            continue  # none there, as it should be
        if not stat.S_ISDIR(status.st_mode):
            yield Finding("error", f"{lock} is a file, which blocks pi and this program", f"rm {lock}")
        elif status.st_mtime < time.time() - STALE:
            yield Finding("warning", f"{lock} was left behind by a program that died", f"rmdir {lock}")


def _beside(settings: Settings, agent: Path, configuration: Configuration) -> Iterator[Finding]:
    """Yield findings in pi's own files that affect these keys."""
    for path in dict.fromkeys((*settings.files, agent / "settings.json")):
        try:
            for name in pi.extension_places(path):
                what = (
                    f"{path} loads {pi.EXTENSION} in {name}: it ignores the global cloudUrl and "
                    "activeKeyIndex, and replaces a provider ollama-cloud of models.json"
                )
                yield Finding("warning", what, "remove it if pi should use the gateway")
        except SettingsError as error:
            if path not in settings.files:  # reported with the settings already
                yield Finding("warning", str(error), "fix the file")
    auth = pi.auth_file(agent)
    try:
        stored = pi.stored_keys(auth, configuration.environment)
    except SettingsError as error:
        yield Finding("warning", str(error), "fix the file, or log in to pi again")
        return
    for found in stored:
        what = f"{auth} has {found.words} for {found.provider}"
        if found.provider == pi.PROVIDERS[0]:
            what += ", which overrides the apiKey of a provider of that name in models.json"
        yield Finding("note", what, "okr-tui import-keys adds it to the pool")


def _root(path: Path) -> dict[str, object]:
    try:
        return dict(read(path).root)
    except SettingsError:
        return {}  # among the problems already


def _is_writable(settings: Settings) -> bool | None:
    """Whether the log can be written, as far as the files tell; None for a log that is no file."""
    scheme, _, place = (settings.store.value or default_address()).partition(":")
    if scheme == "-":
        return False
    if scheme != "sqlite":
        return None
    path = Path(os.path.expanduser(place))
    folder = next(each for each in path.parents if each.exists() or each == each.parent)
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _octal(mode: int | None) -> str:
    return "unknown" if mode is None else f"{mode:04o}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
