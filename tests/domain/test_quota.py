"""How full an account is."""

import pytest

from okr_tui.domain.quota import Balance, Credits, Window
from tests.domain.facts import windows


@pytest.mark.parametrize(("balance", "used"), [(75, 0.0), (-3, 100.0), (45, 25.0)])
def test_part_of_the_allowance_stays_within_bounds(balance: float, used: float) -> None:
    assert Credits(balance, 60).used_percent == used


def test_tightest_window_counts() -> None:
    assert windows(20, 70).used_percent == 70
    assert Balance((Window("session", None), Window("weekly", 30))).used_percent == 30
