"""The rows of the benchmark. To add one, add an entry to ROWS."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tests.bench import dashboard, gateway, growth, rates, refresh
from tests.bench.home import Home
from tests.bench.row import Row, Unit

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


PRESSED = {
    "keys": "Keys",
    "live": "Live",
    "models": "Models",
    "saved": "earlier conversations",
    "usage": "the table of usage",
    "palette": "the palette",
}


def key_press(name: str, share: float, target: float, *, many: bool = False) -> Row:
    """A key in a list until something is drawn, against a bare table."""
    given = rates.many_in_list if many else rates.in_list
    return Row(
        f"{'many-' * many}press-{name}{'-99' * (share > 0.5)}",
        f"a key in {PRESSED[name]}{', 2,000 keys and 6,000 models' * many}, p{100 * share:.0f}",
        "ms",
        target,
        lambda pair: rates.presses(pair.ours, pair.keys, share),
        lambda pair: rates.presses(pair.floor, pair.keys, share),
        "in a bare table of Textual",
        judged="value",
        rounds=3,
        given=partial(given, name=name),
    )


def answered(
    name: str, words: str, unit: Unit, target: float, of: Callable[[rates.Streamed], float], *run: float
) -> Row:
    """What an answer costs; `run`: turns before it, tokens, tokens a second, records a second."""

    def ours(home: Home) -> float:
        return of(rates.answer(home, *run))

    return Row(name, words, unit, target, ours, judged="value", rounds=1, warm=False)


def fast_answers(turns: int) -> Iterator[Row]:
    """An answer of 1,000 tokens a second after so many turns."""
    name, words, run = f"answer-{turns}", f"1,000 tok/s after {turns:,} turns", (turns, 7000, 1000)
    yield answered(f"{name}-lag", f"{words}: latest part drawn", "s", 0.3, lambda of: of.lag, *run)
    yield answered(f"{name}-stall", f"{words}: a key, p99", "ms", 50, lambda of: of.stall, *run)
    yield answered(f"{name}-processor", f"{words}: processor", "%", 60, lambda of: of.processor, *run)


def while_much_arrives() -> Iterator[Row]:
    """Keys while an answer and the records of other processes arrive."""
    words, run = "while 100 tok/s and 50 records/s arrive", (0, 1500, 100, 50)
    yield answered("typing", f"a key {words}, p99", "ms", 50, lambda of: of.stall, *run)
    yield answered("typing-processor", f"processor {words}", "%", 40, lambda of: of.processor, *run)


def long_start(name: str, words: str, unit: Unit, target: float, of: Callable[[rates.Folded], float]) -> Row:
    """What the first start on a log of 1,000,000 records costs."""

    def ours(_: Home) -> float:
        return of(rates.long_start(1_000_000))

    words = f"first start on 1,000,000 records, {words}"
    return Row(name, words, unit, target, ours, judged="value", rounds=1, warm=False)


ROWS: tuple[Row, ...] = (
    verb("status", "--json"),
    verb("keys", "--json"),
    verb("models", "--json"),
    verb("paths", "--json"),
    verb("usage", "--json"),
    verb("status", "--line"),
    verb("events", "--since", "1h", "--json", target=3),
    verb("explain", "--json"),
    verb("explain", "--if-fails", "1", "--json", target=7),
    verb("use-key", "2", target=7),
    verb("config", "get", "strategy"),
    verb("config", "list", "--json"),
    verb("doctor", "--offline", "--json", target=9),
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
        needs=("uvloop", "httptools"),
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
    *(key_press(name, share, target) for name in rates.LISTS for share, target in ((0.5, 8), (0.99, 20))),
    *(key_press(name, 0.5, 8, many=True) for name in ("keys", "models")),
    *while_much_arrives(),
    Row(
        "answer-slow",
        "50 tok/s: processor",
        "%",
        20,
        lambda home: rates.answer(home, 0, 750, 50, typing=False).processor,
        judged="value",
        rounds=1,
        warm=False,
    ),
    *fast_answers(0),
    *fast_answers(200),
    *fast_answers(2000),
    Row(
        "many-paint",
        "first paint of 2,000 keys and 6,000 models",
        "s",
        2,
        lambda pair: rates.paint(pair[1]),
        lambda pair: rates.paint(pair[0]),
        "of 20 and 60",
        rounds=3,
        given=rates.few_and_many,
    ),
    long_start("million", "until all is painted", "s", 15, lambda of: of.seconds),
    long_start("million-progress", "until its progress is shown", "s", 1.5, lambda of: of.progress),
    long_start("million-memory", "memory at most", "MiB", 150, lambda of: of.memory),
)
