"""The settings in force: read from all layers, read again when files change, changed where they count."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, cast

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.errors import SettingsError
from okr_tui.domain.policy import Policy, Strategy
from okr_tui.services.service import SettingsView
from okr_tui.services.setting_lines import setting_lines, trust_question
from okr_tui.settings import file, layers, trust
from okr_tui.settings.document import Document
from okr_tui.settings.keys import INDEX, preferring
from okr_tui.settings.layers import Sources
from okr_tui.settings.schema import Settings
from okr_tui.settings.table import OURS, ChatSettings

TORN: Final = 2.0
"""Seconds for which a file has to stay empty or missing until that is believed."""
LOOK_AGAIN: Final = 0.05


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


class Configuration:
    """What the user configured, as values the services take."""

    def __init__(self, sources: Sources, settings: Settings) -> None:
        self._sources = sources
        self._reading = asyncio.Lock()
        self._blank: set[Path] = set()
        """The files that lost all their settings while this process ran."""
        self._take(settings)

    @classmethod
    async def read(cls, sources: Sources) -> "Configuration":
        """Read all layers for the first time. Mistakes become problems, never errors."""
        return cls(sources, await asyncio.to_thread(layers.load, sources))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment the settings were read with."""
        return self._sources.environment

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each, with file, line and column where there is one."""
        blank = (f"{path} is empty or missing, and had settings before" for path in sorted(self._blank))
        return (*(problem.describe() for problem in self.settings.problems), *blank)

    @property
    def config(self) -> PoolConfig:
        """The pool in order, its preferred key and the strategy."""
        keys = self.settings.keys
        preferred = keys[self.settings.active_index.value].fingerprint if keys else None
        return PoolConfig(keys, preferred, cast(Strategy, self.settings.strategy.value))

    @property
    def shifting(self) -> bool:
        """Whether keys come from several layers, so that a file untouched may come to mean another key."""
        return len({key.origin for key in self.settings.keys}) > 1

    def view(self, problems: tuple[str, ...], removable: tuple[str, ...]) -> SettingsView:
        """Return the settings as they are shown, with all `problems` and the `removable` keys."""
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
            removable=removable,
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
            while (blank := await asyncio.to_thread(self._turned_blank)) and time.monotonic() < until:  # noqa: ASYNC110 others write
                await asyncio.sleep(LOOK_AGAIN)
            self._take(await asyncio.to_thread(layers.load, self._sources, self.settings))
            self._blank = {path for path in {*self._blank, *blank} if file.is_blank(path)}
            return self.settings.signature != before

    def _turned_blank(self) -> set[Path]:
        """Return the files that had settings and have no content now."""
        sections = self.settings.kept.sections
        return {path for (path, _), section in sections.items() if section.values and file.is_blank(path)}

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
            raise SettingsError(f"{settings.project_file}: there is no content to decide on")
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
            raise SettingsError("no settings file with keys is open to others")
        path = self.settings.open_to_others[0]
        try:
            await asyncio.to_thread(os.chmod, path, 0o600)
        except OSError as error:
            raise SettingsError(f"{path}: its mode cannot be changed: {error.strerror}") from error
        return f"{path} is private now (mode 0600)"

    def _take(self, settings: Settings) -> None:
        self.settings = settings
        self.policy, self.chat = settings.policy, settings.chat
        self.lines = setting_lines(settings)
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
