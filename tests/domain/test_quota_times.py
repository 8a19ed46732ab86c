"""When a window comes back, how fast an account fills, and when nothing can be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.forecast import burn_rate, empty_at
from okr_tui.domain.quota import Balance, Sample, Window, next_reset
from okr_tui.domain.state import Block, PoolState
from tests.domain.facts import MONDAY, NOW, POLICY, SESSION_END, A, dollars, failed, utc

LENGTHS = {"session": 18000, "hourly": 3600, "weekly": 604800}
MOMENTS = st.floats(0, 4e9) | st.integers(0, 200_000).map(lambda count: float(count * 18000))


@pytest.mark.parametrize(
    ("window", "now", "reset"),
    [
        ("session", SESSION_END - 18000, SESSION_END),
        ("session", SESSION_END - 0.001, SESSION_END),
        ("session", SESSION_END, SESSION_END + 18000),
        ("hourly", utc("2026-10-08T16:59:59"), utc("2026-10-08T17:00:00")),
        ("hourly", utc("2026-10-08T17:00:00"), utc("2026-10-08T18:00:00")),
        ("weekly", utc("2026-10-11T23:59:59"), MONDAY),
        ("weekly", MONDAY, utc("2026-10-19T00:00:00")),
        ("weekly", 0.0, utc("1970-01-05T00:00:00")),
    ],
)
def test_window_comes_back_on_the_common_grid(window: str, now: float, reset: float) -> None:
    assert next_reset(window, now) == reset


@pytest.mark.parametrize("window", ["monthly", "credits", "daily", None])
def test_only_the_server_knows_other_windows(window: str | None) -> None:
    assert next_reset(window, NOW) is None


@given(st.sampled_from(sorted(LENGTHS)), MOMENTS)
def test_next_reset_is_ahead_but_at_most_one_window_away(window: str, now: float) -> None:
    reset = next_reset(window, now)
    assert reset is not None
    assert now < reset <= now + LENGTHS[window]


def until(
    window: str | None,
    balance: Balance | None = None,
    count: int = 0,
    since: float = NOW,
    key: str = A,
) -> float:
    """The seconds for which a key is blocked that is found spent at `since`, `count` times before."""
    earlier = Block(BlockCause.SPENT, since - 10, since - 5, step=count - 1)
    state = PoolState().with_account(
        key, balance=balance, blocks={BlockCause.SPENT: earlier} if count else {}
    )
    state = fold([failed(FaultKind.SPENT, since, key, started=since, window=window)], POLICY, state)
    end = state.account(key).blocks[BlockCause.SPENT].until
    assert end is not None
    return end - since


def test_the_servers_time_wins_over_the_grid() -> None:
    reported = Balance((Window("session", 100, NOW + 600),))
    assert 620 <= until("session", reported) <= 660


def test_a_past_time_from_a_server_with_another_clock_is_not_used() -> None:
    reported = Balance((Window("session", 100, NOW - 30),))
    assert until("session", reported) == until("session")
    assert SESSION_END + 20 <= NOW + until("session", reported) <= SESSION_END + 60


def test_hour_follows_the_session_where_there_is_one_and_the_clock_where_not() -> None:
    assert 620 <= until("hourly", Balance((Window("session", 100, NOW + 600),))) <= 660
    assert 3620 <= until("hourly") <= 3660


@pytest.mark.parametrize("window", ["monthly", "credits", None])
def test_period_ends_when_the_server_says(window: str | None) -> None:
    assert 86420 <= until(window, dollars(0, until=NOW + 86400)) <= 86460


@pytest.mark.parametrize(("count", "hours"), [(0, 6), (1, 12), (2, 24), (3, 24), (50, 24)])
def test_window_with_an_unknown_end_is_waited_for_in_growing_steps(count: int, hours: int) -> None:
    assert hours * 3600 + 20 <= until("monthly", count=count) <= hours * 3600 + 60


@pytest.mark.parametrize(("window", "days"), [("session", 8), ("weekly", 8), ("monthly", 35), (None, 35)])
def test_unbelievable_time_is_cut(window: str | None, days: int) -> None:
    far = NOW + 400 * 86400
    reported = Balance(
        (Window("session", 100, far), Window("weekly", 100, far)), dollars(0, until=far).credits
    )
    assert until(window, reported) == days * 86400


@given(st.floats(1e9, 2e9), st.text(max_size=8))
def test_spread_of_returns_is_bounded_and_the_same_everywhere(since: float, seed: str) -> None:
    reported = Balance((Window("weekly", 100, since + 1000),))
    found = until("weekly", reported, since=since, key=seed)
    assert 1020 - 1e-3 <= found <= 1060 + 1e-3
    assert found == until("weekly", reported, since=since, key=seed)


def test_accounts_return_at_different_moments() -> None:
    found = {until("session", key=name) for name in "abcdefgh"}
    assert len(found) == 8


def line(*points: tuple[float, float]) -> tuple[Sample, ...]:
    return tuple(Sample(NOW + at, used) for at, used in points)


def test_pace_is_the_slope_since_the_oldest_recent_reading() -> None:
    assert burn_rate(line((0, 10), (600, 20), (1200, 40))) == pytest.approx(30 / 1200)


def test_readings_beyond_an_hour_are_forgotten() -> None:
    assert burn_rate(line((0, 0), (3000, 50), (6000, 80))) == pytest.approx(30 / 3000)


@pytest.mark.parametrize("samples", [(), line((0, 10)), line((0, 10), (59, 20))])
def test_too_few_readings_give_no_pace(samples: tuple[Sample, ...]) -> None:
    assert burn_rate(samples) is None
    assert empty_at(samples) is None


def test_pace_starts_over_after_a_reset() -> None:
    assert burn_rate(line((0, 80), (300, 90), (600, 2), (900, 5))) == pytest.approx(3 / 300)
    assert burn_rate(line((0, 80), (300, 90), (600, 2))) is None


def test_forecast_is_where_the_pace_meets_the_limit() -> None:
    assert empty_at(line((0, 50), (1000, 75))) == pytest.approx(NOW + 2000)


def test_account_that_stands_still_is_never_empty() -> None:
    assert empty_at(line((0, 50), (1000, 50))) is None
    assert empty_at(line((0, 0), (3600, 0.000001))) is None


@given(st.lists(st.tuples(st.floats(0, 7200), st.floats(0, 100)), max_size=20))
def test_forecast_never_lies_in_the_past(points: list[tuple[float, float]]) -> None:
    samples = line(*sorted(points))
    at = empty_at(samples)
    assert at is None or at >= samples[-1].at


def test_how_far_apart_readings_must_be_is_the_policys() -> None:
    samples = line((0, 10), (8, 20))
    assert empty_at(samples) is None
    assert empty_at(samples, least=8) == pytest.approx(NOW + 8 + 64)
    assert burn_rate(samples, least=9) is None


def test_a_reading_an_hour_old_still_counts() -> None:
    assert burn_rate(line((0, 0), (3600, 50))) == pytest.approx(50 / 3600)
