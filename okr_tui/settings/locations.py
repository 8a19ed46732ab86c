"""Where the settings files are, and the address of the log without reading all settings.

Commands that show what is in the log need no other setting, and must not wait until keys are resolved.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from okr_tui.domain.text import variable

NO_HOME: Final = Path("/nonexistent")
"""The home folder of a user who has none, such as a container's with a number and no name."""
NO_SETTINGS: Final = (
    "there is no home folder, and so no settings file: set HOME, or name a file with --settings"
)
LARGEST: Final = 4 * 1024 * 1024
"""Bytes that a file of settings has at most."""
STORE_VARIABLE: Final = "OKR_TUI_STORE"
PLAIN: Final = re.compile(r"sqlite:[!-~]+|memory:|rediss?://[!-~]+")


def default_global_file(environment: Mapping[str, str]) -> Path:
    """Return the user's settings file: OKR_TUI_SETTINGS, else in pi's folder."""
    if own := variable(environment, "OKR_TUI_SETTINGS"):
        return _expanded(own, environment)
    return agent_folder(environment) / "settings.json"


def agent_folder(environment: Mapping[str, str]) -> Path:
    """Return where pi keeps its files: PI_CODING_AGENT_DIR, else ~/.pi/agent."""
    return _expanded(variable(environment, "PI_CODING_AGENT_DIR") or "~/.pi/agent", environment)


def project_file(project_dir: Path) -> Path:
    """Return the project's settings file: in the directory itself, never in one above it."""
    return Path(os.path.abspath(project_dir)) / ".pi" / "settings.json"


def home_folder(environment: Mapping[str, str]) -> Path:
    """Return the home folder, NO_HOME where neither HOME nor the system names one."""
    home = variable(environment, "HOME") or os.path.expanduser("~")
    return Path(home) if os.path.isabs(home) else NO_HOME


def _expanded(path: str, environment: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        path = str(home_folder(environment)) + path[1:]
    return Path(os.path.abspath(path))


class _DoubtError(Exception):
    """The files alone do not tell."""


def store_address(
    option: str | None,
    environment: Mapping[str, str],
    global_file: Path,
    project_dir: Path,
    read_all: Callable[[], str | None],
) -> str | None:
    """Return the address of the log that the settings have, None for the default.

    Whatever is more than a plain address in the global file is left to `read_all`, which reads all layers.
    """
    try:
        return _plain_address(option, environment, global_file, project_file(project_dir))
    except (_DoubtError, OSError, ValueError, RecursionError):
        return read_all()


def _plain_address(
    option: str | None, environment: Mapping[str, str], global_file: Path, project: Path
) -> str | None:
    for given in (option, environment.get(STORE_VARIABLE)):
        if given is not None and given.strip():
            return _checked(given.strip())
    if _mentions_store(_text(project)):
        raise _DoubtError
    text = _text(global_file)
    if not _mentions_store(text):
        return None
    root = json.loads(text)
    section = root.get("okr-tui") if isinstance(root, dict) else None
    if not isinstance(section, dict) or text.count(b'"store"') != 1:
        raise _DoubtError
    return _checked(section.get("store"))


def file_content(path: Path, most: int = LARGEST) -> bytes:
    """Return the first `most` bytes of a file.

    Raises OSError also for what is not a file: a pipe without a writer would hold its reader up forever, and
    a device may have no end.
    """
    # What calls itself a file may give nothing now and have no end, as /proc/kmsg does.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    with open(descriptor, "rb") as file:
        content: bytes | None = file.read(most)
    if content is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
    return content


def _text(path: Path) -> bytes:
    try:
        return file_content(path)
    except FileNotFoundError:
        return b""


def _mentions_store(text: bytes) -> bool:
    return b"store" in text or b"\\u" in text


def _checked(address: object) -> str:
    if not isinstance(address, str) or not PLAIN.fullmatch(address):
        raise _DoubtError
    return address
