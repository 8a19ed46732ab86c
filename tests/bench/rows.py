"""The rows of the benchmark. To add one, add an entry to ROWS."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tests.bench import dashboard, gateway, growth, refresh
from tests.bench.home import Home
from tests.bench.row import Row

CLICK = "import click"


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


ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n"
    b'{"message":{"role":"assistant","content":"hello"},"done":true,"done_reason":"stop","eval_count":1}\n'
)


@dataclass(frozen=True)
class Asked:
    """A home, and a cloud in its place that answers the first request of a chat."""

    home: Home
    listener: socket.socket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"


@contextmanager
def answering(home: Home) -> Iterator[Asked]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60.0)
        yield Asked(home, listener)


def chat_start(asked: Asked) -> float:
    """Seconds until the request of a chat has arrived."""
    home, began = asked.home, time.perf_counter()
    command = home.command("--cloud-url", asked.url, "chat", "model-01:1b", "hello")
    with subprocess.Popen(
        command, cwd=home.folder, env=home.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        arrived = 0.0
        while not arrived:
            connection, _ = asked.listener.accept()
            with connection, connection.makefile("rb") as received:
                if b"/api/chat" not in received.readline():
                    continue
                arrived, length = time.perf_counter(), 0
                while line := received.readline().strip().lower():
                    if line.startswith(b"content-length:"):
                        length = int(line[15:])
                received.read(length)
                connection.sendall(ANSWER)
        answer = process.communicate()[0]
    if answer != b"hello\n":
        raise SystemExit(f"the chat printed {answer!r}")
    return arrived - began


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
        dashboard.paint,
        dashboard.paint_empty,
        "an empty Textual app",
        given=dashboard.shown_before,
    ),
    Row(
        "memory",
        "memory of the dashboard, painted",
        "MiB",
        60,
        dashboard.memory_at_paint,
        judged="value",
        rounds=3,
    ),
    Row(
        "memory-settled",
        "memory of the dashboard, after a while",
        "MiB",
        60,
        dashboard.memory_settled,
        judged="value",
        rounds=1,
        warm=False,
        given=dashboard.settled,
    ),
    Row(
        "memory-growth",
        "memory that 30,000 records at 200/s add to the dashboard",
        "MiB",
        5,
        dashboard.memory_growth,
        judged="value",
        rounds=1,
        warm=False,
        given=dashboard.settled,
    ),
    Row(
        "idle",
        "processor of the dashboard at rest",
        "%",
        0.5,
        dashboard.processor,
        judged="value",
        rounds=3,
        warm=False,
        given=dashboard.calm,
    ),
    Row(
        "idle-countdown",
        "processor of the dashboard at rest, with a countdown",
        "%",
        1,
        dashboard.processor,
        judged="value",
        rounds=3,
        warm=False,
        given=dashboard.spent,
    ),
    Row(
        "idle-wake-ups",
        "wake-ups of the dashboard at rest",
        "1/s",
        15,
        dashboard.wake_ups,
        judged="value",
        rounds=3,
        warm=False,
        given=dashboard.calm,
    ),
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
    Row(
        "chat",
        "start of `chat` until its request arrives",
        "s",
        0.35,
        chat_start,
        judged="value",
        given=answering,
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
