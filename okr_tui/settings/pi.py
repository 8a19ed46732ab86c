"""What else pi keeps that concerns these keys: auth.json, extensions that are loaded, favourite models."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SecretStr, mask
from okr_tui.domain.models import PROVIDER, others, own_entries
from okr_tui.domain.values import dataclass
from okr_tui.settings.file import edit, read, rewrite
from okr_tui.settings.json_edit import (
    BLANK,
    Document,
    failure,
    locate,
    members_of,
    parse,
    plain,
    put,
    put_in,
    render,
    take_out,
)
from okr_tui.settings.key_references import COMMAND, VARIABLE
from okr_tui.settings.keys import kind
from okr_tui.settings.lock import locked
from okr_tui.settings.origin import Origin, Problem, Valued
from okr_tui.settings.sections import Layer

if TYPE_CHECKING:
    from pydantic import TypeAdapter

PROVIDERS = ("ollama-cloud", "ollama")
EXTENSION = "pi-ollama-keyring"
NAMED = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*)|([$!]))")
PLAIN_COMMAND = re.compile(r"[\w\s./:=@%+,~'\"-]*")
SHOWN_COMMAND = 60


@dataclass(frozen=True, slots=True)
class Stored:
    """An API key of auth.json: its provider, the reference it becomes here, and words that show no key."""

    provider: str
    reference: SecretStr
    words: str


def auth_file(agent: Path) -> Path:
    """Return where pi keeps credentials."""
    return agent / "auth.json"


def stored_keys(path: Path, environment: Mapping[str, str]) -> list[Stored]:
    """Return the API keys of Ollama's providers. Raises SettingsError when the file cannot be read."""
    return keys_of_providers(read(path).root, environment)


def keys_of_providers(root: Mapping[str, object], environment: Mapping[str, str]) -> list[Stored]:
    """Return the API keys of Ollama's providers in the content of an auth.json."""
    found = []
    for provider in PROVIDERS:
        entry = root.get(provider)
        if isinstance(entry, dict) and entry.get("type") == "api_key" and isinstance(entry.get("key"), str):
            own = entry.get("env")
            reference = _reference(entry["key"].strip(), environment, own if isinstance(own, dict) else {})
            if reference.get_secret_value():
                found.append(Stored(provider, reference, reference_words(reference)))
    return found


def extension_lists(path: Path) -> Iterator[str]:
    """Yield the settings of a file, `packages` or `extensions`, that load the original extension."""
    root = read(path).root
    for name in ("packages", "extensions"):
        listed = root.get(name)
        sources = [
            item.get("source") if isinstance(item, dict) else item
            for item in (listed if isinstance(listed, list) else [])
        ]
        if any(isinstance(source, str) and EXTENSION in source for source in sources):
            yield name


def _reference(text: str, environment: Mapping[str, str], own: Mapping[str, object]) -> SecretStr:
    """Return the reference to the same key here.

    A variable stays one as far as it is not the entry's own; a command stays one, run by the shell that pi
    runs it with where it needs one.
    """
    if text.startswith(COMMAND):
        command = text.removeprefix(COMMAND)
        plain = PLAIN_COMMAND.fullmatch(command)
        return SecretStr(text if plain else f"{COMMAND}sh -c {shlex.quote(command)}")
    whole = NAMED.fullmatch(text)
    name = whole and (whole[1] or whole[2])
    # Until 0.79 pi took the bare name of a variable, and no key looks like one.
    name = name or (text if text in environment else None)
    if name and name not in own:
        return SecretStr(f"{VARIABLE}{name}")

    def value(match: re.Match[str]) -> str:
        return match[3] or str(own.get(match[1] or match[2]) or environment.get(match[1] or match[2], ""))

    return SecretStr(NAMED.sub(value, text))


def reference_words(reference: SecretStr) -> str:
    """Return what a reference is, in words that show no key."""
    text = reference.get_secret_value()
    match kind(reference):
        case "command":
            command = text.removeprefix(COMMAND)
            more = "…" if len(command) > SHOWN_COMMAND else ""
            return f"the key that the command `{command[:SHOWN_COMMAND]}{more}` prints"
        case "variable":
            return f"the key in the variable {text.removeprefix(VARIABLE)}"
        case _:
            return f"the key {mask(text)}"


NAME = "enabledModels"


def enabled_models(files: Sequence[Layer], problems: list[Problem]) -> Valued[tuple[str, ...]]:
    """Return the entries in force; `files` come highest first, and the first that has a list decides."""
    found: list[tuple[tuple[str, ...], Origin]] = []
    for layer in files:
        document = layer.document
        if document is None or document.root.get(NAME) is None:
            continue
        origin = Origin(layer.name, document.path, *document.position(NAME))
        listed = document.root[NAME]
        if not isinstance(listed, list):
            problems.append(Problem.at(origin, f"{NAME} is ignored: it must be a list [...]"))
            continue
        entries = tuple(entry for entry in listed if isinstance(entry, str))
        if len(entries) < len(listed):
            problems.append(Problem.at(origin, f"{NAME}: entries that are not text are ignored"))
        found.append((entries, origin))
    if not found:
        return Valued((), Origin("default"))
    return Valued(found[0][0], found[0][1], tuple(origin for _, origin in found[1:]))


