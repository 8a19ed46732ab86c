"""What the dashboard is told of traffic: rates that rise and fade, and tokens, whoever used them."""

from typing import Any

import pytest

from okr_tui.domain.traffic import NO_TRAFFIC
from okr_tui.services import live_pool, traffic_monitor
from okr_tui.store.usage import UsageReading, read_usage
from tests.harness import Harness, ask, wait_for


async def test_traffic_of_another_process_counts_and_fades(harness: Harness) -> None:
    async with (
        harness.open(client="dashboard", watching=True) as screen,
        harness.open() as other,
    ):
        await ask(other)
        seen = await wait_for(screen, lambda snapshot: snapshot.rates.requests_per_minute == 1)
        assert seen.running == ()
        await harness.clock.advance(10)
        seen = await wait_for(screen, lambda snapshot: bool(snapshot.usage and snapshot.usage.today))
        assert seen.usage is not None
        assert [strip.total for strip in seen.usage.strips] == [seen.usage.today]
        assert seen.usage.strips[0].tokens[-1] == seen.usage.today
        await harness.clock.advance(61)
        await wait_for(screen, lambda snapshot: snapshot.rates == NO_TRAFFIC)


async def test_tokens_are_added_as_they_come_and_as_the_sums_would_have_them(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []

    async def counted(*arguments: Any, **options: Any) -> UsageReading:
        readings.append(arguments)
        return await read_usage(*arguments, **options)

    monkeypatch.setattr(live_pool, "read_usage", counted)
    async with (
        harness.open(client="dashboard", watching=True) as screen,
        harness.open() as other,
    ):
        for _ in range(3):
            await ask(other)
            await ask(screen)
            await wait_for(screen, lambda _: screen.pool.sequence >= other.pool.sequence)
            await harness.clock.advance(traffic_monitor.SHOW_EVERY)
        whole = await read_usage(screen.pool.store, 0, harness.clock.time())
        spent = sum(added.tokens for added in whole.usage.values())
        seen = await wait_for(screen, lambda snapshot: bool(snapshot.usage and snapshot.usage.today == spent))
        assert len(readings) == 1
        assert seen.usage is not None
        names = {whole.accounts.get(cell.series.fingerprint, cell.series.fingerprint) for cell in whole.usage}
        assert {strip.account for strip in seen.usage.strips} == names
        await harness.clock.advance(traffic_monitor.READ_EVERY)
        await ask(screen)
        await wait_for(screen, lambda _: len(readings) == 2)
