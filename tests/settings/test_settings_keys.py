"""Entries put into a file, taken out, put back and labelled; every other byte is kept."""

import json
from pathlib import Path

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SecretStr
from okr_tui.settings import keys
from okr_tui.settings.json_edit import Document
from okr_tui.settings.layers import Sources, load
from okr_tui.settings.schema import KeySource
from tests.settings.settings_home import Home

SECRET = "hidden-key-0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def document(text: str) -> Document:
    return Document.of(Path("/settings.json"), text.encode())


def source(home: Home, index: int) -> KeySource:
    return home.load().key_sources[index]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "pi-ollama": {\n    "apiKeys": [\n      "new"\n    ]\n  }\n}\n'),
        (
            '{"a": 1.0, "pi-ollama": {"apiKeys": ["$A"], "x": 1}}',
            '{"a": 1.0, "pi-ollama": {"apiKeys": ["$A", "new"], "x": 1}}',
        ),
        ('{"pi-ollama": {"apiKeys": "a, b,,"}}', '{"pi-ollama": {"apiKeys": ["a", "b", "new"]}}'),
        ('{"pi-ollama": {"apiKeys": "!printf a,b"}}', '{"pi-ollama": {"apiKeys": ["!printf a,b", "new"]}}'),
        ('{"pi-ollama": {"apiKeys": {"key": "a"}}}', '{"pi-ollama": {"apiKeys": [{"key": "a"}, "new"]}}'),
        ('{"pi-ollama": {"apiKey": "a"}}', '{"pi-ollama": {"apiKey": "a","apiKeys": ["new"]}}'),
        (
            '{"ollama": {"apiKeys": "a,b"}}',
            '{"ollama": {"apiKeys": "a,b"},"pi-ollama": {"apiKeys": ["new"]}}',
        ),
    ],
)
def test_a_new_entry_comes_last_and_the_rest_stays(before: str, after: str) -> None:
    assert keys.added(document(before), "new") == after


def test_a_value_that_is_not_a_list_is_refused_without_quoting() -> None:
    for text in ('{"pi-ollama": {"apiKeys": 5}}', f'{{"pi-ollama": {{"apiKeys": ["{SECRET}"]}}}}'):
        with pytest.raises(SettingsError) as caught:
            keys.added(document(text), SECRET)
        assert SECRET not in str(caught.value)
        assert "nothing was changed" in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "empty"),
        (f"{SECRET} x", "spaces"),
        (f"{SECRET}\n", "spaces"),
        (f"{SECRET}é", "ASCII"),
        (f"{SECRET}\x07", "ASCII"),
        (f"${SECRET}", "begin"),
        (f"!{SECRET}", "begin"),
        (f"keyring:{SECRET}", "begin"),
    ],
)
def test_what_no_key_is(bad: str, words: str) -> None:
    said = keys.refusal(SecretStr(bad))
    assert said
    assert words in said
    assert SECRET not in said
    assert keys.refusal(SecretStr(SECRET)) is None


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "pi-ollama": {\n    "apiKeys": [\n      "a",\n      "b",\n      "c"\n    ]\n  },\n  "t": 1\n}',
        '{"pi-ollama":{"apiKeys":["a", { "label":"x",\t"key" : "b" }, "c"]}}',
        '{"pi-ollama": {"apiKeys": ["a"], "apiKey": "b", "z": 1}, "ollama": {"apiKeys": ["c"]}}',
        '{"pi-ollama": {"apiKeys": "a,b,c"}}',
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_entry_removed_and_restored_is_where_it_was(home: Home, text: str, at: int) -> None:
    home.file.write_text(text)
    before = home.load()
    gone = before.key_sources[at]
    raw = keys.written(document(text), gone)
    without = keys.removed(document(text), gone)
    home.file.write_text(without)
    assert [key.fingerprint for key in home.load().keys] == [
        key.fingerprint for key in before.keys if key is not before.keys[at]
    ]
    again = keys.restored(document(without), gone, raw)
    home.file.write_text(again)
    assert home.load().keys == before.keys
    if gone.name == "apiKeys" and gone.section == "pi-ollama" and 'apiKey"' not in text:
        assert again == text


