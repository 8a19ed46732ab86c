"""Passing faults: shaky keys, overloaded models, an outage of the whole cloud, and the sole account."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import FaultKind, Scope
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.records import Attempt, SettingsRead
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    NOW,
    OTHER_MODEL,
    POLICY,
    A,
    B,
    C,
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

TRANSIENT = FaultKind.TRANSIENT


def outage_until(state: PoolState) -> float | None:
    outage = state.service("").outage
    return outage.until if outage else None


def test_one_passing_fault_blocks_nothing() -> None:
    state = after(failed(TRANSIENT))
    assert judged(state).eligible
    assert judged(state, key=B).eligible


def test_key_that_fails_again_while_others_succeed_is_shaky_for_a_while() -> None:
    state = after(went_well(NOW - 5, B), failed(TRANSIENT), went_well(NOW + 1, B), failed(TRANSIENT, NOW + 2))
    found = judged(state, NOW + 2)
    assert (found.state, found.eligible, found.until) == (State.SHAKY, False, NOW + 32)
    assert judged(state, NOW + 2, B).eligible
    assert judged(state, NOW + 32).trial


def test_success_between_the_faults_keeps_a_key_from_being_shaky() -> None:
    records = [went_well(NOW - 5, B), failed(TRANSIENT), went_well(NOW + 1), failed(TRANSIENT, NOW + 2)]
    assert judged(after(*records), NOW + 2).eligible


def test_key_is_not_shaky_when_no_other_key_succeeds() -> None:
    state = after(went_well(NOW - 500, B), failed(TRANSIENT), failed(TRANSIENT, NOW + 1))
    assert judged(state, NOW + 1).state is not State.SHAKY


def test_two_accounts_that_fail_together_are_an_outage_for_all() -> None:
    state = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 30, B))
    for key in (A, B, C):
        found = judged(state, NOW + 30, key)
        assert (found.state, found.eligible, found.until) == (State.OUTAGE, False, NOW + 40)


def test_faults_far_apart_are_not_an_outage() -> None:
    assert outage_until(after(failed(TRANSIENT), failed(TRANSIENT, NOW + 30.1, B))) is None


def test_success_between_the_faults_is_not_an_outage() -> None:
    assert (
        outage_until(after(failed(TRANSIENT), went_well(NOW + 1, C), failed(TRANSIENT, NOW + 2, B))) is None
    )


def test_only_account_makes_an_outage_with_its_third_fault() -> None:
    two = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 1))
    assert outage_until(two) is None
    assert outage_until(fold([failed(TRANSIENT, NOW + 2)], POLICY, two)) == NOW + 12


def test_keys_of_one_account_do_not_make_an_outage_together() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(TRANSIENT), failed(TRANSIENT, NOW + 1, B))
    assert outage_until(state) is None


def named(records: list[Attempt], request: str) -> list[Attempt]:
    """Return the sends of one request."""
    return [replace(record, request=request) for record in records]


@pytest.mark.parametrize("repeats", [1, 4])
def test_what_one_request_met_is_one_observation(repeats: int) -> None:
    """A prompt that breaks the cloud must not block the pool, however often it is sent."""
    sends = [failed(TRANSIENT, NOW + at, key) for at, key in enumerate((A, A, B) * repeats)]
    state = after(went_well(NOW - 5, C), *named(sends, "bad prompt"))
    assert outage_until(state) is None
    assert all(judged(state, NOW + len(sends), key).eligible for key in (A, B, C))
    other = named([failed(TRANSIENT, NOW + 10, C)], "another prompt")
    assert outage_until(fold(other, POLICY, state)) == NOW + 20


def test_one_prompt_is_neither_an_outage_of_the_only_account_nor_an_overload() -> None:
    for scope in (Scope.SERVICE, Scope.MODEL):
        keys = (A,) * 5 if scope is Scope.SERVICE else (A, B, C)
        sends = [failed(TRANSIENT, NOW + at, key, scope=scope) for at, key in enumerate(keys)]
        state = after(*named(sends, "bad prompt"))
        assert judged(state, NOW + 5).eligible


def test_the_request_that_made_an_outage_does_not_prolong_it() -> None:
    state = after(
        *named([failed(TRANSIENT)], "one"),
        *named([failed(TRANSIENT, NOW + 1, B)], "two"),
    )
    for request, until in (("one", NOW + 11), ("two", NOW + 11), ("three", NOW + 33)):
        again = named([failed(TRANSIENT, NOW + 13, C, started=NOW + 12)], request)
        assert outage_until(fold(again, POLICY, state)) == until


def test_a_refusal_on_the_way_blocks_no_key_and_soon_makes_an_outage() -> None:
    words = "something between here and the cloud refuses: HTTP 403, HTML"
    pages = [failed(FaultKind.PATH, NOW + at, text=words, status=403) for at in range(3)]
    state = after(went_well(NOW - 6, A), went_well(NOW - 5, B), *pages[:2])
    assert judged(state, NOW + 1).state is State.READY
    assert state.key(A).faults == 0
    state = fold(pages[2:], POLICY, state)
    found = judged(state, NOW + 2, B)
    assert (found.state, found.reason, found.until) == (State.OUTAGE, words, NOW + 12)
    about_one = [failed(FaultKind.PATH, NOW + at, scope=Scope.REQUEST, status=413) for at in range(5)]
    assert outage_until(after(*about_one)) is None


def test_account_that_gets_its_name_between_two_faults_stays_one_account() -> None:
    state = after(failed(TRANSIENT), belongs(A, "amber", NOW + 1), failed(TRANSIENT, NOW + 2))
    assert outage_until(state) is None


def test_outage_waits_grow_with_each_failed_trial() -> None:
    state = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 1, B))
    end = outage_until(state)
    for wait in (20, 40, 60, 60):
        assert end is not None
        state = fold([trial(end), failed(TRANSIENT, end + 1, started=end)], POLICY, state)
        assert outage_until(state) == end + 1 + wait
        end = outage_until(state)


def test_requests_that_were_out_when_the_outage_began_do_not_prolong_it() -> None:
    state = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 1, B))
    late = [failed(TRANSIENT, NOW + 5, key, started=NOW - 3) for key in (A, B, C)]
    assert outage_until(fold(late, POLICY, state)) == NOW + 11


def test_outage_is_tried_by_one_request_in_the_whole_pool() -> None:
    state = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 1, B))
    assert chosen(state, config(3), NOW + 11).trial
    state = fold([trial(NOW + 11)], POLICY, state)
    assert chosen(state, config(3), NOW + 12).key is None
    assert judged(state, NOW + 12, C).state is State.PROBING


def test_success_of_a_new_request_ends_the_outage_and_of_an_old_one_does_not() -> None:
    state = after(failed(TRANSIENT), failed(TRANSIENT, NOW + 1, B))
    assert outage_until(fold([went_well(NOW + 3, C, started=NOW - 5)], POLICY, state)) == NOW + 11
    assert outage_until(fold([went_well(NOW + 12, C, started=NOW + 11)], POLICY, state)) is None


def test_overloaded_model_rests_once_two_accounts_have_met_it() -> None:
    one = after(failed(TRANSIENT, scope=Scope.MODEL))
    assert judged(one).eligible
    both = fold([failed(TRANSIENT, NOW + 1, B, scope=Scope.MODEL)], POLICY, one)
    found = judged(both, NOW + 1, C)
    assert (found.eligible, found.until) == (False, NOW + 31)
    assert judged(both, NOW + 1, C, model=OTHER_MODEL).eligible
    assert outage_until(both) is None


def test_model_met_overloaded_by_an_account_before_and_after_it_is_named_does_not_rest() -> None:
    first, second = (failed(TRANSIENT, NOW + at, scope=Scope.MODEL) for at in (0, 2))
    assert judged(after(first, belongs(A, "amber", NOW + 1), second), NOW + 3, B).eligible
    other = failed(TRANSIENT, NOW + 2, B, scope=Scope.MODEL)
    assert not judged(after(first, belongs(A, "amber", NOW + 1), other), NOW + 3, C).eligible


def test_overloaded_model_makes_no_key_shaky() -> None:
    records = [failed(TRANSIENT, NOW + at, scope=Scope.MODEL) for at in (0, 2, 4)]
    state = after(went_well(NOW - 5, B, model=OTHER_MODEL), *records)
    assert judged(state, NOW + 4, model=OTHER_MODEL).eligible


def test_overload_never_shortens_the_block_of_a_model_that_is_gone() -> None:
    state = after(
        failed(FaultKind.GONE),
        failed(TRANSIENT, NOW + 1, scope=Scope.MODEL),
        failed(TRANSIENT, NOW + 2, B, scope=Scope.MODEL),
    )
    assert judged(state, NOW + 600).state is State.GONE


@given(st.lists(st.floats(0, 40), min_size=1, max_size=12), st.sampled_from(list(Scope)))
def test_sole_account_is_never_kept_back_longer_than_ten_seconds(gaps: list[float], scope: Scope) -> None:
    state, at = PoolState(), NOW
    for gap in gaps:
        at += gap
        state = fold([failed(TRANSIENT, at, started=at, scope=scope)], POLICY, state)
        found = chosen(state, config(1), at).verdicts[0]
        assert found.eligible or (found.until is not None and found.until <= at + 10)


def test_sole_account_rests_again_after_each_failed_trial() -> None:
    state = after(*(failed(TRANSIENT, NOW + at) for at in range(3)))
    at = NOW + 2
    for _ in range(8):
        assert chosen(state, config(1), at + 1).key is None
        at += 10
        assert chosen(state, config(1), at).trial
        state = fold([trial(at), failed(TRANSIENT, at, started=at)], POLICY, state)


@pytest.mark.parametrize("names", [("amber", "amber"), ("amber", "birch")])
def test_keys_of_one_account_are_a_sole_account(names: tuple[str, str]) -> None:
    faults = [failed(TRANSIENT, NOW + at, key) for at, key in enumerate((A, B, A, B))]
    state = after(belongs(A, names[0]), belongs(B, names[1]), *faults)
    step = fold([failed(TRANSIENT, NOW + 20, started=NOW + 14)], POLICY, state)
    patient = chosen(step, config(2), NOW + 31).key is None
    assert patient is (names[0] != names[1])


def test_caller_that_went_away_is_not_a_fault() -> None:
    gone_away = replace(failed(TRANSIENT), outcome="cancelled")
    state = after(*[gone_away] * 5)
    assert judged(state).eligible
    assert (state.key(A).faults, state.key(A).requests) == (0, 5)


def test_an_outage_belongs_to_its_cloud_and_outlasts_a_change_of_the_address() -> None:
    one, other = "https://one.example", "http://127.0.0.1:8080"
    failures = [
        replace(failed(TRANSIENT, NOW + at, key), request=key, cloud=one) for at, key in ((0, A), (1, B))
    ]
    state = after(*failures)
    there, here = (replace(config(2), cloud=cloud) for cloud in (one, other))
    assert chosen_key(state, there, NOW + 2) is None
    assert chosen_key(state, here, NOW + 2) == A
    moved = SettingsRead(at=NOW + 3, keys=2, cloud_url=other)
    state = fold([moved, replace(went_well(NOW + 5, started=NOW + 4), cloud=other)], POLICY, state)
    assert chosen_key(state, there, NOW + 6) is None
    state = fold([replace(went_well(NOW + 8, started=NOW + 7), cloud=one)], POLICY, state)
    assert chosen_key(state, there, NOW + 9) == A
