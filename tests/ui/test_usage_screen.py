"""The usage screen: four charts, each with a table behind it; empty, old and colourless too."""

import asyncio
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from okr_tui.domain.errors import StoreError
from okr_tui.domain.quota import Sample
from okr_tui.domain.usage import DAY, HOUR, Cell, CloudBucket, CloudCounts, CloudReading, Series, UsageSum
from okr_tui.domain.usage_charts import KINDS, PERIODS, QuotaHistory
from okr_tui.services.service import UsageReport
from okr_tui.ui.screens.usage import UsageScreen
from okr_tui.ui.widgets.chart import MISSING, ChartView
from tests.ui.driver import Driver, run_app
from tests.ui.examples import KEYS, NOW
from tests.ui.scripted_service import ScriptedService, make_app
from tests.ui.test_looks import SnapCompare

pytestmark = pytest.mark.slow(reason="draws many states at many sizes")

BAR = "█"
START = int(NOW // HOUR) * HOUR
A, B = KEYS[0].fingerprint, KEYS[2].fingerprint


def report(**changes: Any) -> UsageReport:
    """A day of two keys and three models, heaviest three hours ago."""
    usage = {}
    for back in range(24):
        for key, model, tokens in ((A, "gpt-oss:20b", 900), (A, "kimi-k2.6", 500), (B, "[b]odd[/b]", 200)):
            amount = tokens * (24 - abs(back - 3))
            cell = Cell(START - back * HOUR, HOUR, Series(key, model, "gateway", "laptop"))
            usage[cell] = UsageSum(
                requests=back % 5 + 1, faults=back % 3 == 0, hops=back % 6 == 0, input_tokens=amount,
                output_tokens=amount // 4, answers=back % 5 + 1, first_bytes=1, first_byte_ms=400 + back,
                streamed_tokens=100, streaming_ms=2000, latest_first_byte_ms=900,
            )  # fmt: skip
    samples = tuple(Sample(START - back * HOUR, 90 - 3 * back) for back in range(20, -1, -1))
    quotas = (
        QuotaHistory("#1 amber 5h", samples, START + 3 * HOUR, START + 2.5 * HOUR),
        QuotaHistory("#3 birch week", (Sample(START - 9 * HOUR, 20),), START + 3 * DAY),
    )
    names = {A: "#1 amber", B: "#3 birch"}
    made = UsageReport(NOW, START - 23 * HOUR, usage, {}, names, {}, quotas)
    return replace(made, **changes)


@pytest.fixture
def service() -> ScriptedService:
    found = ScriptedService()
    found.report = report()
    return found


async def opened(driver: Driver) -> UsageScreen:
    await driver.press("escape", "U")
    await driver.until(lambda: isinstance(driver.app.screen, UsageScreen))
    screen = driver.app.screen
    assert isinstance(screen, UsageScreen)
    await driver.until(lambda: screen.problem or (screen.chart and (screen.chart.is_empty or drawn(driver))))
    return screen


def drawn(driver: Driver) -> bool:
    """Return whether bars or lines, or why there are none, are on the screen: the axes are there before."""
    shown = driver.screen()
    return MISSING[:20] in shown or any(mark == BAR or "\u2801" <= mark <= "\u28ff" for mark in shown)


def table(screen: UsageScreen) -> list[list[str]]:
    found = screen.query_one(DataTable)
    return [[str(cell) for cell in found.get_row_at(row)] for row in range(found.row_count)]


def columns(screen: UsageScreen) -> list[str]:
    return [str(column.label) for column in screen.query_one(DataTable).ordered_columns]


def legend(screen: UsageScreen) -> str:
    return str(screen.query_one("#usage-legend", Static).content)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
async def test_every_chart_is_one_key_away_at_every_size(
    service: ScriptedService, size: tuple[int, int]
) -> None:
    async with run_app(service, size) as driver:
        screen = await opened(driver)
        for kind in KINDS:
            assert screen.kind == kind
            await driver.until(lambda: drawn(driver))
            assert screen.query_one(DataTable).row_count > 0
            await driver.press("tab")
        assert screen.kind == "tokens"
        await driver.press("shift+tab")
        assert driver.app.screen.query_one(DataTable).row_count == 3
        await driver.press("escape")
        assert driver.app.screen is driver.app.dashboard


async def test_a_chart_is_drawn_although_nothing_else_changes(service: ScriptedService) -> None:
    """Nothing here may look at the screen, which would draw all of it."""
    async with run_app(service) as driver:
        await driver.press("escape", "U")
        await driver.until(lambda: driver.app.screen.query("#chart-plot"))
        plot: Any = driver.app.screen.query_one("#chart-plot")
        await driver.until(lambda: plot._datasets)
        await driver.until(lambda: not plot._needs_rerender)


async def test_tokens_are_stacked_by_model_account_key_or_client(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        screen = await opened(driver)
        assert columns(screen) == ["time", "total", "gpt-oss:20b", "kimi-k2.6", "[b]odd[/b]"]
        assert BAR in driver.screen()
        shown = []
        for _ in range(3):
            await driver.press("b")
            shown.append(columns(screen)[2:])
        assert shown == [["#1 amber", "#3 birch"], ["#1 amber", "#3 birch"], ["laptop"]]


async def test_the_legend_has_the_colours_of_the_bars(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await opened(driver)
        drawn: dict[str, set[object]] = {"█": set(), "▇": set()}
        for strip in driver.app.screen._compositor.render_strips():
            for segment in strip:
                if segment.text[:1] in drawn and segment.style is not None:
                    drawn[segment.text[0]].add(segment.style.color)
    assert len(drawn["▇"]) == 3
    assert drawn["▇"] == drawn["█"]


async def test_the_table_is_newest_first_and_sorts_by_any_column(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        screen = await opened(driver)
        times = [row[0] for row in table(screen)]
        assert times == sorted(times, reverse=True)
        await driver.press("s", "s")
        assert columns(screen)[1] == "total ▲"
        totals = [int(row[1].replace(",", "")) for row in table(screen)]
        assert totals == sorted(totals)
        await driver.press("S")
        assert columns(screen)[1] == "total ▼"
        assert [int(row[1].replace(",", "")) for row in table(screen)] == sorted(totals, reverse=True)


async def test_one_series_can_be_drawn_alone(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        screen = await opened(driver)
        await driver.press("f", "f")
        assert "kimi-k2.6" in legend(screen)
        assert "gpt-oss" not in legend(screen)
        await driver.press("f", "f")
        assert "gpt-oss" in legend(screen)


async def test_another_period_is_read_and_never_mixed_with_the_last(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        screen = await opened(driver)
        for period in PERIODS[1:]:
            await driver.press("p")
            await driver.until(lambda: screen.chart is not None)
            assert service.calls[-1] == ("usage", period.name)
            assert screen.chart is not None
            assert screen.chart.unit == period.unit
        await driver.press("P", "P")
        await driver.until(lambda: screen.chart is not None)
        assert f"{PERIODS[-3].name} by {PERIODS[-3].unit}" in driver.screen()


async def test_the_table_is_written_as_csv_and_json_and_overwrites_nothing(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "usage-tokens-24-h.csv").write_text("mine")
    async with run_app(service) as driver:
        screen = await opened(driver)
        await driver.press("e")
        await driver.toast("Wrote usage-tokens-24-h-1.csv and usage-tokens-24-h.json")
        assert screen.chart is not None
        rows = screen.chart.rows
    assert (tmp_path / "usage-tokens-24-h.csv").read_text() == "mine"
    read = list(csv.reader(io.StringIO((tmp_path / "usage-tokens-24-h-1.csv").read_text())))
    assert len(read) == len(rows) + 1
    assert read[0] == ["time", "total", "gpt-oss:20b", "kimi-k2.6", "[b]odd[/b]"]
    assert json.loads((tmp_path / "usage-tokens-24-h.json").read_text())["rows"][-1]["total"] == rows[-1][1]


async def test_without_any_use_the_screen_says_so_and_what_to_do(service: ScriptedService) -> None:
    service.report = report(usage={}, quotas=())
    async with run_app(service, (80, 24)) as driver:
        await opened(driver)
        assert "Nothing was sent in this period (24 h); p looks further back." in driver.screen()
        await driver.press("tab")
        assert "No quota has been read yet" in driver.screen()
        await driver.press("e")
        await driver.toast("There is nothing to export yet", "warning")


async def test_sums_that_cannot_be_read_again_stay_with_their_time(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        screen = await opened(driver)
        service.error = StoreError("cannot read the log: gone")
        screen.ask()
        await driver.until(lambda: "▲ as of" in driver.screen())
        assert "cannot read the log: gone" in driver.screen()
        assert screen.query_one(DataTable).row_count > 0


async def test_sums_that_cannot_be_read_at_all_say_why(service: ScriptedService) -> None:
    service.error = StoreError("cannot read the log: gone")
    async with run_app(service) as driver:
        await opened(driver)
        assert "cannot read the log: gone" in driver.screen()


async def test_the_legend_says_what_is_not_over_yet_and_where_readings_begin(
    service: ScriptedService,
) -> None:
    service.report = report(read_since=START - 5 * HOUR)
    async with run_app(service) as driver:
        screen = await opened(driver)
        assert "the last hour is not over yet" in legend(screen)
        await driver.press("tab")
        assert "readings from" in legend(screen)
        assert "#1 amber 5h 10% left" in legend(screen)
        assert table(screen)[0][0].startswith("~ "), "a forecast is marked as such"


async def test_what_the_cloud_counts_is_next_to_the_log(service: ScriptedService) -> None:
    bucket = CloudBucket(START - DAY, START + HOUR, CloudCounts(5, 1000, 0, 500, None))
    service.report = report(cloud={"acme": CloudReading(NOW, (bucket,))})
    async with run_app(service) as driver:
        screen = await opened(driver)
        assert "the cloud counts 1,500 tokens of 1 account, the log" in legend(screen)


async def test_without_colours_a_stack_is_its_sum_and_the_shares_are_numbers(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with run_app(service) as driver:
        screen = await opened(driver)
        drawn: list[object] = []
        plot = screen.query_one("#chart-plot")
        monkeypatch.setattr(plot, "bar", lambda *args, **more: drawn.append((args, more)))
        await driver.press("f", "f", "f", "f")
        await driver.pilot.pause()
        assert len(drawn) == 4, "three series one by one, then the sum alone"
        assert "kimi-k2.6" in legend(screen)
        assert "31%" in legend(screen)


async def test_without_the_chart_package_the_table_has_everything(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChartView, "_plot", lambda _: None)
    async with run_app(service) as driver:
        screen = await opened(driver)
        assert MISSING.split(":")[0] in driver.screen()
        assert screen.query_one(DataTable).row_count == 24


async def test_the_screen_can_be_left_while_sums_are_read(service: ScriptedService) -> None:
    gate = asyncio.Event()
    read = service.usage

    async def slow(period: Any) -> UsageReport:
        await gate.wait()
        return await read(period)

    service.usage = slow  # type: ignore[method-assign]
    async with run_app(service) as driver:
        await driver.press("escape", "U")
        await driver.until(lambda: isinstance(driver.app.screen, UsageScreen))
        assert "reading usage" in driver.screen()
        await driver.press("U")
        gate.set()
        await driver.pilot.pause()
        assert driver.app.screen is driver.app.dashboard
        assert driver.toasts == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
def test_it_looks_as_before(
    service: ScriptedService, snap_compare: SnapCompare, kind: str, size: tuple[int, int]
) -> None:
    app = make_app(service)

    async def once_drawn(pilot: Pilot[str]) -> None:
        driver = Driver(app)
        driver.pilot = pilot
        await opened(driver)
        for _ in range(KINDS.index(kind)):
            await driver.press("tab")
        await driver.until(lambda: drawn(driver))

    assert snap_compare(app, run_before=once_drawn, terminal_size=size)


@pytest.mark.parametrize("size", [(60, 16), (72, 20), (100, 30)])
async def test_nothing_over_the_table_is_cut(service: ScriptedService, size: tuple[int, int]) -> None:
    async with run_app(service, size) as driver:
        screen = await opened(driver)
        heading = str(screen.query_one("#header", Static).content)
        assert "Speed" in heading
        assert heading.rstrip().endswith(", model")
        shown = driver.screen()
        for words in ("▇ gpt-oss:20b", "▇ kimi-k2.6", "▇ [b]odd[/b]", "the last hour is not over yet"):
            assert words in shown
