"""The preferred key stays the one that was chosen, wherever other keys push it."""

import json
from pathlib import Path

import pytest

from okr_tui.domain.keys import fingerprint
from okr_tui.settings.file import read, rewrite
from okr_tui.settings.keys import preferring
from tests.settings.settings_home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def choose(home: Home, index: int, *, shifting: bool = True) -> None:
    key = home.load().keys[index]
    rewrite(
        home.file,
        (("pi-ollama", "activeKeyIndex"),),
        lambda document: preferring(document, "pi-ollama", index, key, shifting=shifting),
    )


def preferred(home: Home) -> str:
    found = home.load()
    return found.keys[found.active_index.value].secret.get_secret_value()


def test_a_key_added_to_another_layer_does_not_move_the_choice(home: Home) -> None:
    home.user({"apiKeys": ["g1"]})
    home.environment["OLLAMA_API_KEYS"] = "e1,e2"
    choose(home, 2)
    home.checkout({"apiKeys": ["p1", "p2"]})
    assert preferred(home) == "e2"
    found = home.load()
    assert found.active_index.value == 4
    assert found.active_index.note == "chosen as key 3, key 5 now"
    (problem,) = found.problems
    assert "the project adds 2 keys, which are off" in problem.message
    home.environment["OLLAMA_API_KEYS"] = "e2"
    home.checkout()
    assert preferred(home) == "e2"
    assert home.load().problems == ()


def test_another_index_in_the_file_wins(home: Home) -> None:
    home.user({"apiKeys": ["g1", "g2"]})
    home.environment["OLLAMA_API_KEYS"] = "e1"
    choose(home, 2)
    home.file.write_text(home.file.read_text().replace('"activeKeyIndex": 2', '"activeKeyIndex": 1'))
    assert preferred(home) == "g2"
    assert home.load().active_index.note == ""


def test_a_key_that_is_gone_leaves_the_index_to_decide(home: Home) -> None:
    home.user({"apiKeys": ["g1", "g2"]})
    home.environment["OLLAMA_API_KEYS"] = "e1"
    choose(home, 1)
    home.file.write_text(home.file.read_text().replace("g2", "g3"))
    assert preferred(home) == "g3"


@pytest.mark.parametrize(
    ("ours", "shifting", "marked"), [(None, False, False), (None, True, True), ({}, False, True)]
)
def test_a_section_of_ours_is_made_only_where_an_index_can_shift(
    home: Home, ours: object, shifting: bool, marked: bool
) -> None:
    home.user({"apiKeys": ["g1", "g2"]}, ours)
    before = home.file.read_text()
    choose(home, 1, shifting=shifting)
    root = json.loads(home.file.read_text())
    assert ("activeKeyFingerprint" in root.get("okr-tui", {})) is marked
    if not marked:
        assert json.loads(before) == {**root, "pi-ollama": {"apiKeys": ["g1", "g2"]}}
    assert preferred(home) == "g2"


def test_a_broken_section_of_ours_does_not_keep_the_index_from_being_written(home: Home) -> None:
    home.user({"apiKeys": ["g1", "g2"]}, "text")
    choose(home, 1)
    assert read(home.file).root["okr-tui"] == "text"
    assert preferred(home) == "g2"


@pytest.mark.parametrize(("written", "value"), [(1, 2), (1.0, 2), (True, 1), ("1", 1), (2, 1), (None, 1)])
def test_a_fingerprint_counts_only_with_the_index_that_it_was_written_with(
    home: Home, written: object, value: int
) -> None:
    texts = [f"literal-key-{letter * 12}" for letter in "abc"]
    marks = {"activeKeyFingerprint": fingerprint(texts[2]), "activeKeyFingerprintIndex": written}
    home.user({"apiKeys": texts, "activeKeyIndex": 1}, marks)
    assert home.load().active_index.value == value
