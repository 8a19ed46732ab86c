"""Which key takes a request: every strategy, and what holds for all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.choice import PoolConfig, SelectionRequest, choose, common_refusal, headroom, was_tried
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import STRATEGIES, Strategy
from okr_tui.domain.quota import Balance, Credits
from okr_tui.domain.records import Disabled, Record
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    KEYS,
    MODEL,
    NOW,
    OTHER_MODEL,
    POLICY,
    A,
    B,
    C,
    D,
    after,
    belongs,
    chosen,
    chosen_key,
    config,
    dollars,
    failed,
    judged,
    reading,
    went_well,
    windows,
)

SPENT = FaultKind.SPENT


def test_empty_pool_has_no_key_to_choose() -> None:
    choice = chosen(PoolState(), config(0))
    assert (choice.key, choice.why, choice.verdicts, choice.earliest) == (
        None,
        "no key is configured",
        (),
        None,
    )


def test_keys_are_counted_from_one() -> None:
    assert [config(3).index(key) for key in (A, C, D, None)] == [1, 3, None, None]


def test_preferred_key_takes_new_conversations_while_eligible() -> None:
    pool = config(3, preferred=B)
    state = after(reading(NOW, windows(90), B), reading(NOW, windows(1), A))
    choice = chosen(state, pool)
    assert choice.key is not None
    assert (choice.key.fingerprint, choice.why) == (B, "preferred")


def test_most_headroom_takes_over_while_the_preferred_key_is_blocked() -> None:
    state = after(
        failed(SPENT, key=A, window="weekly"),
        reading(NOW + 1, windows(60, 20), B),
        reading(NOW + 1, windows(30, 50), C),
    )
    assert chosen_key(state, config(3, preferred=A), NOW + 1) == C


def test_recovered_preferred_key_is_the_choice_again_but_takes_no_conversation_back() -> None:
    state = after(failed(SPENT, key=A, window="hourly"))
    pool, later = config(2, preferred=A), NOW + 2 * 3600
    assert chosen_key(state, pool, NOW) == B
    assert chosen_key(state, pool, later) == A
    assert chosen_key(state, pool, later, conversation=B) == B


def test_conversation_stays_with_its_account_on_whichever_key_is_eligible() -> None:
    state = after(belongs(B, "amber"), belongs(C, "amber"), failed(FaultKind.UNAUTHORIZED, key=B))
    choice = chosen(state, config(3, preferred=A), conversation="amber")
    assert choice.key is not None
    assert (choice.key.fingerprint, choice.why) == (C, "has served this conversation")


def test_conversation_moves_on_when_its_account_is_blocked() -> None:
    state = after(failed(SPENT, key=B, window="weekly"))
    assert chosen_key(state, config(3, preferred=A), conversation=B) == A


def test_unknown_headroom_counts_half() -> None:
    state = after(reading(NOW, windows(49), A), reading(NOW, windows(51), C))
    assert [headroom(state, key, POLICY) for key in (A, B, C)] == pytest.approx([0.51, 0.5, 0.49])
    assert chosen_key(state, config(3)) == A
    assert chosen_key(state, config(3), tried=frozenset({A})) == B
    assert headroom(after(reading(NOW, Balance(understood=False))), A, POLICY) == 0.5


def test_bought_credit_is_not_headroom() -> None:
    assert headroom(after(reading(NOW, dollars(0, bought=5))), A, POLICY) == 0


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "pinned"])
def test_included_quota_goes_before_bought_credit(strategy: Strategy) -> None:
    """Not even the preferred key, nor the one that served the conversation, spends money without need."""
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, windows(95, 90), B), went_well(NOW - 1, A))
    pool = config(2, preferred=A, strategy=strategy)
    for choice in (chosen(state, pool), chosen(state, pool, conversation=A)):
        assert choice.key is KEYS[1]
        assert choice.why.endswith("included quota goes before bought credit")


def test_bought_credit_is_spent_when_nothing_else_is_left_and_that_is_shown() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), failed(SPENT, key=B, window="weekly"))
    choice = chosen(state, config(2, preferred=B))
    assert choice.key is KEYS[0]
    assert choice.why.endswith("spends bought credit: no key has included quota left")


def test_money_is_saved_by_the_key_that_is_wanted_next() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, windows(95), B), reading(NOW, windows(5), C))
    choice = chosen(state, config(3, preferred=B), conversation=A)
    assert (choice.key, choice.why) == (KEYS[1], "preferred; included quota goes before bought credit")


def test_of_keys_with_bought_credit_only_the_wanted_one_is_taken() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, bought, B))
    assert chosen_key(state, config(2, preferred=B)) == B
    assert chosen_key(state, config(2, preferred=B), conversation=A) == A


def test_preferred_key_may_spend_bought_credit_if_a_person_says_so() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, windows(5, 5), B))
    policy = replace(POLICY, spend_bought="preferred")
    request = SelectionRequest(NOW, MODEL)
    assert choose(state, config(2, preferred=A), request, policy).key is KEYS[0]
    assert choose(state, config(2, preferred=B), request, policy).key is KEYS[1]


def test_a_preferred_key_that_may_spend_bought_credit_is_simply_preferred() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, windows(5, 5), B))
    policy = replace(POLICY, spend_bought="preferred")
    assert choose(state, config(2, preferred=A), SelectionRequest(NOW, MODEL), policy).why == "preferred"


@pytest.mark.parametrize(("tried", "left_out"), [({A}, True), ({"amber"}, True), ({B, "birch"}, False)])
def test_a_key_is_left_out_by_its_fingerprint_or_by_its_account(tried: set[str], left_out: bool) -> None:
    request = SelectionRequest(NOW, MODEL, tried=frozenset(tried))
    assert was_tried(KEYS[0], after(belongs(A, "amber")), request) is left_out


def test_pinned_key_spends_what_it_has() -> None:
    bought = replace(windows(100, 78), credits=Credits(0, None, 3.5))
    state = after(reading(NOW, bought, A), reading(NOW, windows(5, 5), B))
    assert chosen_key(state, config(2, preferred=A, strategy="pinned")) == A


def test_the_key_that_took_over_stays() -> None:
    """A pool that hops with every request loses the cloud's cache, and confuses its owner."""
    state = after(
        reading(NOW - 9, windows(40), B),
        reading(NOW - 9, windows(10), C),
        failed(SPENT, NOW - 5, window="weekly"),
        went_well(NOW - 4, B),
    )
    choice = chosen(state, config(3, preferred=A))
    assert (choice.key, choice.why) == (KEYS[1], "has taken over")
    assert chosen_key(state, config(3, preferred=A), in_flight={B: 1}) == C


