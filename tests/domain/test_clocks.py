"""Clocks compared by what answers and the log say."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.schedule import FAR, ahead_of, from_the_future, is_far

NOW = 1_785_917_640.0


@given(st.integers(-(10**8), 10**8), st.integers(0, 10**6))
def test_the_difference_is_found_whatever_a_cache_added(ahead: int, age: int) -> None:
    dated = formatdate(NOW - ahead - age, usegmt=True)
    assert ahead_of({"date": dated, "age": str(age)}, NOW) == ahead


@pytest.mark.parametrize(
    "headers", [{}, {"date": ""}, {"date": "soon"}, {"date": "Wed, 05 Aug 2026 08:14:00 GMT", "age": "x"}]
)
def test_what_says_no_time_is_no_clock(headers: dict[str, str]) -> None:
    assert ahead_of(headers, NOW) is None


def test_a_difference_on_the_way_is_not_far() -> None:
    assert not is_far(None)
    assert not is_far(FAR)
    assert is_far(-FAR - 1)


def test_only_what_lies_ahead_is_the_future() -> None:
    assert from_the_future([], NOW) is None
    assert from_the_future([NOW - 9000, NOW + FAR], NOW) is None
    assert from_the_future([NOW - 9000, NOW + 600, NOW], NOW) == 600
