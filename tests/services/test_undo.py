"""Every change a person makes to the pool can be taken back, the last first, whatever else happened."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from okr_tui.domain.errors import NoKeyError, SettingsError
from okr_tui.domain.health import State
from okr_tui.domain.keys import fingerprint
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import Snapshot
from tests.harness import MODEL, Harness, ask
from tests.waiting import LIMIT

Act = Callable[[PoolService], Awaitable[str]]


def shown(snapshot: Snapshot) -> Any:
    """What a person sees of the pool, and what decides which key is next."""
    pool = snapshot.pool
    rows = [(row.fingerprint, row.label, row.verdict, row.preferred) for row in pool.keys]
    return rows, pool.active, [row.model.id for row in snapshot.models.rows if row.favourite]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda service: service.use_key(3), "preferring #3"),
        (lambda service: service.rotate(), "preferring #"),
        (lambda service: service.set_enabled(1, enabled=False), "switching #1"),
        (lambda service: service.reset_key(1), "resetting #1"),
        (lambda service: service.label_key(2, "another"), "labelling #2"),
        (lambda service: service.label_key(2, None), "labelling #2"),
        (lambda service: service.remove_key(2), "removing #2"),
        (lambda service: service.set_favourite(MODEL, wanted=True), f"adding {MODEL} to"),
        (lambda service: service.set_favourite("kimi-k2.6", wanted=False), "removing kimi-k2.6 from"),
    ],
)
async def test_a_change_is_taken_back(harness: Harness, act: Act, words: str) -> None:
    document = json.loads(harness.settings_file.read_text())
    favourites = ["other/model", "ollama-cloud/kimi-k2.6:high", "last/model"]
    harness.settings_file.write_text(json.dumps({**document, "enabledModels": favourites}))
    before = json.loads(harness.settings_file.read_text())
    async with harness.open() as service:
        await service.refresh_models()
        await harness.fault("session", key=harness.cloud.keys[0][1])
        await ask(service)
        await service.quota_poller.settle(LIMIT)  # the account that failed is read once more
        first = shown(service.snapshot)
        assert service.snapshot.pool.keys[0].state is State.SPENT
        await act(service)
        assert shown(service.snapshot) != first
        assert service.snapshot.undoable[0].startswith(words)
        assert await service.undo()
        assert shown(service.snapshot) == first
        assert service.snapshot.undoable == ()
        with pytest.raises(SettingsError, match="nothing was changed"):
            await service.undo()
    after = json.loads(harness.settings_file.read_text())
    assert {**after, "okr-tui": before["okr-tui"]} == before


async def test_changes_are_taken_back_the_last_first(harness: Harness) -> None:
    async with harness.open() as service:
        first = shown(service.snapshot)
        await service.use_key(4)
        await service.remove_key(2)
        await service.label_key(3, "late")
        await service.set_enabled(3, enabled=False)
        assert len(service.snapshot.undoable) == 4
        for _ in range(4):
            await service.undo()
        assert shown(service.snapshot) == first


async def test_what_changed_nothing_is_not_undone(harness: Harness) -> None:
    async with harness.open() as service:
        await service.use_key(1)
        await service.set_enabled(1, enabled=True)
        await service.label_key(1, harness.cloud.keys[0][1])
        await service.set_favourite(MODEL, wanted=False)
        with pytest.raises(SettingsError):
            await service.label_key(1, "\x1b")
        assert service.snapshot.undoable == ()


async def test_undo_is_announced_at_once_where_nothing_else_happens(harness: Harness) -> None:
    async with harness.open() as service:
        snapshots = service.snapshots()
        await anext(snapshots)
        await service.remove_key(3)
        while not (await anext(snapshots)).undoable:
            pass
        await service.undo()
        while (await anext(snapshots)).undoable:
            pass


async def test_a_change_that_cannot_be_taken_back_now_can_be_later(harness: Harness) -> None:
    async with harness.open() as service:
        await service.remove_key(2)
        whole = harness.settings_file.read_text()
        harness.settings_file.write_text("{")
        with pytest.raises(SettingsError):
            await service.undo()
        harness.settings_file.write_text(whole)
        await service.undo()
        assert service.snapshot.pool.keys[1].fingerprint == fingerprint(harness.cloud.keys[1][0])


async def test_a_change_of_a_key_that_left_the_pool_stops_no_other(harness: Harness) -> None:
    async with harness.open() as service:
        await service.use_key(2)
        await service.set_enabled(4, enabled=False)
        document = json.loads(harness.settings_file.read_text())
        del document["pi-ollama"]["apiKeys"][3]
        harness.settings_file.write_text(json.dumps(document))
        await service.reload()
        with pytest.raises(NoKeyError):
            await service.undo()
        await service.undo()
        assert service.snapshot.pool.preferred == 1


async def test_favourites_that_another_program_changed_stay(harness: Harness) -> None:
    async with harness.open() as service:
        await service.set_favourite(MODEL, wanted=True)
        document = json.loads(harness.settings_file.read_text())
        document["enabledModels"] = ["other/model"]
        harness.settings_file.write_text(json.dumps(document))
        with pytest.raises(SettingsError, match="was changed since"):
            await service.undo()
    assert json.loads(harness.settings_file.read_text())["enabledModels"] == ["other/model"]
