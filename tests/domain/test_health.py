"""What a key is good for when several things block it, and what is cut short for whom."""

from dataclasses import replace

from okr_tui.domain.faults import BlockCause, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State, blocked
from okr_tui.domain.records import Disabled
from okr_tui.domain.state import Block, PoolState, ServiceState
from tests.domain.facts import (
    KEYS,
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
    refused_reading,
    went_well,
)

OUTAGE = ServiceState(Block(BlockCause.OUTAGE, NOW, NOW + 60))


def test_a_return_is_not_promised_while_one_block_has_no_end() -> None:
    spent = failed(FaultKind.SPENT, NOW, window="session")
    refused = [failed(FaultKind.UNAUTHORIZED, NOW), refused_reading(FaultKind.UNAUTHORIZED, NOW + 2)]
    found = judged(after(spent, *refused), NOW + 3)
    assert (found.state, found.until) == (State.INVALID, None)
    assert judged(after(spent), NOW + 3).until is not None


def test_the_last_of_several_ends_is_the_return() -> None:
    state = after(
        failed(FaultKind.SLOWED, NOW, retry_after=100.0), failed(FaultKind.BUSY, NOW, retry_after=5.0)
    )
    found = judged(state, NOW + 1)
    assert (found.state, found.until) == (State.SLOWED, NOW + 100)


def test_a_key_that_is_switched_off_is_not_another_account() -> None:
    """An outage holds a sole account back for a short while only."""
    soon = NOW + POLICY.alone_longest
    state = replace(after(went_well(NOW - 9, A), went_well(NOW - 9, B)), clouds={"": OUTAGE})
    assert chosen_key(state, config(2), soon) is None
    alone = replace(after(Disabled(at=NOW - 9, fingerprint=B)), clouds={"": OUTAGE})
    assert chosen_key(alone, config(2), soon) == A
    assert chosen_key(alone, config(2), soon - 1) is None


def test_a_request_begun_when_the_block_began_says_nothing_of_it() -> None:
    """Times of records have a resolution, and clocks of several machines meet."""
    for kind in (FaultKind.SPENT, FaultKind.UNAUTHORIZED, FaultKind.NO_PLAN, FaultKind.GONE):
        state = after(failed(kind, NOW), went_well(NOW + 5, started=NOW))
        assert not judged(state, NOW + 6).eligible, kind
        lifted = after(failed(kind, NOW), went_well(NOW + 5, started=NOW + 0.001))
        assert judged(lifted, NOW + 6).eligible, kind
    out = replace(PoolState(), clouds={"": OUTAGE})
    assert judged(after_in(out, NOW), NOW + 6, B).state is State.OUTAGE
    assert judged(after_in(out, NOW + 0.001), NOW + 6, B).eligible


def test_an_outage_says_why_there_was_no_answer() -> None:
    def reason(text: str, status: int | None) -> str:
        block = Block(BlockCause.OUTAGE, NOW, NOW + 60, text=text, status=status)
        return blocked(block).reason

    refused = "connection refused by cloud.example; check that a server listens there"
    assert reason(refused, None) == "the cloud does not answer: connection refused by cloud.example"
    assert reason("internal server error", 500) == "the cloud does not answer"
    assert reason("", None) == "the cloud does not answer"


def after_in(state: PoolState, started: float) -> PoolState:
    return fold([went_well(NOW + 5, started=started, model=MODEL)], POLICY, state)


def test_the_preferred_key_is_tried_once_its_block_is_over() -> None:
    """What the choice says of it holds every other request back meanwhile."""
    state = after(failed(FaultKind.SPENT, NOW, window="session"))
    until = judged(state, NOW + 1).until
    assert until is not None
    for preferred in (A, None):
        found = chosen(state, config(1, preferred=preferred), until)
        assert (found.key, found.trial) == (KEYS[0], True)
    assert chosen(state, config(1), until, conversation=A).trial


def test_a_key_that_another_person_switched_off_is_off_by_them() -> None:
    state = after(Disabled(at=NOW, fingerprint=A, who="birch"))
    found = judged(state, person="amber")
    assert (found.state, found.reason) == (State.OFF, "switched off by birch")
    assert judged(state, person="birch").reason == "switched off by you"


def test_a_sole_account_that_is_refused_for_certain_is_not_eased() -> None:
    refused = [failed(FaultKind.UNAUTHORIZED), refused_reading(FaultKind.UNAUTHORIZED, NOW + 2)]
    found = judged(after(*refused), NOW + 9000, alone=True)
    assert (found.state, found.until) == (State.INVALID, None)


def test_slots_that_are_taken_are_counted_in_words() -> None:
    free, pro = after(belongs(A, "amber", plan="free")), after(belongs(A, "amber", plan="pro"))
    assert judged(free, in_flight=1).reason == "its one request slot is taken"
    assert judged(pro, in_flight=3).reason == "all 3 request slots taken"
