"""What a person says counts: resets, keys switched off and on, keys that were replaced."""

import pytest

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.records import (
    Disabled,
    Enabled,
    ModelsRead,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    MODEL,
    NOW,
    POLICY,
    A,
    B,
    C,
    after,
    belongs,
    failed,
    judged,
    reading,
    refused_reading,
    trial,
    went_well,
    windows,
)

BLOCKING = [
    FaultKind.SPENT,
    FaultKind.SLOWED,
    FaultKind.BUSY,
    FaultKind.UNAUTHORIZED,
    FaultKind.NO_PLAN,
    FaultKind.FORBIDDEN,
]


def reset(at: float = NOW + 10, key: str = A) -> Reset:
    return Reset(at=at, fingerprint=key)


@pytest.mark.parametrize("kind", BLOCKING)
def test_reset_lifts_every_block_of_the_key_and_its_account(kind: FaultKind) -> None:
    state = after(failed(kind))
    assert not judged(state, NOW).eligible
    found = judged(fold([reset(NOW + 1)], POLICY, state), NOW + 1)
    assert (found.eligible, found.trial) == (True, False)


def test_reset_lifts_confirmed_refusals_too() -> None:
    kinds = (FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN)
    records = [record for kind in kinds for record in (failed(kind), refused_reading(kind, NOW + 2))]
    assert judged(after(*records, reset()), NOW + 10).eligible


def test_reset_ends_a_trial_that_was_under_way() -> None:
    state = after(failed(FaultKind.SPENT, window="hourly"), trial(NOW + 3700), reset(NOW + 3701))
    assert judged(state, NOW + 3701).eligible


def test_reset_tries_the_cloud_again_in_an_outage() -> None:
    state = after(failed(FaultKind.TRANSIENT), failed(FaultKind.TRANSIENT, NOW + 1, B), reset(NOW + 2))
    assert judged(state, NOW + 2).eligible


@pytest.mark.parametrize("kind", BLOCKING)
def test_failure_of_a_request_begun_before_the_reset_does_not_count(kind: FaultKind) -> None:
    state = after(reset(), failed(kind, NOW + 60, started=NOW + 9))
    assert judged(state, NOW + 60).eligible


@pytest.mark.parametrize("kind", BLOCKING)
def test_failure_of_a_request_begun_after_the_reset_counts(kind: FaultKind) -> None:
    state = after(reset(), failed(kind, NOW + 60, started=NOW + 11))
    assert not judged(state, NOW + 60).eligible


def test_confirmation_begun_before_the_reset_does_not_count() -> None:
    late = refused_reading(FaultKind.UNAUTHORIZED, NOW + 12, started=NOW + 9)
    assert judged(after(failed(FaultKind.UNAUTHORIZED), reset(), late), NOW + 12).eligible


def test_reset_of_one_key_counts_for_every_key_of_its_account() -> None:
    state = after(
        belongs(A, "amber"),
        belongs(B, "amber"),
        failed(FaultKind.SPENT, window="weekly"),
        reset(key=B),
        failed(FaultKind.SPENT, NOW + 60, started=NOW + 9, window="weekly"),
    )
    assert judged(state, NOW + 60, A).eligible
    assert judged(state, NOW + 60, B).eligible


def test_reset_does_not_touch_other_accounts() -> None:
    state = after(failed(FaultKind.SPENT, key=B, window="weekly"), reset(key=A))
    assert not judged(state, NOW + 10, B).eligible


def test_reset_sticks_when_the_key_is_found_to_share_an_account() -> None:
    spent = failed(FaultKind.SPENT, window="weekly")
    orders: list[list[Record]] = [
        [belongs(A, "amber"), spent, reset(key=B)],
        [belongs(B, "amber"), spent, reset()],
    ]
    for records in orders:
        state = after(*records, belongs(A, "amber", NOW + 20), belongs(B, "amber", NOW + 20))
        assert judged(state, NOW + 20, A).eligible
        assert judged(state, NOW + 20, B).eligible