def test_equal_headroom_goes_to_the_fewest_in_flight_then_the_longest_unused() -> None:
    plans = [belongs(key, name, plan="max") for key, name in ((A, "amber"), (B, "birch"), (C, "cedar"))]
    state = after(*plans, went_well(NOW - 3, A), went_well(NOW - 5, B), went_well(NOW - 4, C))
    pool = config(3, strategy="headroom")
    assert chosen_key(state, pool) == B
    assert chosen_key(state, pool, in_flight={"birch": 1}) == C
    assert chosen_key(state, pool, in_flight={"amber": 1, "birch": 2, "cedar": 3}) == A


def test_drain_walks_the_pool_from_the_preferred_key() -> None:
    pool = config(4, preferred=C, strategy="drain")
    order, state = [], PoolState()
    for _ in range(4):
        key = chosen_key(state, pool)
        assert key is not None
        order.append(key)
        state = after(*(failed(SPENT, key=used, window="weekly") for used in order))
    assert order == [C, D, A, B]


def test_drain_begins_at_the_first_key_without_a_preference() -> None:
    assert chosen_key(PoolState(), config(3, strategy="drain")) == A


def test_headroom_ignores_the_preference() -> None:
    state = after(reading(NOW, windows(10), C))
    assert chosen_key(state, config(3, preferred=A, strategy="headroom")) == C


