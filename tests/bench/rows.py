"""The rows of the benchmark. To add one, add an entry to ROWS."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.bench import gateway, growth, refresh
from tests.bench.home import Home
from tests.bench.row import Row
from tests.bench.terminal import started

CLICK = "import click"
PAINTED = ("k16", "model-01", "requests ok")
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
    Row("choose", "slowest choice over 1,000 keys", "ms", 1, growth.slowest_choice, judged="value", rounds=3),
    Row("view", "slowest view of 1,000 keys", "ms", 10, growth.slowest_view, judged="value", rounds=3),
    Row("settings", "settings of 1,000 keys", "ms", 50, growth.settings, judged="value", rounds=3),
    Row("fold", "records folded", "1/s", 100_000, growth.folded, judged="value", least=True, rounds=3),
    Row(
        "log",
        "a log of 100,000 records without a kept state",
        "s",
        1.5,
        growth.opened,
        judged="value",
        rounds=3,
        given=growth.long_log,
    ),
    Row(
        "many-keys",
        "`keys --json` of 1,000 keys",
        "s",
        1.5,
        growth.keys_of_large,
        growth.keys_of_small,
        "of 10 keys",
        given=growth.two_homes,
    ),
    Row(
        "many-keys-serve",
        "processor time of a request through `serve` with 1,000 keys",
        "ms",
        1.5,
        lambda pair: gateway.processor(pair.ours),
        lambda pair: gateway.processor(pair.floor),
        "with 6 keys",
        given=gateway.few_and_many,
    ),
    Row(
        "requests",
        "requests through `serve`",
        "1/s",
        0.8,
        lambda pair: gateway.rate(pair.ours),
        lambda pair: gateway.rate(pair.floor),
        "uvicorn on h11 and aiohttp, bare",
        least=True,
        given=gateway.beside_bare,
    ),
    Row(
        "requests-fast",
        "requests through `serve` with the extra `fast`",
        "1/s",
        0.6,
        lambda pair: gateway.rate(pair.ours),
        lambda pair: gateway.rate(pair.floor),
        "uvicorn on uvloop and httptools and aiohttp, bare",
        least=True,
        given=partial(gateway.beside_bare, fast=True),
    ),
    *(
        Row(
            f"first-byte-{streams}",
            f"first byte through `serve`, {streams} streams at once",
            "ms",
            target,
            lambda pair, streams=streams: gateway.first_byte(pair.ours, streams),  # type: ignore[misc]
            lambda pair, streams=streams: gateway.first_byte(pair.floor, streams),  # type: ignore[misc]
            "uvicorn on h11 and aiohttp, bare",
            given=gateway.beside_bare,
        )
        for streams, target in ((1, 1.3), (64, 1.3), (256, 2.0))
    ),
)
