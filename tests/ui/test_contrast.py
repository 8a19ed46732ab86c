"""Every text can be read on what is behind it, in both of the program's own themes and in every state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, get_args

import pytest
from textual.notifications import SeverityLevel

from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.ui.app import OkrApp
from okr_tui.ui.chat.composer import Completion
from okr_tui.ui.chat.dialogs import ConfirmTool, ExportConversation, PickCode
from okr_tui.ui.chat.turn import ToolLine
from okr_tui.ui.themes import DARK, LIGHT
from okr_tui.ui.widgets.header import Header
from okr_tui.ui.widgets.rows import RowList
from tests.ui.chat_driver import ROUTED, answer, ask, ask_and_wait, pane, send, settled, turns
from tests.ui.colourful import colourful, troubled
from tests.ui.colours import Drawn, drawn
from tests.ui.driver import Driver, run_app
from tests.ui.examples import HISTORY, pool, snapshot
from tests.ui.scripted_service import ScriptedService
from tests.ui.test_chat_turns import SEARCH
from tests.ui.test_looks import reached
from tests.ui.test_states import unopened

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")

Look = Callable[[], None]
Size = tuple[int, int]
SEVERITIES: Final = get_args(SeverityLevel)
LAID_OVER: Final[Sequence[Sequence[str]]] = (
    ["question_mark"],
    ["tab", "enter"],
    ["tab", "tab", "i"],
    ["a"],
    ["a", *"secret", "tab", *"label", "tab", "down"],
    ["a", "enter"],
    ["d"],
    ["l"],
    ["ctrl+s"],
    ["ctrl+p"],
    ["ctrl+p", *"key"],
)
"""Keys that lead from the list of keys to what is drawn over the dashboard."""


@pytest.fixture(params=[DARK.name, LIGHT.name])
def theme(request: pytest.FixtureRequest) -> str:
    """The name of a theme."""
    return str(request.param)


@asynccontextmanager
async def watched(
    theme: str, service: ScriptedService, size: Size = (160, 48)
) -> AsyncIterator[tuple[Driver, Look]]:
    """The application, and what is to be called whenever its screen is worth a look."""
    faint: set[str] = set()
    async with run_app(service, size, theme=theme) as driver:
        yield driver, lambda: faint.update(str(run) for run in drawn(driver.app) if not run.enough)
    assert not faint, "\n".join(sorted(faint))


async def over_rows(driver: Driver, look: Look, rows: RowList[Any]) -> None:
    """The cursor on each row, with the focus and without."""
    before = driver.app.focused
    for stop in (rows, driver.app.dashboard.chat.prompt):
        stop.focus()
        await driver.pilot.pause()
        for index in range(len(rows.rows)):
            rows.cursor = index
            look()
    rows.screen.set_focus(before)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=str)
async def test_keys_in_every_state(theme: str, size: Size) -> None:
    async with watched(theme, colourful(), size) as (driver, look):
        header = driver.app.dashboard.query_one(Header)
        header.demo = True
        header.watch_snapshot()
        await over_rows(driver, look, driver.app.dashboard.keys)
        assert "DEMO" in driver.screen()


async def test_live_and_models(theme: str) -> None:
    async with watched(theme, colourful()) as (driver, look):
        dashboard = driver.app.dashboard
        for rows in (dashboard.live.feed, dashboard.models.table):
            await driver.press("tab")
            await over_rows(driver, look, rows)
            await driver.press("slash")
            look()
            await driver.press(*"no", "shift+home")
            look()
            await driver.press("escape")
        await driver.press("s", "s", "f", "F", "F")
        dashboard.live.feed.action_pause()
        await driver.pilot.pause()
        assert dashboard.live.filtering
        look()


async def test_a_conversation(theme: str) -> None:
    service = colourful()
    service.answers = [SEARCH]
    async with watched(theme, service, (160, 120)) as (driver, look):
        driver.app.dashboard.action_thinking()
        await ask(driver, "a")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmTool))
        look()
        assert isinstance(driver.app.screen, ConfirmTool)
        driver.app.screen.listen()
        await driver.press("y")
        await driver.until(lambda: settled(driver))
        line = driver.app.dashboard.query_one(ToolLine)
        line.unfolded = True
        for stop in (line, pane(driver).transcript):
            stop.focus()
            await driver.pilot.pause()
            look()
        await driver.press("Y")
        assert isinstance(driver.app.screen, PickCode)
        look()
        await driver.press("escape")
        for widget in turns(driver)[0].query("Static, Answer"):
            widget.text_select_all()
        await driver.pilot.pause()
        look()


async def test_how_answers_end_and_what_goes_along(theme: str) -> None:
    service = ScriptedService()
    async with watched(theme, service, (100, 40)) as (driver, look):
        service.answer = (ROUTED, Delta("half"), asyncio.Event())
        await ask(driver, "a")
        await driver.until(lambda: turns(driver) and turns(driver)[0].text)
        look()
        await driver.press("escape")
        await driver.until(lambda: settled(driver))
        service.answer = (PoolBlockedError("every key is blocked"),)
        await ask_and_wait(driver, "b")
        look()
        await driver.press("shift+home")
        look()
        for text in ("/set temperature 9", "/ollama-status", "/o"):
            pane(driver).prompt.put("")
            await send(driver, text) if text != "/o" else await driver.type(text)
        await driver.until(lambda: driver.app.dashboard.query(".notice"))
        assert driver.app.dashboard.query_one(Completion).display
        look()


async def test_two_answers_and_a_question_that_is_edited(theme: str) -> None:
    service = ScriptedService()
    service.answer = answer("yes")
    async with watched(theme, service) as (driver, look):
        await ask_and_wait(driver, "a")
        pane(driver).transcript.focus()
        await driver.press("w")
        look()
        await driver.press("escape")
        await send(driver, "/compare kimi-k2.6")
        await driver.until(lambda: pane(driver).views.rivals)
        look()
        await send(driver, "b")
        await driver.until(lambda: len(pane(driver).views.all) == 2 and not pane(driver).running)
        await driver.pilot.pause()
        look()
        await driver.press("ctrl+s", "y")
        await driver.until(lambda: "yes" in driver.screen())
        look()
        await driver.press("ctrl+e")
        assert isinstance(driver.app.screen, ExportConversation)
        look()


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=str)
async def test_trouble(theme: str, size: Size) -> None:
    async with watched(theme, troubled(), size) as (driver, look):
        look()  # the trust question stands in front
        await driver.press("escape")
        for severity in SEVERITIES:
            driver.app.notify("what happened, to what", title="Failed", severity=severity)
        await driver.pilot.pause()
        assert len(driver.app.screen.query("Toast")) == len(SEVERITIES)
        look()
        await driver.press("comma")
        rows = driver.app.screen.query_one(RowList)
        for index in range(len(rows.rows)):
            rows.cursor = index
            look()


@pytest.mark.parametrize("size", [(80, 40), (160, 48)], ids=str)
async def test_everything_about_a_key(theme: str, size: Size) -> None:
    service = colourful()
    service.walked = HISTORY
    async with watched(theme, service, size) as (driver, look):
        await driver.press("enter")
        for _ in service.snapshot.pool.keys:
            await driver.press("right")
            look()
        await driver.press("tab")
        look()


async def test_what_is_laid_over(theme: str) -> None:
    async with watched(theme, colourful(), (120, 50)) as (driver, look):
        for keys in LAID_OVER:
            await driver.press(*keys)
            await driver.pilot.pause()
            assert driver.app.screen is not driver.app.dashboard, keys
            look()
            while driver.app.screen is not driver.app.dashboard:
                await driver.press("escape")
            driver.app.dashboard.go("#keys")


@pytest.mark.parametrize("size", [(60, 16), (59, 24)], ids=str)
async def test_what_replaces_the_panes(theme: str, size: Size) -> None:
    without_keys = ScriptedService(snapshot(pool=pool(active=None)))
    async with watched(theme, without_keys, size) as (_, look):
        look()


async def test_what_cannot_be_opened(theme: str) -> None:
    app = OkrApp(unopened("it is locked"), theme=theme)
    async with app.run_test(size=(80, 24)) as pilot:
        await reached(pilot, lambda dashboard: dashboard.has_class("-broken"))
        assert not [str(run) for run in drawn(app) if not run.enough]


def test_contrast_is_what_the_standard_says() -> None:
    black, grey, white = (0, 0, 0), (118, 118, 118), (255, 255, 255)
    assert Drawn("a", black, white, ornament=False).ratio == 21
    assert Drawn("a", grey, white, ornament=False).enough
    assert not Drawn("a", (119, 119, 119), white, ornament=False).enough
    assert Drawn("─", (148, 148, 148), white, ornament=True).enough
    assert not Drawn("─", (150, 150, 150), white, ornament=True).enough
