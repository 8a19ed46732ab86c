"""Small files in the state folder that a run leaves for the next one, and that may vanish at any time.

They are only their user's: mode 0600 in a folder of mode 0700. One that is damaged, too long, a link, or
another user's is as good as none.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.store.factory import state_folder

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_FILES: Final = 16
"""Files of one kind that are kept; the oldest go."""


class KeptFiles:
    """The files of one kind, each with a name of letters and digits."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def read(self, name: str) -> str | None:
        """Return the text of a file; None where there is none to be trusted."""
        try:
            descriptor = os.open(
                self._folder() / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK
            )
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
                if not own or not stat.S_ISREG(status.st_mode):
                    return None
                data = file.read(MOST_BYTES + 1)
            return data.decode() if len(data) <= MOST_BYTES else None
        except (OSError, StoreError, UnicodeDecodeError):
            return None  # the next run leaves another

    def write(self, name: str, text: str) -> None:
        """Put a text in the place of a file, whole or not at all; where none can be written, none is kept."""
        import tempfile

        with contextlib.suppress(OSError, StoreError):
            folder = self._folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(prefix=".", dir=folder)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                    file.write(text)
                os.replace(draft, folder / name)
            except BaseException:
                os.unlink(draft)
                raise
            self._drop_old(folder)

    def _drop_old(self, folder: Path) -> None:
        found = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in found[MOST_FILES:]:
            path.unlink(missing_ok=True)

    def _folder(self) -> Path:
        return state_folder() / self._kind


STATUS_FILES: Final = KeptFiles("status")
"""What a pool with its log on a server looked like, for status bars of this machine."""


def status_file(store: str, settings: Path) -> str:
    """Return the name of the status of a pool, by the address of its log and its global settings file."""
    return hashlib.sha256(f"{store}\n{settings.absolute()}".encode(errors="replace")).hexdigest()[:24]
