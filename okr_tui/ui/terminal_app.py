"""The application and its terminal: input, sizes, signals, and what is left after a crash."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events
from textual.app import App, ComposeResult
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Static

from okr_tui.ui import compositor, styles_cache
from okr_tui.ui.keyboard import latin_key
from okr_tui.ui.last_screen import LastScreen
from okr_tui.ui.output import DrawableFilter
from okr_tui.ui.stylesheet import CachedStylesheet

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_SIZE: Final = (60, 16)
"""Columns and lines below which nothing but a note about the size is drawn."""
TOO_SMALL: Final = "too-small"

DescribeCrash = Callable[[BaseException], str]
"""Keeps what is worth keeping of an unexpected error; returns the one line for the person."""


def describe_briefly(error: BaseException) -> str:
    """Name the kind of an error, and none of its values."""
    return f"unexpected {type(error).__name__}"


class TooSmallScreen(Screen[None]):
    """Stands in for all screens while the terminal is too small for any."""

    CSS = """
    TooSmallScreen { align: center middle; & > Static { width: auto; text-align: center; text-style: bold; } }
    """

    def compose(self) -> ComposeResult:
        """Compose the note."""
        yield Static(self._note(), id="too-small", markup=False)

    def on_resize(self) -> None:
        """Name the present size."""
        self.query_one("#too-small", Static).update(self._note())

    def _note(self) -> str:
        width, height = self.app.size
        return f"{width}x{height} is too small.\nokr-tui needs {LEAST_SIZE[0]}x{LEAST_SIZE[1]}."


class TerminalApp(App[str]):
    """An application that no size, no input and no signal ends without restoring the terminal."""

    DEFAULT_MODE: ClassVar[str] = "main"
    MODES: ClassVar[dict[str, Any]] = {TOO_SMALL: TooSmallScreen}

    def __init__(
        self, describe_crash: DescribeCrash = describe_briefly, last_screen: LastScreen | None = None
    ) -> None:
        compositor.install()
        styles_cache.install()
        super().__init__()
        self.stylesheet = CachedStylesheet(self.get_css_variables())
        self.last_screen = last_screen
        self.add_mode(self.DEFAULT_MODE, self.get_default_screen)
        self._describe_crash = describe_crash
        self._drawable = DrawableFilter()

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that survives any input; another one where the environment asks for it."""
        if sys.platform == "win32" or "TEXTUAL_DRIVER" in os.environ:
            return super().get_driver_class()
        from okr_tui.ui.driver import TerminalDriver

        return TerminalDriver

    @property
    def covered(self) -> bool:
        """Whether the screen of the last run is on the terminal, and nothing is drawn yet."""
        return self.last_screen is not None and self.last_screen.covers

    def uncover(self) -> None:
        """Draw over the screen of the last run."""
        if self.last_screen is not None and self.last_screen.covers:
            self.last_screen.covers = False
            self.screen.refresh()

    def _display(self, screen: Screen[Any], renderable: "RenderableType | None") -> None:
        """Draw, unless the screen of the last run is still better than what there is to draw."""
        if not self.covered:
            super()._display(screen, renderable)

    def clear_selection(self) -> None:
        """Clear the selection of the screen, if there is one.

        From Python 3.12 on Textual starts tasks eagerly, and the inputs of the first screen, which clear the
        selection as they are mounted, come before it is on the stack.
        """
        if self.screen_stack:
            super().clear_selection()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filter that lets no text from outside steer the terminal, then Textual's."""
        return [self._drawable, *super().get_line_filters()]

    def write_sequence(self, sequence: str) -> None:
        """Send the terminal a control sequence that draws nothing."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)
            self._driver.flush()

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Run what is bound to a key, or else to the key that a Latin layout has at its position."""
        if await super()._check_bindings(key, priority):
            return True
        latin = latin_key(key)
        return latin is not None and await super()._check_bindings(latin, priority)

    async def on_resize(self, event: events.Resize) -> None:
        """Leave all screens as they are while the terminal is too small for them."""
        width, height = event.size
        wanted = TOO_SMALL if width < LEAST_SIZE[0] or height < LEAST_SIZE[1] else self.DEFAULT_MODE
        if wanted != self.current_mode:
            self._size = event.size
            await self.switch_mode(wanted)

    def on_load(self) -> None:
        """Let signals that end or suspend the process do it as a key would."""
        if sys.platform == "win32":
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end_by_signal, number)

    def _end_by_signal(self, number: int) -> None:
        """Leave as `q` does. SIGTERM once more ends the process at once.

        SIGHUP once more does nothing: a shell repeats what the terminal has sent, and what is on its way to
        the log and to callers would be lost.
        """
        asyncio.get_running_loop().remove_signal_handler(number)
        if number == signal.SIGHUP:
            signal.signal(number, signal.SIG_IGN)
        self.exit()

    def _fatal_error(self) -> None:
        """Leave after an unexpected error, with one line in place of Textual's traceback with its locals."""
        error = sys.exc_info()[1] or self._exception
        self.panic(f"okr-tui: {self._describe_crash(error)}" if error else "okr-tui: unexpected end")
