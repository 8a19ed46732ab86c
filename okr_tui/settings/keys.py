"""Keys put into a settings file and taken out of it: each function returns the file's new text.

All other text stays as it is. The file may have changed since it was loaded, so a key is found by its
reference; SettingsError says when it is gone. No message quotes a reference.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from okr_tui.domain.environment import unquoted
from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SHORTEST_KEY, Key, SecretStr
from okr_tui.settings.document import Document
from okr_tui.settings.json_edit import exchange, failure, locate, put, put_in, take_out
from okr_tui.settings.key_references import COMMAND, KEYRING, VARIABLE
from okr_tui.settings.origin import Valued
from okr_tui.settings.schema import Place
from okr_tui.settings.table import ORIGINAL, OURS

Kind = Literal["literal", "variable", "command", "keyring"]

NAMES = ("apiKeys", "apiKey")


def is_joined(name: str, value: object) -> bool:
    """Whether the value called `name` is a text with keys between commas."""
    return name == "apiKeys" and isinstance(value, str) and not value.strip().startswith(COMMAND)


def entries(name: str, value: object) -> list[tuple[int | None, object]]:
    """Return the entries of a value, each with its position from 0, None for a value that is one key."""
    if name == "apiKeys" and isinstance(value, list):
        return list(enumerate(value))
    if is_joined(name, value):
        return list(enumerate(str(value).split(",")))
    return [] if value is None else [(None, value)]


def reference(entry: object) -> SecretStr | None:
    """Return the reference of an entry, None when it has none that is text."""
    text = entry.get("key") if isinstance(entry, dict) else entry
    return SecretStr(text) if isinstance(text, str) else None


def kind(found: SecretStr) -> Kind:
    """Return what a reference is: the key itself, or the place that holds it."""
    text = unquoted(found.get_secret_value())
    if text.startswith(VARIABLE):
        return "variable"
    if text.startswith(COMMAND):
        return "command"
    return "keyring" if text.startswith(KEYRING) else "literal"


LIST = "apiKeys"


def malformed(text: str) -> str | None:
    """Return what in a text no key has, in words that do not repeat it; None for nothing."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return "a key is printable ASCII without blanks"
    if "," in text or ";" in text:
        return "a key has no comma or semicolon in it: commas separate keys in a text, entries in a list"
    if '"' in text or "'" in text:
        return "a quote stands in it or on one side of it only"
    if len(text) < SHORTEST_KEY:
        return f"a key has at least {SHORTEST_KEY} characters"
    return None


def refusal(secret: SecretStr) -> str | None:
    """Return why a text cannot be a key, in words that do not repeat it; None when it can."""
    text = secret.get_secret_value()
    if not text:
        return "the key is empty"
    if wrong := malformed(text):
        return wrong
    if kind(secret) != "literal":
        return "a key does not begin with $, ! or keyring:, which stand for a place that holds one"
    return None


def entry(found: SecretStr, label: str | None) -> object:
    """Return a reference as it is written, with a label or without."""
    text = found.get_secret_value()
    return text if label is None else {"key": text, "label": label}


def added(document: Document, item: object) -> str:
    """Add an entry at the end of `pi-ollama.apiKeys`; a value there that is no list becomes one.

    A reference to the system keyring that is there already stays alone: its secret had been lost.
    """
    value = _value(document, ORIGINAL, LIST)
    found = reference(item)
    if found in [reference(other) for _, other in entries(LIST, value)]:
        if found and kind(found) == "keyring":
            return document.text
        raise failure("has this key already; nothing was changed", str(document.path))
    if isinstance(value, list):
        return put_in(document.text, (ORIGINAL, LIST), len(value), _raw(item))
    if value is not None and not isinstance(value, str | dict):
        raise failure(f"{ORIGINAL}.{LIST} must be a list; nothing was changed", str(document.path))
    return put(document.text, (ORIGINAL, LIST), [*_parts(LIST, value), item])


def removed(document: Document, place: Place) -> str:
    """Remove an entry; a value that is one key goes whole."""
    position = _position(document, place)
    value = _value(document, place.section, place.name)
    path = (place.section, place.name)
    if position is None:
        return take_out(document.text, path)
    if isinstance(value, list):
        return take_out(document.text, (*path, position))
    parts = str(value).split(",")
    del parts[position]
    return put(document.text, path, ",".join(parts).strip())


