"""Which free readings are due: one key per account, seldom, and soon where something hangs on it."""

from dataclasses import replace

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.records import Disabled, Record
from okr_tui.domain.schedule import Reading, due
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    NOW,
    POLICY,
    A,
    B,
    C,
    after,
    belongs,
    config,
    failed,
    reading,
    refused_reading,
    went_well,
    windows,
)


def ready(state: PoolState, now: float, count: int = 1) -> tuple[Reading, ...]:
    return due(state, config(count), POLICY, now, {})[0]


def names(state: PoolState, now: float, count: int = 1) -> set[str]:
    return {item.name for item in ready(state, now, count)}


def known(*keys: str) -> list[Record]:
    """Keys that were identified and read just now, each an account of its own."""
    return [
        record for key in keys for record in (belongs(key, f"of {key}", NOW), reading(NOW, windows(5), key))
    ]


def test_new_keys_are_identified_and_read_at_once() -> None:
    assert names(PoolState(), NOW, 2) == {
        f"{what} {key}" for what in ("identity", "balance") for key in (A, B)
    }


def test_account_is_read_again_about_every_ninety_seconds() -> None:
    state = after(*known(A))
    readings, following = due(state, config(1), POLICY, NOW + 1, {})
    assert readings == ()
    assert NOW + 90 * 0.9 <= following <= NOW + 90 * 1.1
    assert names(state, following) == {f"balance {A}"}


def test_identity_is_read_again_after_a_day() -> None:
    assert f"identity {A}" not in names(after(*known(A)), NOW + 86399)
    assert f"identity {A}" in names(after(*known(A)), NOW + 86400)


def test_one_key_speaks_for_its_account() -> None:
    state = after(belongs(A, "amber", NOW), belongs(B, "amber", NOW), reading(NOW, windows(5)))
    assert names(state, NOW + 3600, 2) == {f"balance {A}"}


def test_key_switched_off_is_not_read() -> None:
    assert names(after(Disabled(at=NOW, fingerprint=A)), NOW) == set()


def test_other_key_speaks_for_the_account_of_a_refused_one() -> None:
    amber: list[Record] = [belongs(A, "amber", NOW), belongs(B, "amber", NOW), reading(NOW, windows(5))]
    state = after(*amber, failed(FaultKind.UNAUTHORIZED), refused_reading(FaultKind.UNAUTHORIZED, NOW + 2))
    assert names(state, NOW + 200, 2) == {f"balance {B}"}


def test_doubt_is_looked_at_within_two_seconds() -> None:
    state = after(*known(A), refused_reading(FaultKind.UNAUTHORIZED, NOW + 10))
    assert names(state, NOW + 11) == set()
    assert names(state, NOW + 12) == {f"balance {A}"}


def test_invalid_key_is_read_only_when_its_recheck_is_due() -> None:
    state = after(*known(A), failed(FaultKind.UNAUTHORIZED), refused_reading(FaultKind.UNAUTHORIZED, NOW + 2))
    assert names(state, NOW + 301) == set()
    assert names(state, NOW + 302) == {f"balance {A}"}


def test_suspended_account_is_read_once_a_day() -> None:
    state = after(*known(A), failed(FaultKind.FORBIDDEN), refused_reading(FaultKind.FORBIDDEN, NOW + 2))
    assert f"balance {A}" not in names(state, NOW + 86401)
    assert f"balance {A}" in names(state, NOW + 86402)


def test_account_that_was_suspended_before_its_first_reading_is_asked_no_more_often() -> None:
    doubted = after(refused_reading(FaultKind.FORBIDDEN, NOW))
    assert names(doubted, NOW + 1) == set()
    assert names(doubted, NOW + 2) == {f"balance {A}"}
    refused = fold([refused_reading(FaultKind.FORBIDDEN, NOW + 2)], POLICY, doubted)
    assert names(refused, NOW + 86401) == set()
    assert names(refused, NOW + 86402) == {f"balance {A}"}
    restored = fold([reading(NOW + 86403, windows(5))], POLICY, refused)
    assert names(restored, NOW + 86403) == {f"identity {A}"}


def test_account_is_read_when_its_window_comes_back() -> None:
    reported = Balance((Window("session", 100, NOW + 20),))
    state = after(belongs(A, "amber", NOW), reading(NOW, reported))
    assert names(state, NOW + 21) == set()
    assert names(state, NOW + 22) == {f"balance {A}"}


def test_account_found_spent_is_read_as_soon_as_it_may_be() -> None:
    """The reading right after the fault was too soon after another, or its process has ended."""
    state = after(*known(A), failed(FaultKind.SPENT, NOW + 3, window="session"))
    readings, following = due(state, config(1), POLICY, NOW + 4, {})
    assert (readings, following) == ((), NOW + POLICY.poll_gap)
    assert names(state, NOW + POLICY.poll_gap) == {f"balance {A}"}
    state = fold([reading(NOW + 10, windows(100, end=NOW + 900))], POLICY, state)
    assert names(state, NOW + 30) == set()


def test_failed_reading_is_held_off() -> None:
    readings, following = due(PoolState(), config(1), POLICY, NOW, {f"balance {A}": NOW + 50})
    assert [item.identity for item in readings] == [True]
    assert following == NOW + 50


def test_empty_pool_has_nothing_to_read() -> None:
    assert due(PoolState(), config(0), POLICY, NOW, {}) == ((), NOW + 600)


def test_hour_of_reading_stays_far_below_the_clouds_limit() -> None:
    state, now, count = after(*known(A, B, C)), NOW, 0
    while now < NOW + 3600:
        readings, following = due(state, config(3), POLICY, now, {})
        count += len(readings)
        state = fold([reading(now, windows(5), item.key.fingerprint) for item in readings], POLICY, state)
        now = following if not readings else now + 0.1
    assert count <= 3 * 60


def test_without_viewers_or_traffic_balances_are_read_less_often() -> None:
    state = after(*known(A))
    _, following = due(state, config(1), POLICY, NOW + 1, {}, shown=False)
    assert NOW + 450 * 0.9 <= following <= NOW + 450 * 1.1
    busy = after(*known(A), went_well(NOW + 1))
    _, following = due(busy, config(1), POLICY, NOW + 2, {}, shown=False)
    assert following <= NOW + 99


def test_a_spent_account_is_looked_at_after_10_15_and_30_minutes_then_every_hour() -> None:
    policy = replace(POLICY, poll_shown=(1e6, 1e6), spent_steps=(1e6,))
    state = after(belongs(A, "amber", NOW), failed(FaultKind.SPENT, NOW, window="unknown"), policy=policy)
    looks, now = [], NOW + 1
    for _ in range(6):
        state = fold([reading(now, windows(100), started=now)], policy, state)
        now = due(state, config(1), policy, now, {f"identity {A}": 1e12})[1]
        looks.append((now - NOW) / 60)
    assert looks == [10, 25, 55, 115, 175, 235]
