"""Tables fit the terminal they are printed on, and lose nothing by it."""

import os
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.cli.output import cells, table, wrapped

TEXT = st.text("abc 日…·#1", max_size=40).map(str.strip)
KEYS = (
    ("👉 #1", "4f2a…9c1e", "amber", "pro", "● ready", "5h 21%  week 35%"),
    ("   #2", "77b0…02fd", "birch", "free", "▣ spent", "5h spent, back 16:00 in 2 h 14 min"),
)
USAGE = (("model", "requests", "tokens in"), ("gpt-oss:20b", "1,204", "3,310,022"), ("kimi-k3", "86", "9"))


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal; its width is COLUMNS."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    return monkeypatch


def test_a_pipe_has_every_row_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert len(table(KEYS)) == 2


def test_a_terminal_that_is_wide_enough_changes_nothing(width: pytest.MonkeyPatch) -> None:
    plain = table(KEYS)
    width.setenv("COLUMNS", "80")
    assert table(KEYS) == plain
    assert plain[0] == "👉 #1  4f2a…9c1e  amber  pro   ● ready  5h 21%  week 35%"


def test_a_cell_goes_over_several_lines_before_a_row_does(width: pytest.MonkeyPatch) -> None:
    width.setenv("COLUMNS", "66")
    assert table(KEYS)[1:] == [
        "   #2  77b0…02fd  birch  free  ▣ spent  5h spent, back 16:00 in 2",
        "                                        h 14 min",
    ]


def test_below_sixty_cells_a_row_is_a_few_lines(width: pytest.MonkeyPatch) -> None:
    width.setenv("COLUMNS", "40")
    assert table(KEYS) == [
        "👉 #1  4f2a…9c1e",
        "    amber · pro · ● ready",
        "    5h 21%  week 35%",
        "#2  77b0…02fd",
        "    birch · free · ▣ spent",
        "    5h spent, back 16:00 in 2 h 14 min",
    ]


def test_a_name_and_its_value_stay_side_by_side(width: pytest.MonkeyPatch) -> None:
    width.setenv("COLUMNS", "30")
    assert table([("Log", "sqlite:log.db"), ("Problem", "the clock differs by an hour")]) == [
        "Log      sqlite:log.db",
        "Problem  the clock differs by",
        "         an hour",
    ]


def test_figures_are_aligned_right_and_headings_are_repeated(width: pytest.MonkeyPatch) -> None:
    assert table(USAGE, headed=True, figures=True)[1:] == [
        "gpt-oss:20b     1,204  3,310,022",
        "kimi-k3            86          9",
    ]
    width.setenv("COLUMNS", "24")
    assert table(USAGE, headed=True, figures=True)[:3] == [
        "model gpt-oss:20b",
        "requests 1,204",
        "    tokens in 3,310,022",
    ]


@given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4), columns=st.integers(12, 90))
def test_no_line_is_too_long_and_no_letter_is_lost(rows: list[tuple[str, str, str]], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        patch.setitem(os.environ, "COLUMNS", str(columns))
        lines = table(rows)
    assert all(cells(line) <= columns for line in lines)
    given_letters = Counter("".join(map("".join, rows)).replace(" ", ""))
    assert given_letters <= Counter("".join(lines).replace(" ", ""))


@given(text=TEXT, columns=st.integers(2, 30))
def test_a_text_is_broken_at_blanks(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert all(cells(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
