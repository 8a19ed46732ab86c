"""Steps and strategies of the policy."""

from okr_tui.domain.policy import STRATEGIES, step


def test_last_step_is_repeated_for_ever() -> None:
    assert [step((1, 2, 3), count) for count in (0, 1, 2, 3, 99)] == [1, 2, 3, 3, 3]


def test_strategies_are_known_by_name() -> None:
    assert STRATEGIES == ("sticky", "drain", "headroom", "round-robin", "pinned")
