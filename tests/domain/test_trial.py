"""When a block is over one request tries it, in the whole pool, and the others wait for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State, verdict
from okr_tui.domain.records import Outcome
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    MODEL,
    NOW,
    POLICY,
    A,
    B,
    after,
    belongs,
    chosen,
    chosen_key,
    config,
    failed,
    judged,
    trial,
    went_well,
)

SPENT = failed(FaultKind.SPENT, window="hourly")


def over(state: PoolState) -> float:
    until = state.account(state.account_of(A)).blocks[BlockCause.SPENT].until
    assert until is not None
    return until


def test_first_request_after_a_block_is_a_trial() -> None:
    state = after(SPENT)
    choice = chosen(state, config(1), over(state))
    assert choice.key is not None
    assert choice.trial
    assert choice.verdicts[0].reason == "back, to be tried"


def test_others_wait_while_the_trial_is_under_way() -> None:
    state = after(SPENT)
    at = over(state)
    state = fold([trial(at)], POLICY, state)
    assert judged(state, at + 1).state is State.PROBING
    assert chosen_key(state, config(1), at + 1) is None
    assert chosen_key(state, config(2), at + 1) == B


def test_keys_of_one_account_share_the_trial() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), SPENT)
    at = over(state)
    state = fold([trial(at, B)], POLICY, state)
    assert chosen_key(state, config(2), at + 1) is None


def test_trial_that_succeeds_opens_the_account_to_all() -> None:
    state = after(SPENT)
    at = over(state)
    state = fold([trial(at), went_well(at + 3, started=at)], POLICY, state)
    found = judged(state, at + 3)
    assert (found.state, found.eligible, found.trial) == (State.READY, True, False)


def test_trial_that_fails_blocks_again() -> None:
    state = after(SPENT)
    at = over(state)
    again = failed(FaultKind.SPENT, at + 3, started=at, window="hourly")
    state = fold([trial(at), again], POLICY, state)
    assert judged(state, at + 3).state is State.SPENT
    assert over(state) > at + 3


@pytest.mark.parametrize("outcome", ["cancelled", "fault"])
def test_trial_that_says_nothing_lets_another_one_follow(outcome: Outcome) -> None:
    state = after(SPENT)
    at = over(state)
    ended = replace(failed(FaultKind.REQUEST, at + 3, started=at), outcome=outcome)
    assert judged(fold([trial(at), ended], POLICY, state), at + 3).trial


def test_end_of_an_older_request_does_not_end_the_trial() -> None:
    state = after(SPENT)
    at = over(state)
    state = fold([trial(at), went_well(at + 2, started=NOW - 60)], POLICY, state)
    assert judged(state, at + 2).state is State.PROBING


def test_trial_whose_end_was_never_recorded_lapses() -> None:
    state = after(SPENT)
    at = over(state)
    state = fold([trial(at)], POLICY, state)
    assert not judged(state, at + 119).eligible
    assert judged(state, at + 120).trial


def test_trial_of_an_earlier_block_does_not_hold_back_a_later_one() -> None:
    state = after(SPENT)
    first = over(state)
    state = fold(
        [trial(first), failed(FaultKind.SPENT, first + 3, started=first, window="hourly")], POLICY, state
    )
    assert judged(state, over(state)).trial


def test_trial_of_a_later_block_takes_over_from_one_whose_end_was_never_recorded() -> None:
    policy = replace(POLICY, trial_lapses=4 * 3600)
    state = after(SPENT)
    first = over(state)
    meanwhile = failed(FaultKind.SPENT, first + 3, started=first - 1, window="hourly")
    state = fold([replace(trial(first), owner="killed"), meanwhile], policy, state)
    at = over(state)
    ended = verdict(state, A, now=at, policy=policy, model=MODEL).ended
    assert ended == at
    followers = [replace(trial(at + late), owner=f"{late}", ended=ended) for late in (1, 2)]
    state = fold(followers, policy, state)
    assert state.key(A).trial_owner == "1"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 11.0, 35.0]),
            st.sampled_from([0, 60]),
            st.sampled_from([A, B]),
            st.sampled_from([None, FaultKind.SPENT, FaultKind.TRANSIENT, FaultKind.UNAUTHORIZED]),
        ),
        min_size=6,
        max_size=16,
    ),
    st.booleans(),
)
def test_request_that_may_try_a_key_has_its_trial(
    steps: list[tuple[float, float, str, FaultKind | None]], alone: bool
) -> None:
    policy = replace(POLICY, spent_steps=(30, 60), invalid_steps=(30, 60))
    state, at = PoolState(), NOW
    for gap, took, key, kind in steps:
        at += gap
        began = at - took
        ended = failed(kind, at, key, started=began) if kind else went_well(at, key, started=began)
        state = fold([ended], policy, state)
        for tried in (A, B):
            found = verdict(state, tried, now=at, policy=policy, model=MODEL, alone=alone)
            if found.trial:
                own = replace(trial(at, tried), owner=f"{at}", ended=found.ended)
                state = fold([own], policy, state)
                assert state.key(tried).trial_owner == f"{at}"
                now = verdict(state, tried, now=at, policy=policy, model=MODEL, alone=alone)
                assert now.state is State.PROBING


def test_key_that_was_never_blocked_needs_no_trial() -> None:
    state = after(went_well(), trial(NOW + 1))
    assert judged(state, NOW + 2).eligible
    assert not judged(state, NOW + 2).trial
