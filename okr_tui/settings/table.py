"""The table of settings. A setting is one row here; all else about it is derived.

From the rows come the reading and merging of layers (layers.py), the lines of the settings screen and of
`doctor`, editing from the program, unknown names with the nearest known one, the JSON Schema, and README's
tables. A number of the pool's policy is a row by its line in domain/policy.py.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, replace
from typing import Any, Final, Literal, get_args

from okr_tui.domain.addresses import url
from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.policy import STRATEGIES, Policy
from okr_tui.domain.usage import Budget
from okr_tui.domain.values import dataclass
from okr_tui.settings import checks
from okr_tui.settings.alerts import ALERTS, BUDGETS, HOOKS
from okr_tui.settings.checks import (
    Check,
    UnusableError,
    as_text,
    cloud_url,
    nearest,
    object_of,
    one_of,
    or_null,
    shown_name,
    whole_number,
)
from okr_tui.settings.origin import Origin, Valued

SERVER_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
MEMBERS: Final = ("command", "args", "env", "cwd", "url", "headers", "type")


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server of tools: a program to start, or an address. Values of `env` and `headers` are references."""

    name: str
    command: str = ""
    arguments: tuple[str, ...] = ()
    folder: str | None = None
    url: str = ""
    env: Mapping[str, SecretStr] = field(default_factory=dict)
    headers: Mapping[str, SecretStr] = field(default_factory=dict)


def tool_server(name: str, entry: object) -> ToolServer:
    """Return the server of that name. Raises UnusableError."""
    if not SERVER_NAME.fullmatch(name):
        raise UnusableError("its name must be up to 32 letters, digits, - and _")
    if not isinstance(entry, Mapping) or ("command" in entry) == ("url" in entry):
        raise UnusableError("it must be an object with a command or a url")
    if unknown := sorted(set(entry) - set(MEMBERS)):
        raise UnusableError(
            f"{shown_name(unknown[0])} is not a setting of a tool server{nearest(unknown[0], MEMBERS)}"
        )
    if "url" in entry:
        return ToolServer(name, url=_url(entry["url"]), headers=_secrets(entry, "headers"))
    command, arguments, folder = entry["command"], entry.get("args", []), entry.get("cwd")
    if not isinstance(command, str) or not command.strip():
        raise UnusableError("command must be text")
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise UnusableError("args must be a list of strings")
    if folder is not None and not isinstance(folder, str):
        raise UnusableError("cwd must be text")
    return ToolServer(name, command, tuple(arguments), folder, env=_secrets(entry, "env"))


def _url(value: object) -> str:
    # Its headers may carry secrets, so it has to be as safe as the cloud's.
    try:
        url = cloud_url(value)
    except UnusableError as error:
        raise UnusableError(f"its url: {error}") from None
    if url is None:
        raise UnusableError("url must be text")
    return url


def _secrets(entry: Mapping[str, object], name: str) -> dict[str, SecretStr]:
    values = entry.get(name, {})
    if not isinstance(values, Mapping) or not all(isinstance(value, str) for value in values.values()):
        raise UnusableError(f"{name} must be an object of strings")
    return {key: SecretStr(value) for key, value in values.items()}


def _names(servers: Mapping[str, ToolServer]) -> str:
    """Return the names alone: what the servers are given may be secret."""
    return as_text(list(servers))


_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "command": {"type": "string"},
        "args": {"type": "array", "items": {"type": "string"}},
        "env": _TEXTS,
        "cwd": {"type": ["string", "null"]},
        "url": {"type": "string"},
        "headers": _TEXTS,
        "type": {},
    },
    "oneOf": [{"required": ["command"]}, {"required": ["url"]}],
    "additionalProperties": False,
}

TOOL_SERVERS: Final[Check] = object_of(tool_server, _SCHEMA, "tool servers", shown=_names)


ORIGINAL: Final = "pi-ollama"
SHORT: Final = "ollama"
OURS: Final = "okr-tui"
SECTIONS: Final = (ORIGINAL, SHORT, OURS)
ROW: Final = "setting"
ANY: Final = "*"

