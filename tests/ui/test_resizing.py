"""A terminal that is resized: every size on the way is lived through, on every screen."""

import asyncio
from collections.abc import Iterable

import pytest

from okr_tui.cloud.dialects import Delta
from okr_tui.ui.screens.dashboard import Dashboard
from tests.ui.chat_driver import DONE, ROUTED, ask
from tests.ui.driver import Driver, run_app
from tests.ui.examples import snapshot
from tests.ui.scripted_pool import Step
from tests.ui.scripted_service import ScriptedService

Size = tuple[int, int]
WIDEST, HIGHEST = 240, 70
SPLITS = [((120, 40), (60, 16)), ((180, 50), (90, 24)), ((180, 50), (89, 50)), ((240, 70), (1, 1))]
EDGES = [
    1,
    2,
    3,
    4,
    7,
    15,
    29,
    57,
    58,
    59,
    60,
    61,
    71,
    72,
    86,
    87,
    88,
    90,
    99,
    100,
    139,
    140,
    160,
    219,
    220,
    240,
]
OPENED = ["enter", "question_mark", "comma", "ctrl+p", "ctrl+s", "a", "d", "l"]


async def resized(driver: Driver, sizes: Iterable[Size]) -> None:
    """Resize through all sizes; each is laid out and drawn."""
    for size in sizes:
        await driver.pilot.resize_terminal(*size)
    assert driver.app.is_running


@pytest.mark.parametrize(("before", "after"), SPLITS)
async def test_a_split_pane_is_lived_through(before: Size, after: Size) -> None:
    async with run_app(ScriptedService(snapshot()), before) as driver:
        await resized(driver, (after, before, after))


@pytest.mark.slow(reason="draws many states at many sizes")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("streaming", [False, True])
async def test_every_width_and_height_is_lived_through(streaming: bool) -> None:
    service = ScriptedService(snapshot())
    ended = asyncio.Event()
    steps: list[Step] = [ROUTED, Delta("word " * 200), ended, Delta(" end"), DONE]
    service.answers = [steps]
    async with run_app(service, (WIDEST, HIGHEST)) as driver:
        if streaming:
            await ask(driver)
        # While an answer comes, the sizes at which something changes are enough.
        widths, heights = (EDGES, EDGES) if streaming else (range(1, WIDEST + 1), range(1, HIGHEST + 1))
        await resized(driver, ((width, 30) for width in reversed(widths)))
        await resized(driver, ((120, height) for height in reversed(heights) if height <= HIGHEST))
        ended.set()


@pytest.mark.slow(reason="draws many states at many sizes")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", OPENED)
async def test_every_screen_is_lived_through(key: str) -> None:
    async with run_app(ScriptedService(snapshot()), (WIDEST, HIGHEST)) as driver:
        await driver.press(key)
        assert len(driver.app.screen_stack) > 1 or not isinstance(driver.app.screen, Dashboard)
        await resized(driver, ((width, 24) for width in reversed(EDGES)))
        await resized(driver, ((width, 1 + width % HIGHEST) for width in EDGES))
