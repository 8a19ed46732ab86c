"""What is shown when not all is well: each a state of the screen, never an exception."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC

import pytest
from textual.widgets import Input

from okr_tui.domain.errors import StoreError
from okr_tui.domain.health import State, Verdict
from okr_tui.services.last_snapshot import LastSnapshot
from okr_tui.services.overview import Inputs
from okr_tui.services.service import GatewayView, ModelList, Snapshot
from okr_tui.ui.app import OkrApp
from okr_tui.ui.bridge import LogRead, Opened, OpenService, SnapshotArrived
from okr_tui.ui.screens.dialogs import AddKey
from tests.ui.driver import Driver, run_app
from tests.ui.examples import ENTRIES, INVALID, NOW, SETTINGS_FILE, SPENT, key, pool, settings, snapshot
from tests.ui.scripted_service import ScriptedService, make_app, opener

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")


def unopened(reason: str) -> OpenService:
    """A service whose log cannot be opened."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Opened]:
        raise StoreError(f"cannot open the log /a/[b]/log.db: {reason}, or choose another with --store")
        yield

    return opened


async def test_first_run_says_what_to_do_and_goes_by_itself() -> None:
    service = ScriptedService(snapshot(pool=pool(active=None)))
    async with run_app(service, (80, 24)) as driver:
        text = driver.words("#first")
        assert str(SETTINGS_FILE) in text
        assert "OLLAMA_API_KEYS" in text
        assert not driver.app.dashboard.keys.display or driver.app.dashboard.has_class("-first")
        await driver.until(lambda: "d demo" in driver.words("#footer"))
        await driver.press("tab", "m", "slash", "escape")
        service.show(snapshot())
        await driver.until(lambda: not driver.app.dashboard.has_class("-first"))
        await driver.until(lambda: driver.app.focused is driver.app.dashboard.keys)


async def test_all_blocked_names_the_earliest_return() -> None:
    blocked = pool(key(1, SPENT), key(2, INVALID), active=None, earliest=NOW + 252)
    async with run_app(ScriptedService(snapshot(pool=blocked))) as driver:
        first, second = driver.words("#banner").splitlines()
        assert first == "▲ every key is blocked; the first is back in 4m 12s, at 08:18:12"
        assert second.startswith("✖ #2 is refused")


async def test_a_pool_that_answers_is_busy_and_not_blocked() -> None:
    busy = Verdict(State.BUSY, eligible=False, reason="all 1 request slots taken")
    waiting = pool(key(1, SPENT), key(2, busy), active=None, earliest=NOW + 15660)
    async with run_app(ScriptedService(snapshot(pool=waiting))) as driver:
        words = driver.words("#banner")
    assert words == "▲ no key is free; the next request waits for the first that is"


async def test_an_outage_is_a_banner() -> None:
    verdict = Verdict(State.OUTAGE, eligible=False, reason="the cloud does not answer", until=NOW + 20)
    async with run_app(ScriptedService(snapshot(pool=pool(key(1), outage=verdict)))) as driver:
        assert driver.words("#banner") == "▲ the cloud does not answer, next try in 20s"


async def test_settings_problems_are_named_and_bounded() -> None:
    problems = ("settings.json:4:7: expected a [comma]", "second", "third", "fourth")
    shown = snapshot()
    service = ScriptedService(replace(shown, settings=replace(shown.settings, problems=problems)))
    async with run_app(service) as driver:
        lines = driver.words("#banner").splitlines()
        assert lines[0] == "▲ settings.json:4:7: expected a [comma]"
        assert lines[2] == "▲ and 2 more in the settings; , shows them, e edits the file"
        assert "▲ 4 in settings" in driver.words("#header")
        service.show(replace(shown, pool=pool(key(1))))
        await driver.until(lambda: not driver.app.dashboard.query_one("#banner").display)


@pytest.mark.parametrize(("height", "taller"), [(24, True), (39, True), (40, False), (60, False)])
async def test_only_what_a_taller_terminal_shows_is_promised_there(height: int, taller: bool) -> None:
    shown = snapshot(log=tuple(f"the log cannot be written: reason {number}" for number in range(12)))
    async with run_app(ScriptedService(shown), (120, height)) as driver:
        last = driver.words("#banner").splitlines()[-1]
        assert last.endswith(" more lines") is not taller
        assert last.endswith("more lines; a taller terminal shows them") is taller


async def test_a_failed_refresh_keeps_the_rows_and_says_their_age() -> None:
    shown = snapshot()
    models = replace(shown.models, error="HTTP 503 [busy]", refreshed_at=NOW - 7200)
    async with run_app(ScriptedService(replace(shown, models=models))) as driver:
        pane = driver.app.dashboard.models
        assert "as of 2h 00m ago" in str(pane.border_title)
        assert "not refreshed: HTTP 503" in str(pane.border_subtitle)
        assert len(pane.table.rows) == 11


