"""All layers into one Settings: option, environment, runtime, project, global, default, highest first.

A project's file comes with a checkout, so it cannot choose where keys or the log go, nor run commands, unless
the user trusts it (trust.py). The keys of a project that names a cloud of its own go to no other.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from okr_tui.domain.keys import Key, SecretStr
from okr_tui.settings import trust, values
from okr_tui.settings.keys import followed
from okr_tui.settings.pi import enabled_models
from okr_tui.settings.pool import collect, holds_literal, key_places
from okr_tui.settings.schema import Kept, Origin, Problem, Settings, Valued
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
OTHERS = 0o077


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
    """The user's settings file: OKR_TUI_SETTINGS, else in pi's folder."""
    if own := environment.get("OKR_TUI_SETTINGS", "").strip():
        return _expanded(own, environment)
    return agent_folder(environment) / "settings.json"


def agent_folder(environment: Mapping[str, str]) -> Path:
    """Where pi keeps its files: PI_CODING_AGENT_DIR, else ~/.pi/agent."""
    return _expanded(environment.get("PI_CODING_AGENT_DIR", "").strip() or "~/.pi/agent", environment)


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
    project = Layer("project", {})
    # Run from the directory above the user's own file, the project's file is that very file.
    if os.path.realpath(project_file) != os.path.realpath(global_file):
        project, more = file_layer("project", project_file, kept)
        problems += more
    listed = user.values(OURS).get(trust.SETTING)
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

    scalar, own = (SHORT, ORIGINAL), (OURS,)
    remedy = f"the project is not trusted; if you know it, run okr-tui trust in {project_file.parent.parent}"
    cloud = values.choose(
        highest_first, "cloudUrl", scalar, values.cloud_url, CLOUD_URL, problems, needs_trust=remedy
    )
    welcome = [layer for layer in pool_order if layer is not project or _may_join(project, cloud, problems)]
    pool = collect(welcome, sources.environment, kept.commands)
    problems += pool.problems
    index = values.choose(highest_first, "activeKeyIndex", scalar, values.index, 0, problems)
    base = values.choose(highest_first, "baseUrl", scalar, values.base_url, BASE_URL, problems)
    strategy = values.choose(highest_first, "strategy", own, values.strategy, STRATEGY, problems)
    store = values.choose(highest_first, "store", own, values.text, None, problems, needs_trust=remedy)
    theme = values.choose(highest_first, "theme", own, values.text, None, problems)
    favourites = enabled_models((project, user), problems)
    decided_by = index.valued.origin
    by_file = decided_by.file is not None or decided_by.layer == "default"
    keymap, keymap_origins = _merged(in_files, "keymap", problems)
    policy, policy_origins = _merged(in_files, "policy", problems)
    vouched = [layer for layer in in_files if layer.trusted]
    gateway, gateway_origins = _merged(vouched, "gateway", problems)
    # It may start programs and let the model call them unasked.
    chat, chat_origins = _merged(vouched, "chat", problems)
    active = _active(index.valued, in_files, pool.keys, problems)
    read = [layer.digest() for layer in highest_first]
    read.append(digest([favourites.value, favourites.origin.layer]))
    keys = [(key.fingerprint, key.label, key.origin) for key in pool.keys]
    paths = ((user, global_file), (project, project_file))
    loose = tuple(path for layer, path in paths if holds_literal(layer) and _is_open(path))
    return Settings(
        keys=tuple(pool.keys),
        places=tuple(pool.places),
        cloud_url=cloud.valued,
        active_index=active,
        base_url=base.valued,
        strategy=strategy.valued,
        store=store.valued,
        theme=theme.valued,
        enabled_models=favourites,
        keymap=_texts(keymap, keymap_origins, problems),
        policy=policy,
        gateway=gateway,
        chat=chat,
        files=(global_file, project_file),
        global_file=global_file,
        project_file=project_file,
        project_trusted=answer == "trusted",
        project_refused=answer == "refused",
        project_digest=project_digest,
        project_wants=trust.wants(project, cloud.valued.value),
        open_to_others=loose,
        origins=keymap_origins | policy_origins | gateway_origins | chat_origins,
        problems=tuple(problems),
        index_target=decided_by.file or global_file,
        index_section=index.section if decided_by.file else ORIGINAL,
        index_shadow=None if by_file else _shadow_words(decided_by.describe()),
        signature=digest([read, keys, answer, loose, [problem.describe() for problem in problems]]),
        kept=_kept(user, project, pool.commands),
    )


def _expanded(path: str, environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME") or str(Path.home())
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return Path(os.path.abspath(path))


def _may_join(project: Layer, cloud: values.Choice[str], problems: list[Problem]) -> bool:
    """Whether a project's keys belong in the pool of the cloud in force."""
    if trust.keeps_its_keys(project, cloud.valued.value):
        return True
    if places := key_places(project):
        message = "the project's keys are left out: they are for its own cloudUrl, which is not in force"
        problems.append(Problem.at(places[0], message))
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
    message = f"activeKeyIndex {index.value} is beyond the {size} keys; {used} (key {used + 1}) is used"
    problems.append(Problem.at(index.origin, message))
    return replace(index, value=used)


def _shadow_words(decider: str) -> str:
    return f"{decider} decides the active key; a saved choice takes effect only without it"


def _merged(
    layers: Sequence[Layer], name: str, problems: list[Problem]
) -> tuple[dict[str, object], dict[str, tuple[Origin, ...]]]:
    """The members of an object from all layers, the later over the earlier, and the places of each."""
    merged: dict[str, object] = {}
    origins: dict[str, tuple[Origin, ...]] = {}
    for layer in layers:
        value = layer.values(OURS).get(name)
        if isinstance(value, Mapping):
            merged |= value
            for member in value:
                place = layer.origin(OURS, name, member)
                origins[f"{name}.{member}"] = (place, *origins.get(f"{name}.{member}", ()))
        elif value is not None:
            origin = layer.origin(OURS, name)
            problems.append(Problem.at(origin, f"{name} is ignored: it must be an object {{...}}"))
    return merged, origins


def _texts(
    keymap: Mapping[str, object], origins: Mapping[str, tuple[Origin, ...]], problems: list[Problem]
) -> dict[str, str]:
    usable = {name: key for name, key in keymap.items() if isinstance(key, str)}
    for name in sorted(keymap.keys() - usable.keys()):
        message = f'keymap.{name[:40]} is ignored: it must be text, such as "ctrl+r" or "r,f5"'
        problems.append(Problem.at(origins[f"keymap.{name}"][0], message))
    return usable


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & OTHERS)
    except OSError:
        return False  # gone, or its directory closed: then it is open to nobody


def _kept(user: Layer, project: Layer, commands: Mapping[tuple[str, str], SecretStr]) -> Kept:
    sections = {
        (section.document.path, name): section
        for layer in (user, project)
        for name, section in layer.sections.items()
        if section.document
    }
    return Kept(sections, dict(commands))
