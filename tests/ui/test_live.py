"""The live pane: follows, stays put, pauses, filters, reads the log back, shows a line in full."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date

import pytest
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.feed import Entry
from okr_tui.domain.feed_groups import Group
from okr_tui.domain.records import Attempt
from okr_tui.services.service import LOG_PROGRESS
from okr_tui.ui import bridge
from okr_tui.ui.lines import length
from okr_tui.ui.widgets.live import LivePane, drawn, drawn_lines
from tests.ui.driver import Driver, run_app
from tests.ui.examples import ENTRIES, KEYS, NOW, SPENT_FAULT, snapshot
from tests.ui.scripted_service import PAGE, ScriptedService, make_app
from tests.ui.test_looks import SIZES, SnapCompare, reached


def attempt(at: float, fault: Fault | None = SPENT_FAULT) -> Attempt:
    """A request with the third key, which failed."""
    return Attempt(
        at=at,
        started=at - 1,
        client="gateway",
        fingerprint=KEYS[2].fingerprint,
        model="gpt-oss:120b",
        path="/v1/messages",
        outcome="fault" if fault else "ok",
        fault=fault,
        next_fingerprint=KEYS[0].fingerprint,
        duration_ms=310,
    )


def line(number: int, text: str | None = None) -> Entry:
    """One line of a long log."""
    return Entry(NOW - 1000 + number, "info", text or f"line {number}", sequence=number)


def lines(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(map(line, range(first, last + 1)))


def live_of(driver: Driver) -> LivePane:
    return driver.app.dashboard.live


def title(driver: Driver) -> str:
    return str(live_of(driver).border_title)


async def test_a_log_that_takes_long_to_read_says_how_far_it_has_come() -> None:
    async with run_app(ScriptedService()) as driver:
        driver.app.post_message(bridge.LogRead("reading the log: 2,000 of 90,000 records"))
        await driver.until(lambda: "2,000 of 90,000" in str(live_of(driver).border_subtitle))
        driver.app.post_message(bridge.SnapshotArrived(snapshot()))
        await driver.until(lambda: "reading" not in str(live_of(driver).border_subtitle))


async def test_what_the_opening_service_says_of_the_log_reaches_the_screen() -> None:
    posted: list[Message] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[bridge.Opened]:
        LOG_PROGRESS.get()("reading the log: 2,000 of 90,000 records")
        raise ConnectionError
        yield

    def post(message: Message) -> bool:
        posted.append(message)
        return True

    async def nothing() -> None:
        pass

    with pytest.raises(ConnectionError):
        await bridge.serve(opened, post, nothing)
    assert posted == [bridge.LogRead("reading the log: 2,000 of 90,000 records")]


@pytest.fixture
def long() -> ScriptedService:
    """A log of 260 lines, the last 200 of them in the snapshot."""
    service = ScriptedService(snapshot(entries=lines(61, 260)))
    service.log = list(lines(1, 260))
    return service


async def test_lines_that_are_gone_are_not_kept_as_they_were_drawn(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        feed = live_of(driver).feed

        def drawn() -> int:
            gc.collect()
            return sum(isinstance(each, Strip) for each in gc.get_objects())

        def show(first: int) -> None:
            feed.show_rows([Group(((each,),)) for each in lines(first, first + 60)])
            for y in range(feed.size.height):
                feed.render_line(y)

        show(0)
        before = drawn()
        for number in range(400):
            show(number)
        assert drawn() - before < 5 * feed.size.height
        assert "line 459" in feed.render_line(feed.size.height - 1).text


async def test_it_follows_the_newest_until_the_cursor_moves_up(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        feed = live_of(driver).feed
        await driver.press("tab")
        assert "line 260" in driver.rows("#feed")[-1]
        long.show(snapshot(entries=lines(62, 261)))
        await driver.until(lambda: "line 261" in driver.rows("#feed")[-1])
        await driver.press("up", "up")
        before = driver.rows("#feed")
        selected = feed.selected
        long.show(snapshot(entries=lines(72, 271)))
        await driver.until(lambda: len(feed.rows) == 210)
        assert driver.rows("#feed") == before
        assert feed.selected == selected
        await driver.press("G")
        assert "line 271" in driver.rows("#feed")[-1]
        long.show(snapshot(entries=lines(73, 272)))
        await driver.until(lambda: "line 272" in driver.rows("#feed")[-1])


async def test_scrolling_up_stays_put_and_scrolling_down_follows(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        feed = live_of(driver).feed
        feed.scroll_to(y=50, animate=False, immediate=True)
        before = driver.rows("#feed")
        long.show(snapshot(entries=lines(66, 265)))
        await driver.until(lambda: feed.rows[-1].newest.sequence == 265)
        assert driver.rows("#feed") == before
        feed.scroll_end(animate=False, immediate=True)
        assert feed.following


async def test_a_paused_pane_says_what_waits_and_shows_it_later(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        await driver.press("tab", "space")
        before = driver.rows("#feed")
        long.show(snapshot(entries=lines(73, 272)))
        await driver.until(lambda: "paused · 12 new" in title(driver))
        assert driver.rows("#feed") == before
        await driver.press("space")
        assert "line 272" in driver.rows("#feed")[-1]
        assert "paused" not in title(driver)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_older_pages_are_read_at_the_top_down_to_the_first_line(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        feed = live_of(driver).feed
        await driver.press("tab", "home")
        await driver.until(lambda: len(feed.rows) == 200 + PAGE)
        assert long.pages == [(61, None)]
        assert feed.selected
        assert feed.selected.newest.sequence == 61
        while not feed.window.whole:
            count = len(feed.rows)
            await driver.press("home")
            await driver.until(lambda count=count: len(feed.rows) > count or feed.window.whole)  # type: ignore[misc]
        await driver.press("home", "up")
        assert feed.rows[0].newest.sequence == 1
        asked = len(long.pages)
        await driver.press("up")
        assert len(long.pages) == asked
        await driver.press("end")
        assert "line 260" in driver.rows("#feed")[-1]


async def test_words_key_and_faults_narrow_and_escape_shows_all(service: ScriptedService) -> None:
    faults = tuple(replace(entry, client="gateway") for entry in ENTRIES)
    service.show(snapshot(entries=faults))
    async with run_app(service) as driver:
        live = live_of(driver)
        await driver.press("tab", "slash")
        await driver.type("429 #3 gpt")
        assert [row.newest.key for row in live.feed.rows] == [3]
        assert "“429 #3 gpt” · 1 of 8" in title(driver)
        await driver.press("enter")
        assert driver.app.focused is live.feed
        await driver.press("escape")
        assert len(live.feed.rows) == len(ENTRIES)
        await driver.press("f", "F", "F", "F")
        assert live.fingerprint == KEYS[2].fingerprint
        assert "faults · #3" in title(driver)
        await driver.press("escape", "slash")
        await driver.type("zzz")
        assert "no lines match" in driver.rows("#feed")[-1] + driver.rows("#feed")[0]
        await driver.press("escape")
        assert not live.filtering


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_filter_looks_for_older_lines_too(long: ScriptedService) -> None:
    async with run_app(long) as driver:
        feed = live_of(driver).feed
        await driver.press("tab", "slash")
        await driver.type("line 7")
        await driver.press("enter", "home", "up")
        await driver.until(lambda: long.pages)
        for _ in range(8):
            await driver.press("home")
        await driver.until(lambda: feed.rows[0].newest.sequence == 7)
        assert "of 260" in title(driver)


async def test_equal_faults_are_one_line_and_open_in_full(service: ScriptedService) -> None:
    entries = tuple(
        Entry(NOW - 20 + n, "fault", "#3 5h spent, back 10:28 UTC → #1", "gateway · gpt-oss:120b · 429", 3,
              KEYS[2].fingerprint, "gpt-oss:120b", "gateway", 40 + n, attempt(NOW - 20 + n))
        for n in range(3)
    )  # fmt: skip
    service.show(snapshot(entries=entries))
    async with run_app(service) as driver:
        rows = [row for row in driver.rows("#feed") if row]
        assert "#3 5h spent, back 10:28 UTC → #1 ×3" in rows[0]
        await driver.press("tab", "enter")
        await driver.pilot.pause()
        shown = driver.screen()
        for words in (
            "you have reached your session usage limit",
            "/v1/messages",
            f"#3 {KEYS[2].masked} birch",
            "3 similar lines",
            "continued   #1",
        ):
            assert words in shown, words
        await driver.press("escape")
        assert driver.app.focused is live_of(driver).feed


async def test_text_of_the_cloud_is_never_markup(service: ScriptedService) -> None:
    bad = Fault(FaultKind.TRANSIENT, Scope.SERVICE, "[/b] [red]gone[", 502)
    entry = Entry(NOW, "warning", "#3 [/b] [red]gone[", "x[beta]", 3, record=attempt(NOW, bad))
    service.show(snapshot(entries=(entry,)))
    async with run_app(service) as driver:
        await driver.press("tab", "i")
        await driver.pilot.pause()
        assert "[/b] [red]gone[" in driver.screen()


async def test_a_page_that_cannot_be_read_is_reported(
    long: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from okr_tui.domain.errors import StoreError

    async def broken(*_: object, **__: object) -> None:
        raise StoreError("cannot read the log")

    monkeypatch.setattr(long, "history", broken)
    async with run_app(long) as driver:
        await driver.press("tab", "home")
        await driver.toast("cannot read the log", "error")
        assert not live_of(driver).feed.reading


async def test_a_snapshot_without_news_draws_nothing(
    long: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_app(long) as driver:
        drawn: list[object] = []
        feed = live_of(driver).feed
        monkeypatch.setattr(feed, "show_rows", drawn.append)
        long.show(snapshot(entries=lines(61, 260), at=NOW + 1))
        await driver.until(lambda: driver.app.snapshot and driver.app.snapshot.at == NOW + 1)
        assert drawn == []


def pressed(*keys: str) -> Callable[[Pilot[str]], object]:
    """Waits for the first snapshot, then presses keys."""

    async def run(pilot: Pilot[str]) -> None:
        await reached(pilot, lambda dashboard: dashboard.snapshot is not None)
        await pilot.press(*keys)
        await pilot.pause()

    return run


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("size", SIZES)
def test_filtered_and_paused(
    service: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    keys = ("tab", "m", "slash", *"gpt", "enter", "space")
    assert snap_compare(make_app(service), terminal_size=size, run_before=pressed(*keys))


def test_what_is_drawn_of_a_line_is_not_its_record() -> None:
    one, other = (replace(line(1), record=attempt(NOW + number)) for number in range(2))
    first, second = (drawn(Group(((entry,),)), 80, date.min, UTC, NOW) for entry in (one, other))
    assert first == second


async def test_lines_are_laid_out_once_and_kept_while_they_are_shown() -> None:
    service = ScriptedService(snapshot(entries=lines(1, 40)))
    async with run_app(service) as driver:
        feed = live_of(driver).feed
        last = feed.lines_of(feed.rows[-1], 60)
        for number in range(2, 40):
            service.show(snapshot(entries=lines(number, number + 39)))
            await driver.pilot.pause()
            if number == 2:
                assert feed.lines_of(feed.rows[-2], 60) is last
        assert len(feed.rows) == 40
        assert len(feed._laid_out) <= 2 * len(feed.rows)
        assert len(feed._laid_out_before) <= 2 * len(feed.rows)


async def test_a_line_that_stays_is_drawn_once() -> None:
    async with run_app(ScriptedService(snapshot())) as driver:
        keys = driver.app.dashboard.keys
        drawn = keys.render_line(1)
        keys.refresh()
        assert keys.render_line(1) is drawn


@pytest.mark.parametrize("width", [30, 41, 58, 80])
def test_a_line_of_wide_letters_is_wrapped_by_its_cells(width: int) -> None:
    text = "#1 日本語のラベル東京大阪名古屋: 週 82% used, reset Mon 00:00 とても長い名前です"
    group = Group(((Entry(NOW, "warning", text, "詳細 · 東京"),),))
    found = drawn_lines(drawn(group, width, date.min, UTC, NOW))
    assert all(length(line) <= width for line in found)
    shown = "".join(part for line in found for part, _ in line).replace(" ", "")
    assert text.replace(" ", "") in shown
