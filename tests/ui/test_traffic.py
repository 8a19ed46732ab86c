"""Traffic on the screen: numbers of the header, requests that run, the strip of usage where there is room."""

from dataclasses import replace
from datetime import UTC

import pytest

from okr_tui.domain.quota import Sample
from okr_tui.domain.traffic import HOURS, Rates, RecentUsage, RunningRequest, UsageStrip
from okr_tui.services.service import Snapshot
from okr_tui.ui.widgets.header import header_line
from okr_tui.ui.widgets.usage_strip import strip_lines
from tests.ui.driver import run_app
from tests.ui.examples import KEYS, NOW, key, pool, snapshot
from tests.ui.scripted_service import ScriptedService

RUN = RunningRequest("r1", "pi", "kimi-k3", 1, KEYS[0].fingerprint, NOW - 12, NOW - 10, 480)
USAGE = RecentUsage(
    182_400,
    tuple(UsageStrip(name, (*range(0, 23_000, 1000), 0)) for name in ("amber", "birch", "gone", "d", "e")),
)
BUSY = snapshot(running=(RUN, replace(RUN, trace="r2", key=None)), rates=Rates(14, 61.4), usage=USAGE)


def text(line: object) -> str:
    return "".join(part for part, _ in line)  # type: ignore[attr-defined]


def header(shown: Snapshot, width: int) -> str:
    return text(header_line(shown, NOW, UTC, width, demo=False)).rstrip()


def test_the_header_shows_what_is_going_on() -> None:
    assert header(BUSY, 200) == (
        "okr-tui   ollama.com   3 ready · 1 spent · 1 invalid · 1 off   "
        "2 running · 14/min · 61 tok/s · 182k today   empty ~Thu 17:00"
    )
    assert "running" not in header(snapshot(), 200)


@pytest.mark.parametrize("width", range(58, 240))
def test_the_header_drops_whole_things_and_keeps_the_states(width: int) -> None:
    line = header(BUSY, width)
    assert len(line) <= width
    assert "3 ready · 1 spent · 1 invalid · 1 off" in line
    assert ("…" in line) is False
    assert ("/min" in line) <= ("2 running" in line)


async def test_a_running_request_is_a_line_that_counts_and_becomes_its_result() -> None:
    service = ScriptedService(replace(BUSY, entries=()))
    async with run_app(service) as driver:
        lines = [line for line in driver.rows("#feed") if line]
        assert lines[0] == "08:13:48 ◌ #1 kimi-k3  pi · running 12s · 48 tok/s"
        assert "waits for a key kimi-k3  pi · running 12s" in lines[1]
        driver.app.clock = lambda: NOW + 3
        driver.app._tick()
        await driver.until(lambda: "running 15s" in driver.rows("#feed")[0])
        service.show(snapshot(entries=()))
        await driver.until(lambda: "no requests yet" in driver.rows("#feed")[0])


async def test_the_strip_is_shown_where_there_is_room_only() -> None:
    service = ScriptedService(BUSY)
    async with run_app(service, (120, 40)) as driver:
        strip = driver.app.dashboard.query_one("#usage-strip")
        assert strip.display
        assert "253k tok" in driver.words("#usage-strip")
        assert strip.region.height == 6
        service.show(snapshot(usage=RecentUsage()))
        await driver.until(lambda: strip.region.height == 3)
        for size in [(120, 30), (80, 50)]:
            await driver.pilot.resize_terminal(*size)
            await driver.pilot.pause()
            assert not strip.display, size


@pytest.mark.parametrize("width", [40, 56, 80, 100])
def test_the_strip_shows_the_largest_accounts_and_sums_up_the_others(width: int) -> None:
    rows = [key(1, account="amber", label="first"), key(2, account="birch")]
    shown = snapshot(pool=pool(*rows), usage=USAGE)
    lines = [text(line) for line in strip_lines(shown, NOW, UTC, width)]
    assert [line[:12].strip() for line in lines] == ["first", "birch", "not in pool", "2 others"]
    assert all(len(line) <= width for line in lines)
    cells = 24 * max(1, min(3, (width - 11 - 9 - 16) // 24))
    assert lines[0][12 : 12 + cells].count("·") * 24 == 2 * cells  # the first hour and the last
    assert "█" in lines[3]
    assert lines[0][12 + cells :].startswith("  253k tok"[: max(0, width - 13 - cells)])
    assert len(USAGE.strips[0].tokens) == HOURS


def test_an_account_that_will_be_full_before_its_reset_says_when() -> None:
    rising = tuple(Sample(NOW - 600 + 60 * step, 40.0 + step) for step in range(10))
    row = key(1, account="amber", samples=rising)
    lines = strip_lines(snapshot(pool=pool(row), usage=USAGE), NOW, UTC, 100)
    assert "empty ~" in text(lines[0])
    late = replace(row, samples=tuple(replace(each, used_percent=each.used_percent / 9) for each in rising))
    assert "empty ~" not in text(strip_lines(snapshot(pool=pool(late), usage=USAGE), NOW, UTC, 100)[0])


@pytest.mark.parametrize(
    ("usage", "words"), [(None, "reading the log…"), (RecentUsage(), "no tokens in the last 24 hours")]
)
def test_no_data_looks_so(usage: RecentUsage | None, words: str) -> None:
    assert text(strip_lines(snapshot(usage=usage), NOW, UTC, 60)[0]) == words
