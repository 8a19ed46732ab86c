"""The pool as it is shown agrees with the pool as it is used."""

from dataclasses import replace

import pytest
from hypothesis import given

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import FaultKind, Scope
from okr_tui.domain.fold import fold
from okr_tui.domain.forecast import full_at, pool_empty_at
from okr_tui.domain.health import State
from okr_tui.domain.quota import Sample
from okr_tui.domain.records import Disabled, Record
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import ModelAccess, PoolView, brackets, view
from tests.domain.facts import (
    KEYS,
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
    went_well,
    windows,
)
from tests.domain.histories import HISTORIES, TIMES


def shown(state: PoolState, pool: PoolConfig | None = None, now: float = NOW, **flights: int) -> PoolView:
    return view(state, pool or config(3, preferred=A), POLICY, now, flights)


def test_empty_pool_shows_nothing() -> None:
    empty = shown(PoolState(), config(0))
    assert (empty.keys, empty.active, empty.preferred, empty.earliest) == ((), None, None, None)


def test_a_pool_whose_only_good_key_is_answering_waits_for_it() -> None:
    """It is not blocked: the answer under way ends in seconds, while the spent key is back in hours."""
    known = [belongs(A, "amber"), belongs(B, "birch", plan="free")]
    state = after(*known, failed(FaultKind.SPENT, window="weekly"))
    busy = shown(state, config(2), birch=1)
    assert busy.active is None
    assert busy.waits_for_slot
    assert not shown(state, config(2)).waits_for_slot
    assert not shown(state, config(1)).waits_for_slot


def test_forecast_is_the_same_whether_a_key_answers_just_now_or_not() -> None:
    """Header, details and JSON come from processes with different requests under way."""
    readings = [reading(NOW + 600 * step, windows(10 + 10 * step)) for step in range(4)]
    state = after(belongs(A, "amber", plan="free"), *readings)
    now = NOW + 1800
    free, busy = shown(state, config(1), now), shown(state, config(1), now, amber=1)
    assert (free.keys[0].verdict.eligible, busy.keys[0].verdict.eligible) == (True, False)
    assert free.empty_at is not None
    assert free.empty_at == busy.empty_at


def test_bought_credit_is_in_the_row() -> None:
    rows = shown(after(reading(NOW, dollars(0, bought=3.5)))).keys
    assert [row.bought_usd for row in rows] == [3.5, 0, 0]


def test_what_refuses_all_accounts_is_shown_as_an_outage() -> None:
    refused = [failed(FaultKind.FORBIDDEN, NOW, key, status=403, text="forbidden") for key in (A, B)]
    outage = shown(after(*refused), config(2)).outage
    assert outage is not None
    assert (outage.reason, outage.until) == ("forbidden", NOW + 10)
    assert shown(after(*refused), config(3)).outage is None


def test_row_says_what_is_known_of_a_key() -> None:
    state = after(
        belongs(A, "amber", plan="pro"),
        reading(NOW - 20, windows(30, 10)),
        went_well(NOW - 5),
        failed(FaultKind.SLOWED, NOW - 1),
        failed(FaultKind.NO_PLAN, NOW - 1, model=OTHER_MODEL),
    )
    row = shown(state, amber=2).keys[0]
    assert (row.index, row.fingerprint, row.masked, row.origin) == (1, A, KEYS[0].masked, "global")
    assert (row.account, row.plan, row.slots, row.in_flight) == ("amber", "pro", 3, 2)
    assert (row.used_percent, row.read_at) == (30, NOW - 20)
    assert (row.requests, row.faults, row.last_fault_at) == (3, 2, NOW - 1)
    assert (row.state, row.preferred, row.blocked_models) == (State.SLOWED, True, (OTHER_MODEL,))


def test_keys_of_one_account_say_so() -> None:
    state = after(belongs(A, "amber"), belongs(C, "amber"))
    first, other, last = shown(state).keys
    assert (first.account_keys, first.same_as) == ((1, 3), None)
    assert (other.account_keys, other.same_as) == ((2,), None)
    assert (last.account_keys, last.same_as) == ((1, 3), 1)


def test_a_refused_key_does_not_hide_the_quota_of_its_account() -> None:
    known = [belongs(key, "amber") for key in (A, B, C)]
    refused = failed(FaultKind.UNAUTHORIZED, status=401, text="unauthorized")
    assert [row.same_as for row in shown(after(*known, refused)).keys] == [2, None, 2]
    off = Disabled(at=NOW, fingerprint=B)
    assert [row.same_as for row in shown(after(*known, refused, off)).keys] == [3, 3, None]
    alone = [failed(FaultKind.UNAUTHORIZED, key=key, status=401, text="unauthorized") for key in (A, B, C)]
    assert [row.same_as for row in shown(after(*known, *alone)).keys] == [None, 1, 1]


def test_keys_are_counted_by_state() -> None:
    state = after(went_well(), failed(FaultKind.SPENT, key=B, window="weekly"))
    assert shown(state).counts == {State.READY: 1, State.SPENT: 1, State.UNVERIFIED: 1}


def test_outage_is_shown_while_it_lasts() -> None:
    state = after(failed(FaultKind.TRANSIENT), failed(FaultKind.TRANSIENT, NOW + 1, B))
    outage = shown(state, now=NOW + 1).outage
    assert outage is not None
    assert (outage.reason, outage.until) == ("the cloud does not answer", NOW + 11)
    assert shown(state, now=NOW + 11).outage is None


@given(HISTORIES, TIMES)
def test_view_agrees_with_verdict_and_choice(records: list[Record], now: float) -> None:
    state = fold(records, POLICY)
    pool = config(3, preferred=B)
    seen = shown(state, pool, now)
    choice = chosen(state, pool, now, model=None)
    assert seen.active == pool.index(choice.key.fingerprint if choice.key else None)
    assert (seen.why, seen.earliest) == (choice.why, choice.earliest)
    assert tuple(row.verdict for row in seen.keys) == choice.verdicts
    assert [row.preferred for row in seen.keys] == [False, True, False]


def test_models_keys_are_those_that_may_use_it_whatever_is_spent() -> None:
    state = after(
        failed(FaultKind.NO_PLAN, key=A),
        failed(FaultKind.SPENT, key=B, window="weekly"),
        Disabled(at=NOW, fingerprint=C),
    )
    rows = shown(state).keys
    assert ModelAccess.of(state, rows, NOW).keys(MODEL) == (2,)
    assert ModelAccess.of(state, rows, NOW).keys(OTHER_MODEL) == (1, 2)


def test_gone_model_has_no_keys_and_an_overloaded_one_keeps_them() -> None:
    gone = after(failed(FaultKind.GONE))
    assert ModelAccess.of(gone, shown(gone).keys, NOW).keys(MODEL) == ()
    overload = [failed(FaultKind.TRANSIENT, NOW, key, scope=Scope.MODEL) for key in (A, B)]
    state = after(*overload)
    assert not judged(state).eligible
    assert ModelAccess.of(state, shown(state).keys, NOW).keys(MODEL) == (1, 2, 3)


def filling(key: str, start: float, per_minute: float) -> list[Record]:
    return [
        reading(NOW - 600 + 60 * minute, windows(start + per_minute * minute), key) for minute in range(11)
    ]


def test_a_pool_that_hardly_shrinks_is_empty_at_no_date() -> None:
    state = after(reading(NOW - 3600, windows(0)), reading(NOW, windows(1e-6)))
    assert shown(state, config(1)).empty_at is None


def test_pool_is_empty_when_all_usable_accounts_are() -> None:
    state = after(*filling(A, 40, 1), *filling(B, 10, 2))
    assert shown(state, config(1)).empty_at == pytest.approx(NOW + 50 * 60)
    assert shown(state, config(2)).empty_at == pytest.approx(NOW + (50 + 70) / 3 * 60)


