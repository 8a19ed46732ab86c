"""A program in a pseudo terminal: when it shows what, and what it costs."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SIZE = (120, 40)
LONGEST = 60.0
CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
"""The sequences of ECMA-48 that are no text."""


class Program:
    """A program that draws on a pseudo terminal of its own."""

    def __init__(self, process: int, terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.began = time.perf_counter()
        self.drawn = bytearray()
        """Everything it has written."""

    def read(self, seconds: float) -> bool:
        """Wait so long for output; return whether some came. Raises SystemExit once the program ended."""
        if not select.select([self._terminal], [], [], max(0.0, seconds))[0]:
            return False
        try:
            found = os.read(self._terminal, 1 << 16)
        except OSError:
            found = b""
        if not found:
            raise SystemExit(
                f"the program ended: {CONTROL.sub(b'', self.drawn)[-2000:].decode(errors='replace')}"
            )
        self.drawn += found
        return True

    def read_for(self, seconds: float) -> None:
        """Read what it draws for so long."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.read(left)

    def press(self, keys: bytes) -> None:
        """Press keys, as a terminal encodes them."""
        os.write(self._terminal, keys)

    def answer_to(self, keys: bytes, quiet: float = 0.05) -> float:
        """Press keys once nothing is drawn any more; return the seconds until something is."""
        while self.read(quiet):
            pass
        self.drawn.clear()
        began = time.perf_counter()
        self.press(keys)
        if not self.read(LONGEST):
            raise SystemExit(f"nothing is drawn after {keys!r}")
        return time.perf_counter() - began

    def shows(self, *texts: str) -> float:
        """Return the seconds from the start until each text was drawn at least once."""
        missing, at = [text.encode() for text in texts], time.perf_counter()
        while missing := [text for text in missing if text not in CONTROL.sub(b"", self.drawn)]:
            if time.perf_counter() - self.began > LONGEST:
                raise SystemExit(f"never drawn: {missing}")
            self.read(1.0)
            at = time.perf_counter()
        return at - self.began

    def memory(self) -> float:
        """The memory it holds, in MiB."""
        return self._memory("VmRSS:")

    def most_memory(self) -> float:
        """The most memory it has held, in MiB."""
        return self._memory("VmHWM:")

    def _memory(self, name: str) -> float:
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise SystemExit("the memory of a process is read from /proc")

    def processor(self) -> float:
        """The processor seconds that all its threads took so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wake_ups(self) -> int:
        """How often its threads slept and woke so far."""
        return sum(
            int(line.split()[1])
            for thread in Path(f"/proc/{self.process}/task").iterdir()
            for line in (thread / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, size: tuple[int, int] = SIZE
) -> Iterator[Program]:
    """Start a program in a terminal, and end it after the block."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        os.execvpe(command[0], list(command), dict(environment))
    program = Program(process, terminal)
    try:
        yield program
    finally:
        os.kill(process, signal.SIGTERM)
        _reap(program)
        os.close(terminal)


def _reap(program: Program) -> None:
    """Wait for its end, reading what it draws; one that does not end in time is killed."""
    until = time.perf_counter() + 5.0
    while os.waitpid(program.process, os.WNOHANG)[0] == 0:
        if time.perf_counter() > until:
            os.kill(program.process, signal.SIGKILL)
        try:
            program.read(0.05)
        except SystemExit:
            time.sleep(0.005)
