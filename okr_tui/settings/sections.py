"""The layers settings come from, all in one form: sections of named values that know where they are."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.text import variable
from okr_tui.domain.values import dataclass
from okr_tui.settings.checks import shown_name
from okr_tui.settings.file import read
from okr_tui.settings.json_edit import Document, Section
from okr_tui.settings.origin import LayerName, Origin, Problem
from okr_tui.settings.schema import Kept
from okr_tui.settings.table import BY_NAME, ORIGINAL, OURS, SECTIONS, SHORT, TABLE

KEYS: Final = ("apiKeys", "apiKey", "cloudUrl", "activeKeyIndex")
DIGITS = re.compile(r"[0-9]{1,15}")
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `trusted` is False for the file of a project the user has not vouched for.

    unread: sections that may say something and cannot be read, each with what is wrong.
    """

    name: LayerName
    sections: Mapping[str, Section] = field(repr=False)
    trusted: bool = True
    unread: Mapping[str, Problem] = field(default_factory=dict, repr=False)

    @property
    def document(self) -> Document | None:
        """The file that was read, or its last good content; None for a layer without a file."""
        return next((section.document for section in self.sections.values() if section.document), None)

    def values(self, section: str) -> Mapping[str, object]:
        """Return what the section holds here; empty when the layer has no such section."""
        return self.sections[section].values if section in self.sections else {}

    def find(self, section: str, path: Sequence[str]) -> object:
        """Return the value at a path of names in the section, MISSING where there is none."""
        found: object = self.values(section)
        for name in path:
            found = found.get(name, MISSING) if isinstance(found, Mapping) else MISSING
        return found

    def origin(self, section: str, name: str, *path: str | int) -> Origin:
        """Return where the value called `name`, or an item inside it, is."""
        if self.name == "environment":
            return Origin(self.name, variable=BY_NAME[name].variable)
        if self.name == "option":
            return Origin(self.name, variable=BY_NAME[name].option)
        found = self.sections[section]
        if found.document is None:
            return Origin(self.name)
        return Origin(self.name, found.document.path, *found.position(name, *path))

    def digest(self) -> str:
        """Return SHA-256 over all values, in hexadecimal."""
        return digest({name: dict(section.values) for name, section in self.sections.items()})


def digest(value: object) -> str:
    """Return SHA-256 of a value in hexadecimal; equal for equal JSON."""
    return sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()


def file_layer(name: LayerName, path: Path, kept: Kept) -> tuple[Layer, list[Problem]]:
    """Return the layer of one file. What cannot be read now stays as `kept` had it, and is reported."""
    sections: dict[str, Section] = {}
    problems: list[Problem] = []
    try:
        document = read(path)
    except SettingsError as error:
        sections = {
            wanted: kept.sections[path, wanted] for wanted in SECTIONS if (path, wanted) in kept.sections
        }
        problem = _broken(error, bool(sections))
        return Layer(name, sections, unread={} if sections else dict.fromkeys(SECTIONS, problem)), [problem]
    unread: dict[str, Problem] = {}
    for wanted in SECTIONS:
        try:
            sections[wanted] = document.section(wanted)
        except SettingsError as error:
            if (path, wanted) in kept.sections:
                sections[wanted] = kept.sections[path, wanted]
            problems.append(_broken(error, wanted in sections))
            if wanted not in sections:
                unread[wanted] = problems[-1]
    return Layer(name, sections, unread=unread), [*problems, *_misplaced(document)]


def _misplaced(document: Document) -> Iterator[Problem]:
    """Yield sections whose name is misspelt, and settings that are outside of any; other names are pi's."""
    known = {section: {row.path[0] for row in TABLE if row.section == section} for section in SECTIONS}
    known[SHORT] = known[ORIGINAL]
    for name, value in document.root.items():
        if name in SECTIONS:
            continue
        spelled = get_close_matches(name.lower().replace("_", "-"), SECTIONS, 1, 0.85)
        if name in KEYS:
            yield Problem(
                f"{name} is ignored: it belongs in {ORIGINAL}", document.path, *document.position(name)
            )
        elif spelled and isinstance(value, Mapping) and known[spelled[0]] & value.keys():
            message = f'"{shown_name(name)}" is ignored: there is no such section; did you mean {spelled[0]}?'
            yield Problem(message, document.path, *document.position(name))


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Return the layer of the environment; blank counts as not set, digits as a number where one is due."""
    texts = {row.name: variable(environment, row.variable) for row in TABLE if row.variable}
    values: dict[str, object] = {name: text for name, text in texts.items() if text}
    index = texts["activeKeyIndex"]
    if DIGITS.fullmatch(index):
        values["activeKeyIndex"] = int(index)
    return _flat("environment", values)


def option_layer(options: Mapping[str, object]) -> Layer:
    """Return the layer of the command line; an option that is None was not given."""
    named = {row.name: options.get(row.field) for row in TABLE if row.field and not row.group}
    return _flat("option", {name: value for name, value in named.items() if value is not None})


def runtime_layer(runtime: Mapping[str, object]) -> Layer:
    """Return the layer of what the program decided while it runs."""
    return _flat("runtime", runtime)


def _flat(name: LayerName, values: Mapping[str, object]) -> Layer:
    return Layer(name, {section: Section(section, values) for section in (ORIGINAL, OURS)})


def _broken(error: SettingsError, kept: bool) -> Problem:
    return Problem.of(error, "; its last good content stays in use" if kept else "")
