"""Keys and trust through the service: where it is written, who stays preferred, what is never said."""

import json
import re
import sys
from typing import Any

import pytest

from okr_tui.domain.errors import KeyRefusedError, SettingsError
from okr_tui.domain.extras import how_to_add
from okr_tui.domain.health import State
from okr_tui.domain.keys import SecretStr, fingerprint, mask
from okr_tui.services.pool_service import PoolService
from okr_tui.settings import file
from tests.harness import Harness, ask
from tests.system_keyring import Backend

NEW = "new-key-0123456789abcdef-0123"


def root(harness: Harness) -> Any:
    return json.loads(harness.settings_file.read_text())


def preferred(service: PoolService) -> str | None:
    pool = service.snapshot.pool
    assert pool.preferred
    return pool.keys[pool.preferred - 1].fingerprint


def write(harness: Harness, document: object) -> None:
    harness.settings_file.write_text(json.dumps(document, indent=2))


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    made = Backend()
    monkeypatch.setitem(sys.modules, "keyring", made)
    return made


async def test_a_new_key_is_written_and_in_the_pool_at_once(harness: Harness) -> None:
    before = root(harness)
    async with harness.open() as service:
        said = await service.add_key(SecretStr(NEW), label=" dill ", keep="file")
        row = service.snapshot.pool.keys[4]
    assert said == f"Added #5 {mask(NEW)} to {harness.settings_file}"
    assert (row.fingerprint, row.label, row.preferred) == (fingerprint(NEW), "dill", False)
    before["pi-ollama"]["apiKeys"].append({"key": NEW, "label": "dill"})
    assert root(harness) == before


async def test_a_key_that_the_cloud_knows_is_tested_before_it_is_added(harness: Harness) -> None:
    text = harness.cloud.keys[3][0]
    harness.write_settings(apiKeys=[harness.cloud.keys[0][0]])
    async with harness.open() as service:
        assert await service.try_key(SecretStr(f'"{text}"'), None) == "tested, plan pro"
        assert [row.index for row in service.snapshot.pool.keys] == [1]
        await service.add_key(SecretStr(text), label=None, keep="file")
        row = service.snapshot.pool.keys[1]
        assert (row.state, row.plan) == (State.READY, "pro")


async def test_a_key_that_the_cloud_refuses_is_not_added_by_a_test(harness: Harness) -> None:
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        with pytest.raises(KeyRefusedError, match="401") as caught:
            await service.try_key(SecretStr(NEW), None)
        assert NEW not in str(caught.value)
        assert len(service.snapshot.pool.keys) == 4
        assert harness.settings_file.read_bytes() == before
        with pytest.raises(SettingsError, match="already in the pool"):
            await service.try_key(SecretStr(harness.cloud.keys[0][0]), None)


@pytest.mark.parametrize("fault", ["unavailable", "bad-gateway-page", "rate-limit", "connection-dropped"])
async def test_a_key_that_cannot_be_tested_is_added_as_unverified(harness: Harness, fault: str) -> None:
    async with harness.open() as service:
        await harness.fault(fault, times=None)
        said = await service.try_key(SecretStr(NEW), None)
        assert said.startswith("not tested: ")
        assert said.endswith("so it is unverified")
        await service.add_key(SecretStr(NEW), label=None, keep="file")
        assert service.snapshot.pool.keys[4].state is State.UNVERIFIED


async def test_a_key_that_is_not_a_key_or_is_there_already_is_refused_unsaid(harness: Harness) -> None:
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        for text, label in (
            (f"{NEW} x", None),
            (harness.cloud.keys[0][0], None),
            (NEW, f"my {NEW}"),
            (NEW, "\x1b"),
        ):
            with pytest.raises(SettingsError) as caught:
                await service.add_key(SecretStr(text), label=label, keep="file")
            assert NEW not in str(caught.value)
            assert text not in str(caught.value)
    assert harness.settings_file.read_bytes() == before


async def test_the_preferred_key_stays_when_a_key_is_put_before_it(harness: Harness) -> None:
    document = root(harness)
    texts = [text for text, _ in harness.cloud.keys]
    document["pi-ollama"] |= {"apiKeys": None, "apiKey": texts[0]}
    harness.environment["OLLAMA_API_KEYS"] = ",".join(texts[1:])
    write(harness, document)
    async with harness.open() as service:
        await service.use_key(3)
        await service.add_key(SecretStr(NEW), label=None, keep="file")
        assert service.snapshot.pool.keys[0].fingerprint == fingerprint(NEW)
        assert preferred(service) == fingerprint(texts[2])
        await service.remove_key(1)
        assert preferred(service) == fingerprint(texts[2])
        await service.undo()
        assert preferred(service) == fingerprint(texts[2])
    written = root(harness)
    assert written["pi-ollama"]["activeKeyIndex"] == 3
    assert written["pi-ollama"]["apiKey"] == texts[0]
    assert written["okr-tui"]["activeKeyFingerprint"] == fingerprint(texts[2])


async def test_a_removed_key_comes_back_where_it_was(harness: Harness) -> None:
    async with harness.open() as service:
        with pytest.raises(SettingsError, match="nothing was changed"):
            await service.undo()
        await service.use_key(3)
        before = harness.settings_file.read_text()
        said = await service.remove_key(2)
        assert said == f"Removed #2 {mask(harness.cloud.keys[1][0])} from {harness.settings_file}"
        assert preferred(service) == fingerprint(harness.cloud.keys[2][0])
        assert root(harness)["pi-ollama"]["activeKeyIndex"] == 1
        await service.remove_key(2)
        assert preferred(service) == fingerprint(harness.cloud.keys[3][0])
        masks = [mask(text) for text, _ in harness.cloud.keys]
        undoable = service.snapshot.undoable
        assert undoable == (f"removing #2 {masks[2]}", f"removing #2 {masks[1]}", f"preferring #3 {masks[2]}")
        assert all(text not in repr(service._undo._changes) for text, _ in harness.cloud.keys)
        await service.undo()
        said = await service.undo()
        assert said == f"Restored #2 {mask(harness.cloud.keys[1][0])} in {harness.settings_file}"
        assert preferred(service) == fingerprint(harness.cloud.keys[2][0])
        assert service.snapshot.undoable == (f"preferring #3 {masks[2]}",)
    assert json.loads(before) == root(harness)
    async with harness.open() as service:
        assert await ask(service)


