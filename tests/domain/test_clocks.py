"""Clocks compared by what answers and the log say."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.schedule import FAR, LAST, ahead_of, clock_problem, from_the_future, has_date, is_far

NOW = 1_785_917_640.0


@given(st.integers(-(10**8), 10**8), st.integers(0, 10**6))
def test_the_difference_is_found_whatever_a_cache_added(ahead: int, age: int) -> None:
    dated = formatdate(NOW - ahead - age, usegmt=True)
    assert ahead_of({"date": dated, "age": str(age)}, NOW) == ahead


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": ""},
        {"date": "soon"},
        *({"date": "Wed, 05 Aug 2026 08:14:00 GMT", "age": age} for age in ("x", "-5", "9" * 400, "\u0661")),
        {"date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"date": "Fri, 31 Dec 9999 23:59:59 GMT"},
    ],
)
def test_what_says_no_time_is_not_a_clock(headers: dict[str, str]) -> None:
    assert ahead_of(headers, NOW) is None


def test_a_difference_on_the_way_is_not_far() -> None:
    assert not is_far(None)
    assert not is_far(FAR)
    assert is_far(-FAR - 1)


def test_only_what_lies_ahead_is_the_future() -> None:
    assert from_the_future([], NOW) is None
    assert from_the_future([NOW - 9000, NOW + FAR], NOW) is None
    assert from_the_future([NOW - 9000, NOW + 600, NOW], NOW) == 600


@pytest.mark.parametrize(("at", "has"), [(-0.1, False), (0, True), (LAST, True), (LAST + 1, False)])
def test_a_moment_has_a_date_from_1970_to_the_end_of_9999(at: float, has: bool) -> None:
    assert has_date(at) is has


@pytest.mark.parametrize(
    ("ahead", "times", "words"),
    [
        (
            300,
            [],
            "this machine's clock is 5m 00s ahead of the cloud's, which is used instead; set the clock",
        ),
        (
            -300,
            [],
            "this machine's clock is 5m 00s behind the cloud's, which is used instead; set the clock",
        ),
        (
            0,
            [NOW - 1, NOW + 3600],
            "the log has entries from 1h 00m in the future; set the clock of this machine, or of the one "
            "that wrote them",
        ),
        (0, [NOW - 9000, NOW + FAR], None),
    ],
)
def test_a_clock_that_is_wrong_is_named_with_what_to_do(
    ahead: float, times: list[float], words: str | None
) -> None:
    assert clock_problem(ahead, times, NOW) == words
