"""The dashboard at rest and under traffic: memory, processor, wake-ups."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from okr_tui.demo import SCENARIOS
from okr_tui.domain.keys import fingerprint
from tests.bench.home import Home, made
from tests.bench.terminal import Program, started

EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("first paint")
Empty().run()
"""
PAINTED = ("k16", "model-01", "requests ok")
"""Texts on the screen once keys, models and the last requests are painted."""
SETTLED = 15.0
"""Seconds until what a start brings is over: the list of models is read, each account's quota too."""
A_WHILE = 80.0
"""Seconds until accounts were read again, also where an earlier run has left what it read: for the first
request to the cloud more is imported."""
WATCHED = 20.0
"""Seconds of one measurement at rest."""
TRAFFIC, RATE = 30_000, 200
WRITER = """
import asyncio, sys, time
from pathlib import Path
from okr_tui.store.sqlite import SqliteStore
from tests.bench.home import _attempt
path, *numbers, fingerprints, names = sys.argv[1:]
count, rate = map(int, numbers)
keys, models = fingerprints.split(","), names.split(",")
async def run():
    store = await SqliteStore.open(Path(path))
    begin = time.monotonic()
    for start in range(0, count, rate // 10):
        batch = range(start, start + rate // 10)
        await store.append([_attempt(number, time.time(), keys, models) for number in batch])
        await asyncio.sleep(begin + batch.stop / rate - time.monotonic())
    await store.close()
asyncio.run(run())
"""


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
    """MiB once everything is painted and the service has given its first snapshot."""
    with started(home.command(), home.environment, home.folder) as program:
        program.shows(*PAINTED)
        program.read_for(4.0)
        return program.memory()


@contextmanager
def settled(home: Home) -> Iterator[tuple[Home, Program]]:
    """A dashboard that has been open for a while."""
    with started(home.command(), home.environment, home.folder) as program:
        program.shows(*PAINTED)
        program.read_for(A_WHILE)
        yield home, program


def memory_settled(opened: tuple[Home, Program]) -> float:
    return opened[1].memory()


def memory_growth(opened: tuple[Home, Program]) -> float:
    """MiB that the dashboard holds more after traffic of other processes."""
    home, program = opened
    before = program.memory()
    document = json.loads(home.settings.read_text())
    keys = ",".join(fingerprint(each["key"]) for each in document["pi-ollama"]["apiKeys"])
    models = ",".join(f"model-{at:02}:{at}b" for at in range(1, 61))
    command = [sys.executable, "-c", WRITER, str(home.log), str(TRAFFIC), str(RATE), keys, models]
    with subprocess.Popen(command, env=home.environment) as writer:
        while writer.poll() is None:
            program.read_for(1.0)
        if writer.returncode:
            raise SystemExit("the writer of records failed")
    program.read_for(SETTLED)
    return program.memory() - before


@contextmanager
def at_rest(_: Home, scenario: str) -> Iterator[Program]:
    """A dashboard on a cloud of its own that nobody uses, after all that a start brings."""
    with ExitStack() as stack:
        home = stack.enter_context(made(scenario=SCENARIOS[scenario], records=1000))
        program = stack.enter_context(started(home.command(), home.environment, home.folder))
        program.shows("ready")
        program.read_for(SETTLED)
        yield program


calm = partial(at_rest, scenario="calm")
spent = partial(at_rest, scenario="spent")
"""As `calm`, with the return of one account counted down."""


def processor(program: Program) -> float:
    """Percent of a core that a dashboard at rest takes."""
    before, began = program.processor(), time.perf_counter()
    program.read_for(WATCHED)
    return 100 * (program.processor() - before) / (time.perf_counter() - began)


def wake_ups(program: Program) -> float:
    """How often a second its threads wake."""
    before, began = program.wake_ups(), time.perf_counter()
    program.read_for(WATCHED)
    return (program.wake_ups() - before) / (time.perf_counter() - began)
