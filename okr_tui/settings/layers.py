"""All layers into one Settings: option, environment, runtime, project, global, default, highest first.

A project's file comes with a checkout. Unless the user trusts it (trust.py), it brings favourites, theme and
keymap, and keys that are shown and not used; it decides nothing. The keys of a project that names a cloud of
its own go to no other.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from okr_tui.domain.addresses import NO_CLOUD, NO_KEY_IS_SENT
from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.policy import Policy
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.values import dataclass
from okr_tui.settings import locations, trust
from okr_tui.settings.checks import LONGEST_NAME, UnusableError, shown_name
from okr_tui.settings.json_edit import JsonPath
from okr_tui.settings.keys import added_by, collect, followed, holds_literal, key_origins
from okr_tui.settings.origin import Origin, Problem, Valued
from okr_tui.settings.pi import enabled_models
from okr_tui.settings.schema import Kept, Settings
from okr_tui.settings.sections import (
    MISSING,
    Layer,
    digest,
    environment_layer,
    file_layer,
    option_layer,
    runtime_layer,
)
from okr_tui.settings.table import (
    ANY,
    ORIGINAL,
    OURS,
    SECTIONS,
    SHORT,
    TABLE,
    ChatSettings,
    GatewayOptions,
    ModelSettings,
    Setting,
    unknown_names,
)

CLOUD_URL = "cloudUrl"
OTHERS = 0o077
KEYMAP = "keymap."
MOST_UNKNOWN = 20
"""Unknown names in one file that are reported one by one."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings are read from.

    options: by the names of Settings' fields: cloud_url, active_index, base_url, strategy, store, theme;
        None means not given.
    runtime: settings the program makes while it runs, by their names in the files, of all sections.
    named: the user named the global file, so that it is a mistake when there is none.
    asks: whether commands and the secret store are asked for keys; else those stay unknown, without a word.
    policy: numbers in place of those that the layers have, without their limits; for a simulated cloud.
    """

    global_file: Path
    project_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    runtime: Mapping[str, object] = field(default_factory=dict, repr=False)
    policy: Mapping[str, Any] = field(default_factory=dict, repr=False)
    named: bool = False
    asks: bool = True

    @property
    def project_file(self) -> Path:
        """The project's settings file: in the directory itself, never in one above it."""
        return locations.project_file(self.project_dir)


def load(sources: Sources, previous: Settings | None = None) -> Settings:
    """Read everything. What is wrong in it becomes problems; nothing is raised for that.

    previous: the last result. From it come the last good content of a file that is broken now, and the output
        of key commands whose text was not edited since; without it all commands are run.
    Blocks while files are read, and up to 10 seconds for each key command.
    """
    kept = previous.kept if previous else Kept()
    global_file = Path(os.path.abspath(sources.global_file))
    project_file = sources.project_file
    user, problems = file_layer("global", global_file, kept)
    project = Layer("project", {})
    # Run from the directory above the user's own file, the project's file is that very file.
    if os.path.realpath(project_file) != os.path.realpath(global_file):
        project, more = file_layer("project", project_file, kept)
        problems += more
    listed = user.values(OURS).get(trust.SETTING)
    problems += _missing(global_file, named=sources.named)
    if listed is not None and not trust.is_understood(listed):
        message = f"{trust.SETTING} must be a list of absolute paths; the rest is ignored"
        problems.append(Problem.at(user.origin(OURS, trust.SETTING), message))
    project_digest = trust.content(project)
    answer = trust.answer(listed, sources.project_dir, project_digest)
    project = replace(project, trusted=answer == "trusted")
    runtime = runtime_layer(sources.runtime)
    environment = environment_layer(sources.environment)
    pool_order = (user, project, runtime, environment)
    highest_first = (option_layer(sources.options), *reversed(pool_order))
    in_files = (user, project, runtime)

    remedy = f"the project is not trusted; if you know it, run okr-tui trust in {project_file.parent.parent}"
    chosen = {row.name: _choose(highest_first, row, problems, remedy) for row in _rows(in_files)}
    cloud = chosen["cloudUrl"].valued.value
    welcome = [layer for layer in pool_order if layer is not project or _may_join(project, cloud, problems)]
    pool = collect(welcome, sources.environment, kept.commands, asks=sources.asks)
    problems += pool.problems
    added = added_by(project, pool)
    if added and answer is None and project in welcome:
        message = f"{trust.keys_words(added)} off: {remedy}"
        problems.append(Problem.at(key_origins(project)[0], message, "warning"))
    favourites = enabled_models((project, user), problems)
    scrubber = Scrubber(key.secret.get_secret_value() for key in pool.keys)
    for layer in (user, project):
        problems += _repeated(layer, scrubber)
        problems += _unknown(layer, scrubber)
    index = chosen["activeKeyIndex"]
    decided_by = index.valued.origin
    by_file = decided_by.file is not None or decided_by.layer == "default"
    active = _active(index.valued, in_files, pool.keys, problems)
    values = {name: choice.valued for name, choice in chosen.items()} | {"activeKeyIndex": active}
    read = [layer.digest() for layer in highest_first]
    read.append(digest([favourites.value, favourites.origin.layer]))
    keys = [(key.fingerprint, key.label, key.origin) for key in pool.keys]
    paths = ((user, global_file), (project, project_file))
    loose = tuple(path for layer, path in paths if holds_literal(layer) and _is_open(path))
    return Settings(
        keys=tuple(pool.keys),
        key_sources=tuple(pool.sources),
        enabled_models=favourites,
        keymap=_keymap(values),
        policy=Policy(**_fields(values, "policy") | dict(sources.policy)),
        gateway=GatewayOptions(**_fields(values, "gateway")),
        chat=ChatSettings(**_fields(values, "chat")),
        alerts=AlertRules(**_fields(values, "alerts")),
        models=ModelSettings(**_fields(values, "models")),
        values=values,
        files=(global_file, project_file),
        global_file=global_file,
        project_file=project_file,
        project_trusted=answer == "trusted",
        project_refused=answer == "refused",
        project_digest=project_digest,
        project_wants=trust.wants(project, cloud, added),
        open_to_others=loose,
        problems=tuple(problems),
        index_target=decided_by.file or global_file,
        index_section=index.section if decided_by.file else ORIGINAL,
        index_shadow=None if by_file else _shadow_words(decided_by.describe()),
        signature=digest([read, keys, answer, loose, [problem.describe() for problem in problems]]),
        kept=_kept(user, project, pool.commands),
        **_fields(values, ""),
    )


