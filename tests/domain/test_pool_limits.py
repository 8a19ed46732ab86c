"""Plain rate limits and request slots: short rests, and a limit that is learned."""

import pytest

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Record
from okr_tui.domain.state import PoolState
from tests.domain.facts import NOW, POLICY, A, B, after, belongs, failed, judged, went_well

SLOWED = FaultKind.SLOWED
BUSY = FaultKind.BUSY


def until_of(state: PoolState, cause: BlockCause) -> float | None:
    return state.account(state.account_of(A)).blocks[cause].until


def slots_of(state: PoolState, now: float = NOW, policy: Policy = POLICY) -> int:
    return state.account(state.account_of(A)).slot_count(policy, now)


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(None, 15), (0, 0), (7, 7), (299, 299), (300, 300), (301, 300), (86400, 300)]
)
def test_rate_limited_account_rests_as_the_cloud_asks_but_not_for_long(
    retry_after: float | None, wait: float
) -> None:
    state = after(failed(SLOWED, retry_after=retry_after))
    assert until_of(state, BlockCause.SLOWED) == NOW + wait
    assert judged(state, NOW + wait).eligible


def test_rate_limited_key_is_shown_as_slowed() -> None:
    assert judged(after(failed(SLOWED))).state is State.SLOWED


def test_waits_grow_with_each_failure_after_a_rest() -> None:
    state, at = PoolState(), NOW
    for wait in (15, 30, 60, 120, 300, 300):
        state = fold([failed(SLOWED, at, started=at)], POLICY, state)
        assert until_of(state, BlockCause.SLOWED) == at + wait
        at += wait


@pytest.mark.parametrize("hint", [0, 0.4])
def test_invitation_to_ask_again_at_once_is_followed_once_in_a_row(hint: float) -> None:
    state, at = PoolState(), NOW
    for wait in (hint, 15, 30, 60):
        state = fold([failed(SLOWED, at, started=at, retry_after=hint)], POLICY, state)
        assert until_of(state, BlockCause.SLOWED) == at + wait
        at += wait
    state = fold([went_well(at + 2, started=at + 1)], POLICY, state)
    state = fold([failed(SLOWED, at + 3, started=at + 3, retry_after=hint)], POLICY, state)
    assert until_of(state, BlockCause.SLOWED) == at + 3 + hint


def test_failures_of_requests_that_were_already_out_do_not_make_the_wait_grow() -> None:
    state = after(*(failed(SLOWED, NOW + late, started=NOW - 1) for late in range(5)))
    assert until_of(state, BlockCause.SLOWED) == NOW + 4 + 15
    before_end = fold([failed(SLOWED, NOW + 40, started=NOW + 18)], POLICY, state)
    assert until_of(before_end, BlockCause.SLOWED) == NOW + 40 + 15


def test_success_after_the_rest_starts_over() -> None:
    state = after(failed(SLOWED), went_well(NOW + 20, started=NOW + 16))
    state = fold([failed(SLOWED, NOW + 30)], POLICY, state)
    assert until_of(state, BlockCause.SLOWED) == NOW + 45


def test_shorter_rest_never_shortens_a_longer_one() -> None:
    state = after(failed(SLOWED, retry_after=200), failed(SLOWED, NOW + 1, retry_after=2))
    assert until_of(state, BlockCause.SLOWED) == NOW + 200


def test_slowed_account_needs_no_trial_afterwards() -> None:
    assert not judged(after(failed(SLOWED)), NOW + 15).trial


def test_weaker_block_never_shortens_a_stronger_one() -> None:
    spent = failed(FaultKind.SPENT, window="weekly")
    for weaker in (SLOWED, BUSY, FaultKind.TRANSIENT):
        state = after(spent, failed(weaker, NOW + 1, retry_after=1), failed(weaker, NOW + 2))
        assert judged(state, NOW + 600).state is State.SPENT


def test_verdict_says_when_the_last_block_ends() -> None:
    state = after(failed(FaultKind.UNAUTHORIZED), failed(FaultKind.SPENT, window="weekly"))
    found = judged(state)
    assert found.state is State.INVALID
    assert found.until is not None
    assert not judged(state, found.until - 1).eligible
    assert judged(state, found.until).eligible


def test_concurrency_is_not_a_health_fault() -> None:
    state = after(went_well(NOW - 50), *(failed(BUSY, NOW + at) for at in range(3)))
    found = judged(state, NOW + 3)
    assert (found.state, found.eligible) == (State.BUSY, False)
    assert judged(state, NOW + 13).state is State.READY
    assert not judged(state, NOW + 13).trial


@pytest.mark.parametrize(("retry_after", "rest"), [(None, 10), (14, 14), (600, 30)])
def test_busy_account_rests_briefly(retry_after: float | None, rest: float) -> None:
    assert until_of(after(failed(BUSY, retry_after=retry_after)), BlockCause.BUSY) == NOW + rest


@pytest.mark.parametrize(
    ("plan", "slots"), [("free", 1), ("pro", 3), ("max", 10), ("enterprise", 1), (None, 1)]
)
def test_slots_begin_as_the_plan_says(plan: str | None, slots: int) -> None:
    state = after(belongs(A, "amber", plan=plan))
    assert slots_of(state) == slots
    assert judged(state, in_flight=slots - 1).eligible
    full = judged(state, in_flight=slots)
    assert (full.state, full.eligible) == (State.BUSY, False)


def test_slots_are_learned_from_the_cloud() -> None:
    state = after(belongs(A, "amber", plan="pro"), failed(BUSY, max_concurrent=4))
    assert slots_of(state, NOW + 1e6) == 4


def test_slots_go_down_by_one_for_ten_minutes_when_the_cloud_does_not_say() -> None:
    state = after(belongs(A, "amber", plan="pro"), failed(BUSY))
    assert slots_of(state, NOW + 599) == 2
    assert slots_of(state, NOW + 600) == 3


def test_last_slot_is_never_taken_away() -> None:
    assert slots_of(after(*(failed(BUSY, NOW + at) for at in range(5))), NOW + 5) == 1


def filled(count: int, in_flight: int, at: float = NOW + 700) -> list[Record]:
    return [went_well(at + index, in_flight=in_flight) for index in range(count)]


def test_learned_limit_grows_after_enough_clean_requests_that_filled_it() -> None:
    state = after(failed(BUSY, max_concurrent=2))
    assert slots_of(fold(filled(19, 2), POLICY, state)) == 2
    assert slots_of(fold(filled(20, 2), POLICY, state)) == 3


def test_limit_of_the_plan_grows_too() -> None:
    state = after(belongs(A, "amber", plan="pro"), *filled(20, 3))
    assert slots_of(state, NOW + 1e6) == 4


def test_requests_below_the_limit_do_not_make_it_grow() -> None:
    assert slots_of(after(failed(BUSY, max_concurrent=3), *filled(100, 2))) == 3


def test_busy_answer_starts_the_count_over() -> None:
    records = [failed(BUSY, max_concurrent=2), *filled(19, 2), failed(BUSY, NOW + 800, max_concurrent=2)]
    assert slots_of(after(*records, *filled(19, 2, NOW + 900))) == 2


def test_slots_belong_to_the_account() -> None:
    state = after(belongs(A, "amber"), belongs(B, "amber"), failed(BUSY, max_concurrent=5))
    assert judged(state, NOW + 60, B, in_flight=4).eligible
    assert not judged(state, NOW + 60, B, in_flight=5).eligible
