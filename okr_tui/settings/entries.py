"""The entries of a value that holds keys: a list, a comma-separated text, or one key."""

from typing import Literal

from pydantic import SecretStr

from okr_tui.settings.secrets import COMMAND, KEYRING, VARIABLE

Kind = Literal["literal", "variable", "command", "keyring"]

NAMES = ("apiKeys", "apiKey")


def is_joined(name: str, value: object) -> bool:
    """Whether the value called `name` is a text with keys between commas."""
    return name == "apiKeys" and isinstance(value, str) and not value.strip().startswith(COMMAND)


def entries(name: str, value: object) -> list[tuple[int | None, object]]:
    """The entries of the value called `name`, each with its position from 0, None for a value that is one."""
    if name == "apiKeys" and isinstance(value, list):
        return list(enumerate(value))
    if is_joined(name, value):
        return list(enumerate(str(value).split(",")))
    return [] if value is None else [(None, value)]


def reference(entry: object) -> SecretStr | None:
    """The reference of an entry, None when it has none that is text."""
    text = entry.get("key") if isinstance(entry, dict) else entry
    return SecretStr(text) if isinstance(text, str) else None


def kind(found: SecretStr) -> Kind:
    """What a reference is: the key itself, or the place that holds it."""
    text = found.get_secret_value().strip()
    if text.startswith(VARIABLE):
        return "variable"
    if text.startswith(COMMAND):
        return "command"
    return "keyring" if text.startswith(KEYRING) else "literal"
