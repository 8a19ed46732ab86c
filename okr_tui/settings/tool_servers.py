"""A server of tools for the chat, as `okr-tui.chat.mcpServers` names it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from okr_tui.domain.keys import SecretStr
from okr_tui.settings.checks import LONGEST_NAME, Check, UnusableError, as_text, cloud_url, nearest, object_of

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
            f"{unknown[0][:LONGEST_NAME]} is no setting of a tool server{nearest(unknown[0], MEMBERS)}"
        )
    if "url" in entry:
        return ToolServer(name, url=_url(entry["url"]), headers=_secrets(entry, "headers"))
    command, arguments, folder = entry["command"], entry.get("args", []), entry.get("cwd")
    if not isinstance(command, str) or not command.strip():
        raise UnusableError("command must be text")
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise UnusableError("args must be a list of texts")
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
        raise UnusableError(f"{name} must be an object of texts")
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
