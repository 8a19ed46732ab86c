"""One pane over the whole screen, and the way back."""

import pytest
from textual.geometry import Region

from okr_tui.ui.screens.dashboard import STOPS
from okr_tui.ui.widgets.footer import FootLine
from tests.ui.chat_driver import answer, ask_and_wait
from tests.ui.driver import run_app
from tests.ui.examples import pool, settings, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


async def test_a_pane_grows_and_shrinks(service: ScriptedService) -> None:
    async with run_app(service) as driver:

        def maximized() -> str | None:
            large = driver.app.dashboard.maximized
            return large.id if large else None

        await driver.press("tab", "m")
        assert maximized() == "live"
        await driver.press("tab")
        assert maximized() == "models"
        await driver.press("m")
        assert maximized() is None
        await driver.press("m", "escape")
        assert maximized() is None


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36)], ids=str)
async def test_a_large_pane_leaves_room_for_the_way_back(size: tuple[int, int]) -> None:
    service = ScriptedService()
    service.answer = answer("yes")
    async with run_app(service, size) as driver:
        dashboard = driver.app.dashboard
        await ask_and_wait(driver, "why")
        for stop in STOPS:
            dashboard.go(stop)
            await driver.pilot.pause()
            assert "restore" not in driver.words("#footer")
            dashboard.action_maximise()
            await driver.pilot.pause()
            assert dashboard.maximized is not None
            assert dashboard.maximized.region == Region(0, 0, size[0], size[1] - 1)
            key = "esc" if stop == "#prompt" else "m"
            assert f"{key} restore" in driver.screen().splitlines()[-1], stop
            await driver.press({"esc": "escape"}.get(key, key))
            assert dashboard.maximized is None


async def test_what_escape_does_in_a_large_pane_is_shown_step_by_step() -> None:
    service = ScriptedService()
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "why")
        await driver.press("shift+tab", "m", "w")
        for word in ("back", "restore"):
            assert f"esc {word}" in driver.words("#footer")
            await driver.press("escape")
        assert driver.app.dashboard.maximized is None
        await driver.press("tab", "tab", "m", "slash")
        assert "esc back" in driver.words("#footer")
        await driver.press("escape")
        assert "m restore" in driver.words("#footer")


async def test_an_edit_begun_by_a_command_is_what_escape_leaves_first() -> None:
    service = ScriptedService()
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "why")
        driver.app.dashboard.action_maximise()
        await driver.press(*"/edit", "enter")
        await driver.until(lambda: driver.app.dashboard.chat.composer.editing is not None)
        for word in ("back", "restore"):
            await driver.pilot.pause()
            assert f"esc {word}" in driver.words("#footer")
            await driver.press("escape")
        assert driver.app.dashboard.maximized is None


async def test_the_way_back_follows_the_keymap_and_can_be_clicked() -> None:
    service = ScriptedService(snapshot(settings=settings(keymap=(("maximise", "f6"), ("back", "f4")))))
    async with run_app(service) as driver:
        await driver.until(lambda: driver.app.keymap.key_of("maximise") == "F6")
        await driver.press("f6")
        at = driver.words("#footer").index("F6 restore")
        await driver.pilot.click(driver.app.dashboard.query_one(FootLine), offset=(at + 2, 0))
        assert driver.app.dashboard.maximized is None
        await driver.press("c")
        driver.app.dashboard.action_maximise()
        await driver.pilot.pause()
        assert "F4 restore" in driver.words("#footer")


async def test_what_replaces_the_panes_does_so_for_a_large_one(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("m")
        await driver.pilot.resize_terminal(50, 10)
        await driver.pilot.pause()
        assert driver.screen().split() == ["50x10", "is", "too", "small.", "okr-tui", "needs", "60x16."]
        await driver.pilot.resize_terminal(80, 24)
        await driver.pilot.pause()
        assert "m restore" in driver.screen()
        service.show(snapshot(pool=pool(active=None)))
        await driver.until(lambda: driver.app.dashboard.has_class("-first"))
        await driver.pilot.pause()
        assert "No Ollama Cloud key is configured." in driver.screen()


async def test_escape_leaves_no_filter_that_a_large_pane_hides(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        dashboard = driver.app.dashboard
        await driver.press("tab", "tab", "slash", "k", "enter")
        dashboard.go("#keys")
        await driver.press("m", "escape")
        assert dashboard.maximized is None
        assert driver.app.focused is dashboard.keys
        assert dashboard.models.words == "k"
        await driver.press("escape")
        assert dashboard.models.words == ""
