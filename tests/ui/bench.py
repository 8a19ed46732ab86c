"""How fast an answer is drawn: `python -m tests.ui.bench [--tokens N] [--ways WAY ...]`.

Each run is a process of its own in a pseudo terminal whose output is read as a terminal would. Tokens flood
in, or come at a fixed pace while keys are pressed; a key's delay lasts until its letter is drawn.
Ratios hold on any machine; times are this machine's. "ours" is the transcript, "static" one text redrawn at
30 Hz, "stream" Textual's own Markdown stream, "log" plain lines: no Markdown, nothing wraps anew.
"""

import argparse
import json
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

import okr_tui.ui  # noqa: F401 - how often the screen is drawn, before Textual is loaded
from tests.ui.bench_ways import WAYS, Bench, Result

KEYS = [chr(0x2460 + number) for number in range(140)]


def run(way: str, count: int, pace: float = 0.0, *, typing: bool = False) -> Result:
    """One run in a process and a terminal of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        arguments = ["-m", "tests.ui.bench", "--child", way, str(count), str(pace), str(report)]
        process, terminal = pty.fork()
        if process == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", TEXTUAL_ANIMATIONS="none")
            os.execv(sys.executable, [sys.executable, *arguments])
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        delays = _watch(terminal, typing=typing)
        os.waitpid(process, 0)
        os.close(terminal)
        if not report.exists():
            raise SystemExit(f"the run of {way} ended without a report")
        return Result(**{**json.loads(report.read_text()), "delays": delays})


def _watch(terminal: int, *, typing: bool) -> list[float]:
    """Read what is drawn until the end; press a key now and then and time its way to the screen."""
    began = time.perf_counter()
    delays: list[float] = []
    waiting, pressed, number = b"", 0.0, 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.005)
        now = time.perf_counter()
        if ready:
            try:
                output = os.read(terminal, 1 << 16)
            except OSError:
                return delays
            if not output:
                return delays
            if waiting and waiting in output:
                delays.append(time.perf_counter() - pressed)
                waiting = b""
        if typing and not waiting and now - began > 3.5 and now - pressed > 0.083:
            waiting, pressed = KEYS[number % len(KEYS)].encode(), now
            os.write(terminal, waiting)
            number += 1


def tell(result: Result, floor: Result | None) -> str:
    """A run on one line."""
    per_thousand = 1000 * result.cpu / result.tokens
    words = (
        f"{result.way:8}{result.tokens:7}{result.tokens / result.elapsed:10,.0f}"
        f"{1000 * result.stall:11.0f}{1000 * per_thousand:14.0f}{100 * result.cpu / result.elapsed:8.0f}"
    )
    if result.delays:
        ordered = sorted(result.delays)
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        words += f"{1000 * statistics.median(ordered):9.1f}{1000 * p99:9.1f}"
    if floor is not None:
        words += f"   x{result.cpu / floor.cpu:.2f}"
    return words


def main() -> None:
    """Run every way and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, nargs="*", default=[2000, 20_000])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    if options.child:
        way, count, pace, report = options.child
        Bench(way, int(count), float(pace), Path(report)).run()
        return
    out = sys.stdout.write
    head = "way      tokens  tokens/s  stall, ms  CPU ms/1,000  CPU, %"
    for count in options.tokens:
        out(f"\nflood of {count:,} tokens\n{head}   CPU to the log's\n")
        results = [run(way, count) for way in options.ways]
        floor = next((result for result in results if result.way == "log"), None)
        for result in results:
            out(tell(result, floor) + "\n")
    for pace in (200, 1000):
        out(f"\n{pace:,} tokens/s for 8 s, with keys\n{head}   p50, ms  p99, ms\n")
        for way in options.ways:
            out(tell(run(way, 8 * pace, pace, typing=True), None) + "\n")


if __name__ == "__main__":
    main()
