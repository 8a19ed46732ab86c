"""How fast the dashboard answers: a key press, typing while much arrives, a stream, thousands of rows.

Everything is read from a pseudo terminal, as a person would see it.
"""

import asyncio
import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

from okr_tui.chat.conversation import Conversation, Turn
from okr_tui.chat.conversation_store import ConversationStore
from okr_tui.chat.messages import Message
from tests.bench import streams
from tests.bench.home import Home, arriving, made
from tests.bench.terminal import CONTROL, LONGEST, Program, started

PRESSES = 60
TAB, DOWN, UP, ENTER, END, HOME, PAGE_DOWN = (
    b"\t",
    b"\x1b[B",
    b"\x1b[A",
    b"\r",
    b"\x1b[F",
    b"\x1b[H",
    b"\x1b[6~",
)
SAVED, PALETTE = b"\x13", b"\x10"
LISTS: dict[str, tuple[tuple[bytes, ...], str, tuple[bytes, ...]]] = {
    "keys": ((), "Keys", (DOWN, UP)),
    "live": ((TAB,), "requests ok", (UP, DOWN)),
    "models": ((TAB, TAB), "model-01", (DOWN, UP)),
    "saved": ((TAB, TAB, TAB, SAVED), "talk", (DOWN, UP)),
    "usage": ((b"U",), "Quota left", (DOWN, UP)),
    "palette": ((PALETTE,), "key", (DOWN, UP)),
}
"""The keys that lead to a list, a text that it shows, and the keys that are pressed in it in turn."""
PAINTED = ("Keys", "model-01", "requests ok")
TABLE = """
from textual.app import App
from textual.widgets import DataTable
class Table(App):
    def compose(self):
        table = DataTable(cursor_type="row")
        table.add_columns("key", "label", "plan", "state", "5h", "week")
        for at in range(20):
            table.add_row(f"4f2a…{at:04}", f"k{at:02}", "pro", "● ready", "▇▇▇▁ 74%", "▇▁▁▁ 22%")
        yield table
Table().run()
"""
KEPT = 4096
"""Bytes of what was drawn that are looked at again: what is looked for may come in two pieces."""
LETTERS = [chr(0x2460 + number).encode() for number in range(140)]
"""Signs that nothing else on the screen shows."""


@dataclass(frozen=True)
class Pair:
    """Two programs that run, and what is pressed in them in turn."""

    floor: Program
    ours: Program
    keys: Sequence[bytes]


