"""One settings file: a strict read that is never torn, and a locked, atomic change of one value.

A file that is a mount point of its own, as in a container, cannot be replaced; it is written in place, while
a copy of its old content is next to it.

Everything here blocks, for milliseconds as a rule and for the lock's five seconds at worst.
"""

import errno
import os
import stat
import tempfile
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.values import dataclass
from okr_tui.settings.json_edit import BLANK, Document, failure, put
from okr_tui.settings.locations import LARGEST, NO_HOME, NO_SETTINGS, file_content
from okr_tui.settings.lock import locked

BLANK_LONGEST = 65536
ABANDONED = 60.0
NO_FILE = frozenset({errno.EINVAL, errno.EISDIR, errno.ENXIO})
MOUNTED = frozenset({errno.EBUSY, errno.EXDEV})
COPY = ".okr-tui-copy"
"""Ends the name of the copy of a file that is written in place. A writer that dies leaves it."""

Touched = Sequence[tuple[str, str]]
"""Values by section and name."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a change.

    changed: False when the file held that value already and was not touched.
    kept: False when the value was gone again right after; some program writes without the lock.
    before, after: SHA-256 of the content in hexadecimal; "" for no file. Both are the same without a change.
    """

    path: Path
    changed: bool
    kept: bool = True
    before: str = ""
    after: str = ""


def is_blank(path: Path) -> bool:
    """Return whether a file is missing or holds nothing but blanks; one that cannot be read is neither."""
    try:
        return not file_content(path, BLANK_LONGEST).removeprefix(BOM_UTF8).strip()
    except FileNotFoundError:
        return True
    except OSError:
        return False


def read(path: Path, *, commented: bool = False) -> Document:
    """Read the file; without one, or with an empty one, the result is an empty object.

    commented: the file may have comments, as in Document.of. Raises SettingsError, with line and column where
    there is one.
    """
    raw = _bytes(path)
    if raw is not None and not _is_whole(raw, commented=commented):
        # A program that writes in place shows an empty or half file for a moment, but not under its lock.
        # Where the lock cannot be had, the first reading is the best there is.
        with suppress(SettingsError), locked(path):
            raw = _bytes(path)
    return Document.of(path, raw, commented=commented)


def edit(path: Path, section: str, name: str, value: object) -> Written:
    """Set one value and keep every other byte of the file; see `change`."""
    return change(path, section, name, lambda _: value)


def change(path: Path, section: str, name: str, function: Callable[[object], object]) -> Written:
    """Set one value to `function(its present value, or None)`, under the lock, atomically.

    `function` is pure and may be called twice; its result is anything JSON can hold. A new file gets mode
    0600, a new directory 0700. Raises SettingsError, with nothing changed, when the file is corrupt, the
    section is not an object, or the file cannot be locked or written.
    """

    def applied(document: Document) -> str:
        values = document.section(section).values
        value = function(values.get(name))
        if name in values and _same(values[name], value):
            return document.text
        return put(document.text, (section, name), value)

    return rewrite(path, ((section, name),), applied)


def rewrite(
    path: Path, touched: Touched, function: Callable[[Document], str | None], *, commented: bool = False
) -> Written:
    """Change the values `touched` at once: `function` makes the new text of the file, as in `change`.

    Without a text, the file is removed. commented: as in `read`.
    """
    task = _Change(Path(os.path.abspath(path)), touched, function, commented)
    if NO_HOME in task.path.parents:
        raise failure(f"{NO_SETTINGS}; nothing was changed", str(task.path))
    before = read(task.path, commented=commented)
    after = task.applied(before)
    if _is_as_before(before, after):
        return Written(task.path, changed=False, before=before.fingerprint, after=before.fingerprint)
    try:
        return _commit(task, before, after)
    except OSError as error:
        raise failure(f"cannot be written: {error.strerror}; nothing was changed", str(task.path)) from error


