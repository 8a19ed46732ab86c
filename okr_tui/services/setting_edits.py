"""Single settings changed where they count: the values of our section, and pi's favourite models."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.favourites import is_favourite
from okr_tui.services.configuration import Configuration
from okr_tui.services.editable import checked, setting_path, target
from okr_tui.settings.document import Document
from okr_tui.settings.favourites import NAME, favouring
from okr_tui.settings.sections import OURS
from okr_tui.settings.splice import take_out
from okr_tui.settings.text import put


class SettingEdits:
    """Commands on single settings. Each answers what was done; SettingsError if it was not."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Awaitable[None]]) -> None:
        self._configuration = configuration
        self._reload = reload
        self._one_at_a_time = asyncio.Lock()

    async def change(self, name: str, text: str | None) -> str:
        """Write a value by the name of its line; None, or blank text, takes it out of the deciding file."""
        async with self._one_at_a_time:
            return await self._change(name, text.strip() if text else None)

    async def favour(self, model: str, *, wanted: bool) -> str:
        """Make a model a favourite of pi and of this program, or none."""
        async with self._one_at_a_time:
            return await self._favour(model, wanted=wanted)

    async def _change(self, name: str, text: str | None) -> str:
        path = (OURS, *setting_path(name))
        value = checked(name, text) if text else None
        file = target(self._configuration.settings, name)

        def changed(document: Document) -> str:
            document.section(OURS)
            if value is None:
                return take_out(document.text, path)
            try:
                return put(document.text, path, value)
            except ValueError:
                raise SettingsError(f"{file}: {OURS}.{path[1]} must be an object {{...}}") from None

        written = await self._configuration.rewrite(file, ((OURS, path[1]),), changed)
        await self._reload()
        if not written.kept:
            raise SettingsError(f"{name} was changed again in {file} by another program")
        if value is not None:
            return f"{name} is {text} now, saved in {file}"
        line = next((line for line in self._configuration.shown_lines if line.name == name), None)
        if line is None:
            return f"{name} is not set any more in {file}"
        return f"{name} is {line.value or 'not set'} again ({line.origin})"

    async def _favour(self, model: str, *, wanted: bool) -> str:
        settings = self._configuration.settings
        before, file = settings.enabled_models.value, settings.enabled_models.origin.file
        target: Path = file or settings.global_file

        def favoured(document: Document) -> str:
            return favouring(document, model, wanted=wanted)

        written = await self._configuration.rewrite(target, (), favoured)
        await self._reload()
        after = self._configuration.settings.enabled_models.value
        if is_favourite(after, model) != wanted:
            raise SettingsError(f"{NAME} was changed again in {target} by another program")
        if not written.changed:
            return f"{model} {'was' if wanted else 'was not'} a favourite before"
        if wanted:
            more = "" if before else "; pi offers favourites alone from its next start, before it offered all"
            return f"{model} is a favourite, saved in {target}{more}"
        more = "" if after else "; without any, pi offers all models again"
        return f"{model} is no favourite any more, saved in {target}{more}"
