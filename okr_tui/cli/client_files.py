"""Files of other programs that are told of the gateway: changed in one step, and put back byte for byte.

What a file was before is kept in the state folder. As long as nobody else changes the file, undoing restores
exactly that; otherwise only what was put in is taken out again, and other changes stay.
"""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from okr_tui.domain.errors import SettingsError
from okr_tui.store.file_locks import waited_lock

MEMORY: Final = "connect-undo.json"
BOM: Final = "\ufeff"
Undone = Literal["nothing", "restored", "removed", "taken out"]


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of a client. `put_in` and `take_out` make its text with and without the gateway.

    Both raise ValueError for a text that they cannot change.
    """

    path: Path
    put_in: Callable[[str], str]
    take_out: Callable[[str], str]


def write(client: str, file: ClientFile, state: Path) -> bool:
    """Tell a client's file of the gateway; return whether that changed it. Raises SettingsError."""
    path = Path(os.path.realpath(file.path))
    with _changing(state, path):
        memory, raw = _remembered(state), _bytes(path)
        kept = memory.get(client)
        original = raw
        if kept and kept["path"] == str(path) and kept["after"] == _digest(raw):
            original = _restored(kept)
        after = _applied(file.put_in, path, original)
        if after == raw:
            return False
        before = None if original is None else base64.b64encode(original).decode()
        memory[client] = {"path": str(path), "before": before, "after": _digest(after)}
        _replace(state / MEMORY, json.dumps(memory, indent=2).encode(), 0o600)
        _replace(path, after, 0o600 if raw is None else path.stat().st_mode & 0o777)
    return True


def undo(client: str, file: ClientFile, state: Path) -> Undone:
    """Put back what `write` changed; return how. Raises SettingsError, with nothing changed."""
    path = Path(os.path.realpath(file.path))
    with _changing(state, path):
        memory, raw = _remembered(state), _bytes(path)
        kept = memory.pop(client, None)
        if kept is None or kept["path"] != str(path):
            return "nothing"
        done: Undone = "taken out"
        if raw is None:
            done = "nothing"
        elif kept["after"] != _digest(raw):
            _replace(path, _applied(file.take_out, path, raw), path.stat().st_mode & 0o777)
        elif (before := _restored(kept)) is None:
            path.unlink()
            done = "removed"
        else:
            _replace(path, before, path.stat().st_mode & 0o777)
            done = "restored"
        _replace(state / MEMORY, json.dumps(memory, indent=2).encode(), 0o600)
    return done


def written(state: Path) -> tuple[str, ...]:
    """Return the clients whose files `write` has changed. Raises SettingsError where that cannot be read."""
    return tuple(_remembered(state))


def changed_since(state: Path) -> tuple[tuple[str, Path], ...]:
    """Return the clients, and their files, that someone else changed after `write`. Raises SettingsError."""
    files = ((client, Path(kept["path"] or ""), kept["after"]) for client, kept in _remembered(state).items())
    return tuple((client, path) for client, path, after in files if _digest(_bytes(path)) != after)


@contextmanager
def _changing(state: Path, path: Path) -> Iterator[None]:
    """Keep other processes from changing such files meanwhile, and name the file in what goes wrong."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with waited_lock(state / f"{MEMORY}.lock"):
            yield
    except OSError as error:
        raise SettingsError(f"{path} cannot be changed: {error.strerror}; nothing was changed") from None


Memory = dict[str, dict[str, str | None]]


def _remembered(state: Path) -> Memory:
    try:
        memory: Memory = json.loads((state / MEMORY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise SettingsError(
            f"{state / MEMORY} is damaged: what was written can only be undone by hand"
        ) from None
    return memory


def _restored(kept: dict[str, str | None]) -> bytes | None:
    before = kept["before"]
    return None if before is None else base64.b64decode(before)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(raw: bytes | None) -> str:
    return hashlib.sha256(raw or b"").hexdigest()


def _applied(change: Callable[[str], str], path: Path, raw: bytes | None) -> bytes:
    """Return the bytes of a file with a change to its text; marks of order and ends of lines stay."""
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text; nothing was changed") from None
    mark = BOM if text.startswith(BOM) else ""
    try:
        after = change(text.removeprefix(BOM))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}; nothing was changed") from None
    return (mark + after).encode()


def _replace(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


BEGIN: Final = "# okr-tui: begin (okr-tui connect writes and removes what is between these lines)"
END: Final = "# okr-tui: end"


def put_block(text: str, block: str) -> str:
    """Return a text with a block of ours at its end, in place of an earlier one."""
    newline = "\r\n" if "\r\n" in text else "\n"
    text = take_block(text)
    if text and not text.endswith("\n"):
        text += newline
    gap = newline if text else ""
    return text + gap + newline.join([BEGIN, *block.splitlines(), END, ""])


def take_block(text: str) -> str:
    """Return a text without the block of ours and the empty line before it; raise ValueError for half one."""
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 and end < 0:
        return text
    if not 0 <= start < end:
        raise ValueError("the lines that okr-tui wrote were changed: remove them by hand")
    head, tail = text[:start], text[end + len(END) :]
    for newline in ("\r\n", "\n"):
        if tail.startswith(newline):
            tail = tail.removeprefix(newline)
            if head.endswith(newline * 2):
                head = head.removesuffix(newline)
            break
    return head + tail
