"""Tell when settings files change, whichever way a program or a person changes them."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

QUIET_MS = 400
"""How long nothing may change for a burst to be over. The thread that watches wakes up so often."""
LONGEST_MS = 800
# A change that raced with the start of a watch, or on a disk that reports none, is seen at the next look.
LOOK_AGAIN_MS = 2_000
RETRY_SECONDS = 0.1
RETRY_LONGEST = 1.0

Snapshot = tuple[tuple[int, ...], ...]


class _Stop(asyncio.Event):
    """Set when the caller's event is; set by a cancelled watch without reaching the caller's."""

    def __init__(self, outer: asyncio.Event | None) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return super().is_set() or (self._outer is not None and self._outer.is_set())


async def changes(paths: Iterable[Path], stop: asyncio.Event | None = None) -> AsyncGenerator[None, None]:
    """Yield once at first and then after each burst of changes to the named files, until `stop` is set.

    A reader that loads after the first yield misses nothing that comes later. A file may be replaced,
    deleted, made again, reached through symbolic links, or have no directory yet. The content may be the
    same as before: compare what was loaded.
    """
    files = _absolute(paths)
    ended = _Stop(stop)
    seen = _snapshot(files)
    pause = RETRY_SECONDS
    yield
    while not ended.is_set():
        watched, names = _directories(files), _names(files)
        events = awatch(
            *watched,
            watch_filter=None,
            recursive=False,
            step=QUIET_MS,
            debounce=LONGEST_MS,
            rust_timeout=LOOK_AGAIN_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
            stop_event=ended,
        )
        try:
            async with aclosing(events):
                async for batch in events:
                    pause = RETRY_SECONDS
                    now = _snapshot(files)
                    if now != seen or any(path in names for _, path in batch):
                        seen = now
                        yield
                    if _directories(files) != watched:
                        break
        except (OSError, RuntimeError, UnicodeEncodeError):
            # The directory just vanished, or the system has no watches left, for which watchfiles raises a
            # RuntimeError, or its name is no UTF-8: look again in a moment, and rarely if that continues.
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_LONGEST)
        now = _snapshot(files)
        if now != seen:
            seen = now
            yield


def _absolute(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(Path(os.path.abspath(path)) for path in paths)


def _names(files: Iterable[Path]) -> set[str]:
    """Return every name an event about these files may carry: as given, and where symbolic links lead."""
    return {name for path in files for name in (str(path), os.path.realpath(path))}


def _directories(files: Iterable[Path]) -> dict[Path, tuple[int, ...]]:
    """Return the directories to watch, each with its identity: one that was made again needs a new watch."""
    wanted = {Path(name).parent for name in _names(files)}
    return {path: _identity(path)[:2] for path in map(_nearest, wanted)}


def _nearest(directory: Path) -> Path:
    # Unlike Path.is_dir, this answers no for a path that is not allowed to be looked at, or is too long.
    return next(
        path for path in (directory, *directory.parents) if os.path.isdir(path) or path == path.parent
    )


def _snapshot(files: Iterable[Path]) -> Snapshot:
    return tuple(_identity(path) for path in files)


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode
