"""The pool of keys: its order, its forms, what is dropped and how that is said."""

from pathlib import Path

import pytest

from okr_tui.domain.keys import LONGEST_KEY, SHORTEST_KEY
from okr_tui.settings import keys
from okr_tui.settings.schema import Settings
from tests.settings.settings_home import Home, messages

SECRET = "hidden-key-0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def texts(settings: Settings) -> list[str]:
    return [key.secret.get_secret_value() for key in settings.keys]


def test_the_order_of_the_pool(home: Home) -> None:
    home.user(original={"apiKey": "g2", "apiKeys": [" g1 ", "g2"]})
    home.checkout(original={"apiKeys": ["p1", "g1"], "apiKey": "p2"})
    home.environment |= {"OLLAMA_API_KEY": "e2", "OLLAMA_API_KEYS": "e1, p1"}
    home.runtime = {"apiKeys": ["r1"]}
    settings = home.load()
    assert texts(settings) == ["g1", "g2", "p1", "p2", "r1", "e1", "e2"]
    assert [key.origin for key in settings.keys] == [
        *["global"] * 2,
        *["project"] * 2,
        "runtime",
        *["environment"] * 2,
    ]
    assert [key.trusted for key in settings.keys] == [True, True, True, False, True, True, True]
    assert messages(settings) == [
        "global keys: 1 entry ignored (1 repeated)",
        "project keys: 1 entry ignored (1 repeated)",
        "environment keys: 1 entry ignored (1 repeated)",
        "the project adds a key, which is off: the project is not trusted; if you know it, "
        f"run okr-tui trust in {home.project}",
    ]


def test_both_sections_are_united(home: Home) -> None:
    home.user(short={"apiKeys": ["c", "a"], "apiKey": "d"}, original={"apiKeys": ["a", "b"]})
    assert texts(home.load()) == ["a", "b", "c", "d"]


def test_the_forms_of_a_list(home: Home) -> None:
    home.user(original={"apiKeys": "a, b,,"})
    settings = home.load()
    assert texts(settings) == ["a", "b"]
    assert messages(settings) == ["global keys: 2 entries ignored (2 blank)"]
    home.user(
        original={"apiKeys": [1, None, "", "a", {"key": "b", "label": " amber "}, {"label": "x"}, "a", ["c"]]}
    )
    settings = home.load()
    assert [(key.secret.get_secret_value(), key.label) for key in settings.keys] == [
        ("a", None),
        ("b", "amber"),
    ]
    assert messages(settings) == ["global keys: 6 entries ignored (4 not text, 1 blank, 1 repeated)"]
    home.user(original={"apiKeys": {"key": "a"}, "apiKey": None})
    assert texts(home.load()) == ["a"]


def test_every_key_knows_its_source(home: Home) -> None:
    home.user(original={"apiKeys": ["a", "b"]}, short={"apiKey": "c"})
    home.environment["OLLAMA_API_KEYS"] = "d,e"
    sources = home.load().key_sources
    assert [(source.section, source.name, source.position) for source in sources] == [
        ("pi-ollama", "apiKeys", 0),
        ("pi-ollama", "apiKeys", 1),
        ("ollama", "apiKey", None),
        ("pi-ollama", "apiKeys", 0),
        ("pi-ollama", "apiKeys", 1),
    ]
    assert sources[1].origin.describe() == f"global {home.file}:5"
    assert sources[4].origin.describe() == "environment OLLAMA_API_KEYS"


@pytest.mark.parametrize(
    "bad", [f"{SECRET} x", f"{SECRET}é", f"{SECRET}\x07", f"{SECRET}\ud800", f"a\n{SECRET}"]
)
def test_a_key_no_header_can_carry_is_dropped_and_never_shown(home: Home, bad: str) -> None:
    home.user(original={"apiKeys": ["a", {"key": bad}]})
    settings = home.load()
    assert texts(settings) == ["a"]
    assert messages(settings) == ["apiKeys entry 2 is ignored: a key is printable ASCII without spaces"]
    assert settings.problems[0].describe().startswith(f"{home.file}:5:7: ")
    assert SECRET not in repr(settings)


