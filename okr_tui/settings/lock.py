"""The lock that pi takes on a settings file: a directory of its name with `.lock`, fresh for ten seconds.

Source: proper-lockfile, which pi uses with these times.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom

from okr_tui.settings.json_edit import failure

PATIENCE = 5.0
STALE = 10.0
PAUSE = (0.003, 0.012)

Identity = tuple[int, int]


class Lock:
    """A lock that was taken. It may be lost: another program breaks it when it looks abandoned."""

    def __init__(self, path: Path, directory: Path, identity: Identity) -> None:
        self._path = path
        self._directory = directory
        self._identity = identity

    def is_ours(self) -> bool:
        """Return whether the lock directory is still the one that was made here."""
        try:
            return _identity(self._directory) == self._identity
        except OSError:
            return False

    def verify(self) -> None:
        """Raise SettingsError when the lock was lost; to be called directly before committing."""
        if not self.is_ours():
            raise failure(
                "another program took over the lock; nothing was written, try again", str(self._path)
            )

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        if self.is_ours():
            # The work under the lock is done; a directory that stays is stale to the next writer.
            with suppress(OSError):
                self._directory.rmdir()


@contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Hold the lock of the settings file at `path`; symbolic links in the path are not followed for its name.

    Waits up to 5 seconds. Raises SettingsError when the lock cannot be had. Hold it for milliseconds only:
    others give up after 180.
    """
    directory = Path(f"{os.path.abspath(path)}.lock")
    lock = Lock(path, directory, _take(path, directory))
    try:
        yield lock
    finally:
        lock.release()


def _take(path: Path, directory: Path) -> Identity:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            directory.mkdir()
            return _identity(directory)
        except FileExistsError:
            if _break_if_stale(path, directory):
                continue
        except OSError as error:
            raise failure(f"cannot be locked: {directory}: {error.strerror}", str(path)) from error
        if time.monotonic() > deadline:
            raise failure(
                f"locked by another program for {PATIENCE:.0f} s; if none is running, remove {directory}",
                str(path),
            )
        time.sleep(SystemRandom().uniform(*PAUSE))


def _break_if_stale(path: Path, directory: Path) -> bool:
    """Remove a lock that looks abandoned; return whether it was one, and may now be taken."""
    try:
        seen = _identity(directory)
        # A time in the future is fresh: some owners date their lock up to a second ahead.
        if seen[1] < (time.time() - STALE) * 1e9 and seen == _identity(directory):
            directory.rmdir()
            return True
    except FileNotFoundError:
        return False  # its owner released it meanwhile
    except OSError as error:
        raise failure(
            f"an abandoned lock cannot be removed: {error.strerror}; remove {directory}", str(path)
        ) from error
    return False


def _identity(directory: Path) -> Identity:
    status = directory.lstat()
    return status.st_ino, status.st_mtime_ns
