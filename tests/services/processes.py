"""Other processes for a test to meet."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def announcing(state: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that announces a gateway at http://127.0.0.1:4711; it ends when its input does."""
    command = [sys.executable, "-m", "tests.services.registry_holder", str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "announced\n"
            yield process
        finally:
            process.kill()