@dataclass(frozen=True, slots=True)
class _Change:
    path: Path
    touched: Touched
    function: Callable[[Document], str | None]
    commented: bool

    def applied(self, document: Document) -> bytes | None:
        text = self.function(document)
        return None if text is None else document.encoded(text)

    def document(self, raw: bytes | None) -> Document:
        return Document.of(self.path, raw, commented=self.commented)


def _is_as_before(before: Document, after: bytes | None) -> bool:
    return after == before.raw or (before.raw is None and not after)


def _commit(task: _Change, before: Document, after: bytes | None) -> Written:
    # A rename onto a symbolic link would replace the link, so the work is done where it points.
    target = Path(os.path.realpath(task.path))
    for directory in (task.path.parent, target.parent):
        _make_directory(directory)
    mode = _mode(task.path, target)
    _remove_abandoned(target)
    descriptor, temporary = tempfile.mkstemp(".tmp", f".{target.name}.okr-tui-", target.parent)
    try:
        os.close(descriptor)
        # Written and flushed before the lock is taken: other programs wait for it only 180 ms.
        _fill(temporary, after or b"", mode, target)
        with locked(task.path) as lock:
            now = _bytes(task.path)
            if before.raw and not now:
                raise failure(
                    "another program is rewriting it; nothing was written, try again", str(task.path)
                )
            if now != before.raw:
                before = task.document(now)
                after = task.applied(before)
                if _is_as_before(before, after):
                    return Written(task.path, False, before=before.fingerprint, after=before.fingerprint)
                _fill(temporary, after or b"", mode, target)
            lock.verify()
            _replace(target, temporary, before.raw or b"", after)
    finally:
        Path(temporary).unlink(missing_ok=True)
    written = task.document(after)
    return Written(task.path, True, _is_kept(task, written), before.fingerprint, written.fingerprint)


def _replace(target: Path, temporary: str, before: bytes, after: bytes | None) -> None:
    try:
        if after is None:
            target.unlink()
        else:
            os.replace(temporary, target)
    except OSError as error:
        if error.errno not in MOUNTED:
            raise
        _overwrite(target, before, after or b"")


def _overwrite(target: Path, before: bytes, after: bytes) -> None:
    """Write a file in place. When that fails, its old content is put back, or stays in the copy."""
    copy = target.with_name(target.name + COPY)
    copy.unlink(missing_ok=True)
    _write(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), before)
    try:
        _write(os.open(target, os.O_WRONLY), after)
    except OSError as error:
        try:
            _write(os.open(target, os.O_WRONLY), before)
        except OSError:
            raise failure(
                f"could only be written in part: {error.strerror}; its earlier content is in {copy}",
                str(target),
            ) from error
        copy.unlink()
        raise
    copy.unlink()


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _is_kept(task: _Change, written: Document) -> bool:
    try:
        found = read(task.path, commented=task.commented)
        return all(
            _same(found.section(section).values.get(name), written.section(section).values.get(name))
            for section, name in task.touched
        )
    except SettingsError:
        return False


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


def _remove_abandoned(target: Path) -> None:
    """Remove what killed writers left behind. One that lives is done with its file in seconds."""
    for temporary in target.parent.glob(f".{escape(target.name)}.okr-tui-*.tmp"):
        with suppress(OSError):
            if temporary.lstat().st_mtime < time.time() - ABANDONED:
                temporary.unlink()


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _bytes(path: Path) -> bytes | None:
    try:
        raw = file_content(path, LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_FILE:
            raise failure("is not a file", str(path)) from error
        raise failure(f"cannot be read: {error.strerror}", str(path)) from error
    if len(raw) > LARGEST:
        raise failure(f"is larger than {LARGEST // 1024 // 1024} MB, too large for settings", str(path))
    return raw


def _is_whole(raw: bytes, *, commented: bool) -> bool:
    try:
        return Document.of(Path(), raw, commented=commented).text.strip(BLANK) != ""
    except SettingsError:
        return False
