"""How a database file is begun: for its user alone, and by one process at a time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from okr_tui.store.locks import try_lock

PATIENCE: Final = 5.0
PAUSE: Final = 0.01


@asynccontextmanager
async def alone_in(folder: Path) -> AsyncIterator[None]:
    """Begin a file of a folder, or put another in its place, while no other process does.

    SQLite lets nobody wait for that, it refuses. A folder that cannot be had within PATIENCE seconds, or
    that cannot be locked at all, is used as it is.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            until = time.monotonic() + PATIENCE
            while not try_lock(descriptor) and time.monotonic() < until:  # noqa: ASYNC110 others' lock
                await asyncio.sleep(PAUSE)
        yield


def make_private(path: Path) -> None:
    """Make a file that only its user can read, if there is none. Raises OSError.

    One that is there is left closed: to close it would end the locks that SQLite has on it in this process.
    """
    if not path.is_file():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
