"""Settings that are changed where they are shown, and the theme that is chosen."""

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.services.service import SettingLine
from okr_tui.ui.screens.settings import ChangeSetting, SettingsList, SettingsScreen
from tests.ui.driver import run_app
from tests.ui.examples import GLOBAL, PROJECT_FILE, settings, snapshot
from tests.ui.scripted_service import ScriptedService

LOCKED = SettingLine(
    "strategy", "drain", "option --strategy", (GLOBAL,), editable=True, locked="option decides"
)
EDITABLE = (
    SettingLine("cloudUrl", "https://ollama.com", "default"),
    SettingLine("strategy", "sticky", "default", editable=True),
    SettingLine("theme", "okr-dark", f"{GLOBAL}:14", editable=True),
    SettingLine("keymap.rotate", "z", f"{GLOBAL}:15", editable=True),
    SettingLine("policy.sends", "7", f"{GLOBAL}:16", editable=True),
)


def editable(*lines: SettingLine) -> ScriptedService:
    """A service with settings that can be changed."""
    return ScriptedService(snapshot(settings=settings(lines=lines or EDITABLE)))


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize(
    ("keys", "call"),
    [
        (["down", "enter", "down", "enter"], ("strategy", "drain")),
        (["down", "enter", "end", "enter"], ("strategy", None)),
        (["down", "down", "enter", "down", "enter"], ("theme", "okr-light")),
        (["end", "enter", "backspace", "8", "enter"], ("policy.sends", "8")),
        (["end", "enter", "backspace", "enter"], ("policy.sends", None)),
        (["end", "up", "enter", "backspace", "x", "x", "backspace", "enter"], None),
        (["end", "up", "enter", "backspace", "z", "enter"], ("keymap.rotate", "z")),
    ],
)
async def test_a_value_is_changed_in_a_dialog(keys: list[str], call: tuple[str, str | None] | None) -> None:
    service = editable()
    async with run_app(service) as driver:
        await driver.press("comma")
        for key in keys:
            await driver.press(key)
        if call:
            await driver.toast("Done: change_setting")
            assert isinstance(driver.app.screen, SettingsScreen)
        else:
            # x resets a key, so it cannot rotate too.
            await driver.until(lambda: "✖ keymap.rotate: x already means reset-key" in driver.screen())
    assert service.calls == ([("change_setting", *call)] if call else [])


async def test_a_refused_value_stays_in_the_dialog() -> None:
    service = editable()
    service.error = SettingsError("policy.sends: a number is expected")
    async with run_app(service) as driver:
        await driver.press("comma", "end", "enter", "enter")
        await driver.until(lambda: "✖ policy.sends: a number is expected" in driver.screen())
        await driver.press("escape")
        assert isinstance(driver.app.screen, SettingsScreen)


async def test_what_something_else_decides_says_so_instead_of_asking() -> None:
    service = editable(LOCKED)
    async with run_app(service) as driver:
        await driver.press("comma", "enter")
        await driver.toast("strategy cannot be changed here: option decides", "warning")
        assert isinstance(driver.app.screen, SettingsScreen)
    assert service.calls == []


async def test_what_is_not_changed_here_names_the_editor() -> None:
    async with run_app(editable()) as driver:
        await driver.press("comma", "enter")
        await driver.toast("cloudUrl: e opens the file to change it")


async def test_the_mouse_changes_a_setting() -> None:
    service = editable()
    async with run_app(service, (80, 24)) as driver:
        await driver.press("comma")
        await driver.until(lambda: "strategy" in driver.screen())
        row = next(y for y, line in enumerate(driver.screen().splitlines()) if "strategy" in line)
        await driver.pilot.click(offset=(5, row), times=2)
        await driver.until(lambda: isinstance(driver.app.screen, ChangeSetting))
        row = next(y for y, line in enumerate(driver.screen().splitlines()) if "headroom" in line)
        await driver.pilot.click(offset=(30, row), times=2)
        await driver.toast("Done: change_setting")
    assert service.calls == [("change_setting", "strategy", "headroom")]


async def test_the_cursor_stops_on_values_only() -> None:
    async with run_app(editable(), (80, 24)) as driver:
        await driver.press("comma")
        stops = []
        for _ in range(7):
            row = driver.app.screen.query_one(SettingsList).selected
            stops.append(row.name if isinstance(row, SettingLine) else str(row))
            await driver.press("down")
        assert stops == [line.name for line in EDITABLE] + ["policy.sends"] * 2
        assert str(PROJECT_FILE) in driver.screen()
        await driver.press("home")
        assert "General" in driver.screen()


async def test_an_unknown_theme_is_answered_with_the_known_ones() -> None:
    shown = settings(theme="sunny [b]", lines=(SettingLine("theme", "sunny [b]", f"{GLOBAL}:14"),))
    app_service = ScriptedService(snapshot(settings=shown))
    async with run_app(app_service, theme=None) as driver:
        assert driver.app.theme == "okr-dark"
        (problem,) = driver.app.snapshot.settings.problems if driver.app.snapshot else ()
        assert problem.startswith(
            f"{GLOBAL}:14: theme sunny [b] is ignored: there are okr-dark, okr-light, okr-ansi"
        )
        app_service.show(snapshot(settings=settings(theme="okr-ansi")))
        await driver.until(lambda: driver.app.theme == "okr-ansi")
        assert driver.app.native_ansi_color