def test_account_that_cannot_be_used_does_not_count() -> None:
    state = after(*filling(A, 40, 1), *filling(B, 10, 2), failed(FaultKind.SPENT, key=B, window="weekly"))
    assert shown(state, config(2)).empty_at == pytest.approx(NOW + 50 * 60)


def test_nothing_is_forecast_without_readings_of_every_usable_account() -> None:
    state = after(*filling(A, 40, 1))
    assert shown(state, config(2)).empty_at is None
    assert shown(PoolState()).empty_at is None
    assert shown(after(reading(NOW, windows(50))), config(1)).empty_at is None


def test_pool_that_stands_still_is_never_empty() -> None:
    assert shown(after(*filling(A, 40, 0)), config(1)).empty_at is None


def test_the_view_says_from_when_a_forecast_is_made() -> None:
    policy = replace(POLICY, forecast_least=8)
    assert view(PoolState(), config(1), policy, NOW).forecast_least == 8


def test_keys_of_one_account_are_forecast_once() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), *filling(A, 40, 1))
    assert pool_empty_at(state, [A, B], NOW) == pytest.approx(NOW + 50 * 60)
    without = replace(state.account("amber"), samples=(Sample(NOW, 5),))
    assert pool_empty_at(replace(state, accounts={"amber": without}), [A, B], NOW) is None


def test_a_window_that_starts_over_before_the_pool_is_empty_forbids_the_forecast() -> None:
    def until(end: float) -> PoolView:
        filled = [reading(NOW - 600 + 60 * n, windows(40 + n, end=end)) for n in range(11)]
        return shown(after(*filled), config(1))

    assert until(NOW + 49 * 60).empty_at is None
    assert until(NOW + 51 * 60).empty_at == pytest.approx(NOW + 50 * 60)


def test_neighbours_of_one_account_are_joined_by_brackets() -> None:
    state = after(*(belongs(key, "amber") for key in (A, B, C)), belongs(KEYS[4].fingerprint, "amber"))
    rows = shown(state, config(5)).keys
    assert "".join(brackets(rows)) == "┌│└  "
    assert "".join(brackets(rows[1:])) == "┌└  "
    assert brackets(()) == ()


def test_a_key_says_why_it_is_not_taken_and_which_models_it_may_not_use() -> None:
    first, second, third = shown(after(failed(FaultKind.NO_PLAN), failed(FaultKind.SPENT, key=B))).keys
    assert first.models[0][0] == MODEL
    assert first.models[0][1].until is not None
    assert second.reason == "quota spent"
    assert third.reason


def test_a_pinned_key_that_is_out_while_others_could_answer_is_reported() -> None:
    state = after(failed(FaultKind.SPENT, window="weekly"))
    assert shown(state, config(2, preferred=A, strategy="pinned")).is_pinned_away
    assert not shown(state, config(2, preferred=A)).is_pinned_away
    assert not shown(state, config(1, preferred=A, strategy="pinned")).is_pinned_away
    assert not shown(PoolState(), config(2, preferred=A, strategy="pinned")).is_pinned_away


def test_a_pool_is_blocked_when_every_key_is_for_longer_than_an_answer() -> None:
    known = [belongs(A, "amber"), belongs(B, "birch", plan="free")]
    state = after(*known, failed(FaultKind.SPENT, window="weekly"))
    assert shown(state, config(1)).is_blocked
    assert not shown(state, config(2)).is_blocked
    assert not shown(state, config(2), birch=1).is_blocked
    assert not shown(PoolState(), config(0)).is_blocked


def test_an_account_is_full_at_its_pace_unless_its_window_is_reset_before() -> None:
    samples = [Sample(NOW, 10), Sample(NOW + 600, 20)]
    full = NOW + 600 + 80 * 60
    assert full_at(None, samples) == full
    assert full_at(windows(20, end=full), samples) == full
    assert full_at(windows(20, end=full - 1), samples) is None
    assert full_at(windows(20), samples[:1]) is None
