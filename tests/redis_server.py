"""A Redis server for logs that machines share."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

DATABASES = 4096


class RedisServer:
    """A server process on a loopback port. Killed and started again, it keeps its port and folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        binary = shutil.which("redis-server") or shutil.which("valkey-server")
        if binary is None:
            pytest.skip("neither redis-server nor valkey-server is installed")
        self._binary = binary
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        # Below the ports that systems give to connections, so that none of those takes ours meanwhile.
        for port in random.sample(range(20_000, 30_000), 20):
            self.port = port
            if self.start():
                return
        raise AssertionError("no server could be started on any of 20 ports")

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> bool:
        """Start it and wait until it answers; false when it cannot be, as on a port in use."""
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), "--databases", str(DATABASES), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        for line in self._process.stdout:
            if "ready to accept connections" in line.lower():
                return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None
