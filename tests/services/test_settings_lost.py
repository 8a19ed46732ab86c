"""Settings that vanish or are refused: no pool moves for a torn write, and no key goes elsewhere."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.services import configuration
from okr_tui.services.pool_service import PoolService
from okr_tui.settings import layers
from okr_tui.settings.layers import Sources
from okr_tui.settings.schema import Settings
from tests.harness import Harness, ask
from tests.waiting import let_pass

BLANKS = ["", " \n\t", "\ufeff", None]


def leave(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


@pytest.mark.parametrize("text", BLANKS)
async def test_a_file_that_is_empty_for_a_moment_changes_nothing(harness: Harness, text: str | None) -> None:
    async with harness.open() as service:
        before, content = service.snapshot.settings, harness.settings_file.read_text()
        leave(harness.settings_file, text)
        reload = asyncio.ensure_future(service.reload())
        await let_pass(2 * configuration.LOOK_AGAIN)
        assert not reload.done()
        await ask(service)
        harness.settings_file.write_text(content)
        await reload
        assert service.snapshot.settings == before
        assert len(service.pool.config.keys) == 4


async def test_a_file_that_is_emptied_between_look_and_reading_changes_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, content = layers.load, harness.settings_file.read_text()
    seen = ["", content]

    def torn(*arguments: Any) -> Settings:
        harness.settings_file.write_text(seen.pop(0))
        found: Settings = load(*arguments)
        harness.settings_file.write_text(content)
        return found

    async with harness.open() as service:
        before = service.snapshot.settings
        monkeypatch.setattr(layers, "load", torn)
        await service.reload()
        assert service.snapshot.settings == before
        assert len(service.pool.config.keys) == 4


async def test_a_file_that_is_being_written_at_the_start_is_waited_for(harness: Harness) -> None:
    content = harness.settings_file.read_text()
    harness.settings_file.write_text("")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(
            configuration.Configuration.read(
                Sources(harness.settings_file, harness.home / "project", harness.environment)
            )
        )
        await let_pass(configuration.LOOK_AGAIN)
        harness.settings_file.write_text(content)
    assert len(reading.result().config.keys) == 4


async def test_sections_that_are_taken_out_of_a_file_go(harness: Harness) -> None:
    async with harness.open() as service:
        harness.settings_file.write_text('{"theme": "dark"}')
        await service.reload()
        assert service.pool.config.keys == ()
        assert service.problems == ()


@pytest.mark.parametrize("text", BLANKS)
async def test_a_file_that_stays_empty_is_believed_and_said(
    harness: Harness, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "TORN", 0.2)
    async with harness.open() as service:
        content = harness.settings_file.read_text()
        leave(harness.settings_file, text)
        await service.reload()
        assert service.pool.config.keys == ()
        assert f"{harness.settings_file} is empty or missing, and had settings before" in service.problems
        harness.settings_file.write_text(content)
        await service.reload()
        assert len(service.pool.config.keys) == 4
        assert service.problems == ()


def write_cloud(harness: Harness, url: object) -> None:
    document = json.loads(harness.settings_file.read_text())
    document["pi-ollama"]["cloudUrl"] = url
    harness.settings_file.write_text(json.dumps(document))


@pytest.mark.parametrize("url", ["http://192.168.7.9:11434", "nonsense", 5, "https://user:pass@a.example"])
async def test_a_refused_address_sends_no_key_anywhere_until_it_is_put_right(
    harness: Harness, url: object
) -> None:
    async with harness.open() as service:
        write_cloud(harness, url)
        await service.reload()
        assert len(service.pool.config.keys) == 4
        (problem,) = service.problems
        assert "cloudUrl cannot be used: " in problem
        assert "no key is sent anywhere until it is corrected" in problem
        await refused(service)
    async with harness.open() as service:
        await refused(service)
        write_cloud(harness, harness.url)
        await service.reload()
        assert service.problems == ()
        await ask(service)


async def refused(service: PoolService) -> None:
    with pytest.raises(SettingsError, match="no key is sent anywhere"):
        await ask(service)
    fault = await service.quota_poller.balance(service.pool.config.keys[0])
    assert fault
    assert "no key is sent anywhere" in fault.text
    assert service.pool.state.clouds == {}


async def test_a_refused_address_that_a_higher_layer_overrules_is_only_ignored(harness: Harness) -> None:
    harness.environment["OLLAMA_HOST_CLOUD"] = harness.url
    write_cloud(harness, "nonsense")
    async with harness.open() as service:
        assert "cloudUrl is ignored" in service.problems[0]
        await ask(service)


async def test_a_section_or_a_name_twice_in_a_file_is_reported_with_its_location(harness: Harness) -> None:
    text = harness.settings_file.read_text().rstrip().removesuffix("}")
    harness.settings_file.write_text(
        f'{text}, \n"pi-ollama": {{"cloudUrl": "{harness.url}", \n"apiKeys": [],\n "apiKeys": []}}}}'
    )
    lines = harness.settings_file.read_text().count("\n")
    async with harness.open() as service:
        section, name = service.problems
    assert section == (
        f'{harness.settings_file}:{lines - 1}:14: "pi-ollama" appears there twice; only the last one counts'
    )
    assert name == (
        f'{harness.settings_file}:{lines + 1}:13: "apiKeys" appears there twice in "pi-ollama"; '
        "only the last one counts"
    )
