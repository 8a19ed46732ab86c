"""What is kept of the lines on the screen: each once, as Textual would draw it."""

import pytest
from rich.segment import Segment
from textual._styles_cache import StylesCache
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter, Monochrome
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from okr_tui.ui.styles_cache import FilteredStylesCache
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

OPENED = ("tab", "question_mark", "ctrl+p", "d", "slash")


def drawn(driver: Driver) -> list[tuple[str, list[Strip], list[Strip]]]:
    """Every widget that is seen: what Textual draws of it, and what is drawn."""
    found = []
    for each in driver.app.screen._compositor.visible_widgets:
        whole = Region(0, 0, *each.outer_size)
        assert type(each._styles_cache) is FilteredStylesCache
        expected = StylesCache().render_widget(each, whole)
        found.append((repr(each), expected, each._styles_cache.render_widget(each, whole)))
    return found


@pytest.mark.parametrize("opened", OPENED)
async def test_each_widget_is_drawn_as_textual_draws_it(opened: str) -> None:
    async with run_app(ScriptedService()) as driver:
        await driver.press(opened)
        driver.app.notify("a [b]toast[/b] over the panes")
        await driver.pilot.pause()
        for name, expected, found in drawn(driver):
            assert (name, found) == (name, expected)


async def test_of_a_line_one_copy_is_kept() -> None:
    async with run_app(ScriptedService()) as driver:
        await driver.press("down")
        kept = [
            line
            for each in driver.app.screen._compositor.visible_widgets
            for line in each._styles_cache._cache.values()
        ]
        assert len(kept) > driver.app.size.height
        assert not [line for line in kept if line._filter_cache]


async def test_other_filters_draw_all_again() -> None:
    async with run_app(ScriptedService()) as driver:
        before = drawn(driver)
        driver.app._filters.append(Monochrome())
        after = drawn(driver)
        assert [found for _, _, found in after] != [found for _, _, found in before]
        assert all(found == expected for _, expected, found in after)


class Counting(LineFilter):
    """A filter that counts the lines it gets."""

    lines = 0

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return the segments."""
        self.lines += 1
        return segments


async def test_a_line_is_filtered_when_it_is_made_and_lines_of_padding_once() -> None:
    async with App[None]().run_test() as pilot:
        static = Static("text")
        static.styles.padding = 3
        await pilot.app.mount(static)
        await pilot.pause()
        cache, counting = FilteredStylesCache(), Counting()
        pilot.app._filters.append(counting)
        whole = Region(0, 0, *static.outer_size)
        for _ in range(2):
            lines = cache.render_widget(static, whole)
            assert len(lines) == 7
            assert counting.lines == 2
        cache.set_dirty(Region(0, 3, 1, 1))
        cache.render_widget(static, whole)
        assert counting.lines == 3
        static.styles.background = Color.parse("red")
        assert cache.render_widget(static, whole) != lines
