"""A process that announces a gateway in the folder it is given, says so, and lives until it is killed."""

import os
import sys
from pathlib import Path

from okr_tui.services.gateway_registry import Presence, announced

if __name__ == "__main__":
    with announced(Path(sys.argv[1]), Presence("http://127.0.0.1:4711", None, os.getpid())):
        print("announced", flush=True)  # noqa: T201 what the test waits for
        sys.stdin.read()
