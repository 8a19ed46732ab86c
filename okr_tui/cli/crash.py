"""Crash reports: one line for the user and a file without any of their data."""

import os
import platform
import re
import sys
import time
import traceback
from pathlib import Path
from typing import Final

from okr_tui import __version__
from okr_tui.domain.errors import StoreError
from okr_tui.domain.text import clean_line

KEPT: Final = 5
"""Reports that stay in the folder; older ones are removed."""
_WORD: Final = re.compile(r"[^\s'\"]{10,}")
"""What could be a key, a token, an address or a path in the text of an exception."""


def describe_crash(error: BaseException, folder: Path | None = None) -> str:
    """Write a report of an unexpected error; return the line for the user.

    `folder` is the state folder where none is given.

    Never raises: where no report can be written, the line says so.
    """
    what = f"unexpected {type(error).__name__}"
    try:
        if folder is None:
            from okr_tui.store.factory import state_folder

            folder = state_folder()
        path = write_report(error, folder)
    except (OSError, StoreError) as problem:  # the latter where the system knows no home
        reason = problem.strerror if isinstance(problem, OSError) else "there is no home folder"
        return f"{what}; no report could be written to {folder or 'the state folder'}: {reason}"
    return f"{what}; details are in {path} (please report it with that file)"


def write_report(error: BaseException, folder: Path) -> Path:
    """Write versions, the kind of error and the lines it passed through to a new file of mode 0600.

    No local variable is in it, and no longer word of the error's own text. Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    with os.fdopen(
        os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write("\n".join(_lines(error)) + "\n")
    for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def _lines(error: BaseException) -> list[str]:
    system = (
        f"{platform.system()}, Python {platform.python_version()}, terminal {os.environ.get('TERM', '-')}"
    )
    lines = [f"okr-tui {__version__}, {system}"]
    lines += [f"{name} {_version(name)}" for name in ("textual", "httpx", "pydantic") if name in sys.modules]
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines += [
            "",
            f"{type(cause).__module__}.{type(cause).__name__}: {_WORD.sub('…', clean_line(str(cause)))}",
        ]
        for frame in traceback.extract_tb(cause.__traceback__):
            lines.append(f"  {_short(frame.filename)}:{frame.lineno} in {frame.name}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return lines


def _short(filename: str) -> str:
    """Return the end of a path that names the module and not where this machine keeps it."""
    parts = Path(filename).parts
    for root in ("site-packages", "okr_tui"):
        if root in parts:
            at = len(parts) - 1 - parts[::-1].index(root)
            return "/".join(parts[at + (root == "site-packages") :])
    return "/".join(parts[-2:])


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
