"""The settings section `okr-tui.chat`, checked: which tools, who confirms them, tool servers, limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args

from okr_tui.domain.keys import SecretStr
from okr_tui.settings.values import UnusableError, cloud_url

Confirm = Literal["ask", "always", "never"]

BUILT_IN: Final = ("web_search", "web_fetch")
CONFIRMS: Final[tuple[str, ...]] = get_args(Confirm)
MOST_ROUNDS: Final = 50
SERVER_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
EXPECTED: Final = {
    "tools": "true, false or a list of tools and tool servers is expected",
    "confirm": f"an object of tools with {', '.join(CONFIRMS)} is expected",
    "maxToolRounds": f"a whole number from 1 to {MOST_ROUNDS} is expected",
    "mcpServers": "an object of tool servers is expected",
}


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


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat may do. `tools`: whether models may call any, in a conversation that does not say."""

    tools: bool = False
    chosen: tuple[str, ...] | None = None
    """The tools and tool servers there are; None for all."""
    confirm: Mapping[str, Confirm] = field(default_factory=dict)
    servers: tuple[ToolServer, ...] = ()
    rounds: int = 8

    @classmethod
    def read(cls, section: Mapping[str, object]) -> "tuple[ChatSettings, tuple[str, ...]]":
        """The settings in a section, and a line for each value that was not used. No line quotes a value."""
        problems: list[str] = []
        values: dict[str, object] = {}
        for name, value in section.items():
            match name, value:
                case "tools", bool():
                    values["tools"] = value
                case "tools", list() if all(isinstance(item, str) for item in value):
                    values |= {"tools": bool(value), "chosen": tuple(value)}
                case "confirm", Mapping():
                    values["confirm"] = _confirms(value, problems)
                case "maxToolRounds", int() if not isinstance(value, bool) and 1 <= value <= MOST_ROUNDS:
                    values["rounds"] = value
                case "mcpServers", Mapping():
                    values["servers"] = tuple(_servers(value, problems))
                case _:
                    expected = EXPECTED.get(name, "there is no such setting")
                    problems.append(f"okr-tui.chat.{name}: {expected}; it is not used")
        return cls(**values), tuple(problems)  # type: ignore[arg-type]

    def confirms(self, tool: str, server: str | None = None) -> Confirm:
        """Whether a call of a tool is put to the person: by its name, its server's, else by its kind."""
        for name in (tool, server):
            if name is not None and name in self.confirm:
                return self.confirm[name]
        return "always" if tool in BUILT_IN and server is None else "ask"

    def offers(self, name: str) -> bool:
        """Whether a built-in tool or a tool server is among the chosen."""
        return self.chosen is None or name in self.chosen


def _confirms(section: Mapping[str, object], problems: list[str]) -> dict[str, Confirm]:
    found: dict[str, Confirm] = {}
    for tool, answer in section.items():
        if answer in CONFIRMS:
            found[tool] = cast(Confirm, answer)
        else:
            problems.append(
                f"okr-tui.chat.confirm.{tool}: one of {', '.join(CONFIRMS)} is expected; ask is used"
            )
            found[tool] = "ask"
    return found


def _servers(section: Mapping[str, object], problems: list[str]) -> list[ToolServer]:
    found = []
    for name, entry in section.items():
        try:
            found.append(_server(name, entry))
        except UnusableError as error:
            problems.append(f"okr-tui.chat.mcpServers.{name[:40]}: {error}; it is not used")
    return found


def _server(name: str, entry: object) -> ToolServer:
    if not SERVER_NAME.fullmatch(name):
        raise UnusableError("a name of up to 32 letters, digits, - and _ is expected")
    if not isinstance(entry, Mapping) or ("command" in entry) == ("url" in entry):
        raise UnusableError("an object with a command or a url is expected")
    unknown = set(entry) - {"command", "args", "env", "cwd", "url", "headers", "type"}
    if unknown:
        raise UnusableError(f"there is no such setting as {min(unknown)[:40]}")
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
    url = cloud_url(value)
    if url is None:
        raise UnusableError("url must be text")
    return url


def _secrets(entry: Mapping[str, object], name: str) -> dict[str, SecretStr]:
    values = entry.get(name, {})
    if not isinstance(values, Mapping) or not all(isinstance(value, str) for value in values.values()):
        raise UnusableError(f"{name} must be an object of texts")
    return {key: SecretStr(value) for key, value in values.items()}
