"""Favourite models in pi's settings: which are in force, and how one is added or taken away."""

import json
from pathlib import Path

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.json_edit import Document
from okr_tui.settings.pi import favouring
from tests.settings.settings_home import Home, messages

MODEL = "gpt-oss:20b"
ENTRY = f"ollama-cloud/{MODEL}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def changed(listed: object, *, wanted: bool) -> object:
    """The setting after a model was made a favourite, or none any more."""
    text = "{}" if listed is None else json.dumps({"enabledModels": listed})
    document = Document.of(Path("/settings.json"), text.encode())
    return json.loads(favouring(document, MODEL, wanted=wanted)).get("enabledModels")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, [ENTRY]),
        ([], [ENTRY]),
        (["other", 7], ["other", 7, ENTRY]),
        ([ENTRY], [ENTRY]),
        (["ollama-cloud/*"], ["ollama-cloud/*"]),
    ],
)
def test_a_favourite_is_added_unless_an_entry_names_it(before: object, after: object) -> None:
    assert changed(before, wanted=True) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, None), (["other", 7], ["other", 7]), ([ENTRY, "other", ENTRY.upper()], ["other"])],
)
def test_a_favourite_goes_with_all_entries_of_its_own(before: object, after: object) -> None:
    assert changed(before, wanted=False) == after


def test_an_entry_that_names_more_models_is_left_to_its_editor() -> None:
    with pytest.raises(
        SettingsError, match=r'stays a favourite: the entry "ollama-cloud/\*" in /settings.json'
    ):
        changed([ENTRY, "ollama-cloud/*"], wanted=False)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_setting_that_is_not_a_list_is_not_changed(wanted: bool) -> None:
    with pytest.raises(SettingsError, match=":1:19: enabledModels must be a list; nothing was changed"):
        changed("all", wanted=wanted)


def test_the_projects_list_decides_and_what_is_not_text_is_ignored(home: Home) -> None:
    home.file.write_text(json.dumps({"enabledModels": [ENTRY]}))
    home.project_file.write_text(json.dumps({"enabledModels": ["other", 7]}))
    settings = home.load()
    assert settings.enabled_models.value == ("other",)
    assert settings.enabled_models.origin.layer == "project"
    assert [origin.layer for origin in settings.enabled_models.shadowed] == ["global"]
    assert messages(settings) == ["enabledModels: entries that are not text are ignored"]
    home.project_file.write_text(json.dumps({"enabledModels": "all"}))
    settings = home.load()
    assert settings.enabled_models.value == (ENTRY,)
    assert messages(settings) == ["enabledModels is ignored: it must be a list [...]"]
