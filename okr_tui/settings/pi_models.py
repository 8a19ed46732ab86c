"""The gateway as a provider of pi's models.json: put in, kept up to date, taken out again.

pi never locks that file and never writes it, it only reads it: `loadCustomModels` in packages/coding-agent/
src/core/model-registry.ts of 0.73.1, `ModelConfig.load` in src/core/model-config.ts of 1.5.2, whose locked
models-store.json is another file. What its reader needs is a file that is whole at every moment, which the
rename in file.py gives; the lock there keeps apart our own processes, and others that lock as pi does.

A provider of that name that was there before goes by another name in the same file, so that no key in it is
copied anywhere, and gets its name back at the end. What it takes to undo a change is in the state folder.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.document import Document
from okr_tui.settings.file import edit, read, rewrite
from okr_tui.settings.json_edit import BLANK, failure, locate, members_of, parse, plain, put, render, take_out
from okr_tui.settings.lock import locked

PROVIDER = "ollama-cloud"
PROVIDERS = "providers"
ASIDE = f"{PROVIDER}-before"
FILE = "models.json"
MEMORY = "pi-models-undo.json"
FILES = "files"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to the file at `path`.

    moved: the name that an earlier provider has now. restored: whether one got its name back.
    kept: False when the change was gone again right after. gone: whether there is no such file any more.
    """

    path: Path
    changed: bool
    kept: bool = True
    moved: str | None = None
    restored: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What it takes to undo: the provider stood between `left` and `right`, where `before` had been.

    written: SHA-256 of the provider as it is, and as it was until the last change.
    """

    written: tuple[str, ...]
    left: str
    right: str
    before: str
    moved: str | None
    created: bool


_memory: TypeAdapter[Memory] = TypeAdapter(Memory)


def models_file(settings: Path) -> Path:
    """Return where pi looks for models: in the folder of its settings file."""
    return Path(os.path.abspath(settings)).parent / FILE


def write(path: Path, provider: Mapping[str, object], state: Path) -> Outcome:
    """Put the provider in, or bring one that was put in up to date; all other text of the file is kept.

    Raises SettingsError, with nothing changed, when the file cannot be edited faithfully.
    """
    path, memory = Path(os.path.abspath(path)), state / MEMORY
    with _alone(state):
        earlier = _remembered(memory, path)
        moved = None

        def applied(document: Document) -> str:
            nonlocal moved
            text, moved, remembered = _with(document, provider, earlier)
            if remembered and remembered != earlier:
                # Before the change itself: what cannot be undone is not begun.
                edit(memory, FILES, str(path), _memory.dump_python(remembered, mode="json"))
            return text

        done = rewrite(path, ((PROVIDERS, PROVIDER),), applied, commented=True)
    return Outcome(path, done.changed, done.kept, moved)


def undo(path: Path, state: Path) -> Outcome | None:
    """Take out what `write` put in, and put back what was there; None when nothing was put in.

    Raises SettingsError, with nothing changed, when the provider was edited since.
    """
    path, memory = Path(os.path.abspath(path)), state / MEMORY
    with _alone(state):
        earlier = _remembered(memory, path)
        if earlier is None:
            return None
        restored = False

        def applied(document: Document) -> str | None:
            nonlocal restored
            providers = _providers(document)
            text = document.text
            if PROVIDER in providers:
                if _digest(providers[PROVIDER]) not in earlier.written:
                    place = document.position(PROVIDERS, PROVIDER)
                    what = (
                        f"{PROVIDER} was edited since it was written; nothing was changed: take it out there"
                    )
                    raise failure(what, str(path), *place)
                text = _without(document, earlier)
            restored = earlier.moved in providers
            if restored and earlier.moved:
                text = _renamed(text, earlier.moved, PROVIDER)
            return None if earlier.created and not text.strip(BLANK) else text

        done = rewrite(path, ((PROVIDERS, PROVIDER),), applied, commented=True)
        rewrite(memory, (), lambda document: take_out(document.text, (FILES, str(path))))
    return Outcome(path, done.changed, done.kept, restored=restored, gone=not path.exists())


def _with(
    document: Document, provider: Mapping[str, object], earlier: Memory | None
) -> tuple[str, str | None, Memory | None]:
    """Return the text with the provider, the new name of one that made room, and what undoes it."""
    providers, digest = _providers(document), _digest(provider)
    text, moved = document.text, None
    if PROVIDER in providers:
        present = _digest(providers[PROVIDER])
        if present == digest:
            return text, None, earlier
        if earlier and present in earlier.written:
            updated = replace(earlier, written=(present, digest))
            return put(text, (PROVIDERS, PROVIDER), provider), None, updated
        moved = next(name for name in _names() if name not in providers)
        text = _renamed(text, PROVIDER, moved)
    after = put(text, (PROVIDERS, PROVIDER), provider)
    span = locate(plain(after), (PROVIDERS, PROVIDER))
    assert span is not None
    same = _shared(text, after[: span.start])
    rest = after[span.end :]
    end = _shared(text[same:][::-1], rest[::-1])
    remembered = Memory(
        written=(digest,),
        left=after[same : span.start],
        right=rest[: len(rest) - end],
        before=text[same : len(text) - end],
        moved=moved or (earlier.moved if earlier and earlier.moved in providers else None),
        created=document.raw is None,
    )
    return after, moved, remembered


def _shared(left: str, right: str) -> int:
    """Return how many characters two texts share at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _without(document: Document, earlier: Memory) -> str:
    span = locate(document.strict, (PROVIDERS, PROVIDER))
    assert span is not None
    text = document.text
    head, tail = text[: span.start], text[span.end :]
    if head.endswith(earlier.left) and tail.startswith(earlier.right):
        head = head.removesuffix(earlier.left)
        exact = head + earlier.before + tail.removeprefix(earlier.right)
        if _is_without(exact, document):
            return exact
    # Its surroundings were edited meanwhile.
    return take_out(text, (PROVIDERS, PROVIDER))


