"""The settings as the program uses them: every value with where it came from, and what was wrong."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.policy import Policy
from okr_tui.domain.values import dataclass
from okr_tui.settings.json_edit import Section
from okr_tui.settings.origin import Origin, Problem, Valued
from okr_tui.settings.table import ChatSettings, GatewayOptions, ModelSettings, Scalars


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a key of the pool is configured, for those who change it there.

    `section` and `name` ("apiKeys" or "apiKey") say which value; `position` counts from 0 in a list or a
    comma-separated text, and is None for a value that is one key. `also` are where it is configured again.
    """

    origin: Origin
    section: str
    name: str
    position: int | None
    reference: SecretStr = field(repr=False)
    also: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a reload falls back on: the last good sections, and what key commands printed."""

    sections: Mapping[tuple[Path, str], Section] = field(default_factory=dict, repr=False)
    commands: Mapping[tuple[str, str], SecretStr] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings(Scalars):
    """Everything the user configured, merged. No text form of it shows a secret.

    keys, key_sources: the pool in order, and where each key of it is configured.
    active_index: from 0, always within the pool; 0 when the pool is empty.
    enabled_models: pi's favourite models as written, none when all are meant (domain/models.py).
    keymap, policy, gateway, chat, alerts, models: checked, the project's members over the global ones. The
        chat may hold secrets of tool servers, so no text form of the settings shows it.
    values: every setting that is a row of the table, by its name; those of `keymap` as far as they are set.
    files: every file looked at, whether it exists or not.
    project_trusted, project_refused: the answer in the global file's `okr-tui.trustedProjects`, if any.
    project_digest: SHA-256 of the project file's content that was read; "" when there is none to speak of.
    project_wants: what it asks for that only a trusted one gets, in words.
    open_to_others: files with keys in them that other users of the machine may read or write.
    index_target, index_section: the file and section where a new activeKeyIndex takes effect.
    index_shadow: words for the user when none does, because an option or a variable decides.
    signature: equal for equal content of all that was read, wherever in the files it is.
    """

    keys: tuple[Key, ...]
    key_sources: tuple[KeySource, ...]
    enabled_models: Valued[tuple[str, ...]]
    keymap: Mapping[str, str]
    policy: Policy
    gateway: GatewayOptions
    chat: ChatSettings = field(repr=False)
    alerts: AlertRules
    models: ModelSettings
    values: Mapping[str, Valued[Any]] = field(repr=False)
    files: tuple[Path, ...]
    global_file: Path
    project_file: Path
    project_trusted: bool
    project_refused: bool
    project_digest: str
    project_wants: tuple[str, ...]
    open_to_others: tuple[Path, ...]
    problems: tuple[Problem, ...]
    index_target: Path
    index_section: str
    index_shadow: str | None
    signature: str
    kept: Kept = field(default_factory=Kept, repr=False, compare=False)
