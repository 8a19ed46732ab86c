"""Keys added to the user's own file and taken out of it; the preferred key stays the one it was."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from okr_tui.domain.errors import NoKeyError, SettingsError
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.models import is_favourite
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import LINE_LIMIT, has_hidden, unquoted
from okr_tui.domain.values import dataclass
from okr_tui.services.configuration import Configuration, checked
from okr_tui.services.service import KeepIn
from okr_tui.settings import file, key_references, keys
from okr_tui.settings.json_edit import Document, put, take_out
from okr_tui.settings.keys import INDEX, kind, preferring
from okr_tui.settings.origin import Problem
from okr_tui.settings.pi import NAME, favouring
from okr_tui.settings.schema import KeySource
from okr_tui.settings.sections import MISSING
from okr_tui.settings.table import ORIGINAL

ELSEWHERE = {
    "environment": "remove it where you set the variable, and start again",
    "project": "remove it from the project's file",
}


@dataclass(frozen=True, slots=True)
class RemovedKey:
    """A key that was removed, and what it takes to put it back where it was."""

    key: Key
    source: KeySource
    raw: SecretStr
    index: int
    preferred: bool


@dataclass(frozen=True, slots=True)
class _KeyChange:
    """A change of one value of the global file, the pool that follows, and its preferred key."""

    path: tuple[str, str]
    function: Callable[[Document], str]
    pool: list[Key]
    preferred: str | None


class KeySettings:
    """Changes of the keys in the global file. Each returns what was done, or raises SettingsError."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Awaitable[None]]) -> None:
        self._configuration = configuration
        self._reload = reload

    async def add(self, secret: SecretStr, label: str | None, keep: KeepIn) -> str:
        """Add a key by its text, or by a reference to the secret store, which then holds the text."""
        key = self.new_key(secret, label)
        secret = key.secret
        if keep == "file":
            return await self._add(key, secret)
        if problem := await asyncio.to_thread(key_references.keep, secret, key.fingerprint):
            raise SettingsError(f"the key was not added: {problem.message}")
        try:
            return await self._add(key, SecretStr(f"{key_references.KEYRING}{key.fingerprint}"))
        except SettingsError:
            await asyncio.to_thread(key_references.forget, key.fingerprint)
            raise

    async def take(self, reference: SecretStr) -> str:
        """Add a key by any reference, which is resolved once to see that it is a key."""
        resolved = await asyncio.to_thread(
            key_references.resolve, reference, self._configuration.environment, trusted=True
        )
        if isinstance(resolved, Problem):
            raise SettingsError(f"the key was not added: {resolved.message}")
        return await self._add(self.new_key(resolved, None), reference)

    async def remove(self, key: Key, *, forget: bool = False) -> tuple[str, RemovedKey | None]:
        """Take a key out of the file; with `forget` its text goes from the system's secret store too.

        Return what was done, and what `restore` takes; None where the key is still in the pool, or forgotten.
        """
        source = self._own_source(key)
        settings = self._configuration.settings
        index = [other.fingerprint for other in settings.keys].index(key.fingerprint)
        left = [other for other in settings.keys if other.fingerprint != key.fingerprint]
        preferred = self._configuration.config.preferred
        was_preferred = preferred == key.fingerprint
        if was_preferred and not source.also:
            preferred = left[index % len(left)].fingerprint if left else None
        raw = SecretStr("")

        def without(document: Document) -> str:
            nonlocal raw
            raw = keys.written(document, source)
            return keys.removed(document, source)

        await self._write(_KeyChange((source.section, source.name), without, left, preferred))
        message = f"Removed #{index + 1} {key.masked} from {settings.global_file}"
        if again := self._found(key.fingerprint):
            return f"{message}; it stays in the pool because it is also in {again.origin.describe()}", None
        removed = None if forget else RemovedKey(key, source, raw, index, was_preferred)
        if kind(source.reference) != "keyring":
            return message, removed
        if not forget:
            entry = f"entry {key.fingerprint} of {key_references.SERVICE}"
            return f"{message}; its text stays in the system's secret store, {entry}", removed
        name = source.reference.get_secret_value().strip().removeprefix(key_references.KEYRING)
        if problem := await asyncio.to_thread(key_references.forget, name):
            return f"{message}; its text is still in the system's secret store: {problem.message}", None
        return f"{message} and its text from the system's secret store", None

    async def restore(self, removed: RemovedKey) -> str:
        """Put a key that was removed back where it was."""
        if self._found(removed.key.fingerprint):
            raise NoKeyError(f"{removed.key.masked} is already back in the pool")
        pool = list(self._configuration.settings.keys)
        pool.insert(removed.index, removed.key)
        preferred = removed.key.fingerprint if removed.preferred else self._configuration.config.preferred
        await self._write(
            _KeyChange(
                (removed.source.section, removed.source.name),
                lambda document: keys.restored(document, removed.source, removed.raw),
                pool,
                preferred,
            )
        )
        return f"Restored {self._named(removed.key)} in {self._configuration.settings.global_file}"

    async def label(self, key: Key, label: str | None) -> str:
        """Give a key another label, or none."""
        source = self._own_source(key)
        settings = self._configuration.settings
        wanted = _checked(label, *settings.keys)
        await self._write(
            _KeyChange(
                (source.section, source.name),
                lambda document: keys.labelled(document, source, wanted),
                list(settings.keys),
                self._configuration.config.preferred,
            )
        )
        return f"{self._named(key)} is now {f'called {wanted}' if wanted else 'without a label'}"

    def new_key(self, secret: SecretStr, label: str | None) -> Key:
        """Return the key of a text. Raises SettingsError for no usable key, or one in the pool already."""
        secret = SecretStr(unquoted(secret.get_secret_value()))
        if why := keys.refusal(secret):
            raise SettingsError(f"the key was not added: {why}")
        key = Key.of(secret.get_secret_value(), "global")
        if source := self._found(key.fingerprint):
            where = source.origin.describe()
            raise SettingsError(f"{self._named(key)} is already in the pool, from {where}; nothing was added")
        return Key(secret, key.fingerprint, key.masked, key.origin, _checked(label, key))

    async def _add(self, key: Key, reference: SecretStr) -> str:
        settings = self._configuration.settings
        before = [
            source
            for source in settings.key_sources
            if (source.origin.layer, source.section, source.name) == ("global", ORIGINAL, keys.LIST)
        ]
        pool = list(settings.keys)
        # The list's keys come first in the pool, so a key appended to it comes after them.
        pool.insert(len(before), key)
        item = keys.entry(reference, key.label)
        await self._write(
            _KeyChange(
                (ORIGINAL, keys.LIST),
                lambda document: keys.added(document, item),
                pool,
                self._configuration.config.preferred,
            )
        )
        return f"Added {self._named(key)} to {settings.global_file}"

    async def _write(self, change: _KeyChange) -> None:
        """Make the change and, in the same write, set the index so that the preferred key stays that one."""
        settings, section = self._configuration.settings, self._configuration.settings.index_section
        shifting = self._configuration.shifting
        order = [key.fingerprint for key in change.pool]
        index = order.index(change.preferred) if change.preferred in order else None
        here = settings.index_target == settings.global_file and not settings.index_shadow
        moves = here and index is not None and index != settings.active_index.value

        def whole(document: Document) -> str:
            text = change.function(document)
            if not moves or index is None:
                return text
            changed = Document.of(document.path, document.encoded(text))
            return preferring(changed, section, index, change.pool[index], shifting=shifting)

        touched = (change.path, (section, INDEX)) if moves else (change.path,)
        written = await asyncio.to_thread(file.rewrite, settings.global_file, touched, whole)
        await self._reload()
        if not written.kept:
            raise SettingsError(
                f"{written.path}: another program changed it again; check the keys and try again"
            )
        # The index may be in another file or in a variable, or have been beyond the end of the pool.
        config = self._configuration.config
        index = config.index(change.preferred)
        if index is not None and config.preferred != change.preferred:
            await self._configuration.prefer(index - 1)
            await self._reload()

    def _own_source(self, key: Key) -> KeySource:
        """Return where a key is in the global file. Raises SettingsError for a key of another file."""
        source = self._found(key.fingerprint)
        if source is None:
            raise NoKeyError(f"{key.masked} is no longer in the pool")
        layer = source.origin.layer
        if layer != "global":
            todo = ELSEWHERE.get(layer, "change it there")
            raise SettingsError(f"{self._named(key)} comes from {source.origin.describe()}; {todo}")
        return source

    def _found(self, fingerprint: str) -> KeySource | None:
        settings = self._configuration.settings
        found = zip(settings.keys, settings.key_sources, strict=True)
        return next((source for key, source in found if key.fingerprint == fingerprint), None)

    def _named(self, key: Key) -> str:
        return f"#{self._configuration.config.index(key.fingerprint)} {key.masked}"


