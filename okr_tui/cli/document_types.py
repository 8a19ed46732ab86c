"""The types of the documents of `--json`, from which their published JSON Schemas are made.

`python -m screenshots.schemas` writes them to `schemas/`, one for each verb; tests hold the files and what
verbs print against these types. Fields may be added to a document, but never changed or removed.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from okr_tui.cli.output import SCHEMA
from okr_tui.domain.faults import ConnectionFailure, FaultKind, Scope
from okr_tui.domain.health import State
from okr_tui.domain.policy import Strategy
from okr_tui.domain.records import AlertEvent, Client, Outcome

Time = str
"""RFC 3339 in UTC."""


class Versioned(TypedDict):
    """What every document has."""

    schema: Literal[1]


class WindowDocument(TypedDict):
    """One limit of an account, in percent used."""

    name: str
    used_percent: float | None
    resets_at: Time | None


class CreditsDocument(TypedDict):
    """The dollars of an account."""

    balance_usd: float
    allowance_usd: float | None
    purchased_usd: float | None
    until: Time | None


class KeyDocument(TypedDict):
    """One key; `index` counts from 1, a key that is missing has no fingerprint."""

    index: int
    fingerprint: str | None
    masked: str
    label: str | None
    origin: str
    enabled: bool
    state: State
    window: str | None
    until: Time | None
    reason: str
    account: str | None
    account_keys: list[int]
    plan: str | None
    windows: list[WindowDocument]
    credits: CreditsDocument | None
    read_at: Time | None
    requests: int
    faults: int
    blocked_models: list[str]


class KeysDocument(Versioned):
    """What `keys` prints."""

    active: int | None
    preferred: int | None
    strategy: Strategy
    keys: list[KeyDocument]


class ThinkingDocument(TypedDict):
    """The levels of thinking that a model takes."""

    values: list[str]
    default: str | None


class ModelFields(TypedDict):
    """One model; what the cloud did not say is null."""

    id: str
    provider_id: str
    display: str
    parameters: str | None
    context_length: int | None
    capabilities: list[str] | None
    thinking: ThinkingDocument | None
    status: Literal["listed", "gone"]
    keys: list[int]
    favourite: bool
    replaced_by: str | None


class ModelsDocument(Versioned):
    """What `models` prints."""

    refreshed_at: Time | None
    stale: bool
    models: list[ModelFields]


class InfoDocument(Versioned, ModelFields):
    """What `info` prints."""

    family: str | None
    quantization: str | None
    model_info: dict[str, Any]


class GatewayDocument(TypedDict):
    """Where a gateway runs."""

    url: str | None


class SettingsDocument(TypedDict):
    """The files that were read, and what is wrong in them and in the environment."""

    files: list[str]
    problems: list[str]


class ForecastDocument(TypedDict):
    """When the pool is empty at its present pace."""

    empty_at: Time | None


class StatusDocument(Versioned):
    """What `status` prints; `keys` has the total, and a count for each state in use."""

    cloud_url: str
    active: int | None
    preferred: int | None
    keys: dict[str, int]
    models: int
    refreshed_at: Time | None
    store: str
    gateway: GatewayDocument
    settings: SettingsDocument
    forecast: ForecastDocument


class FaultDocument(TypedDict):
    """What went wrong with a request."""

    kind: FaultKind
    scope: Scope
    window: str | None
    status: int | None
    text: str
    cause: NotRequired[ConnectionFailure]


class ChoiceDocument(TypedDict):
    """The key that a request takes, and why."""

    key: int
    fingerprint: str
    why: str


class KeyChoiceDocument(TypedDict):
    """Why a key is taken or not."""

    index: int
    fingerprint: str | None
    state: State
    eligible: bool
    reason: str
    until: Time | None


class ExplanationFields(TypedDict):
    """A choice and its reasons."""

    model: str | None
    choice: ChoiceDocument | None
    keys: list[KeyChoiceDocument]
    earliest: Time | None


class ExplainDocument(Versioned, ExplanationFields):
    """What `explain` prints."""

    if_fails: NotRequired[ExplanationFields]


class AttemptEvent(Versioned):
    """One request sent with one key."""

    at: Time
    kind: Literal["attempt"]
    client: Client
    caller: str | None
    who: str | None
    key: int | None
    fingerprint: str
    model: str | None
    path: str
    outcome: Outcome
    fault: FaultDocument | None
    next_key: int | None
    first_byte_ms: int | None
    duration_ms: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None


class BalanceEvent(Versioned):
    """A reading of an account's quota."""

    at: Time
    kind: Literal["balance"]
    who: str | None
    key: int | None
    fingerprint: str
    windows: list[WindowDocument]
    credits: CreditsDocument | None
    understood: bool


class IdentityEvent(Versioned):
    """Which account a key belongs to."""

    at: Time
    kind: Literal["identity"]
    who: str | None
    key: int | None
    fingerprint: str
    account: str
    plan: str | None


class KeyEvent(Versioned):
    """What a person did with a key."""

    at: Time
    kind: Literal["use", "reset", "reset-undone", "enabled", "disabled"]
    who: str | None
    key: int | None
    fingerprint: str


