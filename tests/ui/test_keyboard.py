"""Shortcuts under layouts of other scripts."""

import pytest

from okr_tui.ui.keyboard import latin_key, learn_layout


@pytest.mark.parametrize(
    ("key", "latin"),
    [
        ("ctrl+й", "ctrl+q"),
        ("ctrl+с", "ctrl+c"),
        ("й", "q"),
        ("б", "comma"),
        ("Б", "less_than_sign"),
        ("К", "R"),
        ("о", "j"),
        ("л", "k"),
        ("ctrl+ω", "ctrl+v"),
        ("σ", "s"),
        ("ק", "e"),
        ("ض", "q"),
        ("ㅂ", "q"),
        ("٣", "3"),
        ("۷", "7"),
        ("q", None),
        ("ctrl+q", None),
        ("comma", None),
        ("有", None),
        ("plus", None),
    ],
)
def test_a_key_of_another_script_is_the_latin_one_at_its_position(key: str, latin: str | None) -> None:
    assert latin_key(key) == latin


def test_what_the_terminal_says_of_its_layout_is_remembered() -> None:
    assert latin_key("ƿ") is None
    learn_layout("ƿ", "q")
    assert latin_key("ƿ") == "q"
    learn_layout("é", "2")
    assert latin_key("ctrl+é") == "ctrl+2"