async def test_news_while_the_screen_is_taken_down_is_not_a_crash(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        shown = driver.app.snapshot
        assert shown is not None
        await driver.app.dashboard.query("*").remove()
        driver.app.post_message(LogRead("reading the log"))
        driver.app.post_message(SnapshotArrived(shown))
        await driver.pilot.pause()
        assert driver.app.dashboard.picture() == []


async def test_a_service_that_cannot_open_is_explained() -> None:
    driver = Driver(OkrApp(unopened("disk full"), zone=UTC, clock=lambda: NOW))
    async with driver.app.run_test(message_hook=driver.heard) as driver.pilot:
        await driver.until(lambda: driver.app.dashboard.has_class("-broken"))
        assert "cannot open the log /a/[b]/log.db: disk full" in driver.words("#broken")
        await driver.press("1", "e", "d")
        assert "not running" in driver.words("#header")
        await driver.press("q")
    assert driver.app.return_code == 0


async def test_a_service_that_cannot_open_is_tried_again(service: ScriptedService) -> None:
    tries: list[OpenService] = [unopened("locked"), unopened("still locked"), opener(service)]
    driver = Driver(OkrApp(lambda: tries.pop(0)(), zone=UTC, clock=lambda: NOW))
    async with driver.app.run_test(message_hook=driver.heard) as driver.pilot:
        await driver.until(lambda: "locked" in driver.words("#broken"))
        await driver.until(lambda: "try again" in driver.words("#footer"))
        await driver.press("enter")
        await driver.until(lambda: "still locked" in driver.words("#broken"))
        await driver.press("r")
        await driver.until(lambda: driver.app.dashboard.keys.rows)
        assert not driver.app.dashboard.has_class("-broken")
        await driver.until(lambda: driver.app.focused is driver.app.dashboard.keys)


async def test_a_log_that_takes_nothing_is_reported_before_the_settings() -> None:
    log = ("cannot write the log /a/log.db: database or disk is full",)
    shown = snapshot(log=log, settings=settings(problems=("settings.json:4:7: expected a comma",)))
    service = ScriptedService(shown)
    async with run_app(service) as driver:
        assert driver.words("#banner").splitlines()[:2] == [
            f"▲ {log[0]}",
            "▲ settings.json:4:7: expected a comma; e edits the file",
        ]
        assert "▲ log" in driver.words("#header")
        service.show(snapshot())
        await driver.until(lambda: "▲ log" not in driver.words("#header"))


@pytest.mark.parametrize(("ahead", "words"), [(430.0, "7m 10s ahead of"), (-7300.0, "2h 01m behind")])
async def test_a_wrong_clock_is_reported_with_what_it_makes_wrong(ahead: float, words: str) -> None:
    async with run_app(ScriptedService(snapshot(clock_ahead=ahead))) as driver:
        assert f"clock is {words} the cloud's" in driver.words("#banner")
        assert "set the clock" in driver.words("#banner")


async def test_lines_from_the_future_are_reported() -> None:
    late = replace(ENTRIES[-1], at=NOW + 3600)
    async with run_app(ScriptedService(snapshot(entries=(*ENTRIES, late)))) as driver:
        assert "entries from 1h 00m in the future" in driver.words("#banner")


async def test_a_port_that_is_taken_names_the_key_that_tries_again() -> None:
    gateway = GatewayView(error="cannot listen on 127.0.0.1:11435: another program listens there")
    async with run_app(ScriptedService(snapshot(gateway=gateway))) as driver:
        assert "another program listens there; g tries again" in driver.words("#banner")
        assert "▲ gateway" in driver.words("#header")


async def test_no_models_say_why_and_which_key_reads_them() -> None:
    service = ScriptedService(snapshot(models=ModelList(error="HTTP 503")))
    async with run_app(service) as driver:
        assert "R reads the list again" in driver.rows("#model-table")[1]
        assert "not refreshed: HTTP 503" in str(driver.app.dashboard.models.border_subtitle)
        service.show(snapshot(models=ModelList(refreshing=True)))
        await driver.until(lambda: "reading the list" in driver.rows("#model-table")[1])


async def test_a_filter_that_finds_nothing_says_how_to_leave_it(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "slash", *"nosuch")
        await driver.until(lambda: "esc shows all" in "".join(driver.rows("#feed")))
        await driver.press("escape", "tab", "slash", *"nosuch")
        await driver.until(lambda: "esc shows all" in "".join(driver.rows("#model-table")))
        await driver.press("escape")
        assert len(driver.app.dashboard.models.table.rows) == 11


async def test_a_service_that_ends_later_is_a_banner() -> None:
    class Failing(ScriptedService):
        async def snapshots(self) -> AsyncIterator[object]:  # type: ignore[override]
            yield self.snapshot
            raise StoreError("the log went away")

    async with run_app(Failing()) as driver:
        await driver.until(lambda: "the log went away" in driver.words("#banner"))
        await driver.press("r")
        assert driver.app.dashboard.keys.rows


@pytest.mark.parametrize("size", [(59, 24), (80, 15)])
async def test_too_small_says_which_size_is_needed(service: ScriptedService, size: tuple[int, int]) -> None:
    async with run_app(service, size) as driver:
        await driver.until(lambda: f"{size[0]}x{size[1]} is too small" in driver.screen())
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: driver.app.dashboard.keys.size.height)
        assert "too small" not in driver.screen()