class SettingsEvent(Versioned):
    """Settings were read again."""

    at: Time
    kind: Literal["settings"]
    who: str | None
    keys: int
    cloud_url: str
    problems: list[str]


class ModelsEvent(Versioned):
    """The model list was read, or could not be."""

    at: Time
    kind: Literal["models"]
    count: int
    added: list[str]
    removed: list[str]
    error: str | None


class OutageEvent(Versioned):
    """The cloud stopped answering, or answers again."""

    at: Time
    kind: Literal["outage"]
    phase: Literal["begin", "end"]
    until: Time | None
    text: str | None


class FallbackEvent(Versioned):
    """Another model answered."""

    at: Time
    kind: Literal["fallback"]
    who: str | None
    client: Client
    caller: str | None
    model: str
    answered_by: str


class AlertDocument(Versioned):
    """Something that a person wants to know at once; hooks get the same document."""

    at: Time
    kind: Literal["alert"]
    who: str | None
    event: AlertEvent
    over: bool
    about: AlertEvent
    subject: str | None
    key: int | None
    fingerprint: str | None
    masked: str | None
    label: str | None
    window: str | None
    percent: float | None
    until: Time | None
    empty_at: Time | None
    text: str


Event = (
    AttemptEvent
    | BalanceEvent
    | IdentityEvent
    | KeyEvent
    | SettingsEvent
    | ModelsEvent
    | OutageEvent
    | FallbackEvent
    | AlertDocument
)
"""One line of what `events` prints."""


class UsageRowDocument(TypedDict):
    """What was spent by one name."""

    name: str
    requests: int
    faults: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    hops: int
    first_byte_ms: int | None
    tokens_per_second: float | None


class UsageDocument(Versioned):
    """What `usage` prints; `cloud` is what the cloud itself counted."""

    by: Literal["day", "hour", "model", "key", "account", "client"]
    since: Time
    until: Time
    rows: list[UsageRowDocument]
    cloud: dict[str, Any] | None


class HopDocument(TypedDict):
    """A key that a request failed on before another one answered."""

    key: int | None
    fault: FaultDocument


class ChatPiece(Versioned):
    """A piece of an answer, or a tool that ran."""

    done: Literal[False]
    model: str
    content: NotRequired[str]
    thinking: NotRequired[str]
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool: NotRequired[dict[str, Any]]


class ChatSummary(Versioned):
    """The last line of what `chat` prints."""

    done: bool
    model: str
    content: str
    thinking: str
    tool_calls: list[dict[str, Any]]
    done_reason: str | None
    key: int | None
    answered_by: NotRequired[str]
    hops: list[HopDocument]
    input_tokens: int | None
    output_tokens: int | None
    first_token_ms: int | None
    duration_ms: int | None
    lack: NotRequired[str]
    error: NotRequired[str]


class SettingDocument(TypedDict):
    """A setting, where it comes from, and where else it is set without effect."""

    name: str
    value: Any
    origin: str
    shadowed: list[str]


class FileDocument(TypedDict):
    """A file that was looked at, and its mode."""

    path: str
    mode: str | None


class StoreDocument(TypedDict):
    """Where the log is."""

    address: str
    writable: bool | None


class FindingDocument(TypedDict):
    """A problem or note, and its remedy."""

    severity: Literal["error", "warning", "note"]
    what: str
    remedy: str
    fixable: bool
    fixed: bool


class DoctorDocument(Versioned):
    """What `doctor` prints."""

    settings: list[SettingDocument]
    files: list[FileDocument]
    store: StoreDocument
    versions: dict[str, str]
    findings: list[FindingDocument]


class PathsDocument(Versioned):
    """What `paths` prints."""

    settings: str
    project_settings: str
    store: str
    state: str
    gateway_token: str


class ErrorDocument(Versioned):
    """What any verb prints in place of its result when it fails; `code` is the exit code.

    `until` is the first return where every key is blocked.
    """

    error: str
    code: int
    remedy: str | None
    until: Time | None


class StatusLineDocument(Versioned):
    """What `status --line` prints; `percent` is how full the next key is."""

    text: str
    level: str
    tooltip: str
    percent: float | None


class KeyChangeDocument(Versioned):
    """What a verb that changes or tests a key prints: the message for people, and the key as it is now.

    The key is as it was where it is removed, and null where the pool is empty.
    """

    message: str
    key: KeyDocument | None


class RefreshDocument(Versioned):
    """What `refresh` prints; `models` counts those that are listed."""

    message: str
    refreshed_at: Time | None
    models: int


class ImportDocument(Versioned):
    """What `import-keys` prints: a message for each key that was found."""

    message: str
    keys: list[str]


class TrustDocument(Versioned):
    """What `trust` prints; `wants` is what the project's file asks for."""

    message: str
    project_file: str
    trusted: bool
    wants: list[str]


class PurgeDocument(Versioned):
    """What `purge` prints: paths, and what stays."""

    removed: list[str]
    kept: list[str]