Confirm = Literal["ask", "always", "never"]
CONFIRMS: Final[tuple[str, ...]] = get_args(Confirm)
BUILT_IN: Final = ("web_search", "web_fetch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A row of the table.

    name: as the file has it, with the group in front: "strategy", "gateway.port"; "keymap.*" is any name.
    check, default: what is accepted, and what holds without it.
    words: what it is, for README and editors; "" for what the program alone writes.
    section: "pi-ollama" for what the original reads too, else "okr-tui".
    field: the attribute that holds it, of Settings or of its group's class; also the option's name.
    variable: the variable of the environment that sets it; "" for none.
    needs_trust: whether a project's file sets it only when the user trusts that file.
    editable: whether the program changes it one by one, in the file that decides.
    path: the names that lead to the value within its section.
    group: the object of the section that holds the value; "" for one in the section itself.
    """

    name: str
    check: Check
    default: Any = None
    words: str = ""
    section: str = OURS
    field: str = ""
    variable: str = ""
    needs_trust: bool = False
    editable: bool = False
    # Kept, because one reading of the settings asks for them thousands of times.
    path: tuple[str, ...] = dataclasses.field(init=False)
    group: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Take the name apart."""
        path = tuple(self.name.split(".", 1))
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "group", path[0] if len(path) > 1 else "")

    @property
    def option(self) -> str:
        """The option of the command line, as people write it."""
        return "--" + self.field.replace("_", "-")


def _scalar(name: str, check: Check, default: object, words: str, **more: Any) -> Any:
    """Declare a setting whose origin is kept with its value."""
    row = Setting(name=name, check=check, default=default, words=words, **more)
    return field(default=Valued(default, Origin("default")), metadata={ROW: row})


def _member(name: str, check: Check, default: object, words: str) -> Any:
    """Declare a setting of a group."""
    row = Setting(name=name, check=check, default=default, words=words)
    return field(default_factory=lambda: default, metadata={ROW: row})


@dataclass(frozen=True, kw_only=True)
class Scalars:
    """The settings in a section itself, each with its origin."""

    cloud_url: Valued[str] = _scalar(
        "cloudUrl",
        checks.CLOUD_URL,
        "https://ollama.com",
        "the cloud's address; https, or http on this machine",
        section=ORIGINAL,
        variable="OLLAMA_HOST_CLOUD",
        needs_trust=True,
    )
    active_index: Valued[int] = _scalar(
        "activeKeyIndex",
        whole_number(0),
        0,
        "the preferred key, counted from 0",
        section=ORIGINAL,
        variable="OLLAMA_ACTIVE_KEY_INDEX",
        needs_trust=True,
    )
    base_url: Valued[str] = _scalar(
        "baseUrl",
        checks.BASE_URL,
        "http://localhost:11434",
        "the address of the local Ollama daemon",
        section=ORIGINAL,
        variable="OLLAMA_HOST",
        needs_trust=True,
    )
    strategy: Valued[str] = _scalar(
        "strategy",
        one_of(STRATEGIES),
        "sticky",
        "`sticky`, `drain`, `headroom`, `round-robin` or `pinned`",
        needs_trust=True,
        editable=True,
    )
    store: Valued[str | None] = _scalar(
        "store",
        checks.STORE,
        None,
        "where the log lives: `sqlite:PATH`, `memory:`, or for several machines `redis://HOST` or "
        "`rediss://HOST` of a Redis or Valkey server, also `valkey://`, `valkeys://` and `unix://SOCKET` "
        "(extra `redis`)",
        variable="OKR_TUI_STORE",
        needs_trust=True,
    )
    person: Valued[str | None] = _scalar(
        "name",
        checks.PERSON,
        None,
        "what records on a shared log call you; `someone` without it",
        needs_trust=True,
        editable=True,
    )
    theme: Valued[str | None] = _scalar(
        "theme", checks.TEXT, None, "the theme of the dashboard, by name", editable=True
    )
    hooks: Valued[Mapping[str, str]] = _scalar(
        "hooks",
        HOOKS,
        {},
        "what to do on an alert: an event, or `*` for all, and a command line or an https address; it gets "
        "the alert as JSON on standard input, or as the body",
        needs_trust=True,
    )
    budgets: Valued[Mapping[str, Budget]] = _scalar(
        "budgets",
        BUDGETS,
        {},
        'tokens a day by client or model: `{"laptop": {"tokensPerDay": 2000000, "hard": false}}`; a hard '
        "budget is enforced by the gateway, the others warn",
        needs_trust=True,
    )