def _checked(label: str | None, *keys: Key) -> str | None:
    """Return a label without blanks around it, None for a blank one. Raises SettingsError if unfit."""
    label = (label or "").strip()
    if has_hidden(label) or len(label) > LINE_LIMIT:
        raise SettingsError("a label must be one line of printable text; nothing was changed")
    if Scrubber(key.secret.get_secret_value() for key in keys).mask_keys(label) != label:
        raise SettingsError("a label is shown, so it must not contain a key; nothing was changed")
    return label or None


@dataclass(frozen=True, slots=True)
class ChangedFavourites:
    """A file whose favourites were changed, and what pi's setting held before and after."""

    file: Path
    before: object
    after: object


class SettingEdits:
    """Changes of single settings. Each returns what was done, or raises SettingsError."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Awaitable[None]]) -> None:
        self._configuration = configuration
        self._reload = reload
        self._one_at_a_time = asyncio.Lock()

    async def change(self, name: str, text: str | None) -> str:
        """Write a value by the name of its line; None, or blank text, takes it out of the deciding file."""
        async with self._one_at_a_time:
            return await self._change(name, text.strip() if text else None)

    async def set_favourite(self, model: str, *, wanted: bool) -> tuple[str, ChangedFavourites | None]:
        """Make a model a favourite of pi and of this program, or none.

        Return what was done, and what `restore_favourites` takes; None where nothing was changed.
        """
        async with self._one_at_a_time:
            return await self._favour(model, wanted=wanted)

    async def restore_favourites(self, changed: ChangedFavourites) -> str:
        """Put the favourites back as they were. Raises SettingsError when they were changed since."""
        async with self._one_at_a_time:

            def restored(document: Document) -> str:
                if document.root.get(NAME) != changed.after:
                    where = f"{NAME} in {changed.file}"
                    raise SettingsError(f"{where} was changed since; nothing was undone")
                if changed.before is None:
                    return take_out(document.text, (NAME,))
                return put(document.text, (NAME,), changed.before)

            await self._configuration.rewrite(changed.file, (), restored)
            await self._reload()
            return f"The favourites in {changed.file} are as before"

    async def _change(self, name: str, text: str | None) -> str:
        value: object = checked(name, text) if text else MISSING
        written = await self._configuration.write(name, value)
        file = written.path
        await self._reload()
        if not written.kept:
            raise SettingsError(f"{name} was changed again in {file} by another program")
        if value is not MISSING:
            return f"{name} is {text} now, saved in {file}"
        line = next((line for line in self._configuration.lines if line.name == name), None)
        if line is None:
            return f"{name} is no longer set in {file}"
        if line.origin == "default":
            return f"{name} is back to its default{f', {line.value}' if line.value else ''}"
        return f"{name} is {line.value or 'not set'} now, from {line.origin}"

    async def _favour(self, model: str, *, wanted: bool) -> tuple[str, ChangedFavourites | None]:
        settings = self._configuration.settings
        entries, file = settings.enabled_models.value, settings.enabled_models.origin.file
        target: Path = file or settings.global_file
        before: object = None
        after: object = None

        def favoured(document: Document) -> str:
            nonlocal before, after
            text = favouring(document, model, wanted=wanted)
            before = document.root.get(NAME)
            after = Document.of(document.path, document.encoded(text)).root.get(NAME)
            return text

        written = await self._configuration.rewrite(target, (), favoured)
        await self._reload()
        now = self._configuration.settings.enabled_models.value
        if is_favourite(now, model) != wanted:
            raise SettingsError(f"{NAME} was changed again in {target} by another program")
        if not written.changed:
            return f"{model} {'is already' if wanted else 'was not'} a favourite", None
        changed = ChangedFavourites(target, before, after)
        if wanted:
            offers = "; from its next start pi offers only favourites instead of all models"
            return f"{model} is a favourite, saved in {target}{'' if entries else offers}", changed
        more = "" if now else "; without any, pi offers all models again"
        return f"{model} is no longer a favourite, saved in {target}{more}", changed
