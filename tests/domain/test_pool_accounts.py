"""Keys that turn out to belong to one account share everything that was known of each."""

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.quota import Sample
from okr_tui.domain.records import Record
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    NOW,
    OTHER_MODEL,
    POLICY,
    A,
    B,
    after,
    belongs,
    failed,
    judged,
    reading,
    refused_reading,
    went_well,
    windows,
)


def test_each_key_is_an_account_of_its_own_until_its_account_is_known() -> None:
    state = after(failed(FaultKind.SPENT, window="weekly"))
    assert state.account_of(A) == A
    assert judged(state, key=B).eligible


def test_block_moves_to_the_account_and_to_its_other_keys() -> None:
    state = after(failed(FaultKind.SPENT, window="weekly"), belongs(B, "amber"), belongs(A, "amber", NOW + 9))
    assert judged(state, NOW + 9, A).state is State.SPENT
    assert judged(state, NOW + 9, B).state is State.SPENT
    assert A not in state.accounts


def test_key_joins_an_account_that_is_already_blocked() -> None:
    state = after(belongs(A, "amber"), failed(FaultKind.SPENT, window="weekly"))
    assert judged(fold([belongs(B, "amber", NOW + 1)], POLICY, state), NOW + 1, B).state is State.SPENT


def test_later_end_wins_when_accounts_are_joined() -> None:
    session = failed(FaultKind.SPENT, key=A, window="session")
    weekly = failed(FaultKind.SPENT, key=B, window="weekly")
    first = after(session, weekly, belongs(A, "amber"), belongs(B, "amber"))
    second = after(session, weekly, belongs(B, "amber"), belongs(A, "amber"))
    assert judged(first).until == judged(second).until == judged(after(weekly), key=B).until


def test_model_blocks_are_joined() -> None:
    records: list[Record] = [
        failed(FaultKind.NO_PLAN, key=A),
        failed(FaultKind.NO_PLAN, key=B, model=OTHER_MODEL),
        belongs(A, "amber"),
        belongs(B, "amber"),
    ]
    state = after(*records)
    for key in (A, B):
        assert judged(state, key=key).state is State.NO_PLAN
        assert judged(state, key=key, model=OTHER_MODEL).state is State.NO_PLAN


def test_newer_balance_is_kept_when_accounts_are_joined() -> None:
    old, new = reading(NOW, windows(10), A), reading(NOW + 5, windows(20), B)
    for order in ((A, B), (B, A)):
        state = after(old, new, *(belongs(key, "amber", NOW + 9) for key in order))
        account = state.account("amber")
        assert (account.balance, account.balance_at) == (windows(20), NOW + 5)
        assert account.samples == (Sample(NOW + 5, 20),)


def test_learned_slots_move_as_one_with_their_time() -> None:
    lowered: list[Record] = [belongs(B, "amber", plan="pro"), failed(FaultKind.BUSY, max_concurrent=4, key=B)]
    state = after(*lowered, failed(FaultKind.BUSY, key=A), belongs(A, "amber", NOW + 1, plan="pro"))
    assert state.account("amber").slot_count(POLICY, NOW + 5000) == 4


def test_key_that_moves_to_another_account_leaves_the_old_accounts_blocks_behind() -> None:
    state = after(
        belongs(A, "amber"),
        belongs(B, "amber"),
        failed(FaultKind.SPENT, window="weekly"),
        belongs(A, "birch", NOW + 5),
    )
    assert judged(state, NOW + 5, A).eligible
    assert judged(state, NOW + 5, B).state is State.SPENT


def test_identity_without_an_account_says_only_that_the_key_is_good() -> None:
    spent = failed(FaultKind.SPENT, window="weekly")
    state = after(spent, failed(FaultKind.UNAUTHORIZED), belongs(A, "", NOW + 9))
    assert state.account_of(A) == A
    assert judged(state, NOW + 9).state is State.SPENT
    assert set(state.accounts) == {A}


def test_identity_read_twice_changes_nothing_more() -> None:
    once = after(failed(FaultKind.SPENT, window="weekly"), belongs(A, "amber", NOW + 9, plan="pro"))
    assert fold([belongs(A, "amber", NOW + 9, plan="pro")], POLICY, once) == once


def test_readings_are_kept_for_two_hours_and_in_order() -> None:
    state = after(*(reading(NOW + 60 * minute, windows(minute % 90)) for minute in range(300)))
    samples = state.account(A).samples
    assert len(samples) <= 120
    assert samples[-1].at - samples[0].at <= 7200
    older = fold([reading(NOW, windows(77))], POLICY, state)
    assert older.account(A).samples == samples
    assert older.account(A).balance == state.account(A).balance


def test_requests_and_faults_are_counted_per_key() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), went_well(), failed(FaultKind.SLOWED, NOW + 1))
    known = state.key(A)
    assert (known.requests, known.faults, known.last_used, known.last_ok) == (2, 1, NOW + 1, NOW)
    assert known.last_fault is not None
    assert known.last_fault.kind is FaultKind.SLOWED
    assert state.key(B).requests == 0


def test_unknown_key_account_and_model_are_fresh() -> None:
    state = PoolState()
    assert state.key("x").requests == 0
    assert state.account("x").plan is None
    assert state.model("x").block is None


def test_a_refusal_without_an_end_wins_when_accounts_are_joined() -> None:
    def refused(key: str) -> list[Record]:
        return [failed(FaultKind.FORBIDDEN, key=key), refused_reading(FaultKind.FORBIDDEN, NOW + 2, key)]

    doubted = failed(FaultKind.FORBIDDEN, key=B)
    for order in ([*refused(A), doubted], [doubted, *refused(A)]):
        state = after(*order, belongs(A, "amber", NOW + 3), belongs(B, "amber", NOW + 3))
        assert (judged(state, key=B).state, judged(state, key=B).until) == (State.SUSPENDED, None)
