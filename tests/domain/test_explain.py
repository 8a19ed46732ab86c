"""A choice in words, and one step further on paper."""

import pytest

from okr_tui.domain.choice import PoolConfig, SelectionRequest
from okr_tui.domain.explain import explain, explain_failure
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State
from okr_tui.domain.policy import Strategy
from okr_tui.domain.quota import Balance, tightest_window
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    KEYS,
    MODEL,
    NOW,
    POLICY,
    SESSION_END,
    A,
    B,
    C,
    after,
    belongs,
    config,
    dollars,
    failed,
    reading,
    went_well,
    windows,
)


def reasons(state: PoolState, pool: PoolConfig, **question: object) -> list[str]:
    """Every key's reason, in pool order."""
    asked = SelectionRequest(NOW, MODEL, **question)  # type: ignore[arg-type]
    return [standing.reason for standing in explain(state, pool, asked, POLICY).keys]


def test_the_chosen_key_and_the_blocked_ones() -> None:
    state = after(
        went_well(key=A),
        failed(FaultKind.SPENT, key=B, window="session"),
        failed(FaultKind.NO_PLAN, key=C),
    )
    found = explain(state, config(preferred=A), SelectionRequest(NOW + 1, MODEL), POLICY)
    first, second, third = found.keys
    assert found.model == MODEL
    assert found.chosen is first
    assert found.why == first.reason == "preferred"
    assert (second.state, second.eligible, second.reason) == (State.SPENT, False, "5h spent")
    assert second.until is not None
    assert SESSION_END < second.until < SESSION_END + 61
    assert (third.state, third.reason) == (State.NO_PLAN, "the plan does not include this model")
    assert found.earliest == second.until


def test_a_block_of_another_model_does_not_count() -> None:
    state = after(failed(FaultKind.NO_PLAN, key=A, model="kimi-k3"))
    assert explain(state, config(1), SelectionRequest(NOW), POLICY).chosen is not None
    assert explain(state, config(1), SelectionRequest(NOW, "kimi-k3"), POLICY).chosen is None


def test_keys_of_one_account_share_a_quota() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), belongs(C, "birch"))
    assert reasons(state, config(preferred=A)) == ["preferred", "shares the quota of #1", "#1 is preferred"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (
            "drain",
            ["comes after #2, counting from the preferred key", "next in pool order from the preferred key"],
        ),
        ("pinned", ["the pool is pinned to #2", "pinned"]),
        ("headroom", ["less quota left than #2", "most quota left"]),
        ("round-robin", ["used more recently than #2", "longest unused"]),
    ],
)
def test_each_strategy_has_its_reason(strategy: Strategy, expected: list[str]) -> None:
    state = after(reading(NOW - 10, windows(80), A), reading(NOW - 10, windows(20), B), went_well(NOW, A))
    assert reasons(state, config(2, preferred=B, strategy=strategy)) == expected


def test_a_conversation_stays_where_it_was() -> None:
    state = after(belongs(B, "birch"))
    assert reasons(state, config(2, preferred=A), conversation="birch") == [
        "#2 has served this conversation",
        "has served this conversation",
    ]


def test_equals_differ_by_load_then_use_then_order() -> None:
    pool = config(2, strategy="headroom")
    slots = after(belongs(A, "a", plan="pro"), belongs(B, "b", plan="pro"))
    assert reasons(slots, pool, in_flight={"b": 1})[1] == "more requests running than #1"
    assert reasons(after(went_well(NOW, B)), pool)[1] == "used more recently than #1"
    assert reasons(after(), pool)[1] == "as good as #1, which comes first"


def test_a_request_does_not_come_back_to_a_key_it_failed_on() -> None:
    assert reasons(after(), config(2, preferred=A), tried=frozenset({A}))[0] == (
        "this request has already failed on it"
    )


def test_pinned_to_a_blocked_key() -> None:
    state = after(failed(FaultKind.SPENT, key=A, window="session"))
    pool = config(2, preferred=A, strategy="pinned")
    found = explain(state, pool, SelectionRequest(NOW + 1, MODEL), POLICY)
    assert found.chosen is None
    assert found.why == "no key is eligible"
    assert [standing.reason for standing in found.keys] == ["5h spent", "the pool is pinned to #1"]


def test_what_would_follow_changes_nothing() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), belongs(C, "birch"))
    question = SelectionRequest(NOW, MODEL)
    found = explain_failure(state, config(preferred=A), question, POLICY, KEYS[0])
    assert found.chosen is not None
    assert found.chosen.index == 3
    assert [standing.state for standing in found.keys[:2]] == [State.SPENT, State.SPENT]
    before = explain(state, config(preferred=A), question, POLICY)
    assert before.chosen is not None
    assert before.chosen.index == 1


def test_nothing_would_follow_a_sole_account() -> None:
    found = explain_failure(after(), config(1, preferred=A), SelectionRequest(NOW, MODEL), POLICY, KEYS[0])
    assert found.chosen is None
    assert found.earliest == found.keys[0].until


def test_an_empty_pool() -> None:
    found = explain(after(), PoolConfig(), SelectionRequest(NOW), POLICY)
    assert (found.chosen, found.why, found.keys, found.earliest) == (None, "no key is configured", (), None)


@pytest.mark.parametrize(
    ("balance", "window"),
    [
        (None, "session"),
        (Balance(), "session"),
        (windows(20, 70), "weekly"),
        (windows(80, 70), "session"),
        (dollars(10), "credits"),
        (dollars(10, allowance=None), "credits"),
    ],
)
def test_the_window_that_is_hit_first(balance: Balance | None, window: str) -> None:
    assert tightest_window(balance) == window