def _missing(global_file: Path, *, named: bool) -> Iterator[Problem]:
    """Yield what is wrong where there is no global file, though the user `named` one or has no home."""
    if locations.NO_HOME in global_file.parents:
        yield Problem(locations.NO_SETTINGS)
    elif named and not global_file.exists():
        yield Problem(
            f"{global_file}: there is no such file, though --settings or OKR_TUI_SETTINGS names it",
            remedy="correct the path; okr-tui add-key creates the file",
        )


def _keymap(values: Mapping[str, Valued[Any]]) -> dict[str, str]:
    """Return the keys that are set for actions, by the action's name."""
    entries = (
        (name.removeprefix(KEYMAP), valued.value)
        for name, valued in values.items()
        if name.startswith(KEYMAP)
    )
    return {name: keys for name, keys in entries if keys is not None}


@dataclass(frozen=True, slots=True)
class _Choice:
    """The value that decides, and the section it was found in ("pi-ollama" for a default)."""

    valued: Valued[Any]
    section: str


def _rows(in_files: Sequence[Layer]) -> Iterator[Setting]:
    """Yield the rows whose value is chosen here, one for each name that a group of any names has."""
    for row in TABLE:
        if row.path[-1] == ANY:
            groups = [layer.values(row.section).get(row.group) for layer in in_files]
            names = dict.fromkeys(name for group in groups if isinstance(group, Mapping) for name in group)
            yield from (replace(row, name=f"{row.group}.{name}") for name in names)
        elif row.field:
            yield row


def _choose(layers: Iterable[Layer], row: Setting, problems: list[Problem], remedy: str) -> _Choice:
    """Take the first usable value; `layers` come highest first. Appends to `problems`.

    remedy: what to do about a value that is not taken from an untrusted layer, in words.
    """
    found: list[tuple[Any, Origin, str]] = []
    refused: list[tuple[Any, Origin]] = []
    for layer in layers:
        here: list[Any] = []
        for section in (SHORT, ORIGINAL) if row.section == ORIGINAL else (row.section,):
            written = layer.find(section, row.path)
            if written is MISSING:
                if row.name == CLOUD_URL and not found and layer.trusted and section in layer.unread:
                    # It may name a host of its own, and keys from elsewhere must not go to another.
                    unread = layer.unread[section]
                    found.append((NO_CLOUD, Origin(layer.name, unread.path), section))
                    warning = replace(unread, message=f"{unread.message}; {NO_KEY_IS_SENT}")
                    problems[problems.index(unread)] = warning
                continue
            origin = layer.origin(section, *row.path)
            try:
                value = row.check.parse(written)
            except UnusableError as error:
                if row.name == CLOUD_URL and not found and (layer.trusted or not row.needs_trust):
                    # Another host must not get the keys that were meant for this one.
                    found.append((NO_CLOUD, origin, section))
                    message = f"{CLOUD_URL} cannot be used: {error}; {NO_KEY_IS_SENT}"
                    problems.append(Problem.at(origin, message))
                    continue
                problems.append(Problem.at(origin, f"{_shown(row.name)} is ignored: {error}"))
                continue
            if value is None:
                continue
            if remark := row.check.remark(written):
                problems.append(Problem.at(origin, f"{_shown(row.name)}: {remark}", "warning"))
            if row.check.member:
                value = _members(layer, section, row, value, problems)
            if row.needs_trust and not layer.trusted:
                refused.append((value, origin))
                continue
            if here and here[0] != value:
                message = f'"{found[-1][2]}" sets another {row.name} than "{section}"; "{found[-1][2]}" wins'
                problems.append(Problem.at(origin, message, "warning"))
            here.append(value)
            found.append((value, origin, section))
    for value, origin in refused:
        # A value that holds anyway needs no trust.
        if value != (found[0][0] if found else row.default):
            problems.append(Problem.at(origin, f"{row.name} is ignored: {remedy}", "warning"))
    if not found:
        return _Choice(Valued(row.default, Origin("default")), ORIGINAL)
    value, origin, section = found[0]
    return _Choice(Valued(value, origin, tuple(other for _, other, _ in found[1:])), section)


