"""What is drawn again after a change: the same as Textual would draw, from fewer lines of fewer widgets."""

import random
import re
from collections.abc import Sequence

import pytest
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from okr_tui.domain.view import KeyView
from okr_tui.ui.compositor import LinesCompositor, bands
from okr_tui.ui.lines import Line
from okr_tui.ui.widgets.keys import KeysPane
from tests.ui.driver import Driver, palette_options, run_app
from tests.ui.examples import ENTRIES, KEYS, NOW, key, pool, snapshot
from tests.ui.scripted_service import ScriptedService

EMPTY_MOVE = re.compile(r"\x1b\[\d+;\d+H(?=\n|\x1b\[\d+;\d+H|$)")
"""A move of the cursor after which nothing is written."""
MANY = tuple(key(number, label=f"label {number}") for number in range(1, 41))
CHANGES = [
    [Region(3, 4, 20, 1)],
    [Region(0, 0, 120, 1), Region(2, 30, 10, 2)],
    [Region(50, 5, 30, 10), Region(10, 12, 4, 1), Region(110, 39, 10, 1)],
    [Region(0, 38, 120, 2), Region(0, 37, 1, 1), Region(118, -2, 9, 4)],
]


def drawn(driver: Driver, changes: list[Region]) -> tuple[str, str]:
    """What Textual would write to the terminal for some changes, and what is written."""
    compositor = driver.app.screen._compositor
    assert isinstance(compositor, LinesCompositor)
    written = []
    for render in (Compositor.render_partial_update, LinesCompositor.render_partial_update):
        compositor._dirty_regions = {each.intersection(compositor.size.region) for each in changes}
        update = render(compositor)
        assert isinstance(update, ChopsUpdate)
        written.append(EMPTY_MOVE.sub("", update.render_segments(driver.app.console)))
    return written[0], written[1]


@pytest.mark.slow(reason="draws many states at many sizes")
@pytest.mark.parametrize("opened", ["tab", "question_mark", "ctrl+p", "d", "slash"])
async def test_a_change_is_drawn_as_textual_draws_it(opened: str) -> None:
    chance = random.Random(7)
    async with run_app(ScriptedService(snapshot(pool=pool(*MANY)))) as driver:
        await driver.press(opened)
        driver.app.notify("a toast over the panes")
        await driver.pilot.pause()
        for changes in CHANGES:
            expected, found = drawn(driver, changes)
            assert found == expected
        for _ in range(15):
            corner = chance.randrange(120), chance.randrange(40)
            size = chance.randrange(1, 60), chance.randrange(1, 12)
            changes = [Region(*corner, *size), Region(chance.randrange(120), chance.randrange(40), 5, 1)]
            expected, found = drawn(driver, changes)
            assert found == expected


async def test_a_line_keeps_no_pieces_of_itself_once_it_is_drawn() -> None:
    async with run_app(ScriptedService(snapshot(pool=pool(*MANY)))) as driver:
        await driver.press("down")
        compositor = driver.app.screen._compositor
        drawn = [line for _, _, lines in compositor._get_renders() for line in lines]
        assert len(drawn) > driver.app.size.height
        assert not [line for line in drawn if line._divide_cache]


