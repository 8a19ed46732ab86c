"""Who may use the gateway: one shared token, and one by name for each client or person.

Both are files in the state folder, 0600. `gateway-token` holds the shared token itself, since clients read it
from there; `gateway-tokens.json` holds of the named ones only what distinguishes them. Every process of the
machine looks at both files before each request, so that a change counts at once.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.usage import Budget
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import rfc3339
from okr_tui.settings.locations import file_content
from okr_tui.store.file_locks import waited_lock

SHARED: Final = "gateway-token"
NAMED: Final = "gateway-tokens.json"
SHORTEST: Final = 16
TOKEN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
RANDOM_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token was made for; `name` is None for the shared one.

    `models` are patterns of the models it may ask for, none for all; `tokens_per_day` counts in and out.
    """

    name: str | None = None
    models: tuple[str, ...] = ()
    tokens_per_day: int | None = None
    created_at: str = ""

    def may_use(self, model: str) -> bool:
        """Return whether it may ask for a model."""
        return not self.models or any(fnmatchcase(model.lower(), each.lower()) for each in self.models)


ANYBODY: Final = Caller()


class Tokens:
    """The tokens in a folder as they are now.

    `scrubber` learns those that come. `changed` is called with what named callers may use a day, at first and
    when it changes.
    """

    def __init__(
        self,
        folder: Path,
        scrubber: Scrubber,
        changed: Callable[[Mapping[str, Budget]], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._shared_file = str(folder / SHARED)
        self._named_file = str(folder / NAMED)
        self._scrubber = scrubber
        self._changed = changed
        self._met: set[str] = set()
        self._shared: tuple[object, bytes] = None, b""
        self._named: tuple[object, dict[str, Caller]] = None, {}

    def caller(self, text: str) -> Caller | None:
        """Return whose token a text is, None for an unknown one."""
        if not text:
            return None
        if hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._shared_token()):
            return ANYBODY
        found = self._callers().get(_digest(text))
        if found and text not in self._met:
            self._met.add(text)
            self._scrubber.add(text)
        return found

    def _shared_token(self) -> bytes:
        if (seen := _version(self._shared_file)) != self._shared[0]:
            token = load_token(self._folder).get_secret_value()
            self._scrubber.add(token)
            self._shared = seen, token.encode()
        return self._shared[1]

    def _callers(self) -> dict[str, Caller]:
        if (seen := _version(self._named_file)) != self._named[0]:
            found = _read(self._folder / NAMED) if seen else {}
            self._named = seen, dict(found.values())
            self._changed(
                {
                    name: Budget(name, caller.tokens_per_day, hard=True)
                    for name, (_, caller) in found.items()
                    if caller.tokens_per_day is not None
                }
            )
        return self._named[1]


def _version(path: str) -> object:
    """Return what is another value once a file has changed; None without the file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(text: str) -> str:
    """Return what a token is kept as; it is random and long, so that a plain digest reveals nothing of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def load_token(folder: Path) -> SecretStr:
    """Return the shared token in a folder, made at the first call; of several made at once, the first counts.

    Raises OkrError when the file cannot be read or made, or holds no token.
    """
    path = folder / SHARED
    try:
        if not path.exists():
            _write(path, _new() + "\n", first=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        text = file_content(path).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OkrError(f"cannot use the gateway's token {path}: {words}") from None
    if len(text) < SHORTEST or not text.isalnum():
        raise OkrError(f"the gateway's token {path} is damaged: delete the file, and a new one is made")
    return SecretStr(text)


def rotate_shared(folder: Path) -> None:
    """Replace the shared token. Raises OkrError."""
    with _changing(folder):
        _write(folder / SHARED, _new() + "\n")


def named_callers(folder: Path) -> tuple[Caller, ...]:
    """Return for whom there are tokens by name. Raises OkrError when the file cannot be read."""
    return tuple(caller for _, caller in _read(folder / NAMED).values())


def add(folder: Path, caller: Caller, now: float) -> SecretStr:
    """Make a token for a caller and return it; it is shown nowhere again. Raises OkrError."""
    name = caller.name or ""
    if not TOKEN_NAME.fullmatch(name):
        raise OkrError(f"{name[:32]!r} cannot name a token: use up to 32 letters, digits, . _ and -")
    with _changing(folder):
        found = _read(folder / NAMED)
        if name in found:
            raise OkrError(f"{name} already has a token: rotate it, or revoke it first")
        token = _new()
        found[name] = _digest(token), replace(caller, created_at=str(rfc3339(int(now))))
        _store(folder, found)
    return SecretStr(token)


def rotate(folder: Path, name: str) -> SecretStr:
    """Replace the token of a name and return the new one; the old one ends. Raises OkrError."""
    with _changing(folder):
        found = _read(folder / NAMED)
        _, caller = _known(found, name)
        token = _new()
        found[name] = _digest(token), caller
        _store(folder, found)
    return SecretStr(token)


def revoke(folder: Path, name: str) -> None:
    """End the token of a name. Raises OkrError."""
    with _changing(folder):
        found = _read(folder / NAMED)
        _known(found, name)
        del found[name]
        _store(folder, found)


Found = dict[str, tuple[str, Caller]]
"""Digests and callers by their names."""


def _known(found: Found, name: str) -> tuple[str, Caller]:
    if name not in found:
        raise OkrError(f"there is no token for {name[:32]}: `okr-tui token list` shows which there are")
    return found[name]


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Keep other processes from changing tokens meanwhile."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with waited_lock(folder / f"{NAMED}.lock"):
            yield
    except OSError as error:
        raise OkrError(f"cannot change the tokens in {folder}: {error.strerror}") from None


def _read(path: Path) -> Found:
    try:
        document = json.loads(file_content(path).decode())
        return {
            name: (
                entry["sha256"],
                Caller(name, tuple(entry["models"]), entry["tokens_per_day"], entry["created_at"]),
            )
            for name, entry in document["tokens"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OkrError(f"cannot read the tokens in {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OkrError(f"{path} is damaged: delete it, and add its tokens again") from None


def _store(folder: Path, found: Found) -> None:
    entries = {
        name: {"sha256": digest, **{key: value for key, value in asdict(caller).items() if key != "name"}}
        for name, (digest, caller) in found.items()
    }
    _write(folder / NAMED, json.dumps({"tokens": entries}, indent=2) + "\n")


def _new() -> str:
    return secrets.token_hex(RANDOM_BYTES)


def _write(path: Path, text: str, *, first: bool = False) -> None:
    """Put a file in its place in one step; with `first`, unless there is one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if first:
            os.link(draft, path)
        else:
            os.replace(draft, path)
    except FileExistsError:
        return
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
