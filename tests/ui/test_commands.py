"""Keys reach the service, answers and failures reach the person."""

from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.command import CommandPalette

from okr_tui.domain.errors import SettingsError
from okr_tui.ui.screens.text import TextScreen
from tests.ui.driver import found, run_app
from tests.ui.examples import SETTINGS_FILE, pool, snapshot
from tests.ui.scripted_service import ScriptedService
from tests.waiting import until

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


@pytest.mark.parametrize(
    ("keys", "call"),
    [
        (["2"], ("use_key", 2)),
        (["9"], ("use_key", 9)),
        (["r"], ("rotate",)),
        (["R"], ("refresh_models",)),
        (["j", "j", "t"], ("test_key", 3)),
        (["greater_than_sign", "k", "x"], ("reset_key", 5)),
        (["o"], ("set_enabled", 1, False)),
        (["greater_than_sign", "o"], ("set_enabled", 6, True)),
        (["down", "tab", "t"], ("test_key", 2)),
    ],
)
async def test_a_key_becomes_a_command_and_its_answer_a_toast(
    service: ScriptedService, keys: list[str], call: tuple[object, ...]
) -> None:
    async with run_app(service) as driver:
        await driver.press(*keys)
        await driver.toast(f"Done: {call[0]}")
    assert service.calls == [call]


async def test_a_refused_command_says_why(service: ScriptedService) -> None:
    service.error = SettingsError("Invalid key index: 9 [of 6]")
    async with run_app(service) as driver:
        await driver.press("9")
        await driver.toast("Invalid key index: 9 [of 6]", "error")


async def test_an_unexpected_failure_is_named(service: ScriptedService) -> None:
    service.error = ValueError("bad [/b] value")
    async with run_app(service) as driver:
        await driver.press("r")
        await driver.toast("unexpected ValueError: bad [/b] value", "error")


async def test_the_settings_file_is_opened(service: ScriptedService) -> None:
    opened: list[Path] = []

    async def note(app: App[Any], path: Path) -> None:
        assert app.is_running
        opened.append(path)

    async with run_app(service) as driver:
        driver.app.edit_file = note
        await driver.press("e")
        await driver.until(lambda: opened)
    assert opened == [SETTINGS_FILE]


async def test_a_missing_editor_is_an_error_with_the_path(service: ScriptedService) -> None:
    async def missing(app: App[Any], path: Path) -> None:
        raise FileNotFoundError(f"no editor for {app.title} and {path.name}")

    async with run_app(service) as driver:
        driver.app.edit_file = missing
        await driver.press("e")
        await driver.toast(str(SETTINGS_FILE), "error")


async def test_without_a_terminal_to_hand_over_the_path_is_shown(
    service: ScriptedService, tmp_path: Path
) -> None:
    shown = snapshot()
    file = tmp_path / "folder" / "settings.json"
    settings = type(shown.settings)("https://ollama.com", file)
    service.show(snapshot(settings=settings))
    async with run_app(service) as driver:
        await driver.press("e")
        await driver.toast(str(file))
    assert file.parent.is_dir()


async def test_the_model_name_is_copied(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "down", "y")
        await driver.toast("Copied gpt-oss:120b")
        assert driver.app.clipboard == "gpt-oss:120b"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("ollama-status", "✅ 6 configured"),
        ("ollama-keys", "👉 #1"),
        ("ollama-models", "☁️ Cloud (10) — active key"),
        ("ollama-info kimi-k3", "1,048,576 tokens"),
    ],
)
async def test_the_original_commands_answer_with_a_text(
    service: ScriptedService, typed: str, expected: str
) -> None:
    async with run_app(service) as driver:
        for row in driver.app.get_system_commands(driver.app.screen):
            if row.title == typed:
                row.callback()
        await driver.until(lambda: isinstance(driver.app.screen, TextScreen))
        assert expected in driver.app.screen.text.plain  # type: ignore[attr-defined]
        await driver.press("escape")
        assert driver.app.screen is driver.app.dashboard


@pytest.mark.parametrize("opening", ["colon", "ctrl+p"])
async def test_the_palette_opens(service: ScriptedService, opening: str) -> None:
    async with run_app(service) as driver:
        await driver.press(opening)
        assert isinstance(driver.app.screen, CommandPalette)


async def test_the_palette_has_the_seven_commands_and_ours(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        titles = {command.title for command in driver.app.get_system_commands(driver.app.screen)}
    assert titles >= {
        "ollama-status",
        "ollama-models",
        "ollama-refresh",
        "ollama-info MODEL",
        "ollama-keys",
        "ollama-rotate",
        "ollama-use-key 1",
        "ollama-use-key 6",
        "ollama-info gpt-oss:20b",
        "keys: test the selected key",
        "theme: choose",
    }


async def test_the_info_picker_lists_the_models(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        driver.app.pool.pick_model()
        await driver.until(lambda: isinstance(driver.app.screen, CommandPalette))
        await driver.type("kimi-k3")
        await found(driver, "kimi-k3")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, TextScreen))
        assert "1,048,576 tokens" in driver.app.screen.text.plain  # type: ignore[attr-defined]


@pytest.mark.parametrize("opening", ["question_mark", "f1"])
async def test_help_shows_every_action(service: ScriptedService, opening: str) -> None:
    async with run_app(service) as driver:
        await driver.press(opening)
        assert isinstance(driver.app.screen, TextScreen)
        assert "prefer the next key that is not blocked" in driver.app.screen.text.plain
        await driver.press("q")
        assert len(driver.app.screen_stack) == 1


@pytest.mark.parametrize("leaving", ["q", "ctrl+q"])
async def test_quit_closes_the_service(service: ScriptedService, leaving: str) -> None:
    async with run_app(service) as driver:
        await driver.press(leaving)
        await until(lambda: service.closed)
    assert driver.app.return_value is None


async def test_demo_is_offered_only_without_keys(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "d")
        assert driver.app.is_running
        service.show(snapshot(pool=pool(active=None)))
        await driver.until(lambda: driver.app.dashboard.has_class("-first"))
        await driver.press("d")
    assert driver.app.return_value == "demo"
