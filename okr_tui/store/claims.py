"""What one process among several holds: a locked file for each claim, let go when the process ends."""

import os
from contextlib import suppress
from pathlib import Path

from okr_tui.store.locks import try_lock

SUFFIX = ".lock"


class Claims:
    """The claims of one process on names in a folder. Where nothing can be locked every claim is granted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int | None] = {}

    def take(self, name: str) -> bool:
        """Claim a name of letters and digits; False while another process holds it."""
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
        """Let go of a name that nobody will want again; its file goes too."""
        with suppress(OSError):  # one that stays holds nothing
            (self._folder / f"{name}{SUFFIX}").unlink()
        self._close(name)

    def close(self) -> None:
        """Let go of every name, for others to claim."""
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
