"""What holds after any history whatever: the log is the only state, and the choice keeps its promises."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import FaultKind, Scope
from okr_tui.domain.fold import fold, step_of
from okr_tui.domain.health import State
from okr_tui.domain.policy import STRATEGIES
from okr_tui.domain.records import Attempt, Record, Reset
from okr_tui.domain.schedule import due
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import view
from okr_tui.store.base import decode, encode
from tests.domain.facts import KEYS, NOW, POLICY, A, B, C, belongs, chosen, failed, judged, trial, went_well
from tests.domain.histories import FINGERPRINTS, HISTORIES, KINDS, TIMES

STATES: TypeAdapter[PoolState] = TypeAdapter(PoolState)
ROSTERS = st.builds(
    PoolConfig,
    st.permutations(KEYS[:3]).map(tuple),
    st.none() | FINGERPRINTS,
    st.sampled_from(STRATEGIES),
)
CALLERS_OWN = (FaultKind.REQUEST, FaultKind.ENDPOINT)


@given(HISTORIES, ROSTERS, TIMES)
def test_any_history_can_be_folded_shown_and_chosen_from(
    records: list[Record], pool: PoolConfig, now: float
) -> None:
    state = fold(records, POLICY)
    shown = view(state, pool, POLICY, now)
    assert len(shown.keys) == 3
    assert sum(shown.counts.values()) == 3
    readings, following = due(state, pool, POLICY, now, {})
    assert following > now
    assert all(item.at <= now for item in readings)


@given(HISTORIES, HISTORIES)
def test_history_may_be_folded_in_parts(first: list[Record], second: list[Record]) -> None:
    assert fold([*first, *second], POLICY) == fold(second, POLICY, fold(first, POLICY))


def name_of(record: Record) -> str:
    """Return a short name of a record for a test."""
    return record.fault.kind if isinstance(record, Attempt) and record.fault else record.kind


@pytest.mark.parametrize(
    "before",
    [
        [],
        [trial(NOW)],
        [belongs(A, "amber", plan="pro"), belongs(B, "amber", plan="pro")],
        [belongs(A, "amber", plan="pro"), failed(FaultKind.BUSY, NOW, A)],
        [failed(FaultKind.TRANSIENT, NOW, A, scope=Scope.MODEL)],
        *([failed(kind, NOW, A), failed(kind, NOW, B)] for kind in FaultKind),
    ],
    ids=lambda records: "-".join(dict.fromkeys(name_of(record) for record in records)) or "nothing",
)
@pytest.mark.parametrize("began", [NOW - 60, NOW, NOW + 60], ids=["earlier", "then", "later"])
@pytest.mark.parametrize("requests", [1, 2, 4])
@pytest.mark.parametrize("count", [3, 80])
def test_successes_counted_together_are_those_counted_one_by_one(
    before: list[Record], began: float, requests: int, count: int
) -> None:
    fine = [
        went_well(NOW + 700 + number, KEYS[number % 3].fingerprint, started=began, in_flight=requests)
        for number in range(count)
    ]
    one_by_one = fold(before, POLICY)
    for record in fine:
        one_by_one = step_of(one_by_one, record, POLICY)
    assert fold([*before, *fine], POLICY) == one_by_one


@given(HISTORIES)
def test_the_short_cut_of_the_fold_changes_nothing(records: list[Record]) -> None:
    one_by_one = PoolState()
    for record in records:
        one_by_one = step_of(one_by_one, record, POLICY)
    assert fold(records, POLICY) == one_by_one


@given(HISTORIES)
def test_two_folds_of_one_log_are_equal(records: list[Record]) -> None:
    log = [encode(record) for record in records]
    assert fold(map(decode, log), POLICY) == fold(map(decode, log), POLICY) == fold(records, POLICY)


@given(HISTORIES)
def test_state_survives_being_written_down(records: list[Record]) -> None:
    state = fold(records, POLICY)
    assert STATES.validate_json(STATES.dump_json(state)) == state


@given(HISTORIES, HISTORIES)
def test_state_that_was_written_down_continues_as_if_it_had_not(
    first: list[Record], second: list[Record]
) -> None:
    state = fold(first, POLICY)
    loaded = STATES.validate_json(STATES.dump_json(state))
    assert fold(second, POLICY, loaded) == fold(second, POLICY, state)


@given(HISTORIES, ROSTERS, TIMES, st.sets(FINGERPRINTS), st.none() | st.sampled_from(["amber", A, B]))
def test_blocked_or_tried_key_is_never_chosen(
    records: list[Record], pool: PoolConfig, now: float, tried: set[str], conversation: str | None
) -> None:
    state = fold(records, POLICY)
    choice = chosen(state, pool, now, tried=frozenset(tried), conversation=conversation)
    if choice.key is not None:
        assert choice.verdicts[pool.keys.index(choice.key)].eligible
        assert choice.key.fingerprint not in tried


@given(HISTORIES, ROSTERS, TIMES, st.sets(FINGERPRINTS))
def test_eligible_untried_key_is_found(
    records: list[Record], pool: PoolConfig, now: float, tried: set[str]
) -> None:
    state = fold(records, POLICY)
    choice = chosen(state, pool, now, tried=frozenset(tried))
    usable = [
        key
        for key, verdict in zip(pool.keys, choice.verdicts, strict=True)
        if verdict.eligible and not {key.fingerprint, state.account_of(key.fingerprint)} & tried
    ]
    if pool.strategy == "pinned":
        usable = [key for key in usable if key.fingerprint == pool.preferred]
    assert (choice.key in usable) if usable else (choice.key is None)


@given(HISTORIES, FINGERPRINTS, st.sampled_from(CALLERS_OWN), st.floats(0, 600))
def test_callers_own_error_changes_no_keys_eligibility(
    records: list[Record], key: str, kind: FaultKind, later: float
) -> None:
    before = fold(records, POLICY)
    before = replace(before, keys={name: replace(k, trial_at=None) for name, k in before.keys.items()})
    now = NOW + 10 * 86400 + later
    after = fold([failed(kind, now, key)], POLICY, before)
    for other in (A, B, C):
        assert judged(after, now, other) == judged(before, now, other)


@given(HISTORIES, FINGERPRINTS, KINDS, TIMES)
def test_polling_fault_never_blocks_a_key_unless_the_key_itself_is_refused(
    records: list[Record], key: str, kind: FaultKind, at: float
) -> None:
    if kind in (FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN):
        kind = FaultKind.SPENT
    state = fold(records, POLICY)
    poll = failed(kind, at, key, client="probe", path="/api/balance")
    polled = fold([poll], POLICY, state)
    assert all(judged(polled, at, name) == judged(state, at, name) for name in (A, B, C))


@given(HISTORIES, FINGERPRINTS)
def test_reset_key_is_eligible_unless_switched_off(records: list[Record], key: str) -> None:
    now = NOW + 10 * 86400
    state = fold([*records, Reset(at=now, fingerprint=key)], POLICY)
    found = judged(state, now, key, model=None)
    assert found.eligible is (found.state is not State.OFF)


@given(HISTORIES, HISTORIES, FINGERPRINTS)
def test_nothing_begun_before_a_reset_blocks_the_key(
    before: list[Record], late: list[Record], key: str
) -> None:
    now = NOW + 20 * 86400
    stragglers = [record for record in late if record.kind == "attempt"]
    state = fold([*before, Reset(at=now, fingerprint=key), *stragglers], POLICY)
    own = state.key(key).blocks, state.account(state.account_of(key)).blocks
    assert own == ({}, {})


@given(HISTORIES, ROSTERS)
def test_a_key_is_back_by_the_earliest_return(records: list[Record], pool: PoolConfig) -> None:
    now = NOW + 10 * 86400
    state = fold(records, POLICY)
    state = replace(state, keys={name: replace(key, trial_at=None) for name, key in state.keys.items()})
    choice = chosen(state, pool, now)
    if choice.key is None and choice.earliest is not None:
        assert choice.earliest > now
        assert chosen(state, pool, choice.earliest).key is not None


@given(HISTORIES)
def test_no_block_with_an_end_lasts_longer_than_is_believable(records: list[Record]) -> None:
    for account in fold(records, POLICY).accounts.values():
        for block in account.blocks.values():
            assert block.until is None or block.until - block.since <= POLICY.longest_period


def test_a_pinned_pool_without_a_preferred_key_promises_no_return() -> None:
    state = fold([failed(FaultKind.SPENT, key=A)], POLICY)
    choice = chosen(state, PoolConfig(KEYS, None, "pinned"))
    assert (choice.key, choice.earliest) == (None, None)
