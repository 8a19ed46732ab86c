"""What a key did over the last hours, as slots of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.history import (
    CELLS,
    HOURS,
    SLOT,
    KeyHistory,
    Tally,
    extended,
    sparkline,
    tally_slots,
    used_slots,
)
from okr_tui.domain.quota import Sample
from okr_tui.domain.records import Record
from tests.domain.facts import NOW, A, B, C, dollars, failed, reading, went_well, windows

SAME = frozenset({A, B})


def test_readings_of_the_account_and_requests_of_the_key() -> None:
    records: list[Record] = [
        reading(NOW - 1200, windows(10, 5), B),
        reading(NOW - 600, windows(20, 6), A),
        reading(NOW - 500, windows(99, 99), C),
        went_well(NOW - 700),
        failed(FaultKind.SLOWED, NOW - 650),
        went_well(NOW - 10, B),
        went_well(NOW - 9, client="probe"),
    ]
    history = extended(KeyHistory(), records, A, SAME, NOW)
    assert [sample.used_percent for sample in history.samples["session"]] == [10, 20]
    assert tally_slots(history, NOW)[-3:] == (Tally(2, 1), Tally(), Tally())


def test_dollars_count_as_used_of_the_allowance() -> None:
    history = extended(KeyHistory(), [reading(NOW, dollars(15))], A, SAME, NOW)
    assert history.samples["credits"] == (Sample(NOW, 75.0),)


def test_what_is_older_is_forgotten() -> None:
    old = extended(KeyHistory(), [reading(NOW, windows(5)), went_well(NOW)], A, SAME, NOW)
    later = extended(old, [], A, SAME, NOW + HOURS * 3600 + SLOT + 1)
    assert not any(later.samples.values())
    assert not later.tallies


def test_a_reading_holds_until_the_next() -> None:
    slots = used_slots([Sample(NOW - 3 * SLOT, 10), Sample(NOW - SLOT, 30)], NOW)
    assert slots[-5:] == (None, 10, 10, 30, 30)
    assert len(slots) == CELLS


@pytest.mark.parametrize(
    ("values", "line"),
    [([None, 0, 50, 100], "·▁▅█"), ([1, 2], "▁▁"), ([], "")],
)
def test_a_sparkline_has_one_sign_per_value(values: list[float | None], line: str) -> None:
    assert sparkline(values, 100) == line


@given(st.lists(st.none() | st.floats(0, 1000), max_size=50), st.floats(0, 1000))
def test_a_sparkline_never_leaves_its_signs(values: list[float | None], most: float) -> None:
    line = sparkline(values, most)
    assert len(line) == len(values)
    assert set(line) <= set("·▁▂▃▄▅▆▇█")


def test_readings_outside_the_hours_shown_are_left_out() -> None:
    samples = [Sample(NOW - HOURS * 3600 - SLOT, 10), Sample(NOW, 20), Sample(NOW + SLOT, 30)]
    assert used_slots(samples, NOW) == (*[None] * (CELLS - 1), 20)