class CallerDocument(TypedDict):
    """A named token of the gateway, without the token."""

    name: str
    models: list[str]
    tokens_per_day: int | None
    created_at: str


class TokensDocument(Versioned):
    """What `token list` prints; `shared` is the file of the shared token."""

    shared: str
    tokens: list[CallerDocument]


class TokenDocument(Versioned):
    """What `token add` and `token rotate NAME` print: the only time that the token is shown."""

    name: str
    token: str


class SharedTokenDocument(Versioned):
    """What `token rotate` without a name prints: the file of the new token."""

    shared: str


class RevokedDocument(Versioned):
    """What `token revoke` prints."""

    revoked: str


class ConfigListDocument(Versioned):
    """What `config list` prints."""

    settings: list[SettingDocument]


class ConfigGetDocument(Versioned, SettingDocument):
    """What `config get` prints."""


class ConfigChangeDocument(Versioned):
    """What `config set` and `config unset` print: the message for people, and the setting in force."""

    message: str
    setting: SettingDocument | None


class ConfigExportDocument(Versioned):
    """What `config export` prints: the settings without keys and secrets."""

    settings: dict[str, Any]


class ConfigSchemaDocument(Versioned):
    """What `config schema` prints with --json: the JSON Schema of a settings file."""

    settings_schema: dict[str, Any]


class CompletionDocument(Versioned):
    """What `completion` prints."""

    shell: Literal["bash", "zsh", "fish"]
    script: str


class HelpListDocument(Versioned):
    """What `help` without a topic prints: one line for each verb and topic."""

    verbs: dict[str, str]
    topics: dict[str, str]


class HelpDocument(Versioned):
    """What `help TOPIC` prints."""

    topic: str
    text: str


class FoundConversation(TypedDict):
    """A conversation in a list."""

    id: str
    title: str
    model: str | None
    turns: int
    created: Time | None
    updated: Time | None
    branched_from: str | None
    excerpt: str


class ConversationsDocument(Versioned):
    """What `conversations list` and `search` print."""

    conversations: list[FoundConversation]


class ConversationDocument(Versioned):
    """What `conversations show` prints, and `export` writes. Times are epoch seconds."""

    format: str
    version: int
    id: str
    title: str
    model: str | None
    options: dict[str, Any]
    created: float
    updated: float
    branched_from: str | None
    branched_at: int | None
    turns: list[dict[str, Any]]


class ConversationChangeDocument(Versioned):
    """What `conversations export`, `import` and `delete` print."""

    message: str


DOCUMENTS: Final[Mapping[str, Any]] = {
    "VERB": ErrorDocument,
    "status": StatusDocument | StatusLineDocument,
    "keys": KeysDocument,
    "models": ModelsDocument,
    "info": InfoDocument,
    "refresh": RefreshDocument,
    "explain": ExplainDocument,
    "events": Event,
    "usage": UsageDocument,
    "chat": ChatPiece | ChatSummary,
    **dict.fromkeys(
        (
            *("rotate", "use-key", "add-key", "remove-key", "label-key"),
            *("enable-key", "disable-key", "test-key", "reset-key"),
        ),
        KeyChangeDocument,
    ),
    "import-keys": ImportDocument,
    "trust": TrustDocument,
    "doctor": DoctorDocument,
    "paths": PathsDocument,
    "purge": PurgeDocument,
    "completion": CompletionDocument,
    "help": HelpListDocument | HelpDocument,
    "token list": TokensDocument,
    "token add": TokenDocument,
    "token rotate": TokenDocument | SharedTokenDocument,
    "token revoke": RevokedDocument,
    "config list": ConfigListDocument,
    "config get": ConfigGetDocument,
    "config set": ConfigChangeDocument,
    "config unset": ConfigChangeDocument,
    "config export": ConfigExportDocument,
    "config schema": ConfigSchemaDocument,
    "conversations list": ConversationsDocument,
    "conversations search": ConversationsDocument,
    "conversations show": ConversationDocument,
    "conversations export": ConversationChangeDocument,
    "conversations import": ConversationChangeDocument,
    "conversations delete": ConversationChangeDocument,
}
"""The type of what each verb prints: one document, or for `events` and `chat` one line.

`VERB` is what each of them prints when it fails.
"""


def schema_of(verb: str, *, closed: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a verb's document; `closed` allows no field that it does not name."""
    found = TypeAdapter(DOCUMENTS[verb]).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"okr-tui {verb} --json, schema {SCHEMA}"
        if verb != "error"
        else f"a failure, schema {SCHEMA}",
        **_tidy(found, closed=closed),
    }


def _tidy(schema: Any, *, closed: bool) -> Any:
    """Return a schema without the titles of fields; objects are closed, or open for later fields."""
    if isinstance(schema, list):
        return [_tidy(item, closed=closed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: {inner: _tidy(item, closed=closed) for inner, item in value.items()}
        if name in ("properties", "$defs")
        else _tidy(value, closed=closed)
        for name, value in schema.items()
        if name != "title" or not isinstance(value, str)
    }
    if "properties" in kept:
        kept.pop("additionalProperties", None)
        if closed:
            kept["additionalProperties"] = False
    return kept
