"""Helpers that drive the application by keys and wait for what a person would see."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.command import CommandPalette
from textual.message import Message
from textual.notifications import Notify
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from okr_tui.ui.app import OkrApp
from okr_tui.ui.widgets.rows import RowList
from tests.ui.scripted_service import ScriptedService, make_app
from tests.waiting import LIMIT


class Driver:
    """The application under a pilot, with the messages and notifications it sent."""

    def __init__(self, app: OkrApp) -> None:
        self.app = app
        self.toasts: list[tuple[str, str]] = []
        self.messages: list[Message] = []
        self.pilot: Pilot[str]

    def heard(self, message: Message) -> None:
        """Note every message, and of a notification what it says and how severe it is."""
        self.messages.append(message)
        if isinstance(message, Notify):
            self.toasts.append((message.notification.severity, message.notification.message))

    async def press(self, *keys: str) -> None:
        """Press keys and let the application answer."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text where the focus is."""
        await self.press(*("space" if letter == " " else letter for letter in text))

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the application work until a condition holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                await self.pilot.pause()

    async def toast(self, text: str, severity: str = "information") -> None:
        """Wait for a notification."""
        await self.until(lambda: any(s == severity and text in said for s, said in self.toasts))

    def words(self, selector: str) -> str:
        """What a static widget of the dashboard says."""
        return str(self.app.dashboard.query_one(selector, Static).content)

    def screen(self) -> str:
        """The visible text of whatever screen is on top."""
        # Textual's only public way to a drawn screen is a whole SVG, which is slow to ask for repeatedly.
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def rows(self, selector: str) -> list[str]:
        """The visible lines of a list, as drawn."""
        rows = self.app.dashboard.query_one(selector, RowList)
        return [rows.render_line(y).text.rstrip() for y in range(rows.content_size.height)]


@asynccontextmanager
async def run_app(
    service: ScriptedService, size: tuple[int, int] = (120, 40), *, theme: str | None = "okr-dark"
) -> AsyncIterator[Driver]:
    """The application on a scripted service, once its first snapshot is shown."""
    driver = Driver(make_app(service, theme))
    if factory := getattr(asyncio, "eager_task_factory", None):  # as Textual's own loop does
        asyncio.get_running_loop().set_task_factory(factory)
    async with driver.app.run_test(size=size, notifications=True, message_hook=driver.heard) as driver.pilot:
        await driver.until(lambda: driver.app.dashboard.keys.snapshot is not None)
        await driver.pilot.pause()
        yield driver


async def palette_options(driver: Driver) -> list[str]:
    """Wait for the palette's list."""
    await driver.until(
        lambda: isinstance(driver.app.screen, CommandPalette) and driver.app.screen.query(OptionList)
    )
    shown = driver.app.screen.query_one(OptionList)
    await driver.until(lambda: shown.option_count > 1)
    return [str(shown.get_option_at_index(index).prompt) for index in range(shown.option_count)]


async def found(driver: Driver, text: str) -> None:
    """Wait until the palette's first line has a text."""
    shown = driver.app.screen.query_one(OptionList)
    await driver.until(lambda: shown.option_count and text in str(shown.get_option_at_index(0).prompt))
