"""Members of one team draw on one quota, whatever their accounts are called."""

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State
from okr_tui.domain.quota import Balance, Credits
from okr_tui.domain.records import BalanceRead, Record
from okr_tui.domain.view import view
from tests.domain.facts import (
    NOW,
    POLICY,
    A,
    B,
    C,
    after,
    belongs,
    chosen_key,
    config,
    failed,
    judged,
    reading,
)

SHARED = Balance(credits=Credits(400.0, 1000.0, until=NOW + 86400))
OTHER = Balance(credits=Credits(400.0, 1000.0, until=NOW + 999))


def member(key: str, account: str, balance: Balance, plan: str = "team") -> tuple[Record, BalanceRead]:
    return belongs(key, account, plan=plan), reading(NOW - 500, balance, key)


def test_one_member_s_spent_quota_blocks_all_members() -> None:
    state = after(
        *member(A, "amber", SHARED),
        *member(B, "birch", SHARED),
        *member(C, "cedar", OTHER),
        failed(FaultKind.SPENT, NOW, key=A, window="monthly"),
    )
    assert judged(state, NOW + 1, B).state is State.SPENT
    assert chosen_key(state, config(3), NOW + 1) == C


def test_two_plans_of_equal_size_are_not_a_team() -> None:
    state = after(
        *member(A, "amber", SHARED, "pro"),
        *member(B, "birch", SHARED, "pro"),
        failed(FaultKind.SPENT, NOW, key=A, window="monthly"),
    )
    assert chosen_key(state, config(2), NOW + 1) == B


def test_the_view_says_that_members_share() -> None:
    state = after(*member(A, "amber", SHARED), *member(B, "birch", SHARED))
    rows = view(state, config(2), POLICY, NOW).keys
    assert rows[1].same_as == 1
    assert rows[0].account_keys == (1, 2)


def test_members_of_whose_quota_nothing_is_known_share_none() -> None:
    unknown = Balance(credits=Credits(400.0, None, until=NOW + 86400))
    state = after(
        *member(A, "amber", unknown),
        *member(B, "birch", unknown),
        belongs(C, "cedar", plan="team"),
        failed(FaultKind.SPENT, NOW, key=A, window="monthly"),
    )
    assert judged(state, NOW + 1, A).state is State.SPENT
    assert judged(state, NOW + 1, B).eligible
    assert judged(state, NOW + 1, C).eligible
