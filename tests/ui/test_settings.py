"""The settings screen, the trust question and the file that others can read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.widgets import Static

from okr_tui.domain.errors import SettingsError
from okr_tui.services.service import SettingLine, SettingsView, TrustQuestion
from okr_tui.ui.lines import Line, length
from okr_tui.ui.screens.dialogs import AddKey
from okr_tui.ui.screens.settings import LETTERS, AskTrust, SettingsScreen, entries, entry_lines
from okr_tui.ui.screens.text import TextScreen
from okr_tui.ui.widgets.pool_notices import settings_notices
from tests.ui.driver import Driver, found, run_app
from tests.ui.examples import PROJECT_FILE, SETTINGS_FILE, TRUST, settings, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

ASKED = snapshot(settings=settings(trust=TRUST))
PROBLEMS = ("settings.json:4:7: expected a [comma]", "second")


def settings_lines(shown: SettingsView, width: int) -> list[Line]:
    """All the lines of a list of settings."""
    return [line for entry in entries(shown, str) for line in entry_lines(entry, 24, 40, width)]


def texts(lines: list[Line]) -> list[str]:
    """The lines without their styles."""
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def test_a_wide_screen_has_the_origin_next_to_the_value() -> None:
    lines = texts(settings_lines(settings(), 116))
    index = lines.index(next(line for line in lines if line.startswith("baseUrl")))
    assert lines[index].endswith("project /srv/garden/.pi/settings.json:4")
    assert lines[index + 1].strip() == "instead of global ~/.pi/agent/settings.json:10"
    assert lines[-1] == str(PROJECT_FILE)


@pytest.mark.parametrize("width", [54, 76, 116, 160])
def test_settings_fit_every_width(width: int) -> None:
    long = SettingLine("a-name " * 9, "§" * 240, "origin " * 30, ("place/" * 40,))
    whole = settings(lines=(long, *settings().lines), problems=("problem " * 40,))
    drawn = settings_lines(whole, width)
    assert max(map(length, drawn)) <= width
    lines = texts(drawn)
    assert "".join(lines).count("§") == 240


async def test_the_settings_screen_names_everything(service: ScriptedService) -> None:
    shown = settings(problems=PROBLEMS, open_to_others=SETTINGS_FILE)
    service.show(snapshot(settings=shown, undoable=("removing #3",)))
    async with run_app(service) as driver:
        await driver.press("comma")
        assert isinstance(driver.app.screen, SettingsScreen)
        await driver.until(lambda: "settings.json:4:7" in driver.screen())
        lines = [line.strip() for line in driver.screen().splitlines()]
        assert lines[2] == "▲ settings.json:4:7: expected a [comma]"
        assert lines[-1] == "u undo  a add key  enter change  e edit  ? help  ^p palette  esc close"


@pytest.mark.parametrize("leaving", ["escape", "comma", "q"])
async def test_the_settings_screen_is_left(service: ScriptedService, leaving: str) -> None:
    async with run_app(service) as driver:
        await driver.press("comma", leaving)
        assert driver.app.screen is driver.app.dashboard


async def test_the_settings_screen_follows_the_settings(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("comma")
        changed = settings(lines=(SettingLine("strategy", "spread [b]", "project"),))
        service.show(snapshot(settings=changed))
        await driver.until(lambda: "spread [b]" in driver.screen())
        await driver.pilot.resize_terminal(60, 16)
        await driver.until(lambda: "spread [b]" in driver.screen())


async def test_only_what_acts_on_settings_acts_there(service: ScriptedService) -> None:
    opened: list[Path] = []

    async def note(app: App[Any], path: Path) -> None:
        assert app.is_running
        opened.append(path)

    service.show(snapshot(undoable=("removing #3",)))
    async with run_app(service) as driver:
        driver.app.edit_file = note
        await driver.press("comma", "1", "r", "R", "t", "x", "o", "d", "l", "p", "T", "slash", "e", "u")
        await driver.toast("Done: undo")
        titles = {command.title for command in driver.app.get_system_commands(driver.app.screen)}
        assert {"keys: add a key", "settings: edit the file"} <= titles
        assert not titles & {"settings: show", "keys: test the selected key", "models: filter"}
        await driver.press("a")
        assert isinstance(driver.app.screen, AddKey)
        await driver.press("escape", "question_mark")
        assert isinstance(driver.app.screen, TextScreen)
        await driver.press("escape")
        assert isinstance(driver.app.screen, SettingsScreen)
    assert service.calls == [("undo",)]
    assert opened == [SETTINGS_FILE]


async def test_the_palette_shows_the_settings(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        titles = {command.title: command for command in driver.app.get_system_commands(driver.app.screen)}
        assert "keys: bring back the key removed last" not in titles
        await driver.press("ctrl+p")
        await driver.type("settings: show")
        await found(driver, "settings: show")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, SettingsScreen))


async def test_a_file_open_to_others_is_closed(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("p")
        assert service.calls == []
        service.show(snapshot(settings=settings(open_to_others=SETTINGS_FILE)))
        words = "▲ settings.json can be read by other users; p makes it private"
        await driver.until(lambda: words in driver.words("#banner"))
        await driver.press("p")
        await driver.toast("Done: make_file_private")
    assert service.calls == [("make_file_private",)]


async def asked(driver: Driver) -> None:
    """Wait for the trust question."""
    await driver.until(lambda: isinstance(driver.app.screen, AskTrust))
    await driver.pilot.pause()


@pytest.mark.parametrize(("keys", "trusted"), [(["down"], True), (["down", "down"], False)])
async def test_the_trust_question_is_answered(keys: list[str], trusted: bool) -> None:
    service = ScriptedService(ASKED)
    async with run_app(service) as driver:
        await asked(driver)
        assert str(PROJECT_FILE) in driver.screen()
        assert "· a key that the command [b]pass garden[/b] prints" in driver.screen()
        await driver.press(*keys, "enter")
        await driver.toast("Done: trust_project")
        assert driver.app.screen is driver.app.dashboard
    assert service.calls == [("trust_project", trusted)]


@pytest.mark.parametrize("later", ["escape", "enter"])
async def test_trust_is_decided_later(later: str) -> None:
    service = ScriptedService(ASKED)
    async with run_app(service) as driver:
        await asked(driver)
        await driver.press(later)
        service.show(replace(ASKED, at=ASKED.at + 1))
        await driver.until(lambda: driver.app.snapshot and driver.app.snapshot.at > ASKED.at)
        assert driver.app.screen is driver.app.dashboard
        assert f"▲ {PROJECT_FILE} asks to be trusted; T decides" in driver.words("#banner")
        await driver.press("T")
        await asked(driver)
    assert service.calls == []


async def test_trust_is_not_asked_over_another_dialog(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("a")
        service.show(ASKED)
        await driver.until(lambda: driver.app.snapshot == ASKED)
        assert isinstance(driver.app.screen, AddKey)
        await driver.press("escape")
        service.show(replace(ASKED, at=ASKED.at + 1))
        await asked(driver)


async def test_a_file_that_changed_meanwhile_is_not_trusted() -> None:
    service = ScriptedService(ASKED)
    async with run_app(service) as driver:
        await asked(driver)
        worse = TrustQuestion(PROJECT_FILE, ("everything",))
        service.show(snapshot(settings=settings(trust=worse)))
        await driver.until(lambda: driver.app.snapshot and driver.app.snapshot.settings.trust == worse)
        await driver.press("down", "enter")
        refusal = driver.app.screen.query_one("#refusal", Static)
        await driver.until(lambda: "changed in the meantime; check it again" in str(refusal.content))
        await driver.press("escape", "T")
        await driver.until(lambda: "everything" in driver.screen())
    assert service.calls == []


async def test_a_projects_words_are_bounded() -> None:
    wants = ("line\nbreak \x1b[31m \u202e hidden", "x" * 9999, *(f"want {number}" for number in range(30)))
    service = ScriptedService(snapshot(settings=settings(trust=TrustQuestion(PROJECT_FILE, wants))))
    async with run_app(service) as driver:
        await asked(driver)
        text = driver.screen()
        assert "· line break �[31m � hidden" in text
        assert text.count("x") < LETTERS + 20
        assert "more" not in text
        await driver.press("shift+tab", "end")
        await driver.until(lambda: "· and 11 more" in driver.screen())


async def test_a_refused_trust_stays_in_the_dialog() -> None:
    service = ScriptedService(ASKED)
    service.error = SettingsError("the settings file is locked")
    async with run_app(service) as driver:
        await asked(driver)
        await driver.press("down", "enter")
        await driver.until(lambda: "✖ the settings file is locked" in driver.screen())


async def test_the_footer_is_the_dashboard_s_own_again_after_the_settings(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        before = driver.words("#footer")
        await driver.press("comma")
        moved = replace(service.snapshot, at=service.snapshot.at + 1)
        service.show(moved)
        await driver.until(lambda: driver.app.snapshot == moved)
        await driver.press("escape")
        await driver.until(lambda: driver.words("#footer") == before)


def test_without_a_name_on_a_shared_log_a_notice_says_where_to_choose_one() -> None:
    view = SettingsView("https://ollama.com", PROJECT_FILE, nameless=True)
    words = "records on this shared log call you someone; set name in the settings (,)"
    assert list(settings_notices(view, {"show-settings": ","}.__getitem__)) == [words]
    assert list(settings_notices(replace(view, nameless=False), str)) == []
