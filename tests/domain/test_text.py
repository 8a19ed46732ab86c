"""Text from outside: what is kept of it and what is drawn."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.text import LINE_LIMIT, clean_line, drawable, drawable_lines, has_hidden, printable

PERSIAN = "می\u200cخواهم"
HINDI = "क्\u200dष"
FAMILY = "👩\u200d👩\u200d👧"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

anything = st.text(st.characters(exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    "hidden",
    [
        "\x1b]52;c;cm0gfg==\x1b\\",
        "\x9b31m",
        "\x00",
        "\x7f",
        "\ud800",
        "a\u202eb",
        "a\u2066b",
        "a\u200bb",
        "\ufeffa",
        "a\u00adb",
        "a\U000e0041b",
        "a\u2028b",
        "a\nb",
        "a\u200db",
    ],
)
def test_hidden_characters_are_found_and_cleaned(hidden: str) -> None:
    assert has_hidden(hidden)
    assert not has_hidden(clean_line(hidden))


@pytest.mark.parametrize("name", ["gpt-oss:20b", "qwen3-coder:480b-cloud", "モデル:7b", "модель", "naïve"])
def test_a_plain_name_hides_nothing(name: str) -> None:
    assert not has_hidden(name)
    assert clean_line(name) == name


@pytest.mark.parametrize("text", [PERSIAN, HINDI, FAMILY])
def test_joiners_that_join_stay(text: str) -> None:
    assert clean_line(text) == drawable(text) == text


def test_a_joiner_that_joins_nothing_goes_from_a_line() -> None:
    assert clean_line("a\u200db \u200c") == "ab"


def test_the_flag_of_a_region_is_drawn_and_a_lone_tag_is_not() -> None:
    assert drawable(f"{SCOTLAND} a\U000e0041") == f"{SCOTLAND} a"


def test_line_breaks_and_controls_separate_words() -> None:
    assert clean_line(" one\r\ntwo\x1bthree\u2029four ") == "one two three four"


def test_a_long_line_is_cut_with_an_ellipsis() -> None:
    cut = clean_line("x" * 100_000)
    assert len(cut) == LINE_LIMIT
    assert cut.endswith("x…")
    assert clean_line("abcdef", 4) == "abc…"


def test_a_sequence_loses_what_makes_it_one() -> None:
    assert drawable("\x1b]0;owned\x07 \x9b2J\u202eabc\ud800") == "]0;owned 2Jabc\ufffd"


def test_lines_and_tabs_of_prose_stay() -> None:
    assert drawable_lines("a\tb\r\nc\x1b[2J\nd") == "a\tb\nc[2J\nd"


@given(anything)
def test_what_is_drawn_never_steers(text: str) -> None:
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in drawable(text))
    assert drawable(drawable(text)) == drawable(text)


@given(anything, st.integers(1, 300))
def test_a_clean_line_is_bounded_and_stays_clean(text: str, limit: int) -> None:
    line = clean_line(text, limit)
    assert len(line) <= limit
    assert clean_line(line, limit) == line
    assert "\n" not in line
    line.encode()


def test_prose_keeps_its_lines_and_tabs_and_loses_what_a_terminal_acts_on() -> None:
    assert drawable_lines("plain") == "plain"
    assert drawable_lines("a\tb\r\n\x1b[31mc\u202e\n") == "a\tb\n[31mc\n"


def test_what_a_person_judges_shows_where_something_is_hidden() -> None:
    assert printable("rm \u202e-rf\n") == "rm \ufffd-rf\ufffd"
    assert [printable("abc", most) for most in (2, 3, None)] == ["ab…", "abc", "abc"]
