"""Keys put into a settings file and taken out of it: each function returns the file's new text.

All other text stays as it is. The file may have changed since it was loaded, so a key is found by its
reference; SettingsError says when it is gone. No message quotes a reference.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import LONGEST_KEY, SHORTEST_KEY, Key, SecretStr, fingerprint
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import LINE_LIMIT, has_hidden, unquoted
from okr_tui.domain.values import dataclass
from okr_tui.settings.json_edit import Document, exchange, failure, locate, put, put_in, take_out
from okr_tui.settings.key_references import COMMAND, KEYRING, SHOWN_NAME, VARIABLE, resolve
from okr_tui.settings.origin import Origin, Problem, Severity, Valued
from okr_tui.settings.schema import KeySource
from okr_tui.settings.sections import Layer, digest
from okr_tui.settings.table import ORIGINAL, OURS, SHORT

Kind = Literal["literal", "variable", "command", "keyring"]

NAMES = ("apiKeys", "apiKey")


def is_joined(name: str, value: object) -> bool:
    """Return whether the value called `name` is a text with keys between commas."""
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
    """Return what a reference is: the key itself, or what holds it."""
    text = unquoted(found.get_secret_value())
    if text.startswith(VARIABLE):
        return "variable"
    if text.startswith(COMMAND):
        return "command"
    return "keyring" if text.startswith(KEYRING) else "literal"


def shown(found: SecretStr) -> str:
    """Return what people may see of a reference that is not a key itself: a variable's or an entry's name."""
    text = unquoted(found.get_secret_value())
    if text.startswith(VARIABLE):
        name = text.removeprefix(VARIABLE).removeprefix("{").removesuffix("}").strip()
        # What is no plain name may be a key in the wrong place.
        return f"{VARIABLE}{name if SHOWN_NAME.fullmatch(name) else '…'}"
    return "!command" if text.startswith(COMMAND) else f"{KEYRING}…"


LIST = "apiKeys"


def malformed(text: str) -> str | None:
    """Return what in a text no key has, in words that do not repeat it; None for nothing."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return "a key is printable ASCII without spaces"
    if "," in text or ";" in text:
        return "a key has no comma or semicolon in it: commas separate keys in a text, entries in a list"
    if '"' in text or "'" in text:
        return "there is a quote inside it, or on one side only"
    if len(text) < SHORTEST_KEY:
        return f"a key has at least {SHORTEST_KEY} characters"
    if len(text) > LONGEST_KEY:
        return f"a key has at most {LONGEST_KEY} characters"
    return None


def refusal(secret: SecretStr) -> str | None:
    """Return why a text cannot be a key, in words that do not repeat it; None when it can."""
    text = secret.get_secret_value()
    if not text:
        return "the key is empty"
    if kind(secret) != "literal":
        return "a key does not begin with $, ! or keyring:, which refer to something that holds one"
    if wrong := malformed(text):
        return wrong
    return None


def entry(found: SecretStr, label: str | None) -> object:
    """Return a reference as it is written, with a label or without."""
    text = found.get_secret_value()
    return text if label is None else {"key": text, "label": label}


def added(document: Document, item: object) -> str:
    """Add an entry at the end of `pi-ollama.apiKeys`; a value there that is not a list becomes one.

    A reference to the system's secret store that is there already stays alone: its secret had been lost.
    """
    value = _value(document, ORIGINAL, LIST)
    found = reference(item)
    if found in [reference(other) for _, other in entries(LIST, value)]:
        if found and kind(found) == "keyring":
            return document.text
        raise failure("already has this key; nothing was changed", str(document.path))
    if isinstance(value, list):
        return put_in(document.text, (ORIGINAL, LIST), len(value), _raw(item))
    if value is not None and not isinstance(value, str | dict):
        raise failure(f"{ORIGINAL}.{LIST} must be a list; nothing was changed", str(document.path))
    return put(document.text, (ORIGINAL, LIST), [*_parts(LIST, value), item])


def removed(document: Document, source: KeySource) -> str:
    """Remove an entry; a value that is one key goes whole."""
    position = _position(document, source)
    value = _value(document, source.section, source.name)
    path = (source.section, source.name)
    if position is None:
        return take_out(document.text, path)
    if isinstance(value, list):
        return take_out(document.text, (*path, position))
    parts = str(value).split(",")
    del parts[position]
    return put(document.text, path, ",".join(parts).strip())


def written(document: Document, source: KeySource) -> SecretStr:
    """Return the JSON text of an entry as it stands, for `restored`."""
    position = _position(document, source)
    value = _value(document, source.section, source.name)
    inner = () if position is None or is_joined(source.name, value) else (position,)
    span = locate(document.text, (source.section, source.name, *inner))
    if is_joined(source.name, value) or span is None:
        return SecretStr(_raw(source.reference.get_secret_value().strip()))
    return SecretStr(document.text[span.start : span.end])


