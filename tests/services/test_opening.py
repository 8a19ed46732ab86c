"""Whatever fails while the service opens, nothing of it is left that would keep the process alive."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from okr_tui.chat.conversation_store import ConversationStore
from okr_tui.services import pool_service
from okr_tui.services.live_pool import LivePool
from okr_tui.services.model_catalog import ModelCatalog
from okr_tui.services.pool_service import PoolService
from okr_tui.store import sqlite
from okr_tui.store.sqlite import SqliteStore
from tests.harness import Harness
from tests.waiting import LIMIT, let_pass

PARTS = (
    "SystemClock",
    "LivePool",
    "LogReader",
    "Network",
    "CurrentCloud",
    "QuotaPoller",
    "ModelCatalog",
    "Background",
    "KeySettings",
    "SettingEdits",
    "GatewaySwitch",
)
STEPS: tuple[tuple[Any, str], ...] = (
    *((pool_service, name) for name in PARTS if name != "SystemClock"),
    (LivePool, "open"),
    (LivePool, "compact"),
    (ModelCatalog, "load"),
    (PoolService, "_start"),
    (SqliteStore, "load"),
    (SqliteStore, "read"),
    (sqlite, "_identity"),
    (aiosqlite.Connection, "executescript"),
)


class BrokenError(Exception):
    """Raised on purpose."""


def threads() -> set[threading.Thread]:
    """The threads that a process waits for at its end, but for the pool of asyncio.to_thread."""
    return {each for each in threading.enumerate() if not each.daemon and "asyncio" not in each.name}


@pytest.fixture
def nothing_left() -> Iterator[None]:
    before = threads()
    yield
    for thread in threads() - before:
        thread.join(LIMIT)
    assert not threads() - before


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.usefixtures("nothing_left")
async def test_a_step_that_fails_leaves_nothing(
    owner: Any, name: str, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenError

    monkeypatch.setattr(owner, name, broken)
    tasks = asyncio.all_tasks()
    with pytest.raises(BrokenError):
        async with harness.open(watching=True):
            pass
    assert not {task for task in asyncio.all_tasks() - tasks if not task.done()}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
@pytest.mark.usefixtures("nothing_left")
async def test_an_opening_that_is_cancelled_leaves_nothing(turns: int, harness: Harness) -> None:
    async def opened() -> None:
        async with harness.open(watching=True):
            await asyncio.Event().wait()

    task = asyncio.create_task(opened())
    for _ in range(turns):
        await let_pass(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("name", ["clear_out", "__init__"])
@pytest.mark.usefixtures("nothing_left")
async def test_conversations_that_do_not_open_leave_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenError

    monkeypatch.setattr(ConversationStore, name, broken)
    with pytest.raises(BrokenError):
        await ConversationStore.open(tmp_path / "conversations.db", 0.0)
