"""Nothing is told by its colour alone: a glyph or a word says the same."""

from datetime import UTC, date

import pytest
from textual.widgets import Static

from okr_tui.domain.feed_groups import Group
from okr_tui.domain.health import State
from okr_tui.ui.lines import TONES, fit_line, length
from okr_tui.ui.widgets.header import header_line
from okr_tui.ui.widgets.live import drawn, drawn_lines
from tests.ui.colourful import colourful
from tests.ui.driver import run_app
from tests.ui.examples import NOW

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")


@pytest.mark.parametrize("width", [60, 80, 120, 160, 220])
async def test_no_state_is_shown_by_its_colour_alone(width: int) -> None:
    assert len({state.traits.glyph for state in State}) == len(State)
    async with run_app(colourful(), (width, 40)) as driver:
        driver.app.dashboard.keys.focus()
        driver.app.dashboard.action_maximise()
        await driver.pilot.pause()
        lines = driver.rows("#keys")[1:]
        for row, line in zip(driver.app.dashboard.keys.rows, lines, strict=False):
            assert f" {row.state.traits.glyph} {row.state.value}" in line
        await driver.press("enter")
        for row in driver.app.dashboard.keys.rows:
            facts = driver.app.screen.query_one("#key-facts-text", Static)
            assert f"{row.state.traits.glyph} {row.state.value}" in str(facts.content).splitlines()[0]
            await driver.press("right")


def test_no_line_of_live_is_shown_by_its_colour_alone() -> None:
    glyphs = [glyph for glyph, _ in TONES.values()]
    assert len(set(glyphs)) == len(glyphs)
    for entry in colourful().snapshot.entries:
        (first, *_) = drawn_lines(drawn(Group(((entry,),)), 80, date.min, UTC, NOW))
        assert TONES[entry.tone][0] in "".join(text for text, _ in first)


@pytest.mark.parametrize("width", range(30))
def test_what_is_cut_says_so(width: int) -> None:
    line = (("one", ""), (" · ", ""), ("two", ""), ("", ""), ("五六", ""))
    fitted = fit_line(line, width)
    whole = "".join(text for text, _ in line)
    text = "".join(text for text, _ in fitted)
    assert length(fitted) == width
    assert text.rstrip() == whole if width >= length(line) else text[-1:] == "…"[:width]


@pytest.mark.parametrize("width", range(60, 200, 7))
def test_the_right_side_of_the_header_is_set_apart(width: int) -> None:
    shown = colourful().snapshot
    text = "".join(part for part, _ in header_line(shown, NOW, UTC, width, demo=True))
    left = text[: text.index("gateway :" if "gateway" in text else ":11435")]
    assert left.endswith("  ")
    assert left.rstrip().endswith(("…", "outage", "2026", ":00"))
