"""The pool of keys: every layer's keys in order, references resolved, repetitions dropped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from okr_tui.domain.environment import unquoted
from okr_tui.domain.keys import Key, SecretStr, fingerprint
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import LINE_LIMIT, has_hidden
from okr_tui.settings.key_references import COMMAND, resolve
from okr_tui.settings.keys import NAMES, entries, is_joined, kind, malformed, reference
from okr_tui.settings.origin import Origin, Problem
from okr_tui.settings.schema import Place
from okr_tui.settings.sections import Layer, digest
from okr_tui.settings.table import ORIGINAL, SHORT

SECTIONS = (ORIGINAL, SHORT)


@dataclass(slots=True)
class Pool:
    """Keys in order, the place of each, what commands printed, and what was wrong."""

    keys: list[Key] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    commands: dict[tuple[str, str], SecretStr] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    reference: SecretStr | None
    label: object
    place: Place


def collect(
    layers: Iterable[Layer],
    environment: Mapping[str, str],
    commands: Mapping[tuple[str, str], SecretStr],
) -> Pool:
    """Read the keys of all layers; `layers` come in pool order.

    commands: what earlier loads left in `Pool.commands`. A command is run again only when the keys of its
        layer were edited, or when it failed.
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
            secret = _resolved(entry, layer, written, environment, commands, pool)
            if secret is None:
                continue
            text = secret.get_secret_value()
            key = Key.of(text, layer.name, _label(entry, pool), trusted=layer.trusted)
            if (at := known.get(key.fingerprint)) is not None:
                first = pool.places[at]
                pool.places[at] = replace(first, also=(*first.also, entry.place.origin))
                if key.trusted:
                    pool.keys[at] = replace(pool.keys[at], trusted=True)
                dropped["repeated"] += 1
                continue
            known[key.fingerprint] = len(pool.keys)
            pool.keys.append(key)
            pool.places.append(entry.place)
        if dropped:
            pool.problems.append(_dropped(layer, dropped))
    _drop_telling_labels(pool)
    return pool


def _drop_telling_labels(pool: Pool) -> None:
    scrubber = Scrubber(key.secret.get_secret_value() for key in pool.keys)
    for at, (key, place) in enumerate(zip(pool.keys, pool.places, strict=True)):
        if key.label and scrubber.mask_keys(key.label) != key.label:
            pool.keys[at] = replace(key, label=None)
            message = "a label is ignored: it holds a part of a key, and labels are shown"
            pool.problems.append(Problem.at(place.origin, message))


def _entries(layer: Layer) -> Iterator[_Entry]:
    for name in NAMES:
        for section in SECTIONS:
            value = layer.values(section).get(name)
            for position, item in entries(name, value):
                # A part of a comma-separated text has no position of its own in the file.
                inner = () if position is None or is_joined(name, value) else (position,)
                found = reference(item)
                place = Place(
                    layer.origin(section, name, *inner), section, name, position, found or SecretStr("")
                )
                yield _Entry(found, item.get("label") if isinstance(item, dict) else None, place)


def added_by(layer: Layer, pool: Pool) -> int:
    """Return how many keys stand in the layer itself and in no other, whether they joined the pool or not."""
    elsewhere = {
        key.fingerprint
        for key, place in zip(pool.keys, pool.places, strict=True)
        if any(origin.layer != layer.name for origin in (place.origin, *place.also))
    }
    return len({fingerprint(text) for text in _literals(layer)} - elsewhere)


def key_places(layer: Layer) -> list[Origin]:
    """Return where the layer has entries for keys, usable or not."""
    return [entry.place.origin for entry in _entries(layer)]


def holds_literal(layer: Layer) -> bool:
    """Return whether the text of a key stands in the layer itself."""
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
) -> SecretStr | None:
    reference = entry.reference or SecretStr("")
    text = unquoted(reference.get_secret_value())
    is_command = text.startswith(COMMAND) and layer.trusted
    known = (written, digest(text))
    secret = commands.get(known) if is_command else None
    resolved = secret or resolve(reference, environment, layer.trusted)
    if isinstance(resolved, Problem):
        pool.problems.append(_about(entry, resolved.message))
        return None
    if is_command:
        pool.commands[known] = resolved
    key = resolved.get_secret_value()
    if wrong := malformed(key):
        pool.problems.append(_about(entry, wrong))
        return None
    return resolved


def _label(entry: _Entry, pool: Pool) -> str | None:
    label = entry.label
    if label is None:
        return None
    if not isinstance(label, str) or has_hidden(label) or not 0 < len(label.strip()) <= LINE_LIMIT:
        pool.problems.append(
            replace(_about(entry, ""), message="a label is ignored: it must be printable text")
        )
        return None
    return label.strip()


def _about(entry: _Entry, message: str) -> Problem:
    position = "" if entry.place.position is None else f" entry {entry.place.position + 1}"
    return Problem.at(entry.place.origin, f"{entry.place.name}{position} is ignored: {message}")


def _dropped(layer: Layer, dropped: Counter[str]) -> Problem:
    total = dropped.total()
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    files = [section.document.path for section in layer.sections.values() if section.document]
    message = f"{layer.name} keys: {total} {'entry' if total == 1 else 'entries'} ignored ({reasons})"
    return Problem(message, files[0] if files else None)
