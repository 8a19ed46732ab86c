"""A key's details: every fact, its lines as they come, and the same orders as on the list."""

import re
from dataclasses import replace
from datetime import UTC

import pytest
from textual.widgets import Static

from okr_tui.domain.feed import Entry
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.quota import Balance, Credits, Sample, Window
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.screens.key_details import Facts, KeyDetails, fact_lines
from okr_tui.ui.widgets.live import FeedList
from tests.ui.driver import Driver, run_app
from tests.ui.examples import ENTRIES, HISTORY, KEYS, NOW, SPENT_FAULT, pool, snapshot
from tests.ui.scripted_service import ScriptedService, make_app
from tests.ui.test_live import attempt, pressed
from tests.ui.test_looks import SIZES, SnapCompare

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

NO_PLAN = Verdict(
    State.NO_PLAN, eligible=False, reason="the plan does not include this model", until=NOW + 80000
)
SPENT_KEY = replace(
    KEYS[2],
    account="acc-birch",
    last_fault=SPENT_FAULT,
    last_fault_at=NOW - 9,
    faults=3,
    reason="5h spent",
    identity_at=NOW - 7200,
    models=(("kimi-k3", NO_PLAN),),
    blocked_models=("kimi-k3",),
)


@pytest.fixture
def spent() -> ScriptedService:
    """A pool whose third key has everything that can be told."""
    keys = (*KEYS[:2], SPENT_KEY, *KEYS[3:])
    own = tuple(
        Entry(NOW - 90 * n, "fault", f"#3 fault {n} → #1", "gateway · 429", 3, SPENT_KEY.fingerprint,
              f"gpt-oss:{n}b", "gateway", 100 - n,
              attempt(NOW - 90 * n, replace(SPENT_FAULT, text=f"{SPENT_FAULT.text} {n}")))
        for n in range(3, 0, -1)
    )  # fmt: skip
    service = ScriptedService(snapshot(pool=pool(*keys), entries=(*ENTRIES, *own)))
    service.walked = HISTORY
    return service


def details(driver: Driver) -> KeyDetails:
    screen = driver.app.screen
    assert isinstance(screen, KeyDetails)
    return screen


async def opened(driver: Driver, *, key: str = "enter") -> KeyDetails:
    """The details of the third key, with its history."""
    await driver.press("j", "j", key)
    await driver.until(lambda: isinstance(driver.app.screen, KeyDetails))
    await driver.pilot.pause()
    return details(driver)


@pytest.mark.parametrize("key", ["enter", "i"])
async def test_every_fact_is_shown(spent: ScriptedService, key: str) -> None:
    async with run_app(spent, (160, 45)) as driver:
        await opened(driver, key=key)
        shown = driver.screen()
        for words in (
            "▣ 5h spent, back 10:28 UTC, in 2h 14m",
            "not taken: 5h spent",
            "acc-birch",
            "free",
            "100%",
            "61%",
            "resets 09:54, in 1h 40m",
            "an hour, full",
            "used, 6 h",
            "kimi-k3: the plan does not include this model, back",
            "429, 9s ago: you have reached your session usage limit",
            "read 30s ago",
            "read 2h 00m ago",
            "#3 fault 1 → #1",
        ):
            assert words in shown, words
        assert "@" not in shown
        await driver.press("escape")
        assert isinstance(driver.app.screen, Dashboard)


def test_a_key_is_forecast_from_when_its_pool_is() -> None:
    window = Window("session", 40, NOW + 3600)
    row = replace(KEYS[0], balance=Balance((window,)))
    history = KeyHistory({"session": (Sample(NOW - 9, 39), Sample(NOW, 40))})

    def said(least: float) -> str:
        view = pool(row, forecast_least=least)
        lines = fact_lines(row, view, history, NOW, UTC, 100, ActiveKeymap().key_of)
        return "\n".join("".join(text for text, _ in line) for line in lines)

    assert "400.0% an hour, full 08:23" in said(8)
    assert "an hour" not in said(10)


def test_bought_credit_differs_from_included_and_an_unread_log_from_an_empty_one() -> None:
    balance = Balance(credits=Credits(0.0, 60.0, 3.5))
    row = replace(KEYS[0], balance=balance)

    def said(history: KeyHistory | None) -> str:
        lines = fact_lines(row, pool(row), history, NOW, UTC, 100, ActiveKeymap().key_of)
        return "\n".join("".join(text for text, _ in line) for line in lines)

    assert "$0.00 of $60.00 included and $3.50 bought are left" in said(KeyHistory())
    assert "requests   none in 6 h" in said(KeyHistory())
    assert "requests   reading the log…" in said(None)


