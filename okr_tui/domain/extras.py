"""The optional parts of the program, and how to add one to a running installation."""

import shlex
import sys
from collections.abc import Mapping
from typing import Final

EXTRAS: Final[Mapping[str, str]] = {
    "redis": "redis[hiredis]>=8",
    "keyring": "keyring>=25",
    "mcp": "mcp>=2,<3",
    "socks": "socksio>=1,<2",
    "zstd": "zstandard>=0.22",
    "daemon": "cryptography>=42",
    "systemd": "sdnotify>=0.3.2",
}
"""What each extra of the package installs, as pyproject.toml says."""


def how_to_add(extra: str) -> str:
    """Return the command that adds an extra, whichever tool made the environment.

    It names the package itself, not `okr-tui[EXTRA]`, which an index may not have; and the interpreter, since
    an environment made by uv, pipx or `venv --without-pip` has no pip of its own.
    """
    python = shlex.quote(sys.executable or "python3")
    return f"python3 -m pip --python {python} install {shlex.quote(EXTRAS[extra])}"