APPS: Final = ("app://*", "file://", "tauri://*", "vscode-webview://*", "vscode-file://*")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Where the gateway listens, and whether the dashboard starts it."""

    host: str = _member(
        "host",
        checks.HOST,
        "127.0.0.1",
        "the address to listen on; one that other machines reach also needs `serve --expose`",
    )
    port: int = _member("port", checks.PORT, 11435, "the port; 0 takes a free one")
    daemon_port: int | None = _member(
        "daemonPort",
        or_null(checks.PORT),
        None,
        "a second port for an `ollama` daemon, which signs what it sends; none by default",
    )
    autostart: bool = _member(
        "autostart",
        checks.BOOLEAN,
        False,
        "`true`: the dashboard starts the gateway unless another process runs one",
    )

    hosts: tuple[str, ...] = _member(
        "hosts",
        checks.HOST_NAMES,
        (),
        'more host names it answers under: `["okr.example", "*.ts.net"]`; an exposed one also answers under '
        "`*.internal` (`host.docker.internal`) and `*.local`",
    )
    origins: tuple[str, ...] = _member(
        "origins",
        checks.ORIGINS,
        APPS,
        'apps and pages that may use it, with the token: `["https://chat.example", "chrome-extension://*"]`; '
        "by default the same apps as Ollama allows (Obsidian, Tauri, VS Code)",
    )
    proxies: tuple[str, ...] = _member(
        "proxies",
        checks.NETWORKS,
        (),
        'reverse proxies before it: `["127.0.0.1", "10.0.0.0/8"]`; only what these say of a caller is '
        "believed (`Forwarded`, `X-Forwarded-For`, `-Proto`, `-Host`)",
    )
    grace_seconds: int = _member(
        "graceSeconds",
        whole_number(0, 600),
        30,
        "how many seconds running answers have to finish when `serve` ends; those left then get an error",
    )

    @property
    def url(self) -> str:
        """The address that clients on this machine use."""
        return url(self.host, self.port)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Other names of models, and what answers where no key can."""

    aliases: Mapping[str, str] = _member(
        "aliases",
        checks.ALIASES,
        {},
        'names of your own, for the gateway and the chat: `{"fast": "gpt-oss:20b"}`',
    )
    fallback: Mapping[str, tuple[str, ...]] = _member(
        "fallback",
        checks.FALLBACK,
        {},
        'what answers instead when no key can: `{"kimi-k3": ["glm-5.2", "local:llama3.2"], "*": [...]}`; '
        "none by default",
    )
    local: str = _member(
        "local",
        checks.LOCAL,
        "http://127.0.0.1:11434",
        "the Ollama of `local:` models; no key is ever sent there",
    )


