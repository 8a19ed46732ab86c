"""What a request does after a fault: same key, next key, or give up."""

import pytest

from okr_tui.domain.faults import FaultKind, Step, next_step
from tests.domain.facts import POLICY, a_fault

AT_ONCE = ("spent", "slowed", "busy", "unauthorized", "no-plan", "forbidden")


def step_after(
    kind: FaultKind, passing: int = 0, *, clamped: bool = False, max_output: int | None = None
) -> Step:
    return next_step(a_fault(kind, max_output=max_output), passing, clamped=clamped, policy=POLICY)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_key_that_cannot_serve_is_left_at_once(kind: str) -> None:
    assert step_after(FaultKind(kind)) is Step.NEXT_KEY


@pytest.mark.parametrize("kind", [FaultKind.REQUEST, FaultKind.GONE, FaultKind.ENDPOINT])
def test_what_no_key_can_mend_is_returned(kind: FaultKind) -> None:
    assert step_after(kind) is Step.GIVE_UP


def test_passing_fault_is_tried_on_the_same_key_then_on_another_then_no_more() -> None:
    steps = [step_after(FaultKind.TRANSIENT, passing) for passing in (1, 2, 3, 4)]
    assert steps == [Step.SAME_KEY, Step.NEXT_KEY, Step.GIVE_UP, Step.GIVE_UP]


def test_output_limit_is_lowered_once_on_the_same_key() -> None:
    assert step_after(FaultKind.REQUEST, max_output=65536) is Step.SAME_KEY
    assert step_after(FaultKind.REQUEST, max_output=65536, clamped=True) is Step.GIVE_UP


def test_every_kind_has_a_step() -> None:
    assert {step_after(kind, 1) for kind in FaultKind} == set(Step)