async def test_each_drawing_has_its_words_next_to_the_log(spent: ScriptedService) -> None:
    async with run_app(spent, (120, 40)) as driver:
        await opened(driver)
        shown = driver.screen()
        assert "used, 6 h" in shown
        assert re.search(r"\d+ in 6 h", shown)


async def test_the_account_names_the_keys_that_share_it(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("enter")
        await driver.pilot.pause()
        assert "#2 shares its quota" in driver.screen()
        await driver.press("right")
        assert details(driver).fingerprint == KEYS[1].fingerprint
        await driver.press("left", "left")
        assert details(driver).fingerprint == KEYS[-1].fingerprint


async def test_the_orders_of_the_list_mean_this_key(spent: ScriptedService) -> None:
    async with run_app(spent) as driver:
        await opened(driver)
        await driver.press("t", "x", "o", "2")
        await driver.until(lambda: len(spent.calls) == 4)
        assert spent.calls == [
            ("test_key", 3),
            ("reset_key", 3),
            ("set_enabled", 3, False),
            ("use_key", 2),
        ]
        await driver.press("l")
        assert "Label" in driver.screen()
        await driver.press("escape")
        assert isinstance(driver.app.screen, KeyDetails)


async def test_lines_come_live_and_scroll_and_cursor_stay(spent: ScriptedService) -> None:
    async with run_app(spent, (80, 24)) as driver:
        screen = await opened(driver)
        facts, feed = screen.query_one(Facts), screen.query_one(FeedList)
        await driver.press("j", "j", "j", "j")
        assert facts.scroll_offset.y == 4
        await driver.press("tab", "up")
        selected = feed.selected
        assert spent.snapshot.entries
        new = Entry(NOW, "good", "#3 back: spent is over", key=3, fingerprint=SPENT_KEY.fingerprint)
        spent.show(replace(spent.snapshot, entries=(*spent.snapshot.entries, new)))
        await driver.until(lambda: feed.matched == 4)
        driver.app.now = NOW + 5
        await driver.pilot.pause()
        assert facts.scroll_offset.y == 4
        assert feed.selected == selected
        await driver.press("enter")
        assert "you have reached your session usage limit" in driver.screen()


async def test_history_is_asked_for_on_change_only(spent: ScriptedService) -> None:
    async with run_app(spent) as driver:
        await opened(driver)
        await driver.until(lambda: spent.histories)
        driver.app.now = NOW + 1
        spent.show(replace(spent.snapshot, at=NOW + 1))
        await driver.pilot.pause()
        assert len(spent.histories) == 1
        read = replace(SPENT_KEY, read_at=NOW)
        keys = (*KEYS[:2], read, *KEYS[3:])
        spent.show(replace(spent.snapshot, pool=pool(*keys)))
        await driver.until(lambda: len(spent.histories) == 2)


async def test_older_lines_of_the_key_come_from_the_log(spent: ScriptedService) -> None:
    old = [
        Entry(NOW - 9000 + n, "info", f"old {n}", sequence=n, fingerprint=KEYS[n % 4].fingerprint)
        for n in range(1, 61)
    ]
    spent.log = old
    async with run_app(spent) as driver:
        screen = await opened(driver)
        feed = screen.query_one(FeedList)
        await driver.until(lambda: spent.pages and not feed.reading)
        assert any(row.text.startswith("old") for row in feed.rows)
        assert all(row.newest.fingerprint == SPENT_KEY.fingerprint for row in feed.rows)
        assert "reading" not in str(screen.query_one("#key-log").border_title)


async def test_a_removed_key_takes_its_screen_with_it(spent: ScriptedService) -> None:
    async with run_app(spent) as driver:
        await opened(driver)
        spent.show(snapshot(pool=pool(*KEYS[:2])))
        await driver.until(lambda: isinstance(driver.app.screen, Dashboard))


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 45)])
async def test_no_line_is_cut(spent: ScriptedService, size: tuple[int, int]) -> None:
    async with run_app(spent, size) as driver:
        screen = await opened(driver)

        def fits() -> bool:
            width = screen.query_one(Facts).scrollable_content_region.width
            lengths = [sum(len(text) for text, _ in line) for line in screen._lines]
            return bool(lengths) and max(lengths) <= width

        await driver.until(fits)
        assert str(screen.query_one("#header", Static).content).endswith(("of 6", "other keys"))


@pytest.mark.parametrize("size", SIZES)
def test_key_details(spent: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(make_app(spent), terminal_size=size, run_before=pressed("j", "j", "enter"))