def restored(document: Document, source: KeySource, raw: SecretStr) -> str:
    """Put back an entry that was removed, where it was as far as that is still there."""
    path = (source.section, source.name)
    value = _value(document, *path)
    text = raw.get_secret_value()
    item = json.loads(text)
    if reference(item) in [reference(other) for _, other in entries(source.name, value)]:
        raise failure("already has this key back; nothing was changed", str(document.path))
    if source.position is None:
        if value is not None:
            raise failure(f"{'.'.join(path)} is another key now; nothing was changed", str(document.path))
        return put(document.text, path, item)
    if isinstance(value, list):
        return put_in(document.text, path, source.position, text)
    parts = _parts(source.name, value)
    parts.insert(source.position, item)
    if is_joined(source.name, value) and isinstance(item, str):
        return put(document.text, path, ",".join(map(str, parts)))
    return put(document.text, path, parts)


def labelled(document: Document, source: KeySource, label: str | None) -> str:
    """Give an entry another label, or none; one without is a plain text again."""
    position = _position(document, source)
    path = (source.section, source.name)
    value = _value(document, *path)
    present = dict(entries(source.name, value))[position]
    more = {
        name: other
        for name, other in (present.items() if isinstance(present, Mapping) else ())
        if name not in {"key", "label"}
    }
    item = entry(SecretStr(source.reference.get_secret_value().strip()), label)
    if more:
        item = {**(item if isinstance(item, dict) else {"key": item}), **more}
    if position is None:
        return put(document.text, path, item)
    if isinstance(value, list):
        return exchange(document.text, (*path, position), _raw(item))
    parts = [item if at == position else str(part).strip() for at, part in entries(source.name, value)]
    return put(document.text, path, [part for part in parts if part])


def _value(document: Document, section: str, name: str) -> object:
    return document.section(section).values.get(name)


def _position(document: Document, source: KeySource) -> int | None:
    """Return where the entry is now."""
    found = [
        position
        for position, item in entries(source.name, _value(document, source.section, source.name))
        if reference(item) == source.reference
    ]
    if source.position in found:
        return source.position
    if len(found) == 1:
        return found[0]
    raise SettingsError(
        f"{document.path}: the key is not where it was; nothing was changed, try again", str(document.path)
    )


def _parts(name: str, value: object) -> list[object]:
    """Return the entries of a value that is not a list, without blank ones."""
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
    for current, key in enumerate(keys):
        if key.fingerprint == ours.get(FINGERPRINT):
            moved = f"chosen as key {index.value + 1}, key {current + 1} now"
            return replace(index, value=current, note=moved if current != index.value else "")
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


SECTIONS = (ORIGINAL, SHORT)


UNASKED = Problem("it was not asked for")


@dataclass(slots=True)
class Pool:
    """Keys in order, the source of each, what commands printed, and what was wrong."""

    keys: list[Key] = field(default_factory=list)
    sources: list[KeySource] = field(default_factory=list)
    commands: dict[tuple[str, str], SecretStr] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    reference: SecretStr | None
    label: object
    source: KeySource


def collect(
    layers: Iterable[Layer],
    environment: Mapping[str, str],
    commands: Mapping[tuple[str, str], SecretStr],
    *,
    asks: bool = True,
) -> Pool:
    """Read the keys of all layers; `layers` come in pool order.

    commands: what earlier loads left in `Pool.commands`. A command is run again only when the keys of its
        layer were edited, or when it failed.
    asks: whether commands and the secret store are asked at all.
    """
    pool = Pool()
    known: dict[str, int] = {}
    for layer in layers:
        written = digest([layer.values(section).get(name) for name in NAMES for section in SECTIONS])
        dropped: Counter[str] = Counter()
        for entry in _entries(layer):
            if entry.reference is None:
                dropped["not text"] += 1
                continue
            if not unquoted(entry.reference.get_secret_value()):
                dropped["blank"] += 1
                continue
            found: SecretStr | Problem | None = UNASKED
            if asks or kind(entry.reference) not in ("command", "keyring"):
                found = _resolved(entry, layer, written, environment, commands, pool)
            if found is None:
                continue
            label = _label(entry, pool)
            if isinstance(found, Problem):
                text = unquoted(entry.reference.get_secret_value())
                key = Key.absent(text, shown(entry.reference), layer.name, label, found.message)
            else:
                key = Key.of(found.get_secret_value(), layer.name, label, trusted=layer.trusted)
            if (at := known.get(key.fingerprint)) is not None:
                first = pool.sources[at]
                pool.sources[at] = replace(first, also=(*first.also, entry.source.origin))
                if key.trusted:
                    pool.keys[at] = replace(pool.keys[at], trusted=True)
                dropped["repeated"] += 1
                continue
            known[key.fingerprint] = len(pool.keys)
            pool.keys.append(key)
            pool.sources.append(entry.source)
        if dropped:
            pool.problems.append(_dropped(layer, dropped))
    _drop_telling_labels(pool)
    return pool


