"""The settings in force: read from all layers, read again when files change, changed where they count."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, cast

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy, Strategy
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.services.overview import Inputs
from okr_tui.services.service import SettingLine, SettingsView, TrustQuestion
from okr_tui.settings import file, layers, trust
from okr_tui.settings.checks import UnusableError, as_text, nearest
from okr_tui.settings.json_edit import Document, put, take_out
from okr_tui.settings.keys import INDEX, kind, preferring
from okr_tui.settings.layers import Sources
from okr_tui.settings.origin import Origin, Valued
from okr_tui.settings.schema import KeySource, Settings
from okr_tui.settings.sections import MISSING
from okr_tui.settings.table import ORIGINAL, OURS, SHORT, TABLE, ChatSettings, Setting, find
from okr_tui.store.factory import default_address, is_shared

LONGEST: Final = 80
KEPT: Final = {
    "literal": "",
    "variable": "in a variable",
    "command": "printed by a command",
    "keyring": "in the system's secret store",
}
WORDS: Final = {"true": True, "false": False}
DEFAULT: Final = Origin("default")
SOMEONE: Final = "someone"
"""What records on a shared log call a person who has not given a name."""


def trust_question(settings: Settings) -> TrustQuestion | None:
    """Return the question about the project's file; None without one, or if it was answered."""
    if settings.project_trusted or settings.project_refused or not settings.project_wants:
        return None
    return TrustQuestion(settings.project_file, settings.project_wants)


def setting_lines(settings: Settings) -> tuple[SettingLine, ...]:
    """Return a line for each key, then one for each setting, groups last."""
    pool = zip(settings.keys, settings.key_sources, strict=True)
    keys = [_key_line(at, key, source) for at, (key, source) in enumerate(pool, 1)]
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


def located(name: str) -> tuple[Setting, str]:
    """Return the row of a setting, and the member of its value that is meant: "spent" in "hooks.spent".

    Raises SettingsError for an unknown name.
    """
    for row in (find(name), find(name.partition(".")[0]), find(".".join(name.split(".")[:2]))):
        if row is None or not (row.words or row.group):
            continue
        member = name.removeprefix(row.name).removeprefix(".")
        if (row.field or row.name == name) and (not member or row.check.member):
            return row, member
    known = [row.name for row in TABLE if row.words or row.group]
    raise SettingsError(f"there is no setting {clean_line(name, LONGEST)}{nearest(name, known)}")


def checked(name: str, text: str) -> object:
    """Return the value that a person typed. Raises SettingsError with what is expected, on one line."""
    row = _editable(name)
    try:
        value: object = text if row.check.takes_text else _number(text)
        row.check.parse(value)
    except UnusableError as error:
        raise SettingsError(f"{name}: {error}") from None
    return value


def check_value(name: str, value: object) -> None:
    """Raise SettingsError where a setting, or a member of one, cannot have a value."""
    row, member = located(name)
    try:
        if member and row.check.member:
            row.check.member(member, value)
            return
        found = row.check.parse(value)
        for each, item in found.items() if row.check.member else ():
            assert row.check.member
            row.check.member(each, item)
    except UnusableError as error:
        raise SettingsError(f"{name}: {error}") from None


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


def _key_line(at: int, key: Key, source: KeySource) -> SettingLine:
    words = (key.masked, key.label or "", KEPT[kind(source.reference)])
    shadowed = tuple(other.describe() for other in source.also)
    return SettingLine(f"key {at}", " ".join(filter(None, words)), source.origin.describe(), shadowed)


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
        except (ValueError, RecursionError):
            continue
    raise UnusableError("a number is expected, or a list such as 15, 30, 60")


def _inputs(sources: Sources) -> Inputs:
    files = (Path(os.path.abspath(sources.global_file)), sources.project_file)
    return Inputs(files, sources.environment, sources.options, sources.policy, named=sources.named)


def _has_emptied(sources: Sources) -> bool:
    return any(os.path.isfile(path) and file.is_blank(path) for path in _inputs(sources).files)


TORN: Final = 2.0
"""Seconds for which a file has to stay empty or missing until that is believed."""
LOOK_AGAIN: Final = 0.05
LOOKS: Final = 3
"""Readings that find none of the settings of a file that is not empty, until that is believed."""


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """All settings in force at one moment, as values the services take."""

    settings: Settings
    config: PoolConfig
    policy: Policy
    chat: ChatSettings


