"""The dashboard on a real pseudo-terminal: what ends it, and that it leaves the terminal as it was."""

import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.hostile_cloud import hostile_cloud, settings
from tests.waiting import LIMIT

pytestmark = pytest.mark.slow(reason="starts the dashboard on pseudo-terminals")
LEFT = (b"\x1b[?1049l", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[<u", b"\x1b[?25h")
"""Alternate screen, mouse, bracketed paste, kitty keys and the hidden cursor, switched off."""


class Terminal:
    """A dashboard on a pseudo-terminal of 100 by 30; without `options` it has no keys."""

    def __init__(self, home: Path, *options: str) -> None:
        self.output = b""
        self.home = home
        self._master, slave = pty.openpty()
        self.resize(100, 30)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([str(home), *filter(None, sys.path)]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "okr_tui", *(options or ("--store", "memory:"))],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=home,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def send(self, data: bytes) -> None:
        """Type bytes, reading what is drawn meanwhile."""
        for start in range(0, len(data), 512):
            os.write(self._master, data[start : start + 512])
            self.read(0.01)

    def read(self, seconds: float) -> bool:
        """Read what is drawn for so long; false when the terminal was closed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._master in select.select([self._master], [], [], left)[0]:
                try:
                    self.output += os.read(self._master, 65536)
                except OSError:
                    return False
        return True

    def wait_for(self, text: bytes, seconds: float = LIMIT) -> None:
        """Read until a text was drawn."""
        until = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < until, self.output[-2000:]
            assert self.read(0.05), self.output[-2000:]

    def end(self, seconds: float = LIMIT) -> int:
        """Read until the process has ended; returns its exit code."""
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < until, self.output[-2000:]
            self.read(0.05)
        self.read(0.1)
        return self.process.returncode

    def close(self) -> None:
        """Close the terminal, and kill the process if it is still there."""
        os.close(self._master)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    try:
        opened.wait_for(b"No Ollama Cloud key")
        yield opened
    finally:
        opened.close()


def test_the_key_to_quit_restores_the_terminal(terminal: Terminal) -> None:
    terminal.send(b"q")
    assert terminal.end() == 0
    assert all(sequence in terminal.output for sequence in LEFT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_the_key_does(terminal: Terminal, number: signal.Signals) -> None:
    terminal.process.send_signal(number)
    assert terminal.end() == 0
    assert all(sequence in terminal.output for sequence in LEFT)


def test_a_hangup_that_is_repeated_lets_it_close(terminal: Terminal) -> None:
    # A terminal that is closed sends it, and then the shell does.
    for _ in range(20):
        terminal.process.send_signal(signal.SIGHUP)
        terminal.read(0.01)
    assert terminal.end() == 0
    assert all(sequence in terminal.output for sequence in LEFT)


def test_ctrl_z_suspends_and_it_comes_back(terminal: Terminal) -> None:
    terminal.send(b"\x1a")
    terminal.wait_for(b"\x1b[?1049l")
    status = Path(f"/proc/{terminal.process.pid}/stat")
    until = time.monotonic() + LIMIT
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < until
        terminal.read(0.05)
    terminal.output = b""
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_for(b"\x1b[?1049h")
    terminal.read(0.3)
    terminal.send(b"q")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    "data",
    [b"\xe4x", b"\xc4\xe3\xba\xc3", b"\x1b[M \xf0\xf0", b"\x1b[1073::44;;1073u", b"\x1b[97;1:3u", b"\xd0"],
    ids=repr,
)
def test_odd_input_is_lived_through(terminal: Terminal, data: bytes) -> None:
    terminal.send(data)
    terminal.read(0.3)
    assert terminal.process.poll() is None
    terminal.send(b"\x1b[1081;5u")
    assert terminal.end() == 0


def test_a_crash_is_one_line_a_report_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import textual.widget\n"
        "def broken(self, *_, secret='4f2a' * 8): raise LookupError(secret)\n"
        "import okr_tui.ui.widgets.header as header\n"
        "header.Header.on_click = broken\n"
        "header.Header.on_mount = broken\n"
    )
    opened = Terminal(tmp_path)
    try:
        code = opened.end()
    finally:
        opened.close()
    assert code == 1
    assert b"unexpected LookupError" in opened.output
    assert b"Traceback" not in opened.output
    assert b"4f2a4f2a" not in opened.output
    assert all(sequence in opened.output for sequence in LEFT)
    (report,) = (tmp_path / ".local" / "state" / "okr-tui").glob("crash-*.txt")
    assert "4f2a4f2a" not in report.read_text()


def test_a_flood_of_garbage_is_lived_through(terminal: Terminal) -> None:
    randomly = random.Random(13)
    # No letter of a plain key: what is sent means nothing, so nothing may come of it.
    pieces = [
        b"\x1b[",
        b"\x1b]",
        b"\x1b[<",
        b";",
        b":",
        b"0",
        b"9",
        b"\x80",
        b"\xff",
        b"\xc3",
        b"\x1bP",
        b"\x1b\\",
        b"?",
    ]
    for _ in range(300):
        terminal.send(b"".join(randomly.choices(pieces, k=40)))
        assert terminal.process.poll() is None
    terminal.send(b"\x1b\\\x1b[201~")
    terminal.read(0.5)
    terminal.send(b"\x11")
    assert terminal.end() == 0


FORBIDDEN: Final = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")
OUTSIDE: Final = re.compile(rb"\x1b[\]PX^_][^\x07\x1b]*EVIL|\x1bc|\x1b\[201~|\x1b\]52|\x1b\]8|\x1b\]0")
SCREENS: Final = (b"i", b"?", b",", b"\ti", b"\ti")
"""Details of a key, help, settings, a line of the log, details of a model; each is left again."""


def test_no_text_of_a_hostile_cloud_steers_the_terminal(tmp_path: Path) -> None:
    with hostile_cloud() as cloud:
        file = tmp_path / "settings.json"
        file.write_text(settings(cloud.url, f"sqlite:{tmp_path / 'log.db'}"))
        opened = Terminal(tmp_path, "--settings", str(file))
        try:
            opened.wait_for(b"gpt-oss:20b")
            for keys in SCREENS:
                for key in keys + b"\x1b":
                    opened.send(bytes([key]))
                    opened.read(0.3)
            opened.send(b"\r")
            opened.read(0.3)
            opened.send(b"hello\r")
            opened.wait_for(b"forged")
            cloud.status = 500
            opened.send(b"again\r")
            opened.read(1)
            assert opened.process.poll() is None, opened.output[-2000:]
        finally:
            opened.close()
    assert b"EVIL" in opened.output, "what is outside text was drawn"
    assert OUTSIDE.findall(opened.output) == []
    assert FORBIDDEN.findall(opened.output.decode()) == []


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    """Dashboards with keys, one after another, the first of which has ended."""
    opened: list[Terminal] = []
    with hostile_cloud() as cloud:
        file = tmp_path / "settings.json"
        file.write_text(settings(cloud.url, f"sqlite:{tmp_path / 'log.db'}"))

        def start() -> Terminal:
            opened.append(Terminal(tmp_path, "--settings", str(file)))
            return opened[-1]

        first = start()
        first.wait_for(b"gpt-oss:20b")
        first.read(0.5)
        first.send(b"q")
        assert first.end() == 0
        assert b"as it was" not in first.output
        try:
            yield start
        finally:
            for each in opened:
                each.close()


def test_the_last_screen_is_there_at_once_and_gives_way(again: Callable[[], Terminal]) -> None:
    second = again()
    second.wait_for(b"as it was")
    assert b"gpt-oss:20b" in second.output
    assert second.output.count(b"\x1b[?1049h") == 1
    assert b"\x1b[?1003h" not in second.output, "Textual has not begun"
    second.send(b"?")
    second.wait_for(b"other way round")
    assert second.output.count(b"\x1b[?1049h") == 1, "another would clear it"
    second.send(b"\x11")
    assert second.end() == 0
    assert all(sequence in second.output for sequence in LEFT)


def test_one_that_is_killed_meanwhile_restores_the_terminal(again: Callable[[], Terminal]) -> None:
    second = again()
    before = termios.tcgetattr(second._master)
    second.wait_for(b"as it was")
    second.process.send_signal(signal.SIGTERM)
    second.end()
    assert b"\x1b[?1049l" in second.output
    assert b"\x1b[?25h" in second.output
    assert termios.tcgetattr(second._master)[3] == before[3] | termios.ECHO | termios.ICANON | termios.ISIG