async def test_a_move_in_a_list_draws_two_rows_and_the_border(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_app(ScriptedService(snapshot(pool=pool(*MANY)))) as driver:
        keys = driver.app.dashboard.keys
        await driver.press("down")
        asked: list[tuple[str | None, Region]] = []
        real = Widget.render_lines

        def render_lines(widget: Widget, crop: Region) -> list[Strip]:
            asked.append((widget.id, crop))
            return real(widget, crop)

        lines: list[int] = []
        content_line = KeysPane.render_line

        def render_line(widget: KeysPane, y: int) -> Strip:
            lines.append(y)
            return content_line(widget, y)

        monkeypatch.setattr(Widget, "render_lines", render_lines)
        monkeypatch.setattr(KeysPane, "render_line", render_line)
        await driver.press("down")
        assert keys.cursor == 2
        assert set(lines) == {2, 3}
        assert {crop.height for name, crop in asked if name == "keys"} <= {1, 2}
        assert {name for name, _ in asked} <= {"keys", None}


@pytest.mark.slow(reason="draws many states at many sizes")
async def test_a_change_behind_the_palette_waits_until_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual would draw the palette and all behind it again, and the next key press would wait for that."""
    service = ScriptedService(snapshot(pool=pool(*MANY)))
    async with run_app(service) as driver:
        await driver.press("ctrl+p")
        await palette_options(driver)
        await driver.pilot.pause()
        whole: list[Compositor] = []
        real = Compositor.render_full_update

        def render_full_update(compositor: Compositor, simplify: bool = False) -> LayoutUpdate:
            whole.append(compositor)
            return real(compositor, simplify)

        monkeypatch.setattr(Compositor, "render_full_update", render_full_update)
        service.show(snapshot(pool=pool(key(1, label="renamed"))))
        await driver.until(lambda: len(driver.app.dashboard.keys.rows) == 1)
        await driver.pilot.pause()
        assert not whole
        await driver.pilot.resize_terminal(110, 40)
        service.show(snapshot(pool=pool(*MANY)))
        await driver.until(lambda: len(driver.app.dashboard.keys.rows) == len(MANY))
        await driver.until(lambda: whole)
        service.show(snapshot(pool=pool(key(1, label="renamed"))))
        await driver.press("escape")
        await driver.until(lambda: "renamed" in driver.screen())


@pytest.mark.slow(reason="draws many states at many sizes")
async def test_traffic_lays_nothing_out_and_makes_each_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout draws the whole screen again, ten times a second while requests come."""
    service = ScriptedService(snapshot())
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter", *"why", "enter")
        await driver.until(lambda: "Rayleigh" in driver.screen() or "molecules" in driver.screen())
        driver.app.clock = lambda: NOW + 0.5
        service.show(snapshot(entries=ENTRIES[:2]))
        await driver.until(lambda: len(driver.app.dashboard.live.feed.window.entries) == 2)
        await driver.pilot.pause()
        layouts: list[Screen[object]] = []
        made: list[int] = []
        refresh, lines_of = Screen._refresh_layout, KeysPane.lines_of

        def refresh_layout(screen: Screen[object], size: Size | None = None, scroll: bool = False) -> None:
            layouts.append(screen)
            refresh(screen, size, scroll)

        def count(pane: KeysPane, row: KeyView, width: int) -> Sequence[Line]:
            made.append(row.index)
            return lines_of(pane, row, width)

        monkeypatch.setattr(Screen, "_refresh_layout", refresh_layout)
        monkeypatch.setattr(KeysPane, "lines_of", count)
        driver.app._ticking.stop()  # a second that passes draws what counts down too
        service.show(snapshot(entries=ENTRIES[:1]))
        await driver.until(lambda: len(driver.app.dashboard.live.feed.window.entries) == 1)
        await driver.pilot.pause()
        assert not layouts
        assert sorted(made) == [each.index for each in KEYS]


async def test_a_change_behind_a_dialog_is_seen() -> None:
    service = ScriptedService(snapshot(pool=pool(*MANY)))
    async with run_app(service, (120, 44)) as driver:
        await driver.press("a")
        await driver.until(lambda: driver.app.screen is not driver.app.dashboard)
        service.show(snapshot(pool=pool(key(1, label="renamed"))))
        await driver.until(lambda: "renamed" in driver.screen())


def test_bands_join_what_follows_one_another() -> None:
    changes = [Region(5, 9, 2, 1), Region(3, 1, 4, 2), Region(0, 3, 2, 1), Region(1, 5, 0, 0)]
    assert bands(changes) == [Region(0, 1, 7, 3), Region(5, 9, 2, 1)]
