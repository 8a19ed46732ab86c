"""Which processes run a gateway: a file for each in the state folder, locked for as long as it lives.

The lock is the operating system's and ends with the process however that ends; a file without one is ignored.
"""

import json
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from okr_tui.domain.errors import OkrError
from okr_tui.domain.values import dataclass
from okr_tui.settings.locations import file_content
from okr_tui.store.file_locks import HAVE_LOCKS, try_lock

FOLDER: Final = "gateways"
SUFFIX: Final = ".json"
LOOK_AGAIN_MS: Final = 5_000
"""Milliseconds; a process that is killed changes no file, so that watching alone would miss it."""
STEP_MS: Final = 2_000
"""Milliseconds between two wake-ups of the thread that watches."""
CONNECT_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Presence:
    """A gateway that runs: its addresses, for clients and for an `ollama` daemon, its process and version."""

    url: str
    daemon_url: str | None
    pid: int
    version: str = ""


@contextmanager
def announced(state: Path, presence: Presence) -> Iterator[None]:
    """List this gateway in the state folder until the block is left.

    Raises OkrError when the folder cannot be written.
    """
    folder = state / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
        file, path = _written(folder, presence)
    except OSError as error:
        raise OkrError(f"cannot announce the gateway in {folder}: {error.strerror}") from None
    with file:
        try:
            yield
        finally:
            # The folder may have been cleared meanwhile.
            with suppress(OSError):
                path.unlink()


def _written(folder: Path, presence: Presence) -> tuple[IO[str], Path]:
    """Write a file; return it open and locked, and its path. It is named last, so that none is read half."""
    import tempfile

    descriptor, draft = tempfile.mkstemp(prefix=f"{presence.pid}.", dir=folder)
    file = os.fdopen(descriptor, "w", encoding="utf-8")
    try:
        try_lock(file)
        json.dump(asdict(presence), file)
        file.flush()
        return file, Path(draft).rename(f"{draft}{SUFFIX}")
    except BaseException:
        file.close()
        os.unlink(draft)
        raise


def running_gateways(state: Path) -> tuple[Presence, ...]:
    """Return the gateways that processes of this state folder run now, the newest first."""
    found: list[tuple[float, Presence]] = []
    for path in (state / FOLDER).glob(f"*{SUFFIX}"):
        # A file may vanish at any moment; an unreadable one is not a gateway.
        with suppress(OSError, ValueError, TypeError):
            presence = _read(path)
            if _lives(path, presence):
                found.append((path.stat().st_mtime, presence))
    return tuple(presence for _, presence in sorted(found, key=lambda each: each[0], reverse=True))


def dead_announcements(state: Path) -> Iterator[Path]:
    """Yield the files of gateways that were killed, and those that cannot be read."""
    for path in sorted((state / FOLDER).glob(f"*{SUFFIX}")):
        try:
            if not _lives(path, _read(path)):
                yield path
        except (ValueError, TypeError):
            yield path
        except OSError:
            continue  # it vanished


def has_crashed(state: Path, presence: Presence) -> bool:
    """Return whether a gateway ended without taking its file away, as one does that is killed."""
    for path in (state / FOLDER).glob(f"{presence.pid}.*{SUFFIX}"):
        with suppress(OSError, ValueError, TypeError):
            if _read(path) == presence and not _lives(path, presence):
                return True
    return False


def running_gateway(state: Path) -> Presence | None:
    """Return the gateway that was started last, of those that run now."""
    return next(iter(running_gateways(state)), None)


async def changes(state: Path) -> AsyncGenerator[None, None]:
    """Yield at once, after each start or end of a gateway, and every few seconds; until cancelled."""
    import asyncio

    from watchfiles import awatch

    folder = state / FOLDER
    while True:
        yield
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            events = awatch(
                folder,
                watch_filter=None,
                recursive=False,
                step=STEP_MS,
                debounce=2 * STEP_MS,
                rust_timeout=LOOK_AGAIN_MS,
                yield_on_timeout=True,
            )
            async with aclosing(events):
                async for _ in events:
                    yield
        except (OSError, RuntimeError, UnicodeEncodeError):
            # The folder vanished, cannot be made or is not named in UTF-8, or the system has no watches left.
            await asyncio.sleep(LOOK_AGAIN_MS / 1000)


def _read(path: Path) -> Presence:
    return Presence(**json.loads(file_content(path)))


def _lives(path: Path, presence: Presence) -> bool:
    """Return whether the process that wrote a file still locks it; without locks, whether it answers."""
    if HAVE_LOCKS:
        with path.open("rb") as file:
            return not try_lock(file, shared=True)
    import socket

    address = urlsplit(presence.url)
    try:
        socket.create_connection((address.hostname, address.port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Remove the files of processes that were killed."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError, ValueError, TypeError):
            if not _lives(path, _read(path)):
                path.unlink()
