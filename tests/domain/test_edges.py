"""The edges: what happens exactly at a limit, and what stands when two rules meet."""

import pytest

from okr_tui.domain.faults import FaultKind, Scope
from okr_tui.domain.fold import fold
from okr_tui.domain.forecast import burn_rate
from okr_tui.domain.health import State
from okr_tui.domain.quota import Balance, Credits, Sample, Window
from okr_tui.domain.records import Reset
from tests.domain.facts import (
    MODEL,
    NOW,
    POLICY,
    A,
    B,
    after,
    belongs,
    dollars,
    failed,
    judged,
    reading,
    trial,
    went_well,
    windows,
)

TRANSIENT, SPENT = FaultKind.TRANSIENT, FaultKind.SPENT


def test_a_reading_begun_just_when_usage_shows_lifts_a_spent_block() -> None:
    begun = NOW + POLICY.balance_lag
    spent = failed(SPENT, NOW, window="session")
    assert judged(after(spent, reading(begun + 1, windows(5), started=begun)), begun + 1).eligible
    early = reading(begun + 1, windows(5), started=begun - 0.001)
    assert not judged(after(spent, early), begun + 1).eligible


@pytest.mark.parametrize(("ago", "shaky"), [(0.0, True), (0.001, False)])
def test_a_success_of_another_key_counts_within_the_window_of_an_outage(ago: float, shaky: bool) -> None:
    success = went_well(NOW - POLICY.outage_window - ago, key=B)
    state = after(success, failed(TRANSIENT, NOW), failed(TRANSIENT, NOW + 1))
    assert (judged(state, NOW + 1).state is State.SHAKY) is shaky


def test_a_reset_ends_the_trial_of_a_key() -> None:
    """Else all others would wait for one that tests a block that is gone."""
    state = after(failed(SPENT, NOW, window="session"))
    until = judged(state, NOW + 1).until
    assert until is not None
    tried = fold([trial(until)], POLICY, state)
    assert tried.key(A).trial_at == until
    assert fold([Reset(at=until + 1, fingerprint=A)], POLICY, tried).key(A).trial_at is None


def test_readings_exactly_as_far_apart_as_asked_give_a_pace() -> None:
    assert burn_rate((Sample(NOW, 10), Sample(NOW + 60, 11)), least=60) == pytest.approx(1 / 60)


def test_an_empty_balance_is_not_a_limit_next_to_a_known_window() -> None:
    """A plan with windows shows 0 dollars: it never had any."""
    assert Balance((Window("session", 20.0),), Credits(0.0)).included_percent == 20.0
    assert Balance((), Credits(0.0)).included_percent == 100.0
    assert Balance((Window("session", 20.0),), Credits(6.0, 60.0)).included_percent == 90.0


@pytest.mark.parametrize("window", ["session", "weekly", "hourly"])
def test_the_end_of_a_period_is_not_the_reset_of_a_window(window: str) -> None:
    balance = dollars(3, until=NOW + 86400)
    assert balance.resets_at(window) is None
    assert balance.resets_at("credits") == NOW + 86400


@pytest.mark.parametrize("path", ["ok", "balance"])
def test_a_reading_begun_when_the_account_was_refused_settles_nothing(path: str) -> None:
    state = after(failed(FaultKind.FORBIDDEN, NOW))
    for started, settled in ((NOW, False), (NOW + 0.001, True)):
        record = (
            went_well(NOW + 2, started=started, client="probe", model=None, path="/api/me")
            if path == "ok"
            else reading(NOW + 2, windows(5), started=started)
        )
        found = judged(fold([record], POLICY, state), NOW + 3, model="another model")
        assert found.eligible is settled


@pytest.mark.parametrize(("started", "blocked"), [(NOW, True), (NOW + 0.001, False)])
def test_credit_read_when_a_plan_was_missing_may_be_older_than_the_block(
    started: float, blocked: bool
) -> None:
    refused = failed(FaultKind.NO_PLAN, NOW, model=MODEL)
    bought = reading(NOW + 1, dollars(0, bought=5), started=started)
    state = after(belongs(A, "amber"), refused, bought)
    assert (judged(state, NOW + 2).state is State.NO_PLAN) is blocked


def test_an_overloaded_model_is_blocked_for_all_keys_of_the_pool_only_where_it_is_used() -> None:
    over = [failed(TRANSIENT, NOW + n, key=key, scope=Scope.MODEL) for n, key in enumerate((A, B))]
    state = after(*over)
    assert judged(state, NOW + 2, "a third key").state is State.OUTAGE
    assert judged(state, NOW + 2, "a third key", model="another model").eligible