def _drop_telling_labels(pool: Pool) -> None:
    scrubber = Scrubber(key.secret.get_secret_value() for key in pool.keys)
    for at, (key, source) in enumerate(zip(pool.keys, pool.sources, strict=True)):
        if key.label and scrubber.mask_keys(key.label) != key.label:
            pool.keys[at] = replace(key, label=None)
            message = "a label is ignored: it holds a part of a key, and labels are shown"
            pool.problems.append(Problem.at(source.origin, message))


def _entries(layer: Layer) -> Iterator[_Entry]:
    for name in NAMES:
        for section in SECTIONS:
            value = layer.values(section).get(name)
            for position, item in entries(name, value):
                # A part of a comma-separated text has no position of its own in the file.
                inner = () if position is None or is_joined(name, value) else (position,)
                found = reference(item)
                source = KeySource(
                    layer.origin(section, name, *inner), section, name, position, found or SecretStr("")
                )
                yield _Entry(found, item.get("label") if isinstance(item, dict) else None, source)


def added_by(layer: Layer, pool: Pool) -> int:
    """Return how many keys are in the layer itself and in no other, whether they joined the pool or not."""
    elsewhere = {
        key.fingerprint
        for key, source in zip(pool.keys, pool.sources, strict=True)
        if any(origin.layer != layer.name for origin in (source.origin, *source.also))
    }
    return len({fingerprint(text) for text in _literals(layer)} - elsewhere)


def key_origins(layer: Layer) -> list[Origin]:
    """Return where the layer has entries for keys, usable or not."""
    return [entry.source.origin for entry in _entries(layer)]


def holds_literal(layer: Layer) -> bool:
    """Return whether the text of a key is in the layer itself."""
    return any(_literals(layer))


def _literals(layer: Layer) -> Iterator[str]:
    for entry in _entries(layer):
        text = entry.reference.get_secret_value().strip() if entry.reference else ""
        if entry.reference and text and kind(entry.reference) == "literal":
            yield text


def _resolved(
    entry: _Entry,
    layer: Layer,
    written: str,
    environment: Mapping[str, str],
    commands: Mapping[tuple[str, str], SecretStr],
    pool: Pool,
) -> SecretStr | Problem | None:
    """Return the key of an entry, why its reference gives none, or None for an entry that is not a key."""
    reference = entry.reference or SecretStr("")
    text = unquoted(reference.get_secret_value())
    is_command = text.startswith(COMMAND) and layer.trusted
    known = (written, digest(text))
    secret = commands.get(known) if is_command else None
    resolved = secret or resolve(reference, environment, layer.trusted)
    if isinstance(resolved, SecretStr):
        if is_command:
            pool.commands[known] = resolved
        wrong = malformed(resolved.get_secret_value())
        if wrong is None:
            return resolved
        resolved = Problem(wrong)
    if kind(reference) == "literal" or not layer.trusted:
        severity: Severity = "error" if layer.trusted else "warning"
        pool.problems.append(_about(entry, f"is ignored: {resolved.message}", severity))
        return None
    about = _about(entry, f"gives no key: {resolved.message}")
    pool.problems.append(replace(about, remedy=resolved.remedy))
    return resolved


def _label(entry: _Entry, pool: Pool) -> str | None:
    label = entry.label
    if label is None:
        return None
    if not isinstance(label, str) or has_hidden(label) or not 0 < len(label.strip()) <= LINE_LIMIT:
        pool.problems.append(Problem.at(entry.source.origin, "a label is ignored: it must be printable text"))
        return None
    return label.strip()


def _about(entry: _Entry, message: str, severity: Severity = "error") -> Problem:
    position = "" if entry.source.position is None else f" entry {entry.source.position + 1}"
    return Problem.at(entry.source.origin, f"{entry.source.name}{position} {message}", severity)


def _dropped(layer: Layer, dropped: Counter[str]) -> Problem:
    total = dropped.total()
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    files = [section.document.path for section in layer.sections.values() if section.document]
    message = f"{layer.name} keys: {total} {'entry' if total == 1 else 'entries'} ignored ({reasons})"
    severity: Severity = "error" if "not text" in dropped else "warning"
    return Problem(message, files[0] if files else None, severity=severity)