def test_round_robin_takes_turns() -> None:
    pool = config(3, preferred=B, strategy="round-robin")
    records: list[Record] = []
    order = []
    for turn in range(6):
        key = chosen_key(after(*records), pool, NOW + turn)
        assert key is not None
        order.append(key)
        records.append(went_well(NOW + turn, key))
    assert order == [A, B, C, A, B, C]


def test_pinned_never_takes_another_key() -> None:
    pool = config(3, preferred=B, strategy="pinned")
    assert chosen_key(PoolState(), pool) == B
    assert chosen_key(PoolState(), pool, conversation=A) == B
    assert chosen_key(after(failed(SPENT, key=B, window="weekly")), pool) is None
    assert chosen_key(PoolState(), pool, tried=frozenset({B})) is None


def test_pinned_waits_for_its_own_key_only() -> None:
    state = after(failed(SPENT, key=A, window="hourly"), failed(SPENT, key=B, window="weekly"))
    choice = chosen(state, config(3, preferred=B, strategy="pinned"))
    assert choice.earliest == judged(state, key=B).until


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tried_keys_and_accounts_are_never_tried_again(strategy: Strategy) -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"))
    pool = config(3, preferred=A, strategy=strategy)
    expected = None if strategy == "pinned" else C
    assert chosen_key(state, pool, tried=frozenset({"amber"})) == expected
    assert chosen_key(state, pool, tried=frozenset({A, B}), conversation="amber") == expected
    assert chosen_key(state, pool, tried=frozenset({"amber", C})) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_key_switched_off_is_never_chosen(strategy: Strategy) -> None:
    state = after(*(Disabled(at=NOW, fingerprint=key) for key in (A, B, C)))
    choice = chosen(state, config(3, preferred=A, strategy=strategy))
    assert (choice.key, choice.why, choice.earliest) == (None, "no key is eligible", None)


def test_model_decides_which_keys_can_serve() -> None:
    state = after(failed(FaultKind.NO_PLAN, key=A))
    pool = config(2, preferred=A)
    assert chosen_key(state, pool) == B
    assert chosen_key(state, pool, model=OTHER_MODEL) == A
    assert chosen_key(state, pool, model=None) == A


def test_full_slots_send_the_request_to_another_account() -> None:
    choice = chosen(PoolState(), config(2, preferred=A), in_flight={A: 1})
    assert choice.key == KEYS[1]


def test_earliest_is_the_first_known_return() -> None:
    state = after(
        failed(SPENT, key=A, window="weekly"),
        failed(SPENT, key=B, window="hourly"),
        Disabled(at=NOW, fingerprint=C),
    )
    choice = chosen(state, config(3))
    assert choice.key is None
    assert choice.earliest == judged(state, key=B).until
    assert choice.earliest is not None
    assert chosen_key(state, config(3), choice.earliest) == B
    assert chosen_key(state, config(3), choice.earliest - 0.01) is None


@given(
    st.lists(st.tuples(st.sampled_from([A, B, C, D]), st.sampled_from(list(FaultKind))), max_size=8),
    st.sampled_from(STRATEGIES),
    st.floats(0, 9000),
)
def test_verdicts_and_choice_agree(
    faults: list[tuple[str, FaultKind]], strategy: Strategy, later: float
) -> None:
    state = after(*(failed(kind, NOW + position, key) for position, (key, kind) in enumerate(faults)))
    pool = PoolConfig(KEYS[:4], B, strategy)
    choice = chosen(state, pool, NOW + later)
    allowed = [
        key
        for key, verdict in zip(pool.keys, choice.verdicts, strict=True)
        if verdict.eligible and (strategy != "pinned" or key.fingerprint == B)
    ]
    assert (choice.key in allowed) if allowed else (choice.key is None)
    assert all(verdict.reason for verdict in choice.verdicts if not verdict.eligible)
    assert choice.why


