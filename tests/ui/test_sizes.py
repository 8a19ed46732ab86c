"""From the least terminal to the largest: nothing is cut inside a word, everything can be reached."""

import re
from collections.abc import Iterable

import pytest
from textual.content import Content

from okr_tui.ui.actions import ACTIONS
from okr_tui.ui.screens.dashboard import TABS
from okr_tui.ui.widgets.footer import shown_key
from okr_tui.ui.widgets.header import header_line
from tests.ui.driver import Driver, run_app
from tests.ui.examples import NOW, SPENT, key, pool, settings, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")

SIZES = [
    (60, 16),
    (70, 20),
    (80, 24),
    (99, 30),
    (100, 30),
    (120, 36),
    (139, 40),
    (140, 40),
    (160, 45),
    (200, 60),
    (219, 60),
    (240, 70),
]
STOPS = ("keys", "feed", "model-table", "prompt")
FRAME = re.compile(r"[\s─╭╮╰╯│┌┐└┘━┃▁▂▃▄▅▆▇█]+")


def words(*texts: str) -> set[str]:
    """The words of texts, without what frames them."""
    return {word for text in texts for word in FRAME.split(text) if word}


def known(driver: Driver) -> set[str]:
    """Every word that header, footer, tabs and the panes' borders could say now, whole."""
    dashboard = driver.app.dashboard
    shown = driver.app.snapshot
    assert shown is not None
    header = header_line(shown, NOW, driver.app.zone, 10_000, demo=False)
    found = words("".join(text for text, _ in header), *TABS, *(tab.capitalize() for tab in TABS), "tab ⇥")
    for pane in dashboard.query(".pane"):
        titles = (pane.border_title or "", pane.border_subtitle or "")
        found |= words(*(Content.from_markup(title).plain for title in titles))
    for action in ACTIONS:
        found |= words(shown_key(action, "keys"), shown_key(action, "prompt"), action.label)
    return found | {"restore"}


def edges(driver: Driver) -> list[str]:
    """The first and the last line of the screen, the tabs, and the panes' borders with their titles."""
    lines = driver.screen().splitlines()
    found = [lines[0], lines[-1], *(line for line in lines if "tab ⇥" in line)]
    for pane in driver.app.dashboard.query(".pane"):
        if area := pane.region:
            found += [lines[y][area.x : area.right] for y in (area.y, area.bottom - 1)]
    return found


def cut(driver: Driver) -> Iterable[str]:
    """Words on the edges that are none, unless they say that they are cut."""
    whole = known(driver)
    return sorted(word for word in words(*edges(driver)) - whole if not word.endswith("…"))


async def test_every_size_shows_whole_words_and_all_panes(service: ScriptedService) -> None:
    async with run_app(service, SIZES[0]) as driver:
        dashboard = driver.app.dashboard
        for number, size in enumerate([*SIZES, *SIZES[-2::-3]]):
            before = driver.app.focused
            await driver.pilot.resize_terminal(*size)
            await driver.pilot.pause()
            assert driver.app.focused is before, size
            for stop in STOPS:
                focused = driver.app.focused
                assert focused is not None
                assert focused.id in STOPS
                assert dashboard.region.contains_region(focused.region), (size, focused.id)
                assert focused.region.height >= 1
                assert not cut(driver), (size, focused.id)
                if STOPS.index(stop) == number % len(STOPS):
                    dashboard.action_maximise()
                    await driver.pilot.pause()
                    assert dashboard.maximized is not None
                    assert dashboard.maximized.region.size == (size[0], size[1] - 1)
                    assert not cut(driver), (size, focused.id)
                    dashboard.action_maximise()
                dashboard.action_next_pane(1)
                await driver.pilot.pause()
            dashboard.action_next_pane(1)  # the next size begins elsewhere
            await driver.pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_every_trouble_at_once_leaves_the_panes_in_sight(size: tuple[int, int]) -> None:
    trouble = snapshot(
        pool=pool(*(key(position, SPENT) for position in range(1, 10)), active=None, earliest=NOW + 60),
        log=("cannot write the log /home/someone/.local/state/okr-tui/log.db: database or disk is full",),
        clock_ahead=900.0,
        settings=settings(problems=("~/.pi/agent/settings.json:4:7: expected a comma", "b", "c")),
    )
    async with run_app(ScriptedService(trouble), size) as driver:
        dashboard = driver.app.dashboard
        assert not cut(driver), size
        assert dashboard.keys.content_size.height >= 2
        for _ in STOPS:
            focused = driver.app.focused
            assert focused is not None
            assert focused.region.height >= 1, (size, focused.id)
            await driver.press("tab")


@pytest.mark.parametrize("size", [(59, 24), (80, 15), (30, 8), (20, 5)])
async def test_below_the_least_size_nothing_else_is_shown(size: tuple[int, int]) -> None:
    async with run_app(ScriptedService(), size) as driver:
        said = " ".join(driver.screen().split())
        assert said == f"{size[0]}x{size[1]} is too small. okr-tui needs 60x16."
