"""A spent window: how long its account rests, and what brings it back early."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.state import Block, PoolState
from tests.domain.facts import (
    MONDAY,
    NOW,
    OTHER_MODEL,
    POLICY,
    SESSION_END,
    A,
    B,
    after,
    belongs,
    dollars,
    failed,
    judged,
    reading,
    refused_reading,
    trial,
    went_well,
    windows,
)

SPENT = FaultKind.SPENT


def block_of(state: PoolState, key: str = A) -> Block:
    return state.account(state.account_of(key)).blocks[BlockCause.SPENT]


def until_of(state: PoolState, key: str = A) -> float:
    until = block_of(state, key).until
    assert until is not None
    return until


@pytest.mark.parametrize(
    ("window", "end"),
    [
        ("session", SESSION_END),
        ("hourly", NOW + 3600),
        ("weekly", MONDAY),
        ("monthly", NOW + 6 * 3600),
        ("credits", NOW + 6 * 3600),
        (None, NOW + 6 * 3600),
    ],
)
def test_spent_account_rests_until_its_window_ends(window: str | None, end: float) -> None:
    state = after(failed(SPENT, window=window))
    found = judged(state)
    assert (found.state, found.eligible, found.window) == (State.SPENT, False, window)
    assert end + 20 <= until_of(state) <= end + 60
    assert not judged(state, until_of(state) - 0.01).eligible
    assert judged(state, until_of(state)).eligible


def test_spent_account_is_spent_for_every_model() -> None:
    state = after(failed(SPENT, window="session"))
    assert judged(state, model=OTHER_MODEL).state is State.SPENT
    assert judged(state, model=None).state is State.SPENT


def test_the_time_that_the_server_names_is_used() -> None:
    reported = Balance((Window("weekly", 100, NOW + 86400),))
    state = after(reading(NOW - 60, reported), failed(SPENT, window="weekly"))
    assert NOW + 86420 <= until_of(state) <= NOW + 86460


def test_waits_grow_only_when_a_trial_after_the_end_failed() -> None:
    first = after(failed(SPENT, window="monthly"))
    burst = fold([failed(SPENT, NOW + 5, window="monthly")], POLICY, first)
    assert block_of(burst).step == 0
    end = until_of(burst)
    second = fold([failed(SPENT, end + 2, window="monthly", started=end + 1)], POLICY, burst)
    assert end + 2 + 12 * 3600 + 20 <= until_of(second) <= end + 2 + 12 * 3600 + 60
    end = until_of(second)
    third = fold([failed(SPENT, end + 2, window="monthly", started=end + 1)], POLICY, second)
    assert end + 2 + 24 * 3600 + 20 <= until_of(third) <= end + 2 + 24 * 3600 + 60


@given(st.permutations([("session", 0.0), ("weekly", 1.0), (None, 2.0)]))
def test_later_end_wins_in_any_order(faults: list[tuple[str | None, float]]) -> None:
    state = after(*(failed(SPENT, NOW + at, window=window) for window, at in faults))
    assert MONDAY + 20 <= until_of(state) <= MONDAY + 60


def test_later_fault_with_an_earlier_end_keeps_the_block_young() -> None:
    state = after(failed(SPENT, window="weekly"), failed(SPENT, NOW + 50, window="session"))
    state = fold([went_well(NOW + 60, started=NOW + 40)], POLICY, state)
    assert not judged(state, NOW + 60).eligible


def test_success_lifts_only_a_block_that_began_before_its_request() -> None:
    state = after(failed(SPENT, window="session"))
    assert not judged(fold([went_well(NOW + 5, started=NOW - 10)], POLICY, state), NOW + 5).eligible
    assert judged(fold([went_well(NOW + 5, started=NOW + 1)], POLICY, state), NOW + 5).eligible


def test_free_reading_that_succeeds_as_a_probe_lifts_no_quota_block() -> None:
    state = after(failed(SPENT, window="session"), went_well(NOW + 200, client="probe", path="/api/me"))
    assert judged(state, NOW + 200).state is State.SPENT


def test_reading_with_room_brings_the_account_back_for_a_trial() -> None:
    state = after(failed(SPENT, window="session"), reading(NOW + 600, windows(5, 40)))
    found = judged(state, NOW + 600)
    assert (found.eligible, found.trial) == (True, True)
    assert judged(fold([trial(NOW + 601)], POLICY, state), NOW + 602).state is State.PROBING


@pytest.mark.parametrize("balance", [windows(98, 40), windows(5, 98.5), dollars(0)])
def test_reading_without_room_in_every_window_changes_nothing(balance: Balance) -> None:
    state = after(failed(SPENT, window="session"), reading(NOW + 600, balance))
    assert not judged(state, NOW + 600).eligible


@pytest.mark.parametrize(
    "balance", [Balance(), Balance(understood=False), Balance((Window("session", None),))]
)
def test_reading_that_says_nothing_changes_nothing(balance: Balance) -> None:
    before = after(failed(SPENT, window="session"))
    state = fold([reading(NOW + 600, balance)], POLICY, before)
    assert block_of(state) == block_of(before)


@pytest.mark.parametrize("started", [NOW - 5, NOW + 1, NOW + 89])
def test_reading_too_close_to_the_block_is_not_believed(started: float) -> None:
    state = after(failed(SPENT, window="session"), reading(NOW + 95, windows(5, 40), started=started))
    assert not judged(state, NOW + 95).eligible


def test_reading_moves_the_block_to_the_servers_time() -> None:
    reported = Balance((Window("session", 100, NOW + 900),))
    state = after(failed(SPENT, window="session"), reading(NOW + 5, reported, started=NOW + 2))
    assert NOW + 920 <= until_of(state) <= NOW + 960


def test_a_window_that_was_reset_meanwhile_keeps_the_end_it_had() -> None:
    """What the server names then is the end of the next window, for which nothing is spent."""
    before = Balance((Window("session", 99, NOW + 5), Window("weekly", 40, MONDAY)))
    fresh = Balance((Window("session", 0, NOW + 18005), Window("weekly", 40, MONDAY)))
    state = after(reading(NOW - 60, before), failed(SPENT, window="session"))
    end = until_of(state)
    assert NOW + 25 <= end <= NOW + 65
    assert until_of(fold([reading(NOW + 12, fresh, started=NOW + 11)], POLICY, state)) == end


def test_failed_trial_after_an_early_return_waits_longer() -> None:
    state = after(failed(SPENT, window="monthly"), reading(NOW + 600, windows(5)))
    again = failed(SPENT, NOW + 602, window="monthly", started=NOW + 601)
    assert until_of(fold([again], POLICY, state)) > NOW + 602 + 12 * 3600


def test_credit_bought_after_the_block_brings_the_account_back_at_once() -> None:
    state = after(
        reading(NOW - 60, dollars(0)),
        failed(SPENT, window="credits"),
        reading(NOW + 30, dollars(0, bought=10)),
    )
    assert judged(state, NOW + 30).trial


@pytest.mark.parametrize("refilled", [dollars(60), dollars(0, bought=5), dollars(0.01)])
def test_empty_balance_ends_with_the_first_reading_that_shows_money(refilled: Balance) -> None:
    state = after(reading(NOW - 60, dollars(0)), failed(SPENT, window="credits", status=402))
    state = fold([reading(NOW + 5, dollars(0))], POLICY, state)
    assert judged(state, NOW + 5, model=OTHER_MODEL).state is State.SPENT
    assert judged(fold([reading(NOW + 9, refilled)], POLICY, state), NOW + 9).trial


def test_money_that_was_there_before_is_believed_once_usage_must_have_shown() -> None:
    """A retry before the cloud has booked the money must not block the account for a day."""
    state = after(reading(NOW - 60, dollars(0, bought=5)), failed(SPENT, window="credits", status=402))
    assert not judged(fold([reading(NOW + 5, dollars(0, bought=5))], POLICY, state), NOW + 5).eligible
    assert judged(fold([reading(NOW + 100, dollars(0, bought=5))], POLICY, state), NOW + 100).trial


@pytest.mark.parametrize(
    ("balance", "spent"),
    [
        (dollars(0), True),
        (dollars(0, bought=None), True),
        (dollars(0, bought=2), False),
        (dollars(3), False),
        (dollars(0, allowance=0), False),
        (dollars(0, allowance=None), False),
        (windows(100, 100), False),
    ],
)
@pytest.mark.parametrize(
    ("kind", "text"), [(FaultKind.NO_PLAN, "HTTP 402"), (FaultKind.PATH, "something refuses: HTTP 402, HTML")]
)
def test_the_balance_says_what_a_402_without_words_means(
    balance: Balance, spent: bool, kind: FaultKind, text: str
) -> None:
    state = after(reading(NOW - 60, balance), failed(kind, status=402, text=text))
    found = judged(state, NOW, model=OTHER_MODEL)
    assert (found.state is State.SPENT) is spent
    assert found.window == ("credits" if spent else None)


def test_402_with_the_clouds_words_keeps_its_meaning() -> None:
    words = "this model requires a subscription"
    state = after(reading(NOW - 60, dollars(0)), failed(FaultKind.NO_PLAN, text=words, status=402))
    assert judged(state, NOW, model=OTHER_MODEL).eligible


def test_an_account_alone_without_bought_credit_is_not_tried_before_its_window_ends() -> None:
    state = after(reading(NOW - 60, windows(50, 100, end=NOW + 9000)), failed(SPENT, window="session"))
    assert not judged(state, NOW + 3601, alone=True).eligible


def test_credit_that_was_there_before_allows_one_request_an_hour() -> None:
    bought = dollars(0, bought=10)
    state = after(reading(NOW - 60, bought), failed(SPENT, window="weekly"))
    for minutes in (2, 10, 30, 59):
        state = fold([reading(NOW + 60 * minutes, bought)], POLICY, state)
        assert not judged(state, NOW + 60 * minutes).eligible
    assert judged(state, NOW + 3600).trial
    state = fold([trial(NOW + 3600)], POLICY, state)
    assert not judged(state, NOW + 3601).eligible
    state = fold([failed(SPENT, NOW + 3602, window="weekly", started=NOW + 3600)], POLICY, state)
    assert not judged(state, NOW + 3602 + 3599).eligible
    assert judged(state, NOW + 3602 + 3600).trial


def test_account_without_bought_credit_is_not_tried_before_its_time() -> None:
    state = after(reading(NOW - 60, windows(100, 100)), failed(SPENT, window="weekly"))
    assert not judged(state, NOW + 3 * 3600).eligible


def test_spent_account_blocks_all_its_keys_at_once() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(SPENT, window="session"))
    assert judged(state, key=B).state is State.SPENT


def test_polling_that_is_limited_or_fails_never_touches_a_chat_key() -> None:
    kinds = [FaultKind.SLOWED, FaultKind.TRANSIENT, FaultKind.BUSY, FaultKind.REQUEST, FaultKind.GONE]
    state = after(went_well(NOW - 100), *(refused_reading(kind, NOW) for kind in [*kinds, SPENT] * 3))
    assert state == after(went_well(NOW - 100))


def test_numbers_come_from_the_policy() -> None:
    policy = Policy(spent_steps=(100,), spent_jitter=(0, 0))
    state = after(failed(SPENT, window="monthly"), policy=policy)
    assert until_of(state) == NOW + 100


def test_reading_does_not_revive_an_ended_block() -> None:
    state = after(failed(SPENT, window="monthly"))
    end = until_of(state)
    late = fold([reading(end + 10, replace(dollars(0, until=end + 9000)))], POLICY, state)
    assert until_of(late) == end