async def test_the_last_key_can_go_and_come_back(harness: Harness) -> None:
    harness.write_settings(apiKeys=[NEW])
    async with harness.open() as service:
        await service.remove_key(1)
        assert service.snapshot.pool.keys == ()
        await service.undo()
        assert preferred(service) == fingerprint(NEW)


async def test_a_key_that_is_configured_twice_is_removed_once_and_that_is_reported(harness: Harness) -> None:
    harness.write_settings(apiKeys=[NEW], apiKey=NEW)
    async with harness.open() as service:
        said = await service.remove_key(1)
        assert "stays in the pool" in said
        assert preferred(service) == fingerprint(NEW)
        keys = [line for line in service.snapshot.settings.lines if line.name.startswith("key ")]
        assert [(line.name, line.shadowed) for line in keys] == [("key 1", ())]
    assert root(harness)["pi-ollama"]["apiKeys"] == []


async def test_a_key_from_elsewhere_is_left_and_its_source_reported(harness: Harness) -> None:
    harness.environment["OLLAMA_API_KEY"] = NEW
    project = harness.home / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    project.write_text('{"pi-ollama": {"apiKey": "project-key-0123456789"}}')
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        for index, words in (
            (5, "settings.json:1; remove it from the project"),
            (6, "OLLAMA_API_KEY; remove it"),
        ):
            with pytest.raises(SettingsError, match=words):
                await service.remove_key(index)
            with pytest.raises(SettingsError, match=words):
                await service.label_key(index, "x")
    assert harness.settings_file.read_bytes() == before


async def test_a_label(harness: Harness) -> None:
    async with harness.open() as service:
        assert (await service.label_key(3, "new name")).endswith("is now called new name")
        assert service.snapshot.pool.keys[2].label == "new name"
        assert (await service.label_key(3, "  ")).endswith("is now without a label")
        assert service.snapshot.pool.keys[2].label is None
    assert root(harness)["pi-ollama"]["apiKeys"][2] == harness.cloud.keys[2][0]


async def test_a_text_kept_by_the_system_is_not_in_the_file(harness: Harness, backend: Backend) -> None:
    name = fingerprint(NEW)
    async with harness.open() as service:
        await service.add_key(SecretStr(NEW), label="dill", keep="keyring")
        assert service.snapshot.pool.keys[4].fingerprint == name
        assert NEW not in harness.settings_file.read_text()
        assert root(harness)["pi-ollama"]["apiKeys"][4] == {"key": f"keyring:{name}", "label": "dill"}
        assert "its text stays in the system's secret store" in await service.remove_key(5)
        await service.undo()
        assert service.snapshot.pool.keys[4].label == "dill"
        await service.remove_key(5, forget=True)
        assert backend.entries == {}
        assert service.snapshot.undoable == ()


async def test_a_secret_that_was_lost_is_put_back_next_to_its_reference(
    harness: Harness, backend: Backend
) -> None:
    async with harness.open() as service:
        await service.add_key(SecretStr(NEW), label=None, keep="keyring")
        backend.entries.clear()
        await service.reload()
        before = harness.settings_file.read_bytes()
        await service.add_key(SecretStr(NEW), label=None, keep="keyring")
        assert len(service.snapshot.pool.keys) == 5
    assert harness.settings_file.read_bytes() == before


async def test_without_a_system_keyring_nothing_is_written(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    before = harness.settings_file.read_bytes()
    harness.settings_file.chmod(0o400)
    async with harness.open() as service:
        with pytest.raises(SettingsError, match="read-only"):
            await service.add_key(SecretStr(NEW), label=None, keep="keyring")
        assert backend.entries == {}
        monkeypatch.setitem(sys.modules, "keyring", None)
        with pytest.raises(SettingsError, match=re.escape(how_to_add("keyring"))):
            await service.add_key(SecretStr(NEW), label=None, keep="keyring")
    assert harness.settings_file.read_bytes() == before


async def test_a_reference_is_taken_over_as_it_is(harness: Harness) -> None:
    harness.environment["WORK"] = NEW
    async with harness.open() as service:
        await service.take_key(SecretStr("$WORK"))
        with pytest.raises(SettingsError, match="already in the pool"):
            await service.take_key(SecretStr(f"!printf {NEW}"))
        with pytest.raises(SettingsError, match="NOTHING it names is not set"):
            await service.take_key(SecretStr("$NOTHING"))
    assert root(harness)["pi-ollama"]["apiKeys"][4] == "$WORK"


async def test_a_variable_decides_the_index_and_the_choice_is_kept_for_this_run(harness: Harness) -> None:
    harness.environment["OLLAMA_ACTIVE_KEY_INDEX"] = "2"
    async with harness.open() as service:
        kept = preferred(service)
        await service.remove_key(1)
        assert preferred(service) == kept
    assert root(harness)["pi-ollama"]["activeKeyIndex"] == 0


async def test_a_change_undone_by_another_program_is_reported(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "_is_kept", lambda *_: False)
    async with harness.open() as service:
        with pytest.raises(SettingsError, match="changed it again"):
            await service.add_key(SecretStr(NEW), label=None, keep="file")
