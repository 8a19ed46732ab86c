"""What the dashboard is told of traffic: rates that rise and fade, and tokens, whoever used them."""

from okr_tui.domain.traffic import NO_TRAFFIC
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