class SettingsSubscriber(Protocol):
    """A part of the service that is built from settings."""

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Take up changed settings at once.

        It must not wait: an object built from old values is replaced, and closed when its last user is done.
        """


def _files_with_values(settings: Settings) -> set[Path]:
    return {path for (path, _), section in settings.kept.sections.items() if section.values}


class Configuration:
    """What the user configured, as values the services take."""

    def __init__(self, sources: Sources, settings: Settings, digest: str = "") -> None:
        self._sources = sources
        self._digest = digest
        """The digest of the inputs as they were before the last reading began."""
        self._reading = asyncio.Lock()
        self._lines: tuple[SettingLine, ...] | None = None
        self._blank: set[Path] = set()
        """The files that lost all their settings while this process ran."""
        self._take(settings)

    @classmethod
    async def read(cls, sources: Sources) -> "Configuration":
        """Read all layers for the first time. Mistakes become problems, never errors.

        A file that is there and empty is looked at again for a moment: another program may be writing it.
        """
        for _ in range(LOOKS):
            if not await asyncio.to_thread(_has_emptied, sources):
                break
            await asyncio.sleep(LOOK_AGAIN)
        digest = _inputs(sources).digest
        return cls(sources, await asyncio.to_thread(layers.load, sources), digest)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment the settings were read with."""
        return self._sources.environment

    @property
    def inputs(self) -> Inputs | None:
        """What the settings in force were read from; None where that does not determine what they are.

        That is so when a file was changed since, or when a command or the keyring was asked for a key.
        """
        inputs = _inputs(self._sources)
        kinds = {kind(source.reference) for source in self.settings.key_sources if self._sources.asks}
        plain = kinds <= {"literal", "variable"} and not self._sources.runtime
        return inputs if plain and inputs.digest == self._digest else None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each, with file, line and column where there is one."""
        blank = (f"{path} is empty or missing, and had settings before" for path in sorted(self._blank))
        return (*(problem.describe() for problem in self.settings.problems), *blank)

    @property
    def lines(self) -> tuple[SettingLine, ...]:
        """A line for each key, then one for each setting; made once they are to be shown."""
        if self._lines is None:
            self._lines = setting_lines(self.settings)
        return self._lines

    @property
    def config(self) -> PoolConfig:
        """The pool in order, its preferred key and the strategy."""
        keys = self.settings.keys
        preferred = keys[self.settings.active_index.value].fingerprint if keys else None
        strategy = cast(Strategy, self.settings.strategy.value)
        person = self.settings.person.value or SOMEONE if self.shares_log else None
        return PoolConfig(keys, preferred, strategy, self.settings.cloud_url.value, person)

    @property
    def shares_log(self) -> bool:
        """Whether the log is on a server, where other people may write to it too."""
        return is_shared(self.settings.store.value)

    @property
    def shifting(self) -> bool:
        """Whether keys come from several layers, so that a file untouched may come to mean another key."""
        return len({key.origin for key in self.settings.keys}) > 1

    def view(self, problems: tuple[str, ...]) -> SettingsView:
        """Return the settings as they are shown, with all `problems`."""
        settings = self.settings
        return SettingsView(
            cloud_url=settings.cloud_url.value,
            global_file=settings.global_file,
            files=settings.files,
            problems=problems,
            theme=settings.theme.value,
            lines=self.lines,
            trust=trust_question(settings),
            open_to_others=settings.open_to_others[0] if settings.open_to_others else None,
            nameless=self.shares_log and not settings.person.value,
            keymap=tuple(settings.keymap.items()),
        )

    async def reload(self) -> bool:
        """Read all layers again; return whether anything changed. A broken file keeps its last good content.

        A file that turns empty or missing is taken for one only after TORN seconds: many programs write by
        emptying a file first.
        """
        async with self._reading:
            before = self.settings.signature
            until = time.monotonic() + TORN
            looks = 0
            while True:
                blank = await asyncio.to_thread(self._turned_blank)
                late = time.monotonic() >= until
                if late or not blank:
                    self._digest = _inputs(self._sources).digest
                    found = await asyncio.to_thread(layers.load, self._sources, self.settings)
                    looks += 1
                    # It may have been emptied and written between the look and the reading.
                    if late or looks == LOOKS or not self._lost_files(found):
                        break
                await asyncio.sleep(LOOK_AGAIN)
            self._take(found)
            self._blank = {path for path in {*self._blank, *blank} if file.is_blank(path)}
            return self.settings.signature != before

    def _turned_blank(self) -> set[Path]:
        """Return the files that had settings and have no content now."""
        return {path for path in _files_with_values(self.settings) if file.is_blank(path)}

    def _lost_files(self, found: Settings) -> set[Path]:
        """Return the files that had settings and none when they were read."""
        return _files_with_values(self.settings) - _files_with_values(found)

    async def prefer(self, index: int) -> str:
        """Write the preferred key (from 0) where it takes effect; return where that is.

        Where an option or a variable overrules every file, the choice is kept for this run only.
        """
        settings = self.settings
        if settings.index_shadow:
            options = {**self._sources.options, "active_index": index}
            self._sources = replace(self._sources, options=options)
            return f"for this run only: {settings.index_shadow}"
        key, section, shifting = settings.keys[index], settings.index_section, self.shifting

        def preferred(document: Document) -> str:
            return preferring(document, section, index, key, shifting=shifting)

        written = await self.rewrite(settings.index_target, ((section, INDEX),), preferred)
        if not written.kept:
            return f"activeKeyIndex was changed again in {written.path} by another program"
        lost = settings.active_index.shadowed
        decides = f", which decides over {lost[0].describe()}" if lost else ""
        return f"Persisted activeKeyIndex to {written.path}{decides}"

    async def write(self, name: str, value: object) -> file.Written:
        """Write a setting, or a member of one, where it takes effect; with MISSING it is taken out there.

        Raises SettingsError, with nothing changed, where an option or a variable decides, or no file can hold
        it.
        """
        row, member = located(name)
        path = target(self.settings, row.name)
        inner = (*row.path, *filter(None, [member]))

        def changed(document: Document) -> str:
            section = row.section
            if section == ORIGINAL and row.path[0] in document.section(SHORT).values:
                section = SHORT
            document.section(section)
            if value is MISSING:
                return take_out(document.text, (section, *inner))
            try:
                return put(document.text, (section, *inner), value)
            except ValueError:
                raise SettingsError(f"{path}: {section}.{row.path[0]} must be an object {{...}}") from None

        section = row.section if row.section == OURS else ORIGINAL
        return await self.rewrite(path, ((section, row.path[0]),), changed)

    async def rewrite(
        self, path: Path, touched: file.Touched, function: Callable[[Document], str]
    ) -> file.Written:
        """Change a settings file as file.rewrite does; the answer about a project's file is kept."""
        written = await asyncio.to_thread(file.rewrite, path, touched, function)
        if path == self.settings.project_file:
            await asyncio.to_thread(self._carry_answer, written)
        return written

    async def trust(self, *, trusted: bool) -> str:
        """Remember the user's answer about the project's file as it was read; return what now applies.

        Raises SettingsError when there is no such file, or the answer cannot be written.
        """
        settings = self.settings
        if not settings.project_digest:
            raise SettingsError(f"{settings.project_file}: it has no content to trust or refuse")
        if settings.project_trusted if trusted else settings.project_refused:
            return (
                f"{settings.project_file} is already {'trusted' if trusted else 'refused'}; nothing changed"
            )

        def answered(listed: object) -> object:
            return trust.remembered(
                listed, self._sources.project_dir, settings.project_digest, trusted=trusted
            )

        await asyncio.to_thread(file.change, settings.global_file, OURS, trust.SETTING, answered)
        if trusted:
            allowed = "; ".join(settings.project_wants) or "nothing more than before"
            return f"Trusted {settings.project_file} until its content changes: {allowed}"
        left = "its keys stay off, and it decides nothing"
        return f"Refused {settings.project_file} until its content changes: {left}"

    async def make_file_private(self) -> str:
        """Make the file that others can read private; return which it was.

        Raises SettingsError when there is none, or its mode cannot be changed.
        """
        if not self.settings.open_to_others:
            raise SettingsError("no settings file with keys can be read by others")
        path = self.settings.open_to_others[0]
        try:
            await asyncio.to_thread(os.chmod, path, 0o600)
        except OSError as error:
            raise SettingsError(f"{path}: its mode cannot be changed: {error.strerror}") from error
        return f"{path} is now private (mode 0600)"

    def _take(self, settings: Settings) -> None:
        self.settings = settings
        self._lines = None
        self.policy, self.chat = settings.policy, settings.chat
        self.effective = EffectiveSettings(settings, self.config, self.policy, self.chat)

    def _carry_answer(self, written: file.Written) -> None:
        """Keep the user's answer about a project's file that this program itself changed."""
        if self.settings.project_trusted or self.settings.project_refused:
            project = Path(self._sources.project_dir)
            file.change(
                self.settings.global_file,
                OURS,
                trust.SETTING,
                lambda listed: trust.carried(listed, project, written.before, written.after),
            )
