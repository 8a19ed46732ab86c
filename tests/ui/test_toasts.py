"""Messages take lines of their own: neither prompt nor answer is ever under one."""

import pytest
from textual.widgets._toast import Toast

from okr_tui.ui.terminal_app import LEAST_SIZE
from tests.ui.chat_driver import ask_and_wait
from tests.ui.driver import run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

LONG = "Active Ollama cloud key → #2 10c7…64b3\nsaved in /home/someone/.pi/agent/settings.json; u undoes it"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("size", [LEAST_SIZE, (80, 24), (120, 40), (150, 40), (180, 50), (230, 60)])
async def test_a_message_covers_neither_prompt_nor_answer(
    service: ScriptedService, size: tuple[int, int], large: bool
) -> None:
    async with run_app(service, size) as driver:
        await ask_and_wait(driver, "Why?")
        dashboard = driver.app.dashboard
        if large:
            dashboard.action_maximise()
        driver.app.notify(LONG, markup=False)
        driver.app.notify("no connection", title="Failed", severity="error", markup=False)
        await driver.until(lambda: len(dashboard.query(Toast)) == 2)
        await driver.until(lambda: "▌" in driver.screen())
        await driver.pilot.pause()
        drawn = driver.screen().splitlines()
        lines = [number for number, line in enumerate(drawn) if line.startswith("▌")]
        assert lines == list(range(size[1] - 1 - len(lines), size[1] - 1))
        for selector in ("#prompt", "#conversations", "#footer"):
            region = dashboard.query_one(selector).region
            assert not {*range(region.y, region.bottom)} & {*lines}, selector
            assert region.height >= 1 or selector == "#conversations"
        assert dashboard.query_one("#footer").region.bottom == size[1]
        assert not any("╱" in line for line in drawn)
        driver.app.clear_notifications()
        await driver.until(lambda: not dashboard.query(Toast))
        assert dashboard.query_one("#footer").region.bottom == size[1]
