"""Records that could not be written to the log, kept in a file until some process can send them."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.store.base import decode, encode
from okr_tui.store.factory import unsent_folder
from okr_tui.store.file_locks import try_lock

MOST_LINES: Final = 20_000
ENDING: Final = ".jsonl"


class UnsentFile:
    """The records of one writer for one log, each with its number, one a line.

    It is locked as long as its writer lives. Where no file can be written, nothing is kept.
    """

    def __init__(self, log: str, writer: str) -> None:
        self.writer = writer
        folder = _folder(log)
        self._path = folder and folder / f"{writer}{ENDING}"
        self._descriptor: int | None = None
        self._last = -1
        self._lines = 0
        self.items: Sequence[tuple[int, Record]] = ()

    def keep(self, items: Sequence[tuple[int, Record]]) -> bool:
        """Write down the records that are not in the file yet; return whether all are in it."""
        fresh = [(number, record) for number, record in items if number > self._last]
        if not fresh:
            return True
        if self._path is None or self._lines + len(fresh) > MOST_LINES:
            return False
        text = "".join(f"{number} {encode(record)}\n" for number, record in fresh)
        try:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._descriptor = _open_locked(self._path, os.O_CREAT)
            if self._descriptor is None:
                return False  # another process looks at the file that was just made, and deletes it
            _write_all(self._descriptor, text.encode())
        except OSError:
            return False
        self._last, self._lines = fresh[-1][0], self._lines + len(fresh)
        return True

    def close(self, *, empty: bool) -> None:
        """Unlock the file; one that is `empty`, since all of it is in the log, is deleted."""
        if self._descriptor is None or self._path is None:
            return
        if empty:
            self._path.unlink(missing_ok=True)
            self._lines = 0
        os.close(self._descriptor)
        self._descriptor = None

    @classmethod
    def left_behind(cls, log: str) -> "list[UnsentFile]":
        """Return the files of writers that have ended, read and locked."""
        folder, found = _folder(log), []
        for path in sorted(folder.glob(f"*{ENDING}")) if folder else ():
            file = cls(log, path.name.removesuffix(ENDING))
            with contextlib.suppress(OSError):
                file._descriptor = _open_locked(path)
                if file._descriptor is not None:
                    file.items = _read(path)
                    found.append(file)
        return found


def _open_locked(path: Path, flags: int = 0) -> int | None:
    """Open a file and lock it; return None where another process holds it, or has just deleted it."""
    descriptor = os.open(path, flags | os.O_RDWR | os.O_APPEND, 0o600)
    try:
        if try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except FileNotFoundError:
        pass  # deleted
    os.close(descriptor)
    return None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write at the end of a file, all or nothing: half a line would spoil the next one. Raises OSError."""
    size = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _read(path: Path) -> list[tuple[int, Record]]:
    """Return the records of a file; a line that a killed process left unfinished is skipped."""
    items = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        number, _, body = line.partition(" ")
        with contextlib.suppress(ValueError):
            items.append((int(number), decode(body)))
    return items


def _folder(log: str) -> Path | None:
    """Return where the files for a log are; None where they cannot be kept."""
    if log == "memory:":
        return None
    try:
        return unsent_folder(log)
    except StoreError:
        return None