def test_an_entry_is_found_though_the_file_moved_on(home: Home) -> None:
    home.user({"apiKeys": ["a", "b"]})
    gone = source(home, 1)
    assert json.loads(keys.removed(document('{"pi-ollama": {"apiKeys": ["x", "y", "b"]}}'), gone)) == {
        "pi-ollama": {"apiKeys": ["x", "y"]}
    }
    for text in ('{"pi-ollama": {"apiKeys": ["a"]}}', "{}", '{"pi-ollama": {"apiKeys": ["b", "x", "b"]}}'):
        with pytest.raises(SettingsError, match="not where it was"):
            keys.removed(document(text), gone)


@pytest.mark.parametrize(
    ("now", "after"),
    [
        ("{}", '{"pi-ollama": {"apiKeys": ["b"]}}'),
        ('{"pi-ollama": {"apiKeys": []}}', '{"pi-ollama": {"apiKeys": ["b"]}}'),
        ('{"pi-ollama": {"apiKeys": "x"}}', '{"pi-ollama": {"apiKeys": "x,b"}}'),
        ('{"pi-ollama": {"apiKeys": "!x"}}', '{"pi-ollama": {"apiKeys": ["!x", "b"]}}'),
    ],
)
def test_an_entry_comes_back_to_a_file_that_moved_on(home: Home, now: str, after: str) -> None:
    home.user({"apiKeys": ["a", "b"]})
    again = keys.restored(document(now), source(home, 1), SecretStr('"b"'))
    assert json.loads(again) == json.loads(after)


def test_nothing_is_restored_over_another_key(home: Home) -> None:
    home.user({"apiKey": "a"})
    gone = source(home, 0)
    with pytest.raises(SettingsError, match="another key now"):
        keys.restored(document('{"pi-ollama": {"apiKey": "b"}}'), gone, SecretStr('"a"'))
    with pytest.raises(SettingsError, match="already has this key back"):
        keys.restored(document('{"pi-ollama": {"apiKey": "a"}}'), gone, SecretStr('"a"'))


def test_labels(home: Home) -> None:
    home.user(
        {"apiKeys": ["a", {"key": "b", "label": "x", "note": 1}], "apiKey": "c"}, short={"apiKeys": "d, e"}
    )
    for at, label in ((0, "amber"), (1, None), (2, "birch"), (3, "cedar")):
        text = keys.labelled(document(home.file.read_text()), source(home, at), label)
        home.file.write_text(text)
    root = json.loads(home.file.read_text())
    # Places in the pool: the lists of both sections, then the single key.
    assert root["pi-ollama"] == {
        "apiKeys": [{"key": "a", "label": "amber"}, {"key": "b", "note": 1}],
        "apiKey": "c",
    }
    assert root["ollama"]["apiKeys"] == [{"key": "d", "label": "birch"}, {"key": "e", "label": "cedar"}]
    text = keys.labelled(document(home.file.read_text()), source(home, 0), None)
    assert json.loads(text)["pi-ollama"]["apiKeys"][0] == "a"
    text = keys.labelled(document(text), source(home, 4), "dill")
    assert json.loads(text)["pi-ollama"]["apiKey"] == {"key": "c", "label": "dill"}


def test_a_reference_to_the_secret_store_that_is_there_already_is_not_repeated() -> None:
    text = '{"pi-ollama": {"apiKeys": ["keyring:work"]}}'
    assert keys.added(document(text), "keyring:work") == text


def test_without_asking_commands_are_not_run_and_literals_are_read(home: Home) -> None:
    home.user({"apiKeys": [f"!touch {home.project / 'ran'}", "literal-key-0123456789abcdef"]})
    found = load(Sources(home.file, home.project, home.environment, asks=False)).keys
    assert [key.missing for key in found] == ["it was not asked for", ""]
    assert not (home.project / "ran").exists()
