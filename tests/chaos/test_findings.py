"""What counts as a breach: the claims can fail, and fail for nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.records import Attempt, Record, Trial
from tests.chaos.findings import Evidence
from tests.chaos.processes import Worker
from tests.chaos.truth import Period, Sent, Truth

BEGAN = 1_000_000.0
KEY, OTHER_KEY = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


def worker(number: int, **facts: Any) -> Worker:
    return Worker(number, 10, cast("Any", None), **{"started": BEGAN, "joined": BEGAN + 1, **facts})


def sent(request: str, at: float, key: str = KEY, status: int | None = 200) -> Sent:
    return Sent(BEGAN + at, f"account of {key}", key, request, BEGAN + at + 0.5, status)


def record(request: str, at: float, key: str = KEY) -> Attempt:
    started = BEGAN + at
    return Attempt(
        at=started + 0.5,
        started=started,
        client="cli",
        caller=request,
        fingerprint=key,
        path="/",
        outcome="ok",
    )


def evidence(
    received: Sequence[Sent],
    records: Sequence[Record] = (),
    workers: Sequence[Worker] = (),
    away: Sequence[Period] = (),
    blocked: float | None = None,
) -> Evidence:
    truth = Truth(cast("Any", SimpleNamespace(app=None)), list(received))
    if blocked is not None:
        truth.blocked[f"account of {KEY}"] = [Period(BEGAN + blocked)]
    return Evidence(truth, workers or [worker(1), worker(2)], records, away, BEGAN, BEGAN + 60, 0.25)


def test_request_is_found_in_the_log_by_its_name_whatever_the_time_there() -> None:
    found = evidence([sent("1/0", 10), sent("1/1", 10)], [record("1/1", 17), record("1/0", 2)])
    assert (list(found.lost()), found.doubled()) == ([], 0)


def test_a_record_of_another_request_does_not_replace_one_that_is_lost() -> None:
    found = evidence([sent("1/0", 10), sent("2/0", 10)], [record("2/0", 10), record("2/0", 10.01)])
    assert [line.split(" on ")[0] for line in found.lost()] == ["10.00 s: 1/0"]
    assert found.doubled() == 1


def test_each_send_of_a_request_has_a_record() -> None:
    received = [sent("1/0", 10), sent("1/0", 12), sent("1/0", 14, OTHER_KEY)]
    found = evidence(received, [record("1/0", 12), record("1/0", 14, OTHER_KEY)])
    assert len(list(found.lost())) == 1


@pytest.mark.parametrize("records", [1, 2])
def test_request_whose_connection_was_cut_and_that_was_sent_again_has_one_record_or_two(records: int) -> None:
    received = [replace(sent("1/0", 10, status=None), ended=BEGAN + 10.1), sent("1/0", 10.2)]
    found = evidence(received, [record("1/0", 10.2 - 0.2 * index) for index in range(records)])
    assert (list(found.lost()), found.doubled()) == ([], 0)
    assert len(list(evidence(received).lost())) == 1


def test_record_that_is_in_the_log_twice_is_one_too_many() -> None:
    assert evidence([sent("1/0", 10), sent("1/0", 12)], [record("1/0", 10)] * 2).doubled() == 1


def test_killed_process_takes_along_only_what_ended_with_it() -> None:
    killed = worker(1, killed=True, ended=BEGAN + 12.55)
    found = evidence([sent("1/0", 10), sent("1/1", 12)], workers=[killed])
    assert [line.split(" on ")[0] for line in found.lost()] == ["10.00 s: 1/0"]


def test_process_that_is_killed_after_a_stop_takes_along_what_came_meanwhile() -> None:
    stopped = [Period(BEGAN + 10, BEGAN + 12)]
    received = [sent("1/0", 8), sent("1/1", 10)]
    soon = worker(1, killed=True, ended=BEGAN + 12.2, stopped=stopped)
    assert [line.split(" on ")[0] for line in evidence(received, workers=[soon]).lost()] == ["8.00 s: 1/0"]
    later = worker(1, killed=True, ended=BEGAN + 13.1, stopped=stopped)
    assert len(list(evidence(received, workers=[later]).lost())) == 2


def test_block_that_another_process_met_has_to_be_known() -> None:
    met = [sent("1/0", 10, status=401), sent("2/0", 11, status=401)]
    assert len(list(evidence(met, blocked=9).sent_to_blocked())) == 1
    assert not list(evidence([met[0], sent("2/0", 10.6, status=401)], blocked=9).sent_to_blocked())


def test_an_answer_that_no_slot_is_free_names_no_block() -> None:
    met = [replace(sent("1/0", 10, status=429), no_slot=True), sent("2/0", 11, status=429)]
    assert not list(evidence(met, blocked=9).sent_to_blocked())
    assert list(evidence([*met, sent("2/1", 13, status=429)], blocked=9).sent_to_blocked())


def test_trial_is_recognised_however_late_its_request_arrives() -> None:
    met = [sent("1/0", 10, status=403), sent("1/1", 12.2, status=403)]
    refused = Fault(FaultKind.FORBIDDEN, Scope.ACCOUNT, "suspended", 403)
    begun = replace(record("1/1", 11), at=BEGAN + 12.7, outcome="fault", fault=refused)
    assert list(evidence(met, [begun], blocked=9).sent_to_blocked())
    trial = Trial(at=BEGAN + 11, fingerprint=KEY)
    assert not list(evidence(met, [begun, trial], blocked=9).sent_to_blocked())


def test_process_that_began_while_the_log_was_away_has_to_know_once_it_is_up() -> None:
    first, away = sent("1/0", 10, status=401), [Period(BEGAN + 18, BEGAN + 21)]
    late = worker(2, started=BEGAN + 20, joined=BEGAN + 30)
    for at, breaches in ((34.5, 0), (35.5, 1)):
        found = evidence([first, sent("2/0", at, status=401)], (), [worker(1), late], away, blocked=9)
        assert len(list(found.sent_to_blocked())) == breaches
