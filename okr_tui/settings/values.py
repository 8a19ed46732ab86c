"""What each single setting accepts, and which of the layers that set it decides.

A check returns the value to use, or None for "not set here"; it raises UnusableError with words for the user
that never quote the value, since it may be a key or a password in the wrong place.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from okr_tui.domain.addresses import is_loopback
from okr_tui.settings.schema import Origin, Problem, Valued
from okr_tui.settings.sections import ORIGINAL, Layer

T = TypeVar("T")

STRATEGIES = ("sticky", "drain", "headroom", "round-robin", "pinned")
DAEMON_PORT = 11434


class UnusableError(Exception):
    """A value cannot be used; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """The value that decides, and the section it was found in ("pi-ollama" for a default)."""

    valued: Valued[T]
    section: str


def choose(
    layers: Iterable[Layer],
    name: str,
    sections: Sequence[str],
    check: Callable[[object], T | None],
    default: T,
    problems: list[Problem],
    *,
    needs_trust: str = "",
) -> Choice[T]:
    """Take the first usable value; `layers` and `sections` come highest first. Appends to `problems`.

    needs_trust: what to do about a value of an untrusted layer, in words; "" when trust does not matter.
    """
    found: list[tuple[T, Origin, str]] = []
    refused: list[tuple[T, Origin]] = []
    for layer in layers:
        here: list[T] = []
        for section in sections:
            if name not in layer.values(section):
                continue
            origin = layer.origin(section, name)
            try:
                value = check(layer.values(section)[name])
            except UnusableError as error:
                problems.append(Problem.at(origin, f"{name} is ignored: {error}"))
                continue
            if value is None:
                continue
            if needs_trust and not layer.trusted:
                refused.append((value, origin))
                continue
            if here and here[0] != value:
                message = f'"{found[-1][2]}" sets another {name} than "{section}"; "{found[-1][2]}" wins'
                problems.append(Problem.at(origin, message))
            here.append(value)
            found.append((value, origin, section))
    for value, origin in refused:
        # What would be so anyway needs nobody's trust.
        if value != (found[0][0] if found else default):
            problems.append(Problem.at(origin, f"{name} is ignored: {needs_trust}"))
    if not found:
        return Choice(Valued(default, Origin("default")), ORIGINAL)
    value, origin, section = found[0]
    return Choice(Valued(value, origin, tuple(other for _, other, _ in found[1:])), section)


def text(value: object) -> str | None:
    """A text without surrounding blanks; null and blank mean not set."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnusableError("it must be text")
    if not value.strip().isprintable():
        raise UnusableError("it holds characters that cannot be printed")
    return value.strip() or None


def index(value: object) -> int:
    """A whole number from 0. JSON does not tell 1.0 from 1, so neither does this."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnusableError("it must be a whole number from 0")
    return value


def strategy(value: object) -> str | None:
    """One of the strategies."""
    name = text(value)
    if name is not None and name not in STRATEGIES:
        raise UnusableError(f"it must be one of {', '.join(STRATEGIES)}")
    return name


def cloud_url(value: object) -> str | None:
    """Where keys are sent: https, or http on this machine; no user name; the trailing slash goes."""
    address = text(value)
    if address is None:
        return None
    scheme, host = _parts(address)
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise UnusableError("it must be https://HOST, or http:// on this machine")
    return address.rstrip("/")


def base_url(value: object) -> str | None:
    """The address of the local daemon; `host` and `host:port` are completed as the daemon's own tools do."""
    address = text(value)
    if address is None:
        return None
    if "://" not in address:
        host = address.partition("/")[0].rpartition("]")[2]
        address = f"http://{address}"
        if ":" not in host:
            address = f"{address.rstrip('/')}:{DAEMON_PORT}"
    if _parts(address)[0] not in {"http", "https"}:
        raise UnusableError("it must be http://HOST:PORT")
    return address.rstrip("/")


def without_password(store: str) -> str:
    """A store's address for people. A server's may hold a password, in front of the host or in the query."""
    try:
        parts = urlsplit(store)
    except ValueError:
        return f"{store.partition(':')[0]}:…"
    if not parts.netloc:
        return store
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_token(address: str) -> str:
    """A daemon's address for people. The path of one may be a gateway's token."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'/…' if parts.path.strip('/') else ''}"


def _parts(address: str) -> tuple[str, str]:
    # Some parsers drop blanks or read a backslash as a slash; an address they would not agree on is refused.
    if not address.isascii() or " " in address or "\\" in address:
        raise UnusableError("it is not a plain web address")
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        usable = bool(host) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise UnusableError("it is not a plain web address")
    if "@" in parts.netloc:
        raise UnusableError("it must not carry a user name or password")
    return parts.scheme, host
