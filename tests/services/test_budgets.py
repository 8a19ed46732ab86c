"""Budgets at work: what counts, in which process, and until when."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from okr_tui.domain.errors import BudgetError
from okr_tui.domain.usage import Budget, next_midnight
from okr_tui.services import live_pool
from okr_tui.services.budgets import READ_EVERY
from okr_tui.services.live_pool import LivePool
from okr_tui.services.pool_service import PoolService
from okr_tui.store.base import UnreachableLogError
from okr_tui.store.usage import read_usage
from tests.harness import MODEL, Harness, ask, wait_for
from tests.waiting import until


def set_budgets(harness: Harness, **budgets: tuple[int, bool]) -> None:
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["budgets"] = {
        name: {"tokensPerDay": tokens, "hard": hard} for name, (tokens, hard) in budgets.items()
    }
    harness.settings_file.write_text(json.dumps(document))


async def used(service: PoolService) -> dict[str, int]:
    return {state.budget.name: state.used for state in await service.budgets.states()}


async def test_what_any_process_used_today_counts_and_each_request_once(harness: Harness) -> None:
    set_budgets(harness, cli=(10**6, False), **{MODEL: (10**6, True)})
    async with harness.open() as first, harness.open() as second:
        await ask(first)
        once = (await used(first))["cli"]
        assert once > 0
        await ask(second)
        await first.pool.catch_up()
        await second.pool.catch_up()
        assert await used(first) == await used(second) == {"cli": 2 * once, MODEL: 2 * once}
    async with harness.open() as third:
        assert (await used(third))["cli"] == 2 * once


async def test_what_arrives_while_the_sums_are_read_counts(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budgets(harness, cli=(10**6, False))
    async with harness.open() as service:
        await ask(service)
        once = (await used(service))["cli"]

        async def read_slowly(*arguments: Any, **options: Any) -> Any:
            reading = await read_usage(*arguments, **options)
            await ask(service)
            await service.pool.catch_up()
            return reading

        monkeypatch.setattr(live_pool, "read_usage", read_slowly)
        await harness.clock.advance(READ_EVERY)
        assert (await used(service))["cli"] == 2 * once


async def test_a_hard_budget_refuses_until_midnight_and_a_soft_one_never(harness: Harness) -> None:
    set_budgets(harness, cli=(1, False), **{MODEL: (1, True)})
    async with harness.open() as service:
        await service.budgets.check("cli", MODEL)
        await ask(service)
        with pytest.raises(BudgetError, match=rf"{MODEL} has used its budget of 1 tokens a day") as caught:
            await service.budgets.check("cli", MODEL)
        assert caught.value.resets_at == next_midnight(harness.clock.time(), UTC)
        await service.budgets.check("cli", "another")
        assert not service.budgets.allow(MODEL)
        await harness.clock.advance(caught.value.resets_at - harness.clock.time())
        await service.budgets.check("cli", MODEL)


async def test_a_budget_that_is_set_later_counts_the_whole_day(harness: Harness) -> None:
    async with harness.open() as service:
        await ask(service)
        set_budgets(harness, cli=(10**6, False))
        await service.reload()
        before = (await used(service))["cli"]
        assert before > 0
        set_budgets(harness)
        await service.reload()
        await ask(service)
        set_budgets(harness, cli=(10**6, False))
        await service.reload()
        assert (await used(service))["cli"] == 2 * before


async def test_a_budget_that_is_nearly_used_up_is_an_alert_once(harness: Harness) -> None:
    set_budgets(harness, cli=(1, False))
    async with harness.open(watching=True) as service:
        await ask(service)
        snapshot = await wait_for(service, lambda s: any(each.event == "budget" for each in s.alerts))
    assert [each.text for each in snapshot.alerts if each.event == "budget"] == [
        "cli: today's token budget is used up"
    ]


async def test_the_day_is_the_viewers(harness: Harness) -> None:
    set_budgets(harness, cli=(5, True))
    async with harness.open() as service:
        [state] = await service.budgets.states()
        assert state.budget == Budget("cli", 5, hard=True)
        assert datetime.fromtimestamp(state.resets_at, UTC).hour == 0


async def test_what_arrives_between_the_ends_of_two_readings_counts(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Budgets of tokens that change while the sums are read have them read again."""
    set_budgets(harness, cli=(10**6, False))
    async with harness.open() as service:
        await ask(service)
        once = (await used(service))["cli"]
        begun, gates = asyncio.Event(), [asyncio.Event(), asyncio.Event()]
        waiting = iter(gates)

        async def read_slowly(*arguments: Any, **options: Any) -> Any:
            reading = await read_usage(*arguments, **options)
            begun.set()
            await next(waiting).wait()
            return reading

        monkeypatch.setattr(live_pool, "read_usage", read_slowly)
        found = []
        for _ in gates:
            begun.clear()
            service.budgets.limit_callers({})
            found.append(asyncio.create_task(used(service)))
            await begun.wait()
        gates[0].set()
        await found[0]
        await ask(service)
        gates[1].set()
        assert (await found[1])["cli"] == 2 * once


async def test_what_others_used_counts_as_soon_as_the_log_is_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budgets(harness, cli=(1, True))
    async with harness.open() as other:
        await ask(other)
    failures = [UnreachableLogError("away for a moment")]

    async def read(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await read_usage(*arguments, **options)

    async with harness.open() as service:
        monkeypatch.setattr(live_pool, "read_usage", read)
        assert await used(service) == {"cli": 0}
        await until(lambda: not service.pool.away)
        with pytest.raises(BudgetError):
            await service.budgets.check("cli")


async def test_sums_are_not_read_while_the_log_is_away(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budgets(harness, cli=(1000, False))
    async with harness.open() as service:
        monkeypatch.setattr(LivePool, "away", True)
        monkeypatch.delattr(LivePool, "read_usage")
        assert await used(service) == {"cli": 0}