def favouring(document: Document, model: str, *, wanted: bool) -> str:
    """Return the text with the model among the favourites, or without it; other entries stay as they are.

    Raises SettingsError when the setting is no list, or an entry that means more than this model names it.
    """
    listed = document.root.get(NAME)
    if listed is None:
        return put(document.text, (NAME,), [f"{PROVIDER}/{model}"]) if wanted else document.text
    if not isinstance(listed, list):
        at = document.position(NAME)
        raise failure(f"{NAME} must be a list; nothing was changed", str(document.path), *at)
    entries = [entry if isinstance(entry, str) else "" for entry in listed]
    own, more = own_entries(entries, model), others(entries, model)
    if wanted:
        if own or more:
            return document.text
        return put_in(document.text, (NAME,), len(listed), json.dumps(f"{PROVIDER}/{model}"))
    if more:
        raise SettingsError(
            f"{model} stays a favourite: the entry {json.dumps(more[0], ensure_ascii=False)[:60]} in "
            f"{document.path} names it and may name others; only its editor can change that"
        )
    text = document.text
    for index in own:
        text = take_out(text, (NAME, index))
    return text


PROVIDERS_KEY = "providers"
RENAMED = f"{PROVIDER}-before"
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


@cache
def _memory() -> "TypeAdapter[Memory]":
    from pydantic import TypeAdapter

    return TypeAdapter(Memory)


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
                edit(memory, FILES, str(path), _memory().dump_python(remembered, mode="json"))
            return text

        done = rewrite(path, ((PROVIDERS_KEY, PROVIDER),), applied, commented=True)
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
                    position = document.position(PROVIDERS_KEY, PROVIDER)
                    what = f"{PROVIDER} was edited since it was written; nothing was changed: remove it there"
                    raise failure(what, str(path), *position)
                text = _without(document, earlier)
            restored = earlier.moved in providers
            if restored and earlier.moved:
                text = _renamed(text, earlier.moved, PROVIDER)
            return None if earlier.created and not text.strip(BLANK) else text

        done = rewrite(path, ((PROVIDERS_KEY, PROVIDER),), applied, commented=True)
        rewrite(memory, (), lambda document: take_out(document.text, (FILES, str(path))))
    return Outcome(path, done.changed, done.kept, restored=restored, gone=not path.exists())


def was_edited(path: Path, state: Path) -> bool:
    """Return whether the provider that `write` put in was changed or removed since by someone else.

    Raises SettingsError when the file or what is remembered of it cannot be read.
    """
    path = Path(os.path.abspath(path))
    earlier = _remembered(state / MEMORY, path)
    if earlier is None:
        return False
    provider = _providers(read(path, commented=True)).get(PROVIDER)
    return provider is None or _digest(provider) not in earlier.written


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
            return put(text, (PROVIDERS_KEY, PROVIDER), provider), None, updated
        moved = next(name for name in _names() if name not in providers)
        text = _renamed(text, PROVIDER, moved)
    after = put(text, (PROVIDERS_KEY, PROVIDER), provider)
    span = locate(plain(after), (PROVIDERS_KEY, PROVIDER))
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
    span = locate(document.strict, (PROVIDERS_KEY, PROVIDER))
    assert span is not None
    text = document.text
    head, tail = text[: span.start], text[span.end :]
    if head.endswith(earlier.left) and tail.startswith(earlier.right):
        head = head.removesuffix(earlier.left)
        exact = head + earlier.before + tail.removeprefix(earlier.right)
        if _is_without(exact, document):
            return exact
    # Its surroundings were edited meanwhile.
    return take_out(text, (PROVIDERS_KEY, PROVIDER))


def _is_without(text: str, document: Document) -> bool:
    """Return whether a text says all that the document does, but for the provider."""
    strict = plain(text)
    try:
        root = parse(strict) if strict.strip(BLANK) else {}
    except SettingsError:
        return False
    providers = {name: value for name, value in _providers(document).items() if name != PROVIDER}
    return isinstance(root, dict) and {PROVIDERS_KEY: {}, **root} == {
        **document.root,
        PROVIDERS_KEY: providers,
    }


def _providers(document: Document) -> Mapping[str, object]:
    """Return the providers by name. Raises SettingsError where it is not clear which text is meant."""
    providers = document.section(PROVIDERS_KEY).values
    for path, name in (((), PROVIDERS_KEY), ((PROVIDERS_KEY,), PROVIDER)):
        span = locate(document.strict, path)
        members = members_of(document.strict, span.start) if span else []
        if sum(member.name == name for member in members) > 1:
            what = f'"{name}" appears there twice; nothing was changed: remove one of them'
            raise failure(what, str(document.path), *document.position(*path, name))
    return providers


def _renamed(text: str, name: str, other: str) -> str:
    strict = plain(text)
    span = locate(strict, (PROVIDERS_KEY,))
    assert span is not None
    key = next(member.key for member in members_of(strict, span.start) if member.name == name)
    return text[: key.start] + render(other) + text[key.end :]


def _names() -> Iterator[str]:
    yield RENAMED
    yield from (f"{RENAMED}-{number}" for number in count(2))


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
        return _memory().validate_python(found, strict=False)
    except ValueError:
        pass
    what = f"what is kept of {path} is damaged; nothing was changed: take it out of {MEMORY}"
    raise failure(what, str(memory))
