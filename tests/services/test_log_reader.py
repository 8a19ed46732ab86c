"""The log read back: pages of the feed, and what one key did."""

import asyncio

import pytest

from okr_tui.domain.feed import FeedFilter
from okr_tui.domain.records import Attempt, BalanceRead, Record
from okr_tui.services.pool_service import PoolService
from okr_tui.store.base import LogEntry
from tests.harness import START, Harness, ask

ALL = FeedFilter()
TALK = 450


def talk(service: PoolService) -> list[Record]:
    """A request each second, every tenth by the second key."""
    first, second = (key.fingerprint for key in service.pool.config.keys[:2])
    return [
        Attempt(
            at=START + number,
            started=START + number - 0.5,
            client="gateway",
            fingerprint=first if number % 10 else second,
            model=f"model-{number}",
            path="/api/chat",
            outcome="ok",
        )
        for number in range(TALK)
    ]


async def test_the_whole_log_is_read_back_page_by_page_without_a_gap(harness: Harness) -> None:
    async with harness.open(client="dashboard") as service:
        await service.pool.append(*talk(service))
        models: list[str | None] = []
        before: int | None = None
        while True:
            page = await service.history(ALL, before=before)
            models[:0] = [line.model for line in page.entries]
            before = page.first
            if page.ends:
                break
        assert [name for name in models if name] == [f"model-{number}" for number in range(TALK)]
        middle = next(line for line in service.snapshot.entries if line.model == "model-100")
        page = await service.history(ALL, after=middle.sequence)
        assert page.entries[0].model == "model-101"
        assert not page.ends
        page = await service.history(ALL, after=service.pool.sequence)
        assert (page.entries, page.ends) == ((), True)


async def test_only_wanted_lines_come_and_all_are_counted(harness: Harness) -> None:
    async with harness.open() as service:
        await service.pool.append(*talk(service))
        second = service.pool.config.keys[1].fingerprint
        page = await service.history(FeedFilter(fingerprint=second))
        assert page.ends
        assert len(page.entries) == TALK / 10
        assert page.seen >= TALK


async def test_a_fault_read_back_says_what_it_said_when_it_came(harness: Harness) -> None:
    async with harness.open() as service:
        await harness.fault("session", account="amber")
        await ask(service)
        live = [line for line in service.snapshot.entries if line.is_fault]
        page = await service.history(FeedFilter(faults_only=True))
        assert [line.text for line in page.entries] == [line.text for line in live]
        assert page.entries[0].record == live[0].record


async def test_orders_say_which_client_gave_them(harness: Harness) -> None:
    async with harness.open(client="dashboard") as service:
        await service.set_enabled(1, enabled=False)
        assert [line.client for line in service.snapshot.entries][-1] == "dashboard"


async def test_a_history_is_read_once_and_then_continues(harness: Harness) -> None:
    async with harness.open() as service:
        key = service.pool.config.keys[0]
        await service.test_key(1)
        await ask(service)
        history = await service.key_history(key.fingerprint)
        assert sum(tally.requests for tally in history.tallies.values()) == 1
        assert history.samples["session"]
        await harness.clock.advance(60)
        await service.test_key(2)
        later = await service.key_history(key.fingerprint)
        assert len(later.samples["session"]) == len(history.samples["session"]) + 1
        other = await service.key_history(service.pool.config.keys[2].fingerprint)
        assert not other.tallies


async def test_histories_asked_for_at_once_read_the_log_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness.open() as service:
        await service.pool.append(*talk(service))
        read, positions = service.pool.store.read, []

        async def counted(after: int = 0, limit: int | None = None) -> list[LogEntry]:
            positions.append(after)
            return await read(after, limit)

        monkeypatch.setattr(service.pool.store, "read", counted)
        first, second = (key.fingerprint for key in service.pool.config.keys[:2])
        histories = await asyncio.gather(*(service.key_history(name) for name in (first, first, second)))
        assert [sum(tally.requests for tally in history.tallies.values()) for history in histories] == [
            405,
            405,
            45,
        ]
        assert 0 not in positions


async def test_a_key_is_reported_as_back_once_it_has_answered(harness: Harness) -> None:
    def reported(service: PoolService) -> list[str]:
        return [line.text for line in service.snapshot.entries if " back after " in line.text]

    async with harness.open() as service:
        await harness.fault("rate-limit", account="amber")
        await ask(service)
        assert any(line.is_fault for line in service.snapshot.entries)
    await harness.clock.advance(400)
    async with harness.open() as service:
        assert reported(service) == []
        await ask(service)
        assert reported(service) == ["#1 #2 back after 6m 40s: was rate limited"]
        await harness.clock.advance(1)
    async with harness.open() as service:
        assert reported(service) == ["#1 #2 back after 6m 40s: was rate limited"]
        assert not any(isinstance(line.record, BalanceRead) for line in service.snapshot.entries)
