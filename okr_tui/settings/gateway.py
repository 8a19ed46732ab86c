"""Where the gateway listens: the settings section `okr-tui.gateway`, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from okr_tui.domain.addresses import url

HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Options:
    """Host and port of the gateway, the port for an `ollama` daemon, and whether the dashboard starts it."""

    host: str = "127.0.0.1"
    port: int = 11435
    daemon_port: int | None = None
    autostart: bool = False

    @classmethod
    def read(cls, section: Mapping[str, object]) -> "tuple[Options, tuple[str, ...]]":
        """The options in a settings section, and a line for each value that was not used."""
        options, problems = cls(), []
        for name, value in section.items():
            match name, value:
                case "host", str() if value.strip():
                    options = replace(options, host=value.strip())
                case "port", int() if _is_port(value):
                    options = replace(options, port=value)
                case "daemonPort", int() | None if value is None or _is_port(value):
                    options = replace(options, daemon_port=value)
                case "autostart", bool():
                    options = replace(options, autostart=value)
                case _:
                    problems.append(f"okr-tui.gateway.{name}: {_expected(name)}; it is not used")
        return options, tuple(problems)

    @property
    def url(self) -> str:
        """The address that clients on this machine use."""
        return url(self.host, self.port)


def _is_port(value: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= HIGHEST_PORT


def _expected(name: str) -> str:
    return {
        "host": "a host name or address is expected",
        "port": f"a number from 0 to {HIGHEST_PORT} is expected",
        "daemonPort": f"a number from 0 to {HIGHEST_PORT} is expected",
        "autostart": "true or false is expected",
    }.get(name, "there is no such setting")
