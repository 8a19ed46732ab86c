"""What the dashboard costs while nothing happens: `python -m tests.ui.idle [--seconds 20] [--spent]`.

It runs in a terminal of its own on a simulated cloud with nobody at work, and one line says what a second of
that takes: of one core, in wake-ups, in bytes written to the terminal. It fails above one percent of a core.
"""

import argparse
import asyncio
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from okr_tui.demo import SCENARIOS, SimulatedCloud, serve

SETTLED = 12.0
"""Seconds until what a start brings is over: the list of models is read, each account's quota too."""
SIZE = (120, 40)
ALLOWED = 1.0
"""Percent of a core."""


def main() -> int:
    """Measure and tell; answers 1 when it is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--spent", action="store_true", help="one account is spent: its return is counted down"
    )
    options = parser.parse_args()
    percent = asyncio.run(measured(options.seconds, spent=options.spent))
    return int(percent > ALLOWED)


async def measured(seconds: float, *, spent: bool) -> float:
    """Percent of a core that the dashboard takes over so many seconds."""
    cloud = SimulatedCloud(SCENARIOS["spent" if spent else "calm"], speed=0.01)
    async with serve(cloud) as url:
        with tempfile.TemporaryDirectory(prefix="okr-tui-idle-") as folder:
            write_settings(Path(folder), cloud, url)
            return await asyncio.to_thread(watch, Path(folder), seconds)


def write_settings(folder: Path, cloud: SimulatedCloud, url: str) -> None:
    """Settings with every key of the cloud, and a log of their own."""
    keys = [{"key": text, "label": label} for text, label in cloud.keys]
    document = {
        "pi-ollama": {"cloudUrl": url, "apiKeys": keys},
        "okr-tui": {"store": f"sqlite:{folder / 'log.db'}", "gateway": {"port": 0}},
    }
    settings = folder / "settings.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps(document), encoding="utf-8")


def watch(folder: Path, seconds: float) -> float:
    """Run the dashboard in a pty and tell what it took."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    where = ("--settings", str(folder / "settings.json"), "--project", str(folder / "project"))
    program = subprocess.Popen(
        [sys.executable, "-m", "okr_tui", *where],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_STATE_HOME": str(folder)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        drawn = read_for(ours, SETTLED)
        assert b"ready" in drawn, "the dashboard never showed a key"
        before, slept = processor_seconds(program.pid), wake_ups(program.pid)
        written = len(read_for(ours, seconds))
        percent = 100 * (processor_seconds(program.pid) - before) / seconds
        woken = (wake_ups(program.pid) - slept) / seconds
        said = f"{percent:.2f} % of a core, {woken:.0f} wake-ups/s, {written / seconds:.0f} bytes/s"
        sys.stdout.write(f"idle: {said}\n")
        return percent
    finally:
        program.terminate()
        program.wait(10)
        os.close(ours)


def read_for(terminal: int, seconds: float) -> bytes:
    """What is written to the terminal meanwhile."""
    end, found = time.monotonic() + seconds, b""
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            found += os.read(terminal, 65536)
    return found


def processor_seconds(process: int) -> float:
    """The processor time that all threads of a process have taken."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wake_ups(process: int) -> int:
    """How often its threads went to sleep and woke."""
    return sum(
        int(line.split()[1])
        for thread in Path(f"/proc/{process}/task").iterdir()
        for line in (thread / "status").read_text(encoding="utf-8").splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


if __name__ == "__main__":
    sys.exit(main())