def _is_without(text: str, document: Document) -> bool:
    """Return whether a text says all that the document does, but for the provider."""
    strict = plain(text)
    try:
        root = parse(strict) if strict.strip(BLANK) else {}
    except SettingsError:
        return False
    providers = {name: value for name, value in _providers(document).items() if name != PROVIDER}
    return isinstance(root, dict) and {PROVIDERS: {}, **root} == {**document.root, PROVIDERS: providers}


def _providers(document: Document) -> Mapping[str, object]:
    """Return the providers by name. Raises SettingsError where it is not clear which text is meant."""
    providers = document.section(PROVIDERS).values
    for path, name in (((), PROVIDERS), ((PROVIDERS,), PROVIDER)):
        span = locate(document.strict, path)
        members = members_of(document.strict, span.start) if span else []
        if sum(member.name == name for member in members) > 1:
            what = f'"{name}" stands there twice; nothing was changed: take one of them out'
            raise failure(what, str(document.path), *document.position(*path, name))
    return providers


def _renamed(text: str, name: str, other: str) -> str:
    strict = plain(text)
    span = locate(strict, (PROVIDERS,))
    assert span is not None
    key = next(member.key for member in members_of(strict, span.start) if member.name == name)
    return text[: key.start] + render(other) + text[key.end :]


def _names() -> Iterator[str]:
    yield ASIDE
    yield from (f"{ASIDE}-{number}" for number in count(2))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Let one process at a time change the file together with what is remembered of it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise failure(f"cannot be made: {error.strerror}; nothing was changed", str(state)) from error
    with locked(state / "pi-models"):
        yield


def _remembered(memory: Path, path: Path) -> Memory | None:
    found = read(memory).section(FILES).values.get(str(path))
    if found is None:
        return None
    try:
        return _memory.validate_python(found, strict=False)
    except ValidationError:
        pass
    what = f"what is kept of {path} is damaged; nothing was changed: take it out of {MEMORY}"
    raise failure(what, str(memory))