@asynccontextmanager
async def opening(
    service: ScriptedService, last: Snapshot | None = None
) -> AsyncIterator[tuple[Driver, asyncio.Event, list[Snapshot]]]:
    """A dashboard whose service opens with the event; the list has what it keeps for the next run."""
    gate, kept = asyncio.Event(), []

    class Last(LastSnapshot):
        def load(self) -> Snapshot | None:
            return last and replace(last, remembered=True)

        def save(self, snapshot: Snapshot) -> None:
            kept.append(snapshot)

    @asynccontextmanager
    async def slow() -> AsyncIterator[Opened]:
        await gate.wait()
        async with opener(service)() as opened:
            yield opened

    where = Inputs((SETTINGS_FILE, SETTINGS_FILE), {}, {}, {})
    driver = Driver(OkrApp(slow, zone=UTC, clock=lambda: NOW, last=Last(where)))
    async with driver.app.run_test(message_hook=driver.heard, notifications=True) as driver.pilot:
        await driver.pilot.pause()
        yield driver, gate, kept


async def test_the_first_paint_does_not_wait_for_the_service(service: ScriptedService) -> None:
    async with opening(service) as (driver, gate, _):
        assert "opening" in driver.words("#header")
        await driver.press("r", "2", "t")
        assert service.calls == []
        gate.set()
        await driver.until(lambda: len(service.calls) == 3)
        assert [call[0] for call in service.calls] == ["rotate", "use_key", "test_key"]


async def test_what_the_last_run_left_is_shown_with_its_age(service: ScriptedService) -> None:
    last = replace(snapshot(pool=pool(key(1, label="earlier"))), at=NOW - 3600)
    async with opening(service, last) as (driver, gate, _):
        assert "earlier" in driver.screen()
        assert "as it was 1h 00m ago" in driver.words("#header")
        gate.set()
        await driver.until(lambda: "amber" in driver.screen())
        assert "earlier" not in driver.screen()
        assert "as it was" not in driver.words("#header")


async def test_keys_pressed_before_the_service_is_open_are_not_lost(service: ScriptedService) -> None:
    async with opening(service, snapshot()) as (driver, gate, _):
        await driver.press("down", "t", "down", "x", "a")
        for letter in "ab1":
            await driver.press(letter)
        assert service.calls == []
        gate.set()
        await driver.until(lambda: len(service.calls) == 2)
        assert service.calls == [("test_key", 2), ("reset_key", 3)]
        await driver.until(lambda: isinstance(driver.app.screen, AddKey))
        await driver.until(lambda: not driver.app._held)
        await driver.until(lambda: driver.app.screen.query_one(Input).value)
        assert driver.app.screen.query_one(Input).value == "ab1"


async def test_what_is_typed_into_the_prompt_meanwhile_stays(service: ScriptedService) -> None:
    async with opening(service, snapshot()) as (driver, gate, _):
        driver.app.dashboard.go("#prompt")
        await driver.pilot.pause()
        await driver.press("r", "1")
        gate.set()
        await driver.until(lambda: driver.app.service)
        await driver.press("t")
        assert driver.app.pane.prompt.text == "r1t"
        assert service.calls == []


async def test_a_service_that_fails_leaves_nothing_of_the_last_run() -> None:
    driver = Driver(OkrApp(unopened("disk full"), zone=UTC, clock=lambda: NOW))
    async with driver.app.run_test(message_hook=driver.heard) as driver.pilot:
        driver.app._take(replace(snapshot(), remembered=True))
        await driver.until(lambda: driver.app.dashboard.has_class("-broken"))


async def test_what_is_shown_is_kept_at_the_end(service: ScriptedService) -> None:
    async with opening(service) as (driver, gate, kept):
        gate.set()
        await driver.until(lambda: driver.app.snapshot)
        assert kept == []
        await driver.press("q")
    assert [shown.pool for shown in kept] == [service.snapshot.pool]


async def test_an_unknown_theme_is_reported_and_the_default_used(service: ScriptedService) -> None:
    shown = snapshot()
    app = OkrApp(opener(service), zone=UTC, clock=lambda: NOW)
    driver = Driver(app)
    async with app.run_test(message_hook=driver.heard, notifications=True) as driver.pilot:
        await driver.until(lambda: app.snapshot)
        service.show(replace(shown, settings=replace(shown.settings, theme="okr-light")))
        await driver.until(lambda: app.theme == "okr-light")
        service.show(replace(shown, settings=replace(shown.settings, theme="no[/b]such")))
        await driver.until(lambda: "no[/b]such" in driver.words("#banner"))
        assert app.theme == "okr-dark"


async def test_no_color_still_distinguishes_states(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with run_app(service) as driver:
        assert "▣ spent 5h" in "\n".join(driver.rows("#keys"))
        assert driver.app.dashboard.has_pseudo_class("nocolor")


def test_an_input_may_be_mounted_before_a_screen_is_there(service: ScriptedService) -> None:
    make_app(service).clear_selection()