def percentile(found: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies. Raises SystemExit where there is none."""
    if not found:
        raise SystemExit("no key was answered")
    return sorted(found)[min(len(found) - 1, int(share * len(found)))]


def presses(program: Program, keys: Sequence[bytes], share: float) -> float:
    """Milliseconds from a key to the first thing that is drawn after it, of which a share takes less."""
    return percentile([1000 * program.answer_to(keys[at % len(keys)]) for at in range(PRESSES)], share)


@contextmanager
def in_list(home: Home, name: str, painted: Sequence[str] = PAINTED) -> Iterator[Pair]:
    """The dashboard with the focus in a list, and a bare table."""
    way, shown, keys = LISTS[name]
    conversations(home)
    command = home.command()
    with ExitStack() as stack:
        table = [command[0], "-c", TABLE]
        floor = stack.enter_context(started(table, home.environment, home.folder))
        ours = stack.enter_context(started(command, home.environment, home.folder))
        floor.shows("k19")
        floor.read_for(1.0)
        ours.shows(*painted)
        ours.read_for(6.0)
        for each in way:
            ours.drawn.clear()
            ours.press(each)
            ours.read_for(1.0)
        ours.shows(shown)
        yield Pair(floor, ours, keys)


@cache
def conversations(home: Home, turns: int = 0) -> None:
    """Keep short conversations, and as the newest one of so many turns."""

    def talk(name: str, turns: int, at: float) -> Conversation:
        said = [
            message
            for number in range(turns)
            for message in (Message("user", f"question {number}"), Message("assistant", streams.answer()))
        ]
        whole = tuple(Turn(index, message, at) for index, message in enumerate(said, 1))
        return Conversation(name, name, "model-01:1b", created=at, updated=at, turns=whole)

    async def fill() -> None:
        store = await ConversationStore.open(home.conversations, time.time())
        try:
            for number in range(100):
                await store.keep(talk(f"talk {number}", 2, time.time() - 3600 - number))
            if turns:
                await store.keep(talk(f"long {turns}", turns, time.time()))
        finally:
            await store.close()

    asyncio.run(fill())


@dataclass(frozen=True)
class Streamed:
    """What an answer took while keys were pressed."""

    lag: float
    """How late the latest part of the answer was drawn, in seconds."""
    stall: float
    """Milliseconds from a key until its letter is drawn, of which 99 of 100 take less."""
    processor: float
    """Percent of a core, over the time in which the answer is sent."""


@contextmanager
def chatting(home: Home, turns: int = 0) -> Iterator[Program]:
    """A dashboard with the focus in the prompt, in a conversation that has so many turns."""
    conversations(home, turns)
    with started(home.command(), home.environment, home.folder) as program:
        program.shows(*PAINTED)
        program.read_for(8.0)
        to_saved = (SAVED, ENTER) if turns else ()
        for each in (TAB, TAB, ENTER, *to_saved):  # chat with the first model
            program.press(each)
            program.read_for(1.5)
        if turns:
            program.shows("What else?")
        yield program


def streamed(program: Program, count: int, pace: float, *, typing: bool = True) -> Streamed:
    """Ask for so many tokens at so many a second; `typing`: and press keys in the prompt meanwhile."""
    program.press(streams.question(count, pace).encode())
    program.read_for(1.0)
    program.press(ENTER)
    program.drawn.clear()
    delays: list[float] = []
    lags: dict[int, float] = {}
    letters = itertools.cycle(LETTERS)
    letter, pressed = b"", 0.0
    began, used = time.monotonic(), program.processor()
    seconds, ended = count / pace, False
    while not ended:
        now = time.monotonic()
        if now - began > seconds + LONGEST:
            raise SystemExit("the end of the answer was never drawn")
        if typing and not letter and 1.0 < now - began < seconds and now - pressed > 0.09:
            letter, pressed = next(letters), now
            program.press(letter)
        if not program.read(0.01):
            continue
        now, plain = time.monotonic(), CONTROL.sub(b"", program.drawn)
        for mark in streams.marks(plain):
            if mark > 1000 * began:  # else of an answer before
                lags.setdefault(mark, now - mark / 1000)
        ended = streams.end(count).encode() in plain
        if letter and letter in plain:
            delays.append(now - pressed)
            letter = b""
        del program.drawn[:-KEPT]
    processor = 100 * (program.processor() - used) / seconds
    stall = 1000 * percentile(delays, 0.99) if typing else 0.0
    return Streamed(max(lags.values(), default=LONGEST), stall, processor)


@cache
def answer(
    home: Home, turns: int, count: int, pace: float, records: float = 0, *, typing: bool = True
) -> Streamed:
    """Measure one answer after so many turns, while other processes write so many records a second."""
    with ExitStack() as stack:
        program = stack.enter_context(chatting(home, turns))
        if records:
            stack.enter_context(arriving(home, records))
        return streamed(program, count, pace, typing=typing)


@contextmanager
def few_and_many(_: Home) -> Iterator[tuple[Home, Home]]:
    """A home of 20 keys and 60 models, and one of 2,000 and 6,000."""
    with made(records=1000) as few, made(keys=2000, models=6000, records=1000) as many:
        yield few, many


def paint(home: Home) -> float:
    """Seconds until keys, models and requests are on the screen, with nothing that an earlier run left."""
    for kept in ("screen", "snapshot"):
        shutil.rmtree(home.log.parent / kept, ignore_errors=True)
    with started(home.command(), home.environment, home.folder) as program:
        return program.shows("k16", "model-01")


@contextmanager
def many_in_list(_: Home, name: str) -> Iterator[Pair]:
    """As `in_list`, with 2,000 keys and 6,000 models. The last records are readings, which make no lines."""
    with made(keys=2000, models=6000, records=1000) as many, in_list(many, name, PAINTED[:2]) as pair:
        yield pair


@dataclass(frozen=True)
class Folded:
    """What a start on a long log took: seconds until its end and until the first word of it, MiB at most."""

    seconds: float
    progress: float
    memory: float


@cache
def long_start(records: int) -> Folded:
    """Start the dashboard on a log of which no state is kept."""
    with ExitStack() as stack:
        home = stack.enter_context(made(records=records, folded=False))
        program = stack.enter_context(started(home.command(), home.environment, home.folder))
        progress = program.shows("reading the log")
        return Folded(program.shows("requests ok"), progress, program.most_memory())