def written(document: Document, place: Place) -> SecretStr:
    """Return the JSON text of an entry as it stands, for `restored`."""
    position = _position(document, place)
    value = _value(document, place.section, place.name)
    inner = () if position is None or is_joined(place.name, value) else (position,)
    span = locate(document.text, (place.section, place.name, *inner))
    if is_joined(place.name, value) or span is None:
        return SecretStr(_raw(place.reference.get_secret_value().strip()))
    return SecretStr(document.text[span.start : span.end])


def restored(document: Document, place: Place, raw: SecretStr) -> str:
    """Put back an entry that was removed, where it was as far as that is still there."""
    path = (place.section, place.name)
    value = _value(document, *path)
    text = raw.get_secret_value()
    item = json.loads(text)
    if reference(item) in [reference(other) for _, other in entries(place.name, value)]:
        raise failure("has this key again already; nothing was changed", str(document.path))
    if place.position is None:
        if value is not None:
            raise failure(f"{'.'.join(path)} is another key now; nothing was changed", str(document.path))
        return put(document.text, path, item)
    if isinstance(value, list):
        return put_in(document.text, path, place.position, text)
    parts = _parts(place.name, value)
    parts.insert(place.position, item)
    if is_joined(place.name, value) and isinstance(item, str):
        return put(document.text, path, ",".join(map(str, parts)))
    return put(document.text, path, parts)


def labelled(document: Document, place: Place, label: str | None) -> str:
    """Give an entry another label, or none; one without is a plain text again."""
    position = _position(document, place)
    path = (place.section, place.name)
    value = _value(document, *path)
    present = dict(entries(place.name, value))[position]
    more = {
        name: other
        for name, other in (present.items() if isinstance(present, Mapping) else ())
        if name not in {"key", "label"}
    }
    item = entry(SecretStr(place.reference.get_secret_value().strip()), label)
    if more:
        item = {**(item if isinstance(item, dict) else {"key": item}), **more}
    if position is None:
        return put(document.text, path, item)
    if isinstance(value, list):
        return exchange(document.text, (*path, position), _raw(item))
    parts = [item if at == position else str(part).strip() for at, part in entries(place.name, value)]
    return put(document.text, path, [part for part in parts if part])


def _value(document: Document, section: str, name: str) -> object:
    return document.section(section).values.get(name)


def _position(document: Document, place: Place) -> int | None:
    """Return where the entry stands now."""
    found = [
        position
        for position, item in entries(place.name, _value(document, place.section, place.name))
        if reference(item) == place.reference
    ]
    if place.position in found:
        return place.position
    if len(found) == 1:
        return found[0]
    raise SettingsError(
        f"{document.path}: the key is not where it was; nothing was changed, try again", str(document.path)
    )


def _parts(name: str, value: object) -> list[object]:
    """Return the entries of a value that is no list, without blank ones."""
    parts = [item.strip() if isinstance(item, str) else item for _, item in entries(name, value)]
    return [part for part in parts if part]


def _raw(item: object) -> str:
    return json.dumps(item, ensure_ascii=False)


INDEX = "activeKeyIndex"
FINGERPRINT = "activeKeyFingerprint"
WRITTEN_WITH = "activeKeyFingerprintIndex"


def followed(index: Valued[int], ours: Mapping[str, object], keys: Sequence[Key]) -> Valued[int] | None:
    """Return the index of the key that was chosen, wherever it is now; None when the index decides.

    ours: the section `okr-tui` of the file that holds the index.
    """
    written = ours.get(WRITTEN_WITH)
    if isinstance(written, bool) or written != index.value:
        return None
    for place, key in enumerate(keys):
        if key.fingerprint == ours.get(FINGERPRINT):
            moved = f"chosen as key {index.value + 1}, key {place + 1} now"
            return replace(index, value=place, note=moved if place != index.value else "")
    return None


def preferring(document: Document, section: str, index: int, key: Key, *, shifting: bool) -> str:
    """Return the text with another preferred key.

    shifting: keys come from several layers, so that the index may shift without this file being touched;
        otherwise a file without a section of ours gets none for this.
    """
    text = put(document.text, (section, INDEX), index)
    ours = document.root.get(OURS)
    if isinstance(ours, dict) or (ours is None and shifting):
        text = put(text, (OURS, FINGERPRINT), key.fingerprint)
        text = put(text, (OURS, WRITTEN_WITH), index)
    return text
