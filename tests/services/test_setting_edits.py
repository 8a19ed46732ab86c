"""Single settings and favourites through the service: what is accepted, where it is written, what is said."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.services.configuration import Configuration, checked
from okr_tui.services.key_settings import SettingEdits
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import SettingLine
from okr_tui.settings.layers import Sources
from tests.harness import Harness

MODEL = "gpt-oss:20b"
WHOLE = f"ollama-cloud/{MODEL}"


def root(path: Path) -> Any:
    return json.loads(path.read_text())


def line(service: PoolService, name: str) -> SettingLine:
    return next(line for line in service.snapshot.settings.lines if line.name == name)


def add(path: Path, **values: object) -> None:
    """Put top-level values into a settings file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**(root(path) if path.exists() else {}), **values}, indent=2))


def project(harness: Harness) -> Path:
    return harness.home / "project" / ".pi" / "settings.json"


async def favourites(service: PoolService) -> list[str]:
    if not service.snapshot.models.rows:
        await service.refresh_models()
    return [row.model.id for row in service.snapshot.models.rows if row.favourite]


async def test_without_a_list_the_first_favourite_begins_one_and_the_last_ends_it(harness: Harness) -> None:
    before = root(harness.settings_file)
    async with harness.open() as service:
        said = await service.set_favourite(MODEL, wanted=True)
        assert "only favourites" in said
        assert str(harness.settings_file) in said
        assert await favourites(service) == [MODEL]
        assert root(harness.settings_file) == {**before, "enabledModels": [WHOLE]}
        assert "is already a favourite" in await service.set_favourite(MODEL, wanted=True)
        said = await service.set_favourite(MODEL, wanted=False)
        assert "all models again" in said
        assert await favourites(service) == []
        assert root(harness.settings_file) == {**before, "enabledModels": []}


async def test_patterns_and_other_providers_stay_as_they_are(harness: Harness) -> None:
    text = '[ "anthropic/*",\n    "kimi-*", "ollama-cloud/gpt-oss:20b:high", "openai/gpt-oss:20b"]'
    add(harness.settings_file, enabledModels="HERE")
    harness.settings_file.write_text(harness.settings_file.read_text().replace('"HERE"', text))
    async with harness.open() as service:
        assert MODEL in await favourites(service)
        assert any(name.startswith("kimi-") for name in await favourites(service))
        await service.set_favourite("kimi-k2.6", wanted=True)
        assert text in harness.settings_file.read_text()
        with pytest.raises(SettingsError, match=r'stays a favourite: the entry "kimi-\*"'):
            await service.set_favourite("kimi-k2.6", wanted=False)
        assert text in harness.settings_file.read_text()
        await service.set_favourite(MODEL, wanted=False)
        assert '[ "anthropic/*",\n    "kimi-*", "openai/gpt-oss:20b"]' in harness.settings_file.read_text()
        await service.set_favourite(MODEL, wanted=True)
        assert root(harness.settings_file)["enabledModels"] == [
            "anthropic/*",
            "kimi-*",
            "openai/gpt-oss:20b",
            WHOLE,
        ]


async def test_a_project_with_a_list_of_its_own_decides_and_keeps_its_trust(harness: Harness) -> None:
    add(harness.settings_file, enabledModels=["ollama-cloud/kimi-k2.6"])
    add(project(harness), enabledModels=[WHOLE], **{"pi-ollama": {"cloudUrl": f"{harness.url}/other"}})
    async with harness.open() as service:
        await service.trust_project(trusted=False)
        assert await favourites(service) == [MODEL]
        assert str(project(harness)) in await service.set_favourite("glm-5.2", wanted=True)
        assert service.snapshot.settings.trust is None
    assert root(project(harness))["enabledModels"] == [WHOLE, "ollama-cloud/glm-5.2"]
    assert root(harness.settings_file)["enabledModels"] == ["ollama-cloud/kimi-k2.6"]


