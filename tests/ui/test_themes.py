"""Themes are tried before they are chosen, and without a choice the terminal's own background decides."""

import pytest

from okr_tui.ui.screens.dialogs import PickTheme
from okr_tui.ui.themes import DARK, LIGHT, BackgroundReported
from tests.ui.driver import Driver, run_app
from tests.ui.examples import settings, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")


async def reported(driver: Driver, dark: bool) -> None:
    """Let the terminal tell of its background."""
    driver.app.post_message(BackgroundReported(dark))
    await driver.pilot.pause()
    await driver.pilot.pause()


async def test_a_theme_is_shown_before_it_is_kept(service: ScriptedService) -> None:
    service.show(snapshot(settings=settings(theme=DARK.name)))
    async with run_app(service, theme=None) as driver:
        driver.app.action_change_theme()
        await driver.until(lambda: isinstance(driver.app.screen, PickTheme))
        await driver.press("down")
        assert driver.app.theme == LIGHT.name
        await driver.press("escape")
        assert driver.app.theme == DARK.name
        assert service.calls == []
        driver.app.action_change_theme()
        await driver.until(lambda: isinstance(driver.app.screen, PickTheme))
        await driver.press("down", "enter")
        await driver.toast("Done: change_setting")
        assert driver.app.theme == LIGHT.name
    assert service.calls == [("change_setting", "theme", LIGHT.name)]


async def test_no_choice_is_a_choice(service: ScriptedService) -> None:
    service.show(snapshot(settings=settings(theme=LIGHT.name)))
    async with run_app(service, theme=None) as driver:
        driver.app.action_change_theme()
        await driver.until(lambda: isinstance(driver.app.screen, PickTheme))
        await driver.press("home", "enter")
        await driver.toast("Done: change_setting")
        assert driver.app.theme == DARK.name
    assert service.calls == [("change_setting", "theme", None)]


async def test_without_a_theme_the_terminal_decides(service: ScriptedService) -> None:
    async with run_app(service, theme=None) as driver:
        assert driver.app.theme == DARK.name
        await reported(driver, dark=False)
        assert driver.app.theme == LIGHT.name
        await reported(driver, dark=True)
        assert driver.app.theme == DARK.name


async def test_a_chosen_theme_stays_whatever_the_terminal_is(service: ScriptedService) -> None:
    service.show(snapshot(settings=settings(theme=DARK.name)))
    async with run_app(service, theme=None) as driver:
        await reported(driver, dark=False)
        assert driver.app.theme == DARK.name
