"""Refused keys, refused accounts, models that a plan lacks and models that are gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.quota import Balance
from okr_tui.domain.records import Record
from okr_tui.domain.state import Block, PoolState
from tests.domain.facts import (
    MODEL,
    NOW,
    OTHER_MODEL,
    POLICY,
    A,
    B,
    C,
    after,
    belongs,
    chosen,
    config,
    dollars,
    failed,
    judged,
    reading,
    refused_reading,
    trial,
    went_well,
    windows,
)

UNAUTHORIZED = FaultKind.UNAUTHORIZED
FORBIDDEN = FaultKind.FORBIDDEN
NO_PLAN = FaultKind.NO_PLAN
DAY = 86400


def invalid(state: PoolState) -> Block:
    return state.key(A).blocks[BlockCause.INVALID]


def suspended(state: PoolState) -> Block:
    return state.account(state.account_of(A)).blocks[BlockCause.SUSPENDED]


def test_refused_key_is_doubted_until_a_reading_tells() -> None:
    state = after(failed(UNAUTHORIZED, status=401, text="Unauthorized"))
    found = judged(state)
    assert (found.state, found.eligible) == (State.INVALID, False)
    assert found.reason == "401 Unauthorized, being confirmed"
    assert not invalid(state).confirmed
    assert invalid(state).recheck == NOW + 2


def test_second_refusal_by_a_reading_makes_the_key_invalid_for_good() -> None:
    state = after(failed(UNAUTHORIZED), refused_reading(UNAUTHORIZED, NOW + 2))
    assert invalid(state).confirmed
    assert judged(state, NOW + 30 * DAY).state is State.INVALID
    assert judged(state).until is None


def test_accepted_reading_turns_the_refusal_into_a_passing_fault() -> None:
    state = after(went_well(NOW - 9), failed(UNAUTHORIZED), reading(NOW + 2, windows(5), started=NOW + 1))
    assert judged(state, NOW + 2).state is State.READY


def test_accepted_identity_settles_the_doubt_too() -> None:
    state = after(failed(UNAUTHORIZED), belongs(A, "amber", NOW + 3))
    assert judged(state, NOW + 3).eligible


def test_reading_begun_before_the_refusal_settles_nothing() -> None:
    state = after(failed(UNAUTHORIZED), reading(NOW + 2, windows(5), started=NOW - 1))
    assert not judged(state, NOW + 2).eligible


def test_one_refused_reading_alone_is_a_doubt_that_is_looked_at_again_at_once() -> None:
    state = after(refused_reading(UNAUTHORIZED, NOW))
    assert (invalid(state).confirmed, invalid(state).recheck) == (False, NOW + 2)
    assert invalid(fold([refused_reading(UNAUTHORIZED, NOW + 3)], POLICY, state)).confirmed


def test_chat_refusals_alone_never_make_a_key_invalid_for_good() -> None:
    state = after(*(failed(UNAUTHORIZED, NOW + at) for at in range(0, 3000, 300)))
    assert not invalid(state).confirmed


def test_invalid_key_is_looked_at_less_and_less_often() -> None:
    state = after(failed(UNAUTHORIZED), refused_reading(UNAUTHORIZED, NOW + 2))
    waits = []
    for _ in range(5):
        recheck = invalid(state).recheck
        assert recheck is not None
        again = refused_reading(UNAUTHORIZED, recheck + 1, started=recheck)
        state = fold([again], POLICY, state)
        next_look = invalid(state).recheck
        assert next_look is not None
        waits.append(next_look - again.at)
    assert waits == [3600, 6 * 3600, DAY, DAY, DAY]


def test_two_readings_at_once_count_as_one_look() -> None:
    looks = [refused_reading(UNAUTHORIZED, NOW + 2 + more) for more in (0, 0.1, 0.2)]
    state = after(failed(UNAUTHORIZED), *looks)
    assert invalid(state).recheck == NOW + 2.2 + 300


def test_late_chat_refusal_does_not_bring_the_doubt_back() -> None:
    confirmed = after(failed(UNAUTHORIZED), refused_reading(UNAUTHORIZED, NOW + 2))
    assert fold([failed(UNAUTHORIZED, NOW + 9)], POLICY, confirmed).key(A).blocks == confirmed.key(A).blocks


def test_refused_key_leaves_other_keys_of_its_account_alone() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(UNAUTHORIZED))
    assert judged(state, key=B).eligible


def test_refusal_by_an_endpoint_the_cloud_lacks_changes_nothing() -> None:
    state = after(went_well(NOW - 9), failed(FaultKind.ENDPOINT, path="/api/embed"))
    assert judged(state).state is State.READY
    assert state.key(A).faults == 0


def test_forbidden_account_is_suspended_when_the_balance_is_refused_too() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(FORBIDDEN))
    assert judged(state, key=B).state is State.SUSPENDED
    state = fold([refused_reading(FORBIDDEN, NOW + 2)], POLICY, state)
    assert suspended(state).confirmed
    assert suspended(state).recheck == NOW + 2 + DAY
    assert judged(state, NOW + 30 * DAY, B).state is State.SUSPENDED


@given(st.floats(-5, 5), st.booleans())
def test_success_lifts_a_suspension_that_began_before_its_request_and_no_other(
    began: float, confirmed: bool
) -> None:
    second = [refused_reading(FORBIDDEN, NOW + 2)] if confirmed else []
    state = after(failed(FORBIDDEN), *second, went_well(NOW + 6, started=NOW + began))
    blocks = state.account(state.account_of(A)).blocks
    assert (BlockCause.SUSPENDED in blocks) is (NOW + began <= NOW)


def test_forbidden_with_a_readable_balance_blocks_only_the_model_and_briefly() -> None:
    state = after(failed(FORBIDDEN), reading(NOW + 2, windows(5), started=NOW + 1))
    assert judged(state, NOW + 2, model=OTHER_MODEL).eligible
    assert not judged(state, NOW + 299).eligible
    assert judged(state, NOW + 300).eligible


def refused_alike(*keys: str, gap: float = 20) -> list[Record]:
    """Every account is refused in its turn, and so is the reading that looks into it."""
    records: list[Record] = []
    for index, key in enumerate(keys):
        at = NOW + index * gap
        records += [failed(FORBIDDEN, at, key), refused_reading(FORBIDDEN, at + 2, key)]
    return records


def test_what_refuses_all_accounts_is_not_about_any_of_them() -> None:
    state = after(*refused_alike(A, B, C))
    found = chosen(state, config(3), NOW + 43).verdicts
    assert [(judged.state, judged.until) for judged in found] == [(State.OUTAGE, NOW + 50)] * 3
    at = NOW + 50
    for wait in (20, 40, 60, 60):
        choice = chosen(state, config(3), at)
        assert choice.trial
        state = fold([trial(at)], POLICY, state)
        assert chosen(state, config(3), at + 0.1).key is None, "one request is the look"
        state = fold([failed(FORBIDDEN, at + 1, started=at)], POLICY, state)
        assert chosen(state, config(3), at + wait).key is None
        at += 1 + wait
    state = fold([went_well(at, B, started=at - 0.5)], POLICY, state)
    assert all(judged.eligible for judged in chosen(state, config(3), at).verdicts)


def test_a_request_begun_as_the_refusal_came_says_nothing_of_other_accounts() -> None:
    state = after(
        failed(FORBIDDEN, NOW - 5, B), failed(FORBIDDEN, NOW, A), went_well(NOW + 1, A, started=NOW)
    )
    assert not judged(state, NOW + 1, B).eligible


def test_bought_credit_makes_no_refusal_shorter() -> None:
    state = after(reading(NOW - 60, dollars(0, bought=10)), failed(NO_PLAN))
    assert not judged(state, NOW + DAY - 1).eligible


def test_one_account_that_is_not_refused_makes_it_a_matter_of_the_others() -> None:
    state = after(*refused_alike(A, B))
    verdicts = chosen(state, config(3), NOW + 60).verdicts
    assert [judged.state for judged in verdicts] == [State.SUSPENDED, State.SUSPENDED, State.UNVERIFIED]


def test_accounts_refused_at_different_times_are_each_suspended() -> None:
    state = after(*refused_alike(A, B, gap=61))
    verdicts = chosen(state, config(2), NOW + 70).verdicts
    assert [judged.state for judged in verdicts] == [State.SUSPENDED] * 2


def test_accounts_that_are_spent_do_not_speak_against_a_common_cause() -> None:
    spent = failed(FaultKind.SPENT, NOW - 9, C, window="weekly")
    verdicts = chosen(after(spent, *refused_alike(A, B)), config(3), NOW + 25).verdicts
    assert [judged.state for judged in verdicts] == [State.OUTAGE, State.OUTAGE, State.SPENT]


def test_narrower_block_never_shortens_a_missing_plan() -> None:
    state = after(failed(NO_PLAN), failed(FORBIDDEN, NOW + 1), reading(NOW + 9, windows(5)))
    found = judged(state, NOW + 3600)
    assert (found.state, found.until) == (State.NO_PLAN, NOW + DAY)


def test_suspended_account_returns_when_its_balance_is_readable_again() -> None:
    state = after(failed(FORBIDDEN), refused_reading(FORBIDDEN, NOW + 2), reading(NOW + DAY, windows(5)))
    assert judged(state, NOW + DAY).eligible


def test_one_refused_balance_alone_does_not_suspend_for_good() -> None:
    assert not suspended(after(refused_reading(FORBIDDEN, NOW))).confirmed


def test_missing_plan_blocks_the_account_for_one_model_and_a_day() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(NO_PLAN))
    for key in (A, B):
        assert judged(state, key=key).state is State.NO_PLAN
        assert judged(state, key=key, model=OTHER_MODEL).eligible
        assert judged(state, key=key, model=None).eligible
        assert judged(state, NOW + DAY, key).eligible
        assert not judged(state, NOW + DAY - 1, key).eligible


@pytest.mark.parametrize(
    "change",
    [
        belongs(A, "amber", NOW + 60, plan="pro"),
        reading(NOW + 60, dollars(1, bought=5)),
        went_well(NOW + 60),
    ],
)
def test_missing_plan_is_lifted_by_a_plan_bought_credit_or_a_test(change: Record) -> None:
    state = after(belongs(A, "amber", plan="free"), reading(NOW - 60, dollars(1)), failed(NO_PLAN), change)
    assert judged(state, NOW + 60).eligible


@pytest.mark.parametrize(
    "sameness",
    [
        belongs(A, "amber", NOW + 60, plan="free"),
        reading(NOW + 60, dollars(1, bought=5)),
        reading(NOW + 60, dollars(60, bought=2)),
        reading(NOW + 60, dollars(1, bought=9), started=NOW - 1),
        belongs(A, "amber", NOW - 1, plan="pro"),
    ],
)
def test_missing_plan_stays_while_nothing_was_bought_since(sameness: Record) -> None:
    before = reading(NOW - 60, dollars(1, bought=5))
    state = after(belongs(A, "amber", plan="free"), before, failed(NO_PLAN), sameness)
    assert not judged(state, NOW + 60).eligible


@pytest.mark.parametrize(
    ("bought", "left"),
    [
        (belongs(A, "amber", NOW - 5, plan="pro"), dollars(1)),
        (reading(NOW - 5, dollars(1, bought=5)), dollars(1, bought=5)),
    ],
)
def test_a_request_that_came_before_what_was_bought_was_booked_is_made_again(
    bought: Record, left: Balance
) -> None:
    state = after(belongs(A, "amber", plan="free"), reading(NOW - 60, dollars(1)), bought, failed(NO_PLAN))
    state = fold([reading(NOW + 60, left)], POLICY, state)
    assert not judged(state, NOW + 60).eligible
    state = fold([reading(NOW + 150, left)], POLICY, state)
    assert judged(state, NOW + 150).eligible
    state = fold([failed(NO_PLAN, NOW + 160), reading(NOW + 400, left)], POLICY, state)
    assert not judged(state, NOW + 400).eligible


def test_learning_the_plan_for_the_first_time_is_not_a_change() -> None:
    state = after(failed(NO_PLAN), belongs(A, "amber", NOW + 60, plan="free"))
    assert judged(state, NOW + 60).state is State.NO_PLAN


def test_gone_model_is_gone_for_every_key_and_no_key_is_blamed() -> None:
    state = after(went_well(NOW - 50), went_well(NOW - 50, B), failed(FaultKind.GONE))
    for key in (A, B):
        assert judged(state, key=key).state is State.GONE
        assert judged(state, key=key, model=OTHER_MODEL).state is State.READY
    assert state.key(A).faults == 0
    assert judged(state, NOW + 3600).eligible


def test_gone_model_that_answers_again_is_back() -> None:
    state = after(failed(FaultKind.GONE), went_well(NOW + 5, B))
    assert judged(state, NOW + 5).eligible


def test_callers_own_error_changes_nothing_but_the_count_of_requests() -> None:
    quiet = after(went_well(NOW - 9))
    state = fold([failed(FaultKind.REQUEST, NOW + at) for at in range(9)], POLICY, quiet)
    assert judged(state) == judged(quiet)
    assert (state.key(A).faults, state.key(A).last_fault) == (0, None)
    assert (state.accounts, state.models, state.clouds) == (quiet.accounts, quiet.models, quiet.clouds)


def test_output_limit_is_remembered_for_the_model() -> None:
    state = after(failed(FaultKind.REQUEST, max_output=65536))
    assert state.model(MODEL).max_output == 65536
    assert fold([went_well(NOW + 9)], POLICY, state).model(MODEL).max_output == 65536
    assert judged(state).eligible


def test_an_account_that_was_refused_again_meanwhile_stays_refused() -> None:
    """Two accounts were refused alike; the second met it again after the request began that went well."""
    alike = [failed(FaultKind.FORBIDDEN, NOW, key, status=403) for key in (A, B)]
    lifted = after(*alike, went_well(NOW + 30, A, started=NOW + 20))
    assert BlockCause.SUSPENDED not in lifted.account(B).blocks
    again = failed(FaultKind.FORBIDDEN, NOW + 25, B, status=403)
    kept = after(*alike, again, went_well(NOW + 30, A, started=NOW + 20))
    assert BlockCause.SUSPENDED in kept.account(B).blocks
    assert BlockCause.SUSPENDED not in kept.account(A).blocks