def _confirm(_name: str, value: object) -> Confirm:
    if value not in CONFIRMS:
        raise UnusableError(f"it must be one of {', '.join(CONFIRMS)}; ask is used")
    return value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat may do: which tools models may call, who confirms a call, how often."""

    tools: bool | tuple[str, ...] = _member(
        "tools",
        checks.TOOL_NAMES,
        False,
        "`true`, or a list of tools and tool servers; `false` is the default",
    )
    confirm: Mapping[str, Confirm] = _member(
        "confirm",
        object_of(_confirm, {"enum": [*CONFIRMS]}, "tools and who confirms them", instead="ask"),
        {},
        "by tool or server: `ask` before each call, `always` allow it, `never` offer it; built-in ones are "
        "allowed, those of servers ask",
    )
    servers: Mapping[str, ToolServer] = _member(
        "mcpServers",
        TOOL_SERVERS,
        {},
        "servers by name, in the usual form: `command`, `args`, `env`, `cwd`, or `url`, `headers`",
    )
    rounds: int = _member(
        "maxToolRounds",
        whole_number(1, 50),
        8,
        "how often tool results may go back to the model per question; 8 by default",
    )

    def confirms(self, tool: str, server: str | None = None) -> Confirm:
        """Return whether a person confirms calls of a tool: by its name, its server's, else by its kind."""
        for name in (tool, server):
            if name is not None and name in self.confirm:
                return self.confirm[name]
        return "always" if tool in BUILT_IN and server is None else "ask"

    def offers(self, name: str) -> bool:
        """Return whether a built-in tool or a tool server is among the chosen."""
        return isinstance(self.tools, bool) or name in self.tools


def _policy_rows() -> Iterator[Setting]:
    defaults = Policy()
    for name in checks.NAMES:
        written = checks.WRITTEN.get(name, name)
        yield Setting(name=written, check=checks.number(name), default=getattr(defaults, name), field=name)


def _alert_rows() -> Iterator[Setting]:
    defaults = AlertRules()
    for row in ALERTS:
        default = getattr(defaults, row.field)
        yield Setting(name=row.name, check=row.check, default=default, words=row.words, field=row.field)


def _rows(of: type[Any]) -> Iterator[Setting]:
    for declared in fields(of):
        yield replace(declared.metadata[ROW], field=declared.name)


def _grouped(group: str, rows: Iterator[Setting], **more: Any) -> Iterator[Setting]:
    for row in rows:
        yield replace(row, name=f"{group}.{row.name}", **more)


GROUPS: Final[Mapping[str, str]] = {
    "policy": "the numbers of the pool's policy, by name",
    "keymap": "other keys for actions, by the action's name",
    "gateway": "where the gateway listens",
    "chat": "what the chat may do",
    "alerts": "when and how you are alerted",
    "models": "other names for models, and what answers when no key can",
}
"""The objects in the section `okr-tui` that hold settings of their own, and what each is for."""

TABLE: Final[tuple[Setting, ...]] = (
    Setting(
        name="apiKeys",
        check=checks.API_KEYS,
        words="the pool, in order; a key, or a list of keys",
        section=ORIGINAL,
        variable="OLLAMA_API_KEYS",
    ),
    Setting(
        name="apiKey",
        check=checks.API_KEY,
        words="one more key, after those of `apiKeys`",
        section=ORIGINAL,
        variable="OLLAMA_API_KEY",
    ),
    *_rows(Scalars),
    Setting(
        name="trustedProjects",
        check=checks.TRUSTED_PROJECTS,
        words="answers to `okr-tui trust`; a bare path trusts that project's file whatever it contains",
    ),
    Setting(name="activeKeyFingerprint", check=checks.TEXT),
    Setting(name="activeKeyFingerprintIndex", check=whole_number(0)),
    Setting(name=f"keymap.{ANY}", check=checks.KEYS_OF_ACTION, editable=True),
    *_grouped("gateway", _rows(GatewayOptions), needs_trust=True, editable=True),
    *_grouped("chat", _rows(ChatSettings), needs_trust=True),
    *_grouped("models", _rows(ModelSettings), needs_trust=True, editable=True),
    *_grouped("policy", _policy_rows(), needs_trust=True, editable=True),
    *_grouped("alerts", _alert_rows(), needs_trust=True, editable=True),
)
BY_NAME: Final[Mapping[str, Setting]] = {row.name: row for row in TABLE}


def find(name: str) -> Setting | None:
    """Return the row of a setting by its whole name, "gateway.port" or "keymap.rotate"; None if unknown."""
    if found := BY_NAME.get(name):
        return found
    group, _, member = name.partition(".")
    row = BY_NAME.get(f"{group}.{ANY}")
    return replace(row, name=name) if row and member else None


FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "apiKeys": ("key", "label"),
    "apiKey": ("key", "label"),
    "trustedProjects": ("path", "sha256", "trusted"),
}
"""What the entries of these settings may hold."""
Unknown = tuple[tuple[str | int, ...], str]
"""The path to something unknown within its section, and what is wrong."""


def unknown_names(section: str, values: Mapping[str, object]) -> Iterator[Unknown]:
    """Yield what in a section is no setting, nor a field of an entry of one."""
    yield from _unknown_ours(values) if section == OURS else _unknown_original(section, values)
    for name in (name for name in FIELDS if name in values):
        value = values[name]
        for position, entry in enumerate(value) if isinstance(value, list) else [(None, value)]:
            inner = () if position is None else (position,)
            for field_name in entry if isinstance(entry, Mapping) else ():
                if field_name not in FIELDS[name]:
                    words = nearest(field_name, FIELDS[name])
                    yield (name, *inner, field_name), f"an entry has no such field{words}"


def _unknown_original(section: str, values: Mapping[str, object]) -> Iterator[Unknown]:
    known = [row.name for row in TABLE if row.section == ORIGINAL]
    for name in (name for name in values if name not in known):
        if name in BY_NAME or name in GROUPS:
            yield (name,), f"it belongs in {OURS}"
        elif (words := nearest(name, known)) or section == ORIGINAL:
            # Some other program may use the short name for settings of its own.
            yield (name,), f"there is no such setting{words}"


def _unknown_ours(values: Mapping[str, object]) -> Iterator[Unknown]:
    for name, value in values.items():
        if name in GROUPS and not isinstance(value, Mapping):
            yield (name,), "it must be an object {...}"
        elif name in GROUPS and isinstance(value, Mapping):
            for member in value:
                if find(f"{name}.{member}") is None:
                    yield (name, member), _no_such(member, name)
        elif "." in name or name not in BY_NAME or BY_NAME[name].section != OURS:
            elsewhere = name in BY_NAME and not BY_NAME[name].group
            yield (name,), f"it belongs in {ORIGINAL}" if elsewhere else _no_such(name)


def _no_such(name: str, group: str = "") -> str:
    """Return what is wrong with a name, and the nearest one of its group, or the same one elsewhere."""
    ours = [row for row in TABLE if row.section == OURS and row.words + row.group and row.path[-1] != ANY]
    inside = [*GROUPS] if not group else []
    inside += [row.path[-1] for row in ours if row.group == group]
    wrong = "there is no such setting"
    if words := nearest(name, inside):
        return wrong + words
    elsewhere = [row.name for row in ours if row.path[-1].lower() == name.lower()]
    return f"{wrong}; did you mean {elsewhere[0]}?" if elsewhere else wrong


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a settings file; other programs' settings in it are free."""
    numbers = checks.schemas()
    sections: dict[str, Any] = {
        ORIGINAL: {"type": "object", "properties": {}},
        OURS: {"type": "object", "properties": {}, "additionalProperties": False},
    }
    for row in TABLE:
        holder = sections[row.section]["properties"]
        if row.group:
            holder = holder.setdefault(
                row.group,
                {
                    "type": "object",
                    "description": GROUPS[row.group],
                    "properties": {},
                    "additionalProperties": False,
                },
            )
        if row.path[-1] == ANY:
            holder["additionalProperties"] = dict(row.check.schema)
            continue
        if row.group:
            holder = holder["properties"]
        description = {"description": row.words} if row.words else {}
        schema = numbers[row.field] if row.group == "policy" else row.check.schema
        holder[row.path[-1]] = {**schema, **description}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of okr-tui",
        "type": "object",
        "properties": {
            ORIGINAL: sections[ORIGINAL],
            SHORT: {"$ref": f"#/properties/{ORIGINAL}"},
            OURS: sections[OURS],
        },
    }
