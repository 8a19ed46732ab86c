"""What else pi keeps that concerns these keys: auth.json, extensions that are loaded, favourite models."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SecretStr, mask
from okr_tui.domain.models import PROVIDER, others, own_entries
from okr_tui.settings.document import Document
from okr_tui.settings.file import read
from okr_tui.settings.json_edit import failure, put, put_in, take_out
from okr_tui.settings.key_references import COMMAND, VARIABLE
from okr_tui.settings.keys import kind
from okr_tui.settings.origin import Origin, Problem, Valued
from okr_tui.settings.sections import Layer

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
    root = read(path).root
    found = []
    for provider in PROVIDERS:
        entry = root.get(provider)
        if isinstance(entry, dict) and entry.get("type") == "api_key" and isinstance(entry.get("key"), str):
            own = entry.get("env")
            reference = _reference(entry["key"].strip(), environment, own if isinstance(own, dict) else {})
            if reference.get_secret_value():
                found.append(Stored(provider, reference, _words(reference)))
    return found


def extension_places(path: Path) -> Iterator[str]:
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
    """Return the reference that stands for the same key here.

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


def _words(reference: SecretStr) -> str:
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
    for place in own:
        text = take_out(text, (NAME, place))
    return text
