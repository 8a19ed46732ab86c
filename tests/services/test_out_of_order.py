"""What surrounds the pool is out of order: a full disk, a held log, a wrong clock, no cloud at the start."""

import sqlite3
from pathlib import Path

import httpx
import pytest

from okr_tui.cloud.network import Network
from okr_tui.domain.errors import StoreError
from okr_tui.domain.health import State
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from okr_tui.store import sqlite
from okr_tui.store.sqlite import SqliteStore
from tests.harness import Harness, ManualClock, ask, open_harness, wait_for


async def limit_pages(service: PoolService, pages: int | None = None) -> None:
    """Let the log's file grow no further, or to so many pages."""
    store = service.pool.store
    assert isinstance(store, SqliteStore)
    if pages is None:
        (row,) = await (await store._connected()).execute_fetchall("pragma page_count")
        pages = row[0]
    await (await store._connected()).execute(f"pragma max_page_count = {pages}")


async def test_a_full_disk_ends_no_answer_and_forgets_nothing_meanwhile(harness: Harness) -> None:
    async with harness.open() as service:
        await limit_pages(service)
        await harness.fault("session", account="amber")
        while service.pool.problem is None:
            await ask(service)
        assert service.snapshot.pool.keys[0].state is State.SPENT
        (said,) = service.snapshot.log
        assert "full" in said
        assert str(harness.home / "log.db") in said
        before = len(await harness.sent())
        await ask(service)
        assert not {1, 2} & set((await harness.sent())[before:])
        await limit_pages(service, 10_000)
        await ask(service)
        await wait_for(service, lambda snapshot: snapshot.log == ())


async def test_a_log_that_another_program_holds_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "OPENING", 0.1)
    path = tmp_path / "log.db"
    await (await SqliteStore.open(path)).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("pragma journal_mode = delete")
    holder.execute("begin exclusive")
    with pytest.raises(StoreError, match=r"log\.db: database is locked; end the program that holds it"):
        await SqliteStore.open(path)
    holder.close()
    await (await SqliteStore.open(path)).close()


@pytest.mark.parametrize(("ahead", "reported"), [(90.0, 0.0), (700.0, 700.0), (-4000.0, -4000.0)])
async def test_a_clock_unlike_the_clouds_is_noticed(tmp_path: Path, ahead: float, reported: float) -> None:
    async with open_harness(tmp_path) as harness:
        cloud = harness.clock
        harness.clock = ManualClock(cloud.time() + ahead)
        async with harness.open() as service:
            await service.catalog.refresh()
            assert service.snapshot.clock_ahead == pytest.approx(reported, abs=2)
            assert any("set the clock" in line for line in service.problems) is bool(reported)
            await harness.clock.advance(-ahead)
            await service.catalog.refresh()
            assert service.snapshot.clock_ahead == 0


def no_network(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route", request=request)


def no_transport(_network: Network) -> httpx.MockTransport:
    return httpx.MockTransport(no_network)


async def test_without_a_cloud_the_last_list_and_the_last_state_are_there_at_once(harness: Harness) -> None:
    async with harness.open() as service:
        await service.catalog.refresh()
        await harness.fault("unauthorized", account="cedar")
        await service.use_key(4)
        await ask(service)
        before = service.snapshot
    await harness.clock.advance(2000)
    sources = Sources(harness.settings_file, harness.home / "project", {})
    async with PoolService.open(sources, clock=harness.clock, make_transport=no_transport) as service:
        first = service.snapshot
        assert [row.model for row in first.models.rows] == [row.model for row in before.models.rows]
        assert first.models.refreshed_at == before.models.refreshed_at == first.at - 2000
        assert first.pool.keys[3].last_fault == before.pool.keys[3].last_fault is not None
        assert {entry.sequence for entry in before.entries} <= {entry.sequence for entry in first.entries}
        later = await wait_for(service, lambda snapshot: bool(snapshot.models.error))
        assert later.models.rows == first.models.rows
