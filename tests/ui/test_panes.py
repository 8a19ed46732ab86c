"""Lists, filter, focus and layout."""

from dataclasses import replace
from itertools import count

import pytest
from textual import events

from okr_tui.services.service import ModelList, ModelRow
from okr_tui.ui import app as app_module
from okr_tui.ui.widgets.live import Filter, LivePane
from tests.ui.driver import found, palette_options, run_app
from tests.ui.examples import ENTRIES, KEYS, MODELS, NOW, SPENT, key, model, pool, snapshot
from tests.ui.scripted_service import ScriptedService


async def test_the_pool_is_one_line_per_key(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        lines = driver.rows("#keys")
    assert len(lines) == 7
    assert lines[1].startswith("▶┌ 1")
    assert "same as #1" in lines[2]
    assert "▣ spent 5h" in lines[3]
    assert "2h 14m" in lines[3]
    assert "$12.50" in lines[5]


async def test_preferred_and_active_have_marks_of_their_own() -> None:
    keys = (key(1, SPENT, preferred=True), key(2))
    async with run_app(ScriptedService(snapshot(pool=pool(*keys, active=2)))) as driver:
        lines = driver.rows("#keys")
    assert lines[1].startswith("▷  1")
    assert lines[2].startswith("▶  2")


async def test_the_cursor_stays_on_its_key(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("j", "j")
        moved = (key(9), *(replace(row, index=row.index + 1) for row in KEYS))
        service.show(snapshot(pool=pool(*moved)))
        keys = driver.app.dashboard.keys
        await driver.until(lambda: len(keys.rows) == 7)
        assert keys.selected is not None
        assert keys.selected.fingerprint == KEYS[2].fingerprint
        service.show(snapshot(pool=pool(KEYS[0])))
        await driver.until(lambda: len(keys.rows) == 1)
        assert keys.selected == KEYS[0]


async def test_countdowns_continue_and_nothing_else_is_drawn(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        driver.app.clock = lambda: NOW + 60
        await driver.until(lambda: driver.app.now == NOW + 60)
        await driver.pilot.pause()
        lines = driver.rows("#keys")
    assert "2h 13m" in lines[3]
    assert "3m 12s" in lines[4]


async def test_the_clock_rests_while_nothing_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "TICK", 0.001)
    counting = snapshot(pool=pool(key(1, read_at=NOW - 30)))
    still = snapshot(pool=pool(key(1, read_at=None)))
    service = ScriptedService(counting)
    async with run_app(service) as driver:
        app = driver.app
        moments = count(NOW)
        app.clock = lambda: next(moments)
        ticks: list[float] = []

        def note(now: float) -> None:
            ticks.append(now)

        app.watch(app, "now", note, init=False)
        await driver.until(lambda: len(ticks) > 5)
        service.show(still)
        await driver.until(lambda: app.snapshot is not None and app.snapshot.pool == still.pool)
        # What a timer of the same interval counts, the application's own would have counted too.
        others: list[int] = []
        app.set_interval(0.001, lambda: others.append(len(ticks)))
        await driver.until(lambda: len(others) > 40)
        assert others[10] == others[-1]


MARKUP = ModelList(
    (ModelRow(model("x[beta]", 1, 1000), (1,)), ModelRow(model("a[/b]", 1, 1000), (1,)), *MODELS),
    refreshed_at=NOW,
)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_model_names_are_never_markup() -> None:
    service = ScriptedService(snapshot(models=MARKUP))
    async with run_app(service) as driver:
        lines = driver.rows("#model-table")
        assert lines[1].startswith("  x[beta]")
        assert lines[2].startswith("  a[/b]")
        await driver.press("tab", "tab", "y")
        await driver.toast("Copied x[beta]")
        await driver.press("down", "enter")
        assert "a\\[/b]" in str(driver.app.dashboard.chat.border_title)
        await driver.press("escape", "ctrl+p")
        await palette_options(driver)
        await driver.type("info b")
        await found(driver, "ollama-info x[beta]")
        titles = {line.splitlines()[0] for line in await palette_options(driver)}
        assert {"ollama-info x[beta]", "ollama-info a[/b]"} <= titles
        await driver.press("escape")
        driver.app.pool.pick_model()
        assert {"x[beta]", "a[/b]"} <= {*await palette_options(driver)}
        await driver.type("/b")
        await found(driver, "a[/b]")


async def test_the_filter_narrows_and_escape_clears(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        models = driver.app.dashboard.models
        await driver.press("tab", "tab", "slash")
        await driver.type("gpt 120")
        assert [row.model.id for row in models.table.rows] == ["gpt-oss:120b"]
        assert "1 of 11" in str(models.border_title)
        await driver.press("enter")
        assert driver.app.focused is models.table
        await driver.press("slash")
        await driver.type("zzz")
        assert "no model matches" in driver.rows("#model-table")[1]
        await driver.press("escape")
        assert len(models.table.rows) == 11
        assert driver.app.focused is models.table
        assert not driver.app.dashboard.query_one(Filter).display


async def test_keys_of_a_filter_are_only_letters(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "slash")
        await driver.type("1rq")
        assert driver.app.dashboard.models.words == "1rq"
    assert service.calls == []


async def test_faults_only_and_back(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        live = driver.app.dashboard.query_one(LivePane)
        assert [row.at for row in live.feed.rows] == sorted(entry.at for entry in ENTRIES)
        await driver.press("f")
        assert {row.tone for row in live.feed.rows} == {"fault", "warning"}
        assert "faults · 3 of 8" in str(live.border_title)
        await driver.press("f")
        assert len(live.feed.rows) == len(ENTRIES)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40), (160, 45)])
async def test_tab_cycles_through_every_pane_and_shows_it(
    service: ScriptedService, size: tuple[int, int]
) -> None:
    async with run_app(service, size) as driver:
        stops = []
        for _ in range(4):
            focused = driver.app.focused
            assert focused is not None
            assert focused.region.height > 0
            stops.append(focused.id)
            await driver.press("tab")
        assert stops == ["keys", "feed", "model-table", "prompt"]
        assert driver.app.focused is not None
        assert driver.app.focused.id == "keys"
        await driver.press("shift+tab")
        assert driver.app.focused.id == "prompt"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("size", [(60, 16), (120, 40)])
async def test_two_tabs_that_arrive_together_move_the_focus_twice(
    service: ScriptedService, size: tuple[int, int]
) -> None:
    async with run_app(service, size) as driver:
        for _ in range(2):
            driver.app.post_message(events.Key("tab", None))
        await driver.until(lambda: driver.app.focused is driver.app.dashboard.models.table)
        await driver.press("enter")
        assert driver.app.focused is driver.app.dashboard.chat.prompt


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_mouse_picks_rows_and_tabs(service: ScriptedService) -> None:
    async with run_app(service, (80, 24)) as driver:
        await driver.pilot.click("#keys", offset=(5, 4))
        assert driver.app.dashboard.keys.cursor == 2
        await driver.pilot.click("#tabs", offset=(9, 0))
        await driver.until(lambda: driver.app.focused is driver.app.dashboard.models.table)
        await driver.pilot.click("#model-table", offset=(5, 2), times=2)
        await driver.until(lambda: driver.app.dashboard.chat.model == "gpt-oss:120b")
