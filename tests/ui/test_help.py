"""The help opens at what the focus is about, and finds a line by its words."""

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Input

from okr_tui.ui.actions import ACTIONS
from okr_tui.ui.screens.help import HelpScreen, help_text, sections
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService


def test_every_action_and_mark_is_in_the_help() -> None:
    text = help_text().plain
    for action in ACTIONS:
        assert f"  {action.shown:<10} {action.tooltip}" in text
    assert "▷" in text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("zzz", None),
        ("rotate", "prefer the next key that is not blocked"),
        ("next key not blocked", "prefer the next key that is not blocked"),
        ("BLOCKED next", "prefer the next key that is not blocked"),
        ("live space", "pause Live"),
        ("†", "a model that is gone"),
    ],
)
def test_words_find_lines_in_any_order(words: str, line: str | None) -> None:
    found = "\n".join(text.plain for text in sections(words=words).values())
    if line is None:
        assert found == ""
    else:
        assert line in found
        assert found.count("\n") < 8


def heading(driver: Driver) -> str:
    """The first line of the help that is in sight."""
    lines = driver.app.screen.query_one("#help-lines", VerticalScroll)
    return driver.screen().splitlines()[lines.region.y].strip(" ▌▊│█▁▂▃▄▅▆▇")


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize(
    ("stop", "first"), [("#keys", "Keys"), ("#model-table", "Models"), ("#feed", "Live"), ("#prompt", "Chat")]
)
@pytest.mark.parametrize("size", [(120, 40), (60, 16)])
async def test_the_help_opens_at_the_focused_pane(
    service: ScriptedService, stop: str, first: str, size: tuple[int, int]
) -> None:
    async with run_app(service, size) as driver:
        driver.app.dashboard.go(stop)
        await driver.pilot.pause()
        await driver.press("f1")
        assert isinstance(driver.app.screen, HelpScreen)
        await driver.until(lambda: first in heading(driver))
        assert "/ searches" in driver.screen()
        await driver.press("escape")
        assert len(driver.app.screen_stack) == 1


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_help_is_searched(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("question_mark", "slash")
        field = driver.app.screen.query_one(Input)
        await driver.type("undo")
        assert field.value == "undo"
        await driver.until(lambda: "one line up" not in driver.screen())
        await driver.type("zzz")
        await driver.until(lambda: "no line has these words" in driver.screen())
        await driver.press("escape")
        await driver.until(lambda: "prefer the key" in driver.screen())
        assert isinstance(driver.app.screen, HelpScreen)
        await driver.press("q")
        assert len(driver.app.screen_stack) == 1