@pytest.mark.parametrize("wrong", ["gpt-oss:20b", {"a": 1}, 5])
async def test_what_is_not_a_list_is_reported_and_not_touched(harness: Harness, wrong: object) -> None:
    add(harness.settings_file, enabledModels=wrong)
    async with harness.open() as service:
        assert any("enabledModels is ignored" in problem for problem in service.snapshot.settings.problems)
        with pytest.raises(SettingsError, match="must be a list; nothing was changed"):
            await service.set_favourite(MODEL, wanted=True)
    assert root(harness.settings_file)["enabledModels"] == wrong


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("strategy", "drain", "drain"),
        ("theme", "okr-light", "okr-light"),
        ("policy.sends", "7", 7),
        ("policy.slowed_steps", "1, 2.5", [1, 2.5]),
        ("policy.slots", '{"free": 2}', {"free": 2}),
        ("gateway.port", "0", 0),
        ("gateway.autostart", "true", True),
        ("gateway.host", "localhost", "localhost"),
        ("keymap.rotate", "z", "z"),
    ],
)
async def test_a_value_is_written_holds_at_once_and_goes_back(
    harness: Harness, name: str, text: str, written: object
) -> None:
    before = root(harness.settings_file)["okr-tui"]
    group, _, member = name.partition(".")
    async with harness.open() as service:
        said = await service.change_setting(name, f" {text} ")
        assert said == f"{name} is {text} now, saved in {harness.settings_file}"
        now = root(harness.settings_file)["okr-tui"][group]
        assert (now[member] if member else now) == written
        assert line(service, name).origin.startswith("global")
        assert line(service, name).editable
        said = await service.change_setting(name, None)
        assert "back to its default" in said or "no longer set" in said
    after = root(harness.settings_file)["okr-tui"]
    assert {key: value for key, value in after.items() if value != {}} == before


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("strategy", "guess", "strategy: it must be one of sticky, drain"),
        ("policy.sends", "-1", "policy.sends: it must be greater than 0"),
        ("policy.sends", "many", "a number is expected"),
        ("policy.nothing", "1", "policy.nothing cannot be changed here"),
        ("gateway.port", "70000", "gateway.port: it must be a whole number from 0 to 65535"),
        ("gateway.autostart", "3", "gateway.autostart: it must be true or false"),
        ("cloudUrl", "https://thief.example", "cloudUrl cannot be changed here"),
        ("trustedProjects", "/", "cannot be changed here"),
        ("chat.mcpServers", "{}", "cannot be changed here"),
    ],
)
async def test_a_wrong_value_is_refused_in_one_line(
    harness: Harness, name: str, text: str, refusal: str
) -> None:
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        with pytest.raises(SettingsError) as caught:
            await service.change_setting(name, text)
    assert refusal in str(caught.value)
    assert "\n" not in str(caught.value)
    assert harness.settings_file.read_bytes() == before


async def test_what_a_project_decides_is_changed_there(harness: Harness) -> None:
    add(project(harness), **{"okr-tui": {"strategy": "drain", "policy": {"sends": 4}}})
    async with harness.open() as service:
        await service.trust_project(trusted=True)
        assert str(project(harness)) in await service.change_setting("strategy", "pinned")
        assert str(project(harness)) in await service.change_setting("policy.sends", "6")
        assert service.configuration.policy.sends == 6
        assert "strategy is back to its default, sticky" in await service.change_setting("strategy", None)
    assert root(project(harness))["okr-tui"] == {"policy": {"sends": 6}}


async def test_every_number_of_the_policy_has_a_line(harness: Harness) -> None:
    async with harness.open() as service:
        sends = line(service, "policy.sends")
        assert (sends.value, sends.origin, sends.editable, sends.locked) == ("5", "default", True, "")
        assert line(service, "gateway.port").value == "11435"
        assert not line(service, "cloudUrl").editable


async def test_what_an_option_decides_is_not_pretended_to_change(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    add(path, **{"okr-tui": {"strategy": "pinned"}})
    before = path.read_bytes()
    sources = Sources(path, tmp_path / "project", {}, {"strategy": "drain"})
    configuration = await Configuration.read(sources)
    (shown,) = (line for line in configuration.lines if line.name == "strategy")
    assert shown.value == "drain"
    assert shown.locked == "option --strategy overrides every settings file"
    with pytest.raises(SettingsError, match="strategy: option --strategy overrides"):
        await SettingEdits(configuration, reloaded(configuration)).change("strategy", "sticky")
    assert path.read_bytes() == before


def reloaded(configuration: Configuration) -> Callable[[], Awaitable[None]]:
    """Reads the settings again, as a keyring does."""

    async def reload() -> None:
        await configuration.reload()

    return reload


async def test_a_group_that_is_not_an_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    add(path, **{"okr-tui": {"policy": 5}})
    configuration = await Configuration.read(Sources(path, tmp_path / "project", {}))
    with pytest.raises(SettingsError, match=r"okr-tui\.policy must be an object"):
        await SettingEdits(configuration, reloaded(configuration)).change("policy.sends", "3")
    assert root(path) == {"okr-tui": {"policy": 5}}


@pytest.mark.parametrize("typed", ["soon", "1 2", "[" * 100_000, "{"])
def test_what_is_not_a_number_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        checked("policy.idle", typed)
    assert str(caught.value) == "policy.idle: a number is expected, or a list such as 15, 30, 60"
