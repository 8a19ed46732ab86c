"""Configuration files of clients: changed in one step, and put back byte for byte.

What a file was before is kept in the state folder, and what was put in. As long as nothing else changes the
file, undoing restores exactly that; otherwise what was put in is taken out again, and every other byte stays.
"""

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.values import dataclass
from okr_tui.settings.locations import file_content
from okr_tui.store.file_locks import waited_lock

MEMORY: Final = "connect-undo.json"
BOM: Final = "\ufeff"
Undone = Literal["nothing", "restored", "removed", "taken out"]


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of a client. `put_in` makes its text with the gateway, `check` looks whether a text is valid.

    `take_out` makes its text without the gateway; it gets the text of before too. All raise ValueError.
    """

    path: Path
    put_in: Callable[[str], str]
    take_out: Callable[[str, str], str]
    check: Callable[[str], object]


def write(client: str, file: ClientFile, state: Path) -> bool:
    """Tell a client's file of the gateway; return whether that changed it. Raises SettingsError."""
    path = Path(os.path.realpath(file.path))
    with _changing(state, path):
        memory, raw = _remembered(state), _bytes(path)
        kept = memory.get(client)
        original = raw
        if kept and raw is not None and kept["path"] == str(path):
            original = _without(file, path, kept, raw)
        after = _applied(file.put_in, path, original)
        if after == raw:
            return False
        put, had = _difference(original or b"", after)
        memory[client] = {
            "path": str(path),
            "before": None if original is None else _encoded(original),
            "after": _digest(after),
            "put": _encoded(put),
            "had": _encoded(had),
        }
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
        done: Undone = "taken out" if kept["after"] != _digest(raw) else "restored"
        if raw is None:
            done = "nothing"
        elif (before := _without(file, path, kept, raw)) is None:
            path.unlink()
            done = "removed"
        else:
            _replace(path, before, path.stat().st_mode & 0o777)
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
    """Return what was written. Raises SettingsError for a damaged memory."""
    path = state / MEMORY
    try:
        memory: Memory = json.loads(path.read_text(encoding="utf-8"))
        for kept in memory.values():
            Path(kept["path"] or "")
            bytes.fromhex(kept["after"] or "")
            for name in ("before", "put", "had"):
                base64.b64decode(kept.get(name) or "", validate=True)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SettingsError(
            f"{path} is damaged, so what connect wrote can only be undone by hand; "
            "do that, then remove this file"
        ) from None
    return memory


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _kept(kept: dict[str, str | None], name: str) -> bytes | None:
    text = kept.get(name)
    return None if text is None else base64.b64decode(text)


def _difference(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """Return the one stretch in which two texts differ: what the later one has there, and the earlier one."""
    start = _shared(before, after)
    end = _shared(before[start:][::-1], after[start:][::-1])
    return after[start : len(after) - end], before[start : len(before) - end]


def _shared(left: bytes, right: bytes) -> int:
    """Return how many bytes two texts share at their beginning."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))


def _without(file: ClientFile, path: Path, kept: dict[str, str | None], raw: bytes) -> bytes | None:
    """Return a file without what `write` put in; None for one that was not there before."""
    before = _kept(kept, "before")
    if kept["after"] == _digest(raw):
        return before
    put = _kept(kept, "put")
    if put and OURS in put and raw.count(put) == 1:
        exact = raw.replace(put, _kept(kept, "had") or b"")
        if _is_valid(file, exact) or not _is_valid(file, raw):
            return exact
    # What was put in was itself edited, or its surroundings were.
    earlier = _text(path, before)
    return _applied(lambda text: file.take_out(text, earlier), path, raw)


def _is_valid(file: ClientFile, raw: bytes) -> bool:
    try:
        file.check(raw.decode("utf-8-sig"))
    except ValueError:
        return False
    return True


def _bytes(path: Path) -> bytes | None:
    try:
        return file_content(path, -1)
    except FileNotFoundError:
        return None


def _digest(raw: bytes | None) -> str:
    return hashlib.sha256(raw or b"").hexdigest()


def _applied(change: Callable[[str], str], path: Path, raw: bytes | None) -> bytes:
    """Return the bytes of a file with a change to its text; marks of order and ends of lines stay."""
    text = _text(path, raw)
    mark = BOM if text.startswith(BOM) else ""
    try:
        after = change(text.removeprefix(BOM))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}; nothing was changed") from None
    return (mark + after).encode()


def _text(path: Path, raw: bytes | None) -> str:
    try:
        return (raw or b"").decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text; nothing was changed") from None


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


OURS: Final = b"okr-tui"
"""What everything that is put in holds."""
BEGIN: Final = "# okr-tui: begin (okr-tui connect writes and removes what is between these lines)"
END: Final = "# okr-tui: end"


def put_block(text: str, block: str, others: str) -> str:
    """Return a text with a block of ours at its end, in place of another; `others` as for take_block."""
    newline = "\r\n" if "\r\n" in text else "\n"
    text = take_block(text, others)
    if text and not text.endswith("\n"):
        text += newline
    gap = newline if text else ""
    return text + gap + newline.join([BEGIN, *block.splitlines(), END, ""])


def take_block(text: str, others: str) -> str:
    """Return a text without the block of ours and the empty line before it; raise ValueError for half one.

    Clients that write their files themselves put their own before the comment at the end. So our lines also
    end at an empty one, at a comment, and at one that matches the pattern `others`.
    """
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 and end < 0:
        return text
    if not 0 <= start < end:
        raise ValueError("the lines that okr-tui wrote were changed: remove them by hand")
    head, tail = text[:start], text[end + len(END) :]
    foreign = re.compile(rf"^(?:[ \t\r]*$|#|{others})", re.MULTILINE).search(
        text, start + len(BEGIN) + 1, end
    )
    for newline in ("\r\n", "\n"):
        if tail.startswith(newline):
            tail = tail.removeprefix(newline)
            if head.endswith(newline * 2):
                head = head.removesuffix(newline)
            break
    return head + (text[foreign.start() : end] if foreign else "") + tail
