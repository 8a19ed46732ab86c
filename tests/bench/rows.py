"""The rows of the benchmark. To add one, add an entry to ROWS."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import refresh
from tests.bench.home import Home
from tests.bench.row import Row
from tests.bench.terminal import started

CLICK = "import click"
PAINTED = ("user-16", "model-01", "requests ok")
"""Texts on the screen once keys, models and the last requests are painted."""
EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("first paint")
Empty().run()
"""


def import_click(home: Home) -> float:
    return home.python(CLICK)


def verb(name: str, *arguments: str, target: float = 2.5) -> Row:
    """A verb that asks the cloud nothing, against a Python that imports click."""
    words = " ".join((name, *arguments))
    return Row(
        name=words.replace(" --json", "").replace(" --", "-").replace(" ", "-"),
        words=f"`{words}`",
        unit="s",
        target=target,
        ours=lambda home: home.verb(name, *arguments),
        floor=import_click,
        floor_words="`import click`",
    )


@contextmanager
def shown_before(home: Home) -> Iterator[Home]:
    """A home whose dashboard ran before and has left what it showed."""
    with started(home.command(), home.environment, home.folder) as program:
        program.shows(*PAINTED)
        program.read_for(8.0)
    yield home


def paint_empty(home: Home) -> float:
    with started([home.command()[0], "-c", EMPTY_APP], home.environment, home.folder) as program:
        return program.shows("first paint")


def paint(home: Home) -> float:
    """Seconds until keys, models and the last requests are on the screen."""
    with started(home.command(), home.environment, home.folder) as program:
        return program.shows(*PAINTED)


def memory_at_paint(home: Home) -> float:
    with started(home.command(), home.environment, home.folder) as program:
        program.shows(*PAINTED)
        program.read_for(4.0)
        return program.memory()


def serve_start(home: Home) -> float:
    """Seconds until the gateway accepts a connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    command = home.command("serve", "--port", str(port))
    with subprocess.Popen(
        command, cwd=home.folder, env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout
            if b"listening" not in process.stdout.readline():
                raise SystemExit("serve never listened")
            return time.perf_counter() - began
        finally:
            process.terminate()


ROWS: tuple[Row, ...] = (
    verb("status", "--json"),
    verb("keys", "--json"),
    verb("models", "--json"),
    verb("paths", "--json"),
    verb("usage", "--json"),
    verb("status", "--line"),
    verb("events", "--since", "1h", "--json", target=3),
    Row(
        "paint",
        "first full paint of the dashboard",
        "s",
        1.7,
        paint,
        paint_empty,
        "an empty Textual app",
        given=shown_before,
    ),
    Row("memory", "memory of the dashboard, painted", "MiB", 60, memory_at_paint, judged="value", rounds=3),
    Row(
        "refresh",
        "cold refresh of 40 models",
        "s",
        3,
        refresh.refresh,
        refresh.trip,
        "one round trip of 80 ms",
        given=refresh.slow_cloud,
    ),
    Row("serve", "start of `serve`", "s", 0.6, serve_start, judged="value"),
)
