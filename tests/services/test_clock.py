"""The machine's clock: nobody who sets it moves the pool, until the cloud says that it is right."""

import time
from email.utils import formatdate

import pytest

from okr_tui.services.background import SystemClock, since_boot

NOON = 1_793_000_000.0


class Machine:
    """A machine whose clock a person sets."""

    def __init__(self) -> None:
        self.passed = 500.0
        self.wrong_by = 0.0
        self.clock = SystemClock(lambda: NOON + self.passed + self.wrong_by, lambda: self.passed)

    def hear(self) -> float | None:
        """A response comes, with the true time."""
        return self.clock.hear({"date": formatdate(NOON + self.passed, usegmt=True)})


@pytest.mark.parametrize("jump", [-86400, -3600, -60, 60, 3600, 30 * 86400])
def test_time_continues_when_somebody_sets_the_clock(jump: float) -> None:
    machine = Machine()
    assert machine.clock.time() == NOON + 500
    machine.wrong_by = jump
    machine.passed += 7
    assert machine.clock.time() == NOON + 507
    assert machine.clock.monotonic() == 507


def test_small_corrections_are_followed() -> None:
    machine = Machine()
    for _ in range(10):
        machine.wrong_by += 0.5
        assert machine.clock.time() == NOON + 500 + machine.wrong_by


@pytest.mark.parametrize("wrong_by", [-86400.0, -3600.0, 3600.0, 86400.0])
def test_the_cloud_outweighs_a_clock_that_was_wrong_from_the_start(wrong_by: float) -> None:
    machine = Machine()
    machine.clock = SystemClock(lambda: NOON + machine.passed + machine.wrong_by, lambda: machine.passed)
    machine.wrong_by = wrong_by
    machine.clock = SystemClock(lambda: NOON + machine.passed + machine.wrong_by, lambda: machine.passed)
    assert machine.clock.time() == NOON + 500 + wrong_by
    assert machine.hear() == pytest.approx(wrong_by, abs=1)
    assert machine.clock.time() == pytest.approx(NOON + 500, abs=1)
    machine.wrong_by = 0.0  # somebody puts it right
    assert machine.hear() == pytest.approx(0, abs=1)
    assert machine.clock.time() == NOON + 500


def test_a_jump_that_the_cloud_confirms_is_followed() -> None:
    """A machine that started with a wrong clock, which the network then put right."""
    machine = Machine()
    machine.wrong_by = 90.0
    assert machine.clock.time() == NOON + 500
    machine.hear()
    assert machine.clock.time() == NOON + 590


def test_a_response_without_a_date_moves_nothing() -> None:
    machine = Machine()
    machine.wrong_by = 4000.0
    assert machine.clock.hear({"date": "soon"}) is None
    assert machine.clock.time() == NOON + 500


def test_the_machine_itself() -> None:
    clock = SystemClock()
    assert abs(clock.time() - time.time()) < 1
    assert since_boot() <= clock.monotonic()
