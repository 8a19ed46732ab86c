"""The screen that the last run left, put on the terminal before Textual and the dashboard are loaded.

It is a picture: keys, models and the last lines of Live as they were drawn, with their age; what the chat
showed is not in it. The dashboard draws over it once it is laid out, in the same places. Until then the
terminal takes keys as the dashboard will, and keeps them.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from okr_tui.domain.text import drawable
from okr_tui.domain.words import span
from okr_tui.services.overview import Inputs
from okr_tui.store.kept_files import KeptFiles

FILES: Final = KeptFiles("screen")
STYLE: Final = re.compile(r"\x1b\[[0-9;]{0,64}m")
COLOURS: Final = ("TERM", "COLORTERM", "NO_COLOR", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_THEME")
"""Variables that decide in which colours is drawn."""
OPEN: Final = "\x1b[?1049h"
CLOSE: Final = "\x1b[0m\x1b[?1049l\x1b[?25h"
MOST_CELLS: Final = 100_000


class LastScreen:
    """The last screen for some settings, in its file; `cover` puts it on the terminal."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self.covers = False
        """Whether it is on the terminal, and nothing is drawn yet."""
        self._owned = False

    def save(self, lines: Sequence[str], size: tuple[int, int], at: float) -> None:
        """Keep the lines of a screen as a terminal gets them; `at`: when they were true, in epoch seconds."""
        document = (self._inputs.pool_digest, self._colours, list(size), at, list(lines))
        FILES.write(self._inputs.name, json.dumps(document, separators=(",", ":")))

    def load(self, size: tuple[int, int], now: float) -> str | None:
        """Return what draws the screen on a terminal of that size, with its age; None if there is none."""
        try:
            digest, colours, drawn, at, lines = json.loads(FILES.read(self._inputs.name) or "null")
            if (digest, colours, drawn) != (self._inputs.pool_digest, self._colours, list(size)):
                return None
            age = f" as it was {span(float(now - at))} ago "
            return _drawing(lines, size, age)
        except (TypeError, ValueError, RecursionError, OverflowError):
            return None

    @property
    def _colours(self) -> str:
        return repr([self._inputs.environment.get(name) for name in COLOURS])

    @contextlib.contextmanager
    def cover(self) -> Iterator[None]:
        """Put it on the terminal until the dashboard draws; afterwards the terminal is as it was."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError, ValueError, ImportError):
                stack.enter_context(self._on_terminal())
            yield

    def hand_over(self) -> bool:
        """Leave the terminal to Textual, which ends it; return whether it shows the screen."""
        shown, self._owned = self._owned, False
        return shown

    @contextlib.contextmanager
    def _on_terminal(self) -> Iterator[None]:
        import termios

        terminal = sys.__stdin__.fileno() if sys.__stdin__ else -1
        before = termios.tcgetattr(terminal)
        size = os.get_terminal_size(terminal)
        drawing = self.load((size.columns, size.lines), time.time())
        if drawing is None or sys.__stderr__ is None:
            yield
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)
        try:
            termios.tcsetattr(terminal, termios.TCSANOW, _as_textual_reads(before))
            sys.__stderr__.write(drawing)
            sys.__stderr__.flush()
            self.covers = self._owned = True
            yield
        finally:
            if self._owned:
                sys.__stderr__.write(CLOSE)
                sys.__stderr__.flush()
            termios.tcsetattr(terminal, termios.TCSANOW, before)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _as_textual_reads(attributes: list[Any]) -> list[Any]:
    """Return a terminal's attributes as Textual sets them: no echo, no signals, every key as it is."""
    import termios

    changed = list(attributes)
    changed[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    changed[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    return changed


def _drawing(lines: Sequence[str], size: tuple[int, int], age: str) -> str:
    """Return the sequences that draw lines. Raises TypeError or ValueError for no screen of that size."""
    width, height = size
    if len(lines) != height or width * height > MOST_CELLS:
        raise ValueError("of another size")
    parts = [OPEN, "\x1b[?25l"]
    for row, line in enumerate(lines, 1):
        text = STYLE.sub("", line)
        if drawable(text) != text or len(text) > width or len(line) > 40 * width:
            raise ValueError("no line of a screen")
        parts.append(f"\x1b[{row};1H{line}")
    parts.append(f"\x1b[1;{max(1, width - len(age) + 1)}H\x1b[0m\x1b[2m{age}\x1b[0m")
    return "".join(parts)