def test_round_robin_counts_what_is_under_way_as_use() -> None:
    pool = config(2, strategy="round-robin")
    assert chosen_key(PoolState(), pool) == A
    state = after(belongs(A, "amber", plan="pro"), belongs(B, "birch", plan="pro"))
    assert chosen_key(state, pool, in_flight={"amber": 1}) == B


def test_a_key_whose_reference_gives_none_is_skipped_with_its_reason() -> None:
    absent = Key.absent("$NOWHERE", "$NOWHERE", "global", None, "$NOWHERE is not set")
    pool = PoolConfig((absent, KEYS[1]), preferred=absent.fingerprint)
    choice = chosen(PoolState(), pool)
    assert choice.key == KEYS[1]
    first = choice.verdicts[0]
    assert (first.state, first.eligible, first.reason) == (State.MISSING, False, "$NOWHERE is not set")


def test_a_key_that_is_not_trusted_is_off() -> None:
    pool = PoolConfig((replace(KEYS[0], trusted=False), KEYS[1]))
    choice = chosen(PoolState(), pool)
    assert choice.key == KEYS[1]
    assert (choice.verdicts[0].state, choice.verdicts[0].reason) == (State.OFF, "not trusted")


def test_an_account_that_works_speaks_against_a_common_refusal_by_any_of_its_keys() -> None:
    """Two accounts are refused alike; the third has one key that is dead and one that works."""
    forbidden = [failed(FaultKind.FORBIDDEN, NOW, key, status=403) for key in (A, B)]
    third: list[Record] = [belongs(C, "cedar"), belongs(D, "cedar"), failed(FaultKind.UNAUTHORIZED, key=C)]
    assert common_refusal(after(*forbidden, *third), config(3), POLICY) is not None
    assert common_refusal(after(*forbidden, *third), config(4), POLICY) is None


def test_a_busy_account_speaks_against_a_common_refusal_and_a_spent_one_does_not() -> None:
    forbidden = [failed(FaultKind.FORBIDDEN, NOW, key, status=403) for key in (A, B)]
    busy = after(*forbidden, failed(FaultKind.BUSY, key=C, status=429))
    assert common_refusal(busy, config(3), POLICY) is None
    spent = after(*forbidden, failed(SPENT, key=C, window="weekly"))
    assert common_refusal(spent, config(3), POLICY) is not None


def test_a_key_that_is_switched_off_does_not_speak_against_a_common_refusal() -> None:
    """Two accounts are refused alike; of the third one key is dead and the other is not in use."""
    forbidden = [failed(FaultKind.FORBIDDEN, NOW, key, status=403) for key in (A, B)]
    dead, off = failed(FaultKind.UNAUTHORIZED, key=C), Disabled(at=NOW, fingerprint=D)
    third: list[Record] = [belongs(C, "cedar"), belongs(D, "cedar"), dead]
    assert common_refusal(after(*forbidden, *third, off), config(4), POLICY) is not None
    assert common_refusal(after(*forbidden, *third), config(4), POLICY) is None


def test_in_a_large_pool_a_common_refusal_is_found_behind_keys_that_settle_nothing() -> None:
    keys = tuple(Key.of(f"synthetic.{number:024d}", "global") for number in range(10))
    spent = [failed(SPENT, key=key.fingerprint, window="weekly") for key in keys[:8]]
    alike = [failed(FaultKind.FORBIDDEN, NOW, key.fingerprint, status=403) for key in keys[8:]]
    assert common_refusal(after(*spent), PoolConfig(keys), POLICY) is None
    assert common_refusal(after(*spent, alike[0]), PoolConfig(keys), POLICY) is None
    assert common_refusal(after(*spent, *alike), PoolConfig(keys), POLICY) is not None
