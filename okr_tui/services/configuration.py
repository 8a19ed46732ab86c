"""The settings in force: read from all layers, read again when files change, changed where they count."""

import asyncio
from dataclasses import replace
from typing import cast

from okr_tui.domain.choice import Roster
from okr_tui.domain.policy import Policy, Strategy
from okr_tui.settings import file, layers
from okr_tui.settings.layers import Sources
from okr_tui.settings.schema import Settings


class Configuration:
    """What the user configured, as values the services take."""

    def __init__(self, sources: Sources, settings: Settings) -> None:
        self.settings = settings
        self._sources = sources
        self.policy, self._refused = Policy.override(settings.policy)

    @classmethod
    async def read(cls, sources: Sources) -> "Configuration":
        """Read all layers for the first time. What is wrong becomes a problem, never an error."""
        return cls(sources, await asyncio.to_thread(layers.load, sources))

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each, with file, line and column where there is one."""
        return (*(problem.describe() for problem in self.settings.problems), *self._refused)

    @property
    def roster(self) -> Roster:
        """The pool in order, its preferred key and the strategy."""
        keys = self.settings.keys
        preferred = keys[self.settings.active_index.value].fingerprint if keys else None
        return Roster(keys, preferred, cast(Strategy, self.settings.strategy.value))

    async def reload(self) -> bool:
        """Read again; what is broken keeps its last good content. Answers whether anything changed."""
        before = (self.settings.signature, self.problems)
        self.settings = await asyncio.to_thread(layers.load, self._sources, self.settings)
        self.policy, self._refused = Policy.override(self.settings.policy)
        return (self.settings.signature, self.problems) != before

    async def prefer(self, index: int) -> str:
        """Write the preferred key (from 0) where it takes effect; answers where that is.

        Where an option or a variable overrules every file, the choice is kept for this run only.
        """
        if self.settings.index_shadow:
            options = {**self._sources.options, "active_index": index}
            self._sources = replace(self._sources, options=options)
            return f"for this run only: {self.settings.index_shadow}"
        target, section = self.settings.index_target, self.settings.index_section
        written = await asyncio.to_thread(file.edit, target, section, "activeKeyIndex", index)
        if not written.kept:
            return f"activeKeyIndex was changed again in {written.path} by another program"
        return f"Persisted activeKeyIndex to {written.path}"
