"""All layers into one Settings: option, environment, runtime, project, global, default, highest first.

A project's file comes with a checkout, so it cannot choose where keys or the log go, nor run commands, unless
the user's own file lists the project in `okr-tui.trustedProjects`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from okr_tui.settings import values
from okr_tui.settings.pool import collect
from okr_tui.settings.schema import Kept, Problem, Settings, Valued
from okr_tui.settings.sections import (
    ORIGINAL,
    OURS,
    SHORT,
    Layer,
    digest,
    environment_layer,
    file_layer,
    option_layer,
    runtime_layer,
)

CLOUD_URL = "https://ollama.com"
BASE_URL = "http://localhost:11434"
STRATEGY = "sticky"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings are read from.

    options: by the names of Settings' fields: cloud_url, active_index, base_url, strategy, store, theme;
        None means not given.
    runtime: settings the program makes while it runs, by their names in the files, of all sections.
    """

    global_file: Path
    project_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    runtime: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def project_file(self) -> Path:
        """The project's settings file: in the directory itself, never in one above it."""
        return Path(os.path.abspath(self.project_dir)) / ".pi" / "settings.json"


def default_global_file(environment: Mapping[str, str]) -> Path:
    """The user's settings file: OKR_TUI_SETTINGS, else in PI_CODING_AGENT_DIR, else in ~/.pi/agent."""
    home = environment.get("HOME") or str(Path.home())
    if own := environment.get("OKR_TUI_SETTINGS", "").strip():
        return _expanded(own, home)
    agent = environment.get("PI_CODING_AGENT_DIR", "").strip() or "~/.pi/agent"
    return _expanded(agent, home) / "settings.json"


def load(sources: Sources, previous: Settings | None = None) -> Settings:
    """Read everything. What the user got wrong becomes problems; it never raises for that.

    previous: the last result. From it come the last good content of a file that is broken now, and the output
        of key commands whose text was not edited since; without it all commands are run.
    Blocks while files are read, and up to 10 seconds for each key command.
    """
    kept = previous.kept if previous else Kept()
    global_file = Path(os.path.abspath(sources.global_file))
    project_file = sources.project_file
    user, problems = file_layer("global", global_file, kept)
    trusted = _is_trusted(sources.project_dir, user, problems)
    project = Layer("project", {})
    # Run from the directory above the user's own file, the project's file is that very file.
    if os.path.realpath(project_file) != os.path.realpath(global_file):
        project, more = file_layer("project", project_file, kept)
        problems += more
    project = replace(project, trusted=trusted)
    runtime = runtime_layer(sources.runtime)
    environment = environment_layer(sources.environment)
    pool_order = (user, project, runtime, environment)
    highest_first = (option_layer(sources.options), *reversed(pool_order))
    in_files = (user, project, runtime)

    pool = collect(pool_order, sources.environment, kept.commands)
    problems += pool.problems
    scalar, own = (SHORT, ORIGINAL), (OURS,)
    remedy = (
        f"the project is not trusted; to use it, add its directory, {project_file.parent.parent}, to "
        f"{OURS}.trustedProjects in {global_file}"
    )
    cloud = values.choose(
        highest_first, "cloudUrl", scalar, values.cloud_url, CLOUD_URL, problems, needs_trust=remedy
    )
    index = values.choose(highest_first, "activeKeyIndex", scalar, values.index, 0, problems)
    base = values.choose(highest_first, "baseUrl", scalar, values.base_url, BASE_URL, problems)
    strategy = values.choose(highest_first, "strategy", own, values.strategy, STRATEGY, problems)
    store = values.choose(highest_first, "store", own, values.text, None, problems, needs_trust=remedy)
    theme = values.choose(highest_first, "theme", own, values.text, None, problems)
    decided_by = index.valued.origin
    by_file = decided_by.file is not None or decided_by.layer == "default"
    keymap = _keymap(in_files, problems)
    policy = _merged(in_files, "policy", problems)
    gateway = _merged([layer for layer in in_files if layer.trusted], "gateway", problems)
    active = _within(index.valued, len(pool.keys), problems)
    read = [layer.digest() for layer in highest_first]
    keys = [(key.fingerprint, key.label, key.origin) for key in pool.keys]
    return Settings(
        keys=tuple(pool.keys),
        places=tuple(pool.places),
        cloud_url=cloud.valued,
        active_index=active,
        base_url=base.valued,
        strategy=strategy.valued,
        store=store.valued,
        theme=theme.valued,
        keymap=keymap,
        policy=policy,
        gateway=gateway,
        files=(global_file, project_file),
        global_file=global_file,
        project_file=project_file,
        project_trusted=trusted,
        problems=tuple(problems),
        index_target=decided_by.file or global_file,
        index_section=index.section if decided_by.file else ORIGINAL,
        index_shadow=None if by_file else _shadow_words(decided_by.describe()),
        signature=digest([read, keys, trusted, [problem.describe() for problem in problems]]),
        kept=_kept(user, project, pool.commands),
    )


def _expanded(path: str, home: str) -> Path:
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return Path(os.path.abspath(path))


def _is_trusted(project: Path, user: Layer, problems: list[Problem]) -> bool:
    listed = user.values(OURS).get("trustedProjects", [])
    usable = [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or not all(os.path.isabs(item) for item in usable) or usable != listed:
        origin = user.origin(OURS, "trustedProjects")
        problems.append(
            Problem.at(origin, "trustedProjects must be a list of absolute paths; the rest is ignored")
        )
    real = os.path.realpath(project)
    return any(os.path.isabs(item) and os.path.realpath(item) == real for item in usable)


def _within(index: Valued[int], size: int, problems: list[Problem]) -> Valued[int]:
    if not size:
        return replace(index, value=0)
    if index.value < size:
        return index
    used = index.value % size
    message = f"activeKeyIndex {index.value} is beyond the {size} keys; {used} (key {used + 1}) is used"
    problems.append(Problem.at(index.origin, message))
    return replace(index, value=used)


def _shadow_words(decider: str) -> str:
    return f"{decider} decides the active key; a saved choice takes effect only without it"


def _merged(layers: Sequence[Layer], name: str, problems: list[Problem]) -> dict[str, object]:
    merged: dict[str, object] = {}
    for layer in layers:
        value = layer.values(OURS).get(name)
        if isinstance(value, Mapping):
            merged |= value
        elif value is not None:
            origin = layer.origin(OURS, name)
            problems.append(Problem.at(origin, f"{name} is ignored: it must be an object {{...}}"))
    return merged


def _keymap(layers: Sequence[Layer], problems: list[Problem]) -> dict[str, str]:
    merged = _merged(layers, "keymap", problems)
    usable = {name: key for name, key in merged.items() if isinstance(key, str)}
    if len(usable) < len(merged):
        problems.append(Problem(f"keymap: what is not text is ignored ({len(merged) - len(usable)})"))
    return usable


def _kept(user: Layer, project: Layer, commands: Mapping[tuple[str, str], SecretStr]) -> Kept:
    sections = {
        (section.document.path, name): section
        for layer in (user, project)
        for name, section in layer.sections.items()
        if section.document
    }
    return Kept(sections, dict(commands))
