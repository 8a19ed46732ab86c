"""Steady pictures of the models, of one model's details and of a setting that is changed."""

from dataclasses import replace

import pytest
from textual.pilot import Pilot

from okr_tui.services.service import ModelList, ModelRow, SettingLine
from tests.ui.examples import GLOBAL, MODELS, NOW, model, settings, snapshot
from tests.ui.scripted_service import ScriptedService, make_app
from tests.ui.test_looks import SnapCompare, settle

pytestmark = pytest.mark.slow(reason="draws whole pictures")

SIZES = [(80, 24), (120, 36)]
RETIRING = ModelRow(model("qwen3.5:397b", 397, 262_144, "tools"), (1,), "glm-5.3")
STARRED = tuple(replace(row, favourite=row.model.id in ("kimi-k2.6", "glm-5.2")) for row in MODELS)
LINES = (
    SettingLine("cloudUrl", "https://ollama.com", "default"),
    SettingLine(
        "strategy", "drain", "project /srv/garden/.pi/settings.json:4", (f"{GLOBAL}:9",), editable=True
    ),
    SettingLine("theme", "", "default", editable=True),
    SettingLine("keymap.rotate", "z", f"{GLOBAL}:14", editable=True),
    SettingLine("policy.sends", "7", f"{GLOBAL}:16", editable=True),
    SettingLine("policy.spent_steps", "[21600, 43200, 86400]", "default", editable=True),
)


@pytest.fixture
def service() -> ScriptedService:
    """Models with every mark, and settings that can be changed."""
    models = ModelList((*STARRED, RETIRING), refreshed_at=NOW - 60)
    return ScriptedService(snapshot(models=models, settings=settings(lines=LINES)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sorted", ["tab", "tab", "m", "s", "s", "end"]),
        ("details", ["tab", "tab", "m", "end", "up", "i"]),
        ("strategy", ["comma", "down", "enter"]),
        ("number", ["comma", "end", "up", "enter"]),
    ],
)
def test_models_and_settings(
    service: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int], name: str, keys: list[str]
) -> None:
    async def go(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press(*keys)
        await pilot.pause()

    assert name
    assert snap_compare(make_app(service), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES)
def test_the_terminals_own_colours(
    service: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    async def go(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("comma")
        await pilot.pause()

    assert snap_compare(make_app(service, "okr-ansi"), terminal_size=size, run_before=go)
