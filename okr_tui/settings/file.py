"""One settings file: a strict read that is never torn, and a locked, atomic change of one value.

Everything here blocks, for milliseconds as a rule and for the lock's five seconds at worst.
"""

import hashlib
import os
import stat
import tempfile
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.lock import locked
from okr_tui.settings.text import BLANK, failure, locate, parse, position, put

LARGEST = 4 * 1024 * 1024

Position = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Section:
    """One object of a layer, by its name. `document` is None for values that come from no file."""

    name: str
    values: Mapping[str, object] = field(repr=False)
    document: "Document | None" = None

    def position(self, *path: str | int) -> Position:
        """Line and column of a value of this section, or of the section itself; (None, None) if unknown."""
        return self.document.position(self.name, *path) if self.document else (None, None)


@dataclass(frozen=True, slots=True)
class Document:
    """What a settings file held when it was read. `raw` is None when there is no file."""

    path: Path
    raw: bytes | None = field(repr=False)
    text: str = field(repr=False)
    root: Mapping[str, object] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bytes in hexadecimal; "" when there is no file."""
        return "" if self.raw is None else hashlib.sha256(self.raw).hexdigest()

    def position(self, *path: str | int) -> Position:
        """Line and column of the value at `path`, or (None, None)."""
        span = locate(self.text, path)
        return position(self.text, span.start) if span else (None, None)

    def section(self, name: str) -> Section:
        """The section, empty when absent. Raises SettingsError, with line and column, if it is no object."""
        values = self.root.get(name, {})
        if not isinstance(values, dict):
            raise failure(f'"{name}" must be an object {{...}}', str(self.path), *self.position(name))
        return Section(name, values, self)


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a change.

    changed: False when the file held that value already and was not touched.
    kept: False when the value was gone again right after; some program writes without the lock.
    """

    path: Path
    changed: bool
    kept: bool = True


def read(path: Path) -> Document:
    """Read the file; without one, or with an empty one, the result is an empty object.

    Raises SettingsError, with line and column where there is one.
    """
    raw = _bytes(path)
    if raw is not None and not _is_whole(raw):
        # A program that writes in place shows an empty or half file for a moment, but not under its lock.
        # Where the lock cannot be had, the first reading is the best there is.
        with suppress(SettingsError), locked(path):
            raw = _bytes(path)
    return _document(path, raw)


def edit(path: Path, section: str, name: str, value: object) -> Written:
    """Set one value and keep every other byte of the file; see `change`."""
    return change(path, section, name, lambda _: value)


def change(path: Path, section: str, name: str, function: Callable[[object], object]) -> Written:
    """Set one value to `function(its present value, or None)`, under the lock, atomically.

    `function` is pure and may be called twice; its result is anything JSON can hold. A new file gets mode
    0600, a new directory 0700. Raises SettingsError, with nothing changed, when the file is corrupt, the
    section is not an object, or the place cannot be locked or written.
    """
    task = _Change(Path(os.path.abspath(path)), section, name, function)
    before = read(task.path)
    after = task.applied(before)
    if after == before.raw:
        return Written(task.path, changed=False)
    try:
        written = _commit(task, before, after)
    except OSError as error:
        raise failure(f"cannot be written: {error.strerror}; nothing was changed", str(task.path)) from error
    if written is None:
        return Written(task.path, changed=False)
    return Written(task.path, changed=True, kept=_is_kept(task, written))


@dataclass(frozen=True, slots=True)
class _Change:
    path: Path
    section: str
    name: str
    function: Callable[[object], object]

    def applied(self, document: Document) -> bytes:
        values = document.section(self.section).values
        value = self.function(values.get(self.name))
        raw = document.raw or b""
        if self.name in values and _same(values[self.name], value):
            return raw
        mark = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
        return mark + put(document.text, (self.section, self.name), value).encode()


def _commit(task: _Change, before: Document, after: bytes) -> bytes | None:
    """What was written, or None when the file came to hold the value meanwhile."""
    # A rename onto a symbolic link would replace the link, so the work is done where it points.
    target = Path(os.path.realpath(task.path))
    for directory in (task.path.parent, target.parent):
        _make_directory(directory)
    mode = _mode(task.path, target)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(descriptor)
    try:
        # Written and flushed before the lock is taken: other programs wait for it only 180 ms.
        _fill(temporary, after, mode, target)
        with locked(task.path) as lock:
            now = _bytes(task.path)
            if before.raw and not now:
                raise failure(
                    "another program is rewriting it; nothing was written, try again", str(task.path)
                )
            if now != before.raw:
                after = task.applied(_document(task.path, now))
                if after == now:
                    return None
                _fill(temporary, after, mode, target)
            lock.verify()
            os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return after


def _is_kept(task: _Change, written: bytes) -> bool:
    expected = _document(task.path, written).section(task.section).values
    try:
        found = read(task.path).section(task.section).values
    except SettingsError:
        return False
    return _same(found.get(task.name), expected[task.name])


def _same(left: object, right: object) -> bool:
    # Plain equality would call 1, 1.0 and true the same value.
    return repr(left) == repr(right)


def _mode(path: Path, target: Path) -> int:
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return 0o600
    # The directory alone would let a read-only file be replaced; its owner meant otherwise.
    if not mode & stat.S_IWUSR or not os.access(target, os.W_OK):
        raise failure("is read-only; nothing was changed", str(path))
    return mode


def _fill(temporary: str, content: bytes, mode: int, target: Path) -> None:
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        # A file of another owner stays theirs where the system lets us say so.
        with suppress(FileNotFoundError, PermissionError):
            owner = target.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fsync(file.fileno())


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _bytes(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise failure("is not a file", str(path))
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(f"cannot be read: {error.strerror}", str(path)) from error
    if len(raw) > LARGEST:
        raise failure(f"is larger than {LARGEST // 1024 // 1024} MB, too large for settings", str(path))
    return raw


def _is_whole(raw: bytes) -> bool:
    try:
        return _document(Path(), raw).text.strip(BLANK) != ""
    except SettingsError:
        return False


def _document(path: Path, raw: bytes | None) -> Document:
    text = _decoded(path, (raw or b"").removeprefix(BOM_UTF8))
    root = parse(text, str(path)) if text.strip(BLANK) else {}
    document = Document(path, raw, text, root if isinstance(root, dict) else {})
    if not isinstance(root, dict):
        raise failure("must hold one JSON object {...}", str(path), *document.position())
    return document


def _decoded(path: Path, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
    # Raised out here because the decoding error in the chain would carry the whole text, keys included.
    raise failure("not UTF-8 text", str(path), *position(before, len(before)))