def test_older_reset_that_comes_late_does_not_move_the_line_back() -> None:
    state = after(reset(NOW + 10), reset(NOW + 5), failed(FaultKind.SPENT, NOW + 30, started=NOW + 8))
    assert judged(state, NOW + 30).eligible


def undone(at: float = NOW + 20, key: str = A) -> ResetUndone:
    return ResetUndone(at=at, fingerprint=key)


@pytest.mark.parametrize("kind", [*BLOCKING, FaultKind.TRANSIENT])
def test_reset_that_is_undone_forgets_nothing(kind: FaultKind) -> None:
    records: list[Record] = [belongs(A, "amber"), belongs(C, "amber"), failed(kind), failed(kind, NOW + 1, B)]
    before, found = after(*records), after(*records, reset(NOW + 2), undone(NOW + 3))
    for key in (A, C):
        assert judged(found, NOW + 3, key) == judged(before, NOW + 3, key)
        assert judged(found, NOW + 3, key, model=MODEL) == judged(before, NOW + 3, key, model=MODEL)
        assert found.key(key).reset_at == 0
    assert found.service("").outage == before.service("").outage


def test_what_was_learned_after_a_reset_outlives_its_undoing() -> None:
    older, newer = (
        failed(FaultKind.SPENT, at, started=at - 1, window=window)
        for at, window in ((NOW, "weekly"), (NOW + 15, "session"))
    )
    found = judged(after(older, reset(), newer, undone()), NOW + 20)
    assert (found.state, found.window) == (State.SPENT, "session")


def test_a_second_reset_does_not_lose_what_the_first_forgot() -> None:
    spent = failed(FaultKind.SPENT, window="weekly")
    assert not judged(after(spent, reset(), reset(NOW + 12), undone()), NOW + 20).eligible
    assert judged(after(spent, reset(), undone(key=B)), NOW + 20).eligible


def test_undoing_without_a_reset_changes_nothing() -> None:
    state = after(failed(FaultKind.SPENT))
    assert fold([undone(), undone()], POLICY, state) == state


def test_key_switched_off_stays_off_whatever_happens() -> None:
    state = after(Disabled(at=NOW, fingerprint=A), went_well(NOW + 1), reset(), reading(NOW + 20, windows(1)))
    found = judged(state, NOW + 20)
    assert (found.state, found.eligible, found.reason) == (State.OFF, False, "switched off by you")


def test_key_switched_on_again_keeps_its_blocks() -> None:
    state = after(
        failed(FaultKind.SPENT, window="weekly"),
        Disabled(at=NOW + 1, fingerprint=A),
        Enabled(at=NOW + 2, fingerprint=A),
    )
    assert judged(state, NOW + 3).state is State.SPENT


def test_key_with_another_text_starts_fresh() -> None:
    state = after(failed(FaultKind.UNAUTHORIZED), refused_reading(FaultKind.UNAUTHORIZED, NOW + 2))
    assert judged(state, NOW + 3, fingerprint("a new text")).state is State.UNVERIFIED


def test_records_about_settings_and_models_change_no_key() -> None:
    said: list[Record] = [
        Use(at=NOW, fingerprint=A),
        SettingsRead(at=NOW, keys=3, cloud_url="https://ollama.com"),
        ModelsRead(at=NOW, count=20),
    ]
    assert fold(said, POLICY) == PoolState()


def test_key_is_unverified_until_the_cloud_has_accepted_it() -> None:
    assert judged(PoolState(), key=C).state is State.UNVERIFIED
    for proof in (went_well(NOW, C), reading(NOW, windows(1), C), belongs(C, "cedar")):
        assert judged(after(proof), key=C).state is State.READY
    assert judged(after(failed(FaultKind.REQUEST, key=C)), key=C).state is State.UNVERIFIED
