"""Locks of the operating system on open files: they end with the process, however that ends.

The library filelock does not replace them: it has no shared lock on a file that is open already, cannot lock
a folder, and where a file system has no locks it leaves marker files that outlive their process, or raises.
"""

import errno
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

try:
    import fcntl
except ModuleNotFoundError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

HAVE_LOCKS: Final = fcntl is not None
SUFFIX: Final = ".lock"
PATIENCE: Final = 5.0
PAUSE: Final = 0.01


def try_lock(file: IO[bytes] | IO[str] | int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; return False while another process holds it. Raises OSError.

    Where nothing can be locked, every process gets the lock.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


class NamedLocks:
    """Locks of one process on names in a folder. Where nothing can be locked every name is granted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int | None] = {}

    def take(self, name: str) -> bool:
        """Lock a name of letters and digits; return False while another process holds it."""
        if name in self._held:
            return True
        try:
            descriptor = self._opened(name)
        except OSError:
            self._held[name] = None
            return True
        if not _locked(descriptor):
            os.close(descriptor)
            return False
        self._held[name] = descriptor
        return True

    def drop(self, name: str) -> None:
        """Release a name for good; its file goes too."""
        with suppress(OSError):  # one that stays holds nothing
            (self._folder / f"{name}{SUFFIX}").unlink()
        self._close(name)

    def close(self) -> None:
        """Release every name."""
        for name in list(self._held):
            self._close(name)

    def _close(self, name: str) -> None:
        descriptor = self._held.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self, name: str) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._folder / f"{name}{SUFFIX}", os.O_CREAT | os.O_RDWR, 0o600)


def _locked(descriptor: int) -> bool:
    try:
        return try_lock(descriptor)
    except OSError:  # a file system without locks
        return True


@asynccontextmanager
async def exclusive_create(folder: Path) -> AsyncIterator[None]:
    """Let one process at a time begin a file in a folder, or put another in its place.

    SQLite refuses at once instead of waiting. A folder that is not free within PATIENCE seconds, or that
    cannot be locked at all, is used as it is.
    """
    import asyncio

    with ExitStack() as stack:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            until = time.monotonic() + PATIENCE
            while not try_lock(descriptor) and time.monotonic() < until:  # noqa: ASYNC110 others' lock
                await asyncio.sleep(PAUSE)
        yield


@contextmanager
def waited_lock(path: Path) -> Iterator[None]:
    """Let one process at a time change what a lock file protects; used as it is after PATIENCE.

    Raises OSError when the file cannot be made.
    """
    make_private(path)
    with path.open("rb") as file:
        until = time.monotonic() + PATIENCE
        while not _locked(file.fileno()) and time.monotonic() < until:
            time.sleep(PAUSE)
        yield


def make_private(path: Path) -> None:
    """Make a file that only its user can read, if there is none. Raises OSError, also for a pipe or a device.

    One that exists is not opened: closing it would end the locks that SQLite has on it in this process.
    """
    if not path.is_file():
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, "it is no regular file", str(path))
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
