"""What pi keeps beside its settings that concerns these keys: entries of auth.json, and loaded extensions."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from okr_tui.domain.keys import mask
from okr_tui.settings.entries import kind
from okr_tui.settings.file import read
from okr_tui.settings.secrets import COMMAND, VARIABLE

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
    """Where pi keeps credentials."""
    return agent / "auth.json"


def stored_keys(path: Path, environment: Mapping[str, str]) -> list[Stored]:
    """The API keys of Ollama's providers. Raises SettingsError when the file cannot be read."""
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
    """The settings of a file, `packages` or `extensions`, that load the original extension."""
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
    """What stands for the same key here.

    A variable stays one as far as it is not the entry's own; a command stays one, run by the shell that pi
    runs it with where it needs one.
    """
    if text.startswith(COMMAND):
        command = text.removeprefix(COMMAND)
        plain = PLAIN_COMMAND.fullmatch(command)
        return SecretStr(text if plain else f"{COMMAND}sh -c {shlex.quote(command)}")
    whole = NAMED.fullmatch(text)
    name = whole and (whole[1] or whole[2])
    # Until 0.79 pi took the bare name of a variable, and nobody's key is called like one.
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