def test_a_key_as_short_as_a_word_is_dropped(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SHORTEST_KEY", SHORTEST_KEY)
    short, whole = "k" * (SHORTEST_KEY - 1), "w" * SHORTEST_KEY
    home.user(original={"apiKeys": [short, whole, "$OTHER"]})
    home.environment |= {"OLLAMA_API_KEYS": "ab", "OTHER": short}
    settings = home.load()
    assert texts(settings) == [whole, ""]
    words = f": a key has at least {SHORTEST_KEY} characters"
    assert [message.endswith(words) for message in messages(settings)] == [True] * 3


def test_a_key_too_long_for_a_header_is_dropped(home: Home) -> None:
    home.user(original={"apiKeys": ["w" * LONGEST_KEY, "k" * (LONGEST_KEY + 1)]})
    settings = home.load()
    assert texts(settings) == ["w" * LONGEST_KEY]
    assert messages(settings) == [f"apiKeys entry 2 is ignored: a key has at most {LONGEST_KEY} characters"]


def test_a_label_with_a_part_of_any_key_is_dropped(home: Home) -> None:
    entries = [{"key": "a" * 20, "label": f"not {SECRET[3:15]}"}, {"key": SECRET, "label": "mine"}]
    home.user(original={"apiKeys": entries})
    settings = home.load()
    assert [key.label for key in settings.keys] == [None, "mine"]
    assert messages(settings) == ["a label is ignored: it holds a part of a key, and labels are shown"]


def test_a_label_that_cannot_be_shown_is_dropped(home: Home) -> None:
    home.user(original={"apiKeys": [{"key": "a", "label": "\x1b[2J"}, {"key": "b", "label": 3}]})
    settings = home.load()
    assert [key.label for key in settings.keys] == [None, None]
    assert messages(settings) == ["a label is ignored: it must be printable text"] * 2


def test_references(home: Home) -> None:
    home.environment["WORK"] = SECRET
    home.user(original={"apiKeys": ["$WORK", "!printf b", "$MISSING"]})
    settings = home.load()
    assert texts(settings) == [SECRET, "b", ""]
    assert messages(settings) == [
        "apiKeys entry 3 gives no key: the environment variable MISSING it names is not set"
    ]
    assert SECRET not in repr(settings)
    home.user(original={"apiKeys": "!printf %.1s b,c"})
    assert texts(home.load()) == ["b"]


def test_what_gives_no_key_keeps_its_number(home: Home) -> None:
    home.user(
        original={
            "apiKeys": [
                {"key": "${WORK}", "label": "amber"},
                "!false",
                "keyring:none",
                "$sk-aKeyAfterADollar",
                SECRET,
            ],
            "activeKeyIndex": 4,
        }
    )
    bare = home.load()
    assert [key.masked for key in bare.keys[:4]] == ["$WORK", "!command", "keyring:…", "$…"]
    assert [bool(key.missing) for key in bare.keys] == [True] * 4 + [False]
    assert len({key.fingerprint for key in bare.keys}) == 5
    assert [key.usable for key in bare.keys] == [False] * 4 + [True]
    assert (bare.keys[0].label, bare.keys[bare.active_index.value].secret.get_secret_value()) == (
        "amber",
        SECRET,
    )
    home.environment["WORK"] = "work-key-0123456789"
    whole = home.load()
    assert [source.position for source in whole.key_sources] == [
        source.position for source in bare.key_sources
    ]
    assert whole.active_index.value == bare.active_index.value
    assert whole.keys[0].usable


def test_an_untrusted_project_runs_no_command(home: Home, tmp_path: Path) -> None:
    home.checkout(original={"apiKeys": [f"!touch {tmp_path / 'ran'}", "p"]})
    settings = home.load()
    assert texts(settings) == ["p"]
    assert "not trusted" in messages(settings)[0]
    assert not (tmp_path / "ran").exists()
    home.user(ours={"trustedProjects": [str(home.project)]})
    home.load()
    assert (tmp_path / "ran").exists()


def test_a_command_is_run_again_only_when_the_keys_were_edited_or_it_failed(
    home: Home, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    home.user(original={"apiKeys": [f"!cat {source}", f"!cat {tmp_path / 'late'}"]})
    first = home.load()
    assert texts(first) == ["one", ""]
    source.write_text("two")
    (tmp_path / "late").write_text("late")
    home.user(original={"apiKeys": [f"!cat {source}", f"!cat {tmp_path / 'late'}"], "activeKeyIndex": 1})
    second = home.load(first)
    assert texts(second) == ["one", "late"]
    home.user(original={"apiKeys": [f"!cat {source}"]})
    assert texts(home.load(second)) == ["two"]
    assert texts(home.load()) == ["two"]
