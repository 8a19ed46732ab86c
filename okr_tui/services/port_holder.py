"""Which program listens on a port of this machine, as far as Linux tells this user.

Source: proc(5), `/proc/net/tcp` and the links in `/proc/PID/fd`.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from okr_tui.domain.text import clean_line

TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENS: Final = "0A"


def holder(port: int) -> str | None:
    """Return who listens on a port: "nginx (process 812)"; None where that cannot be found out."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is another user's
            if any(os.readlink(each) in sockets for each in (folder / "fd").iterdir()):
                return f"{_name(folder)} (process {folder.name})"
    return "a program of another user"


def _name(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().split(b"\0")
    if any(word.endswith((b"okr-tui", b"okr_tui")) for word in words[:3]):
        return "okr-tui"
    return clean_line((folder / "comm").read_text(errors="replace"), 40)


def _inodes(port: int) -> Iterator[str]:
    wanted = f":{port:04X}"
    for table in TABLES:
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTENS and columns[1].endswith(wanted):
                    yield columns[9]