def _repeated(layer: Layer, scrubber: Scrubber) -> Iterator[Problem]:
    """Yield the names that appear twice in a file or an object of its sections: only the last one counts."""
    document = layer.document
    if document is None:
        return
    inside = (path for name in SECTIONS for path in _objects(layer.values(name), (name,)))
    for path in ((), *inside):
        for name, again in document.repeated(path):
            within = f' in "{scrubber.mask_keys(_dotted(path))[:LONGEST_NAME]}"' if path else ""
            shown = scrubber.mask_keys(shown_name(name))
            message = f'"{shown}" appears there twice{within}; only the last one counts'
            yield Problem(message, document.path, *again)


def _objects(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every object in a value, the value itself included."""
    if isinstance(value, Mapping):
        yield path
        for name, inner in value.items():
            yield from _objects(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _objects(inner, (*path, index))


def _members(
    layer: Layer, section: str, row: Setting, value: Mapping[str, object], problems: list[Problem]
) -> dict[str, object]:
    """Return the usable members of a value that is an object. Appends to `problems`."""
    usable: dict[str, object] = {}
    assert row.check.member
    for name, item in value.items():
        try:
            usable[name] = row.check.member(name, item)
        except UnusableError as error:
            origin = layer.origin(section, *row.path, name)
            problems.append(Problem.at(origin, f"{row.name}.{shown_name(name)} is ignored: {error}"))
            if row.check.instead is not None:
                usable[name] = row.check.instead
    return usable


def _shown(name: str) -> str:
    """Return a setting's name, whose last part any text may be, at a length that can be shown."""
    group, _, member = name.partition(".")
    return f"{group}.{shown_name(member)}" if member else name


def _fields(values: Mapping[str, Valued[Any]], group: str) -> dict[str, Any]:
    """Return the values of a group by the fields of its class; those of no group with their locations."""
    rows = (row for row in TABLE if row.field and row.group == group)
    return {row.field: values[row.name].value if group else values[row.name] for row in rows}


def _unknown(layer: Layer, scrubber: Scrubber) -> Iterator[Problem]:
    """Yield what is not a setting in a section of this program, each with its location."""
    found = [
        (section, *each) for section in SECTIONS for each in unknown_names(section, layer.values(section))
    ]
    for section, path, why in found[:MOST_UNKNOWN]:
        name = scrubber.mask_keys(_dotted(path))
        yield Problem.at(_origin(layer, section, path), f"{name} is ignored: {why}")
    if len(found) > MOST_UNKNOWN:
        section, path, _ = found[MOST_UNKNOWN]
        origin = _origin(layer, section, path)
        yield Problem.at(origin, f"{len(found) - MOST_UNKNOWN} more names are not settings")


def _dotted(path: JsonPath) -> str:
    """Return a path as people write it, with items counted from 1."""
    return ".".join(str(part + 1) if isinstance(part, int) else shown_name(part) for part in path)


def _origin(layer: Layer, section: str, path: tuple[str | int, ...]) -> Origin:
    name, *inner = path
    return layer.origin(section, str(name), *inner)


def _may_join(project: Layer, cloud: str, problems: list[Problem]) -> bool:
    """Return whether a project's keys belong in the pool of the cloud in force."""
    if trust.keeps_its_keys(project, cloud):
        return True
    if origins := key_origins(project):
        message = "the project's keys are left out: they are for its own cloudUrl, which is not in effect"
        problems.append(Problem.at(origins[0], message, "warning"))
    return False


def _active(
    index: Valued[int], in_files: Sequence[Layer], keys: Sequence[Key], problems: list[Problem]
) -> Valued[int]:
    decider = next((layer for layer in in_files if layer.name == index.origin.layer), None)
    chosen = followed(index, decider.values(OURS), keys) if decider else None
    return chosen or _within(index, len(keys), problems)


def _within(index: Valued[int], size: int, problems: list[Problem]) -> Valued[int]:
    if not size:
        return replace(index, value=0)
    if index.value < size:
        return index
    used = index.value % size
    written = str(index.value)[:LONGEST_NAME]
    message = f"activeKeyIndex {written} is beyond the {size} keys; {used} (key {used + 1}) is used"
    problems.append(Problem.at(index.origin, message))
    return replace(index, value=used)


def _shadow_words(decider: str) -> str:
    return f"{decider} decides the active key; a saved choice takes effect only without it"


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & OTHERS)
    except OSError:
        return False  # gone, or its directory closed: then no other user can read it


def _kept(user: Layer, project: Layer, commands: Mapping[tuple[str, str], SecretStr]) -> Kept:
    sections = {
        (section.document.path, name): section
        for layer in (user, project)
        for name, section in layer.sections.items()
        if section.document
    }
    return Kept(sections, dict(commands))
