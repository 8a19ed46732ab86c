"""The demo's own settings, and the day that is in its log when it begins."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from okr_tui.cli import demo
from okr_tui.cli.demo_history import DAY, Member, day_of_history, requests_of
from okr_tui.domain.errors import OkrError
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import READY, verdict
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Attempt, BalanceRead
from okr_tui.settings.layers import Sources, load
from okr_tui.store.factory import locate_store

NOW = 1_785_917_640.0
MEMBERS = [Member(f"{index:012x}", f"account {index // 2}", "pro") for index in range(4)]


def test_the_demo_has_no_problem_of_its_own_and_its_own_pace(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    demo._write_settings(path, {"url": "http://127.0.0.1:1", "keys": ["x" * 32]})
    settings = load(Sources(path, tmp_path, {}, policy=demo._policy(2.0)))
    assert settings.problems == ()
    assert settings.policy.poll_gap == 1
    assert settings.policy.poll_shown == (4, 6)


def test_the_day_before_is_a_whole_one_with_hops_and_named_callers() -> None:
    records = day_of_history(MEMBERS, NOW)
    assert records == day_of_history(MEMBERS, NOW)
    times = [record.at for record in records]
    assert times == sorted(times)
    assert NOW - DAY <= times[0] < times[-1] < NOW
    assert {int((NOW - at) // 14400) for at in times} >= set(range(6))
    attempts = [record for record in records if isinstance(record, Attempt)]
    assert len(attempts) > 400
    assert {attempt.caller for attempt in attempts} == {"pi", "codex", "notes"}
    assert {attempt.fingerprint for attempt in attempts} == {member.fingerprint for member in MEMBERS}
    faults = {attempt.fault.kind for attempt in attempts if attempt.fault and attempt.next_fingerprint}
    assert {FaultKind.SPENT, FaultKind.TRANSIENT} <= faults
    assert any(isinstance(record, BalanceRead) for record in records)


def test_no_key_begins_the_demo_blocked() -> None:
    state = fold(day_of_history(MEMBERS, NOW), Policy())
    for member in MEMBERS:
        assert verdict(state, member.fingerprint, now=NOW, policy=Policy()) == READY


def test_an_account_with_dollars_is_never_spent_and_counts_as_the_log_does() -> None:
    members = [MEMBERS[0], replace(MEMBERS[2], dollars=60.0)]
    day = day_of_history(members, NOW)
    credited = [each for each in day if getattr(each, "fingerprint", "") == members[1].fingerprint]
    balances = [each.balance for each in credited if isinstance(each, BalanceRead)]
    assert all(each.credits and not each.windows for each in balances)
    answers = [each for each in credited if isinstance(each, Attempt) and each.outcome == "ok"]
    assert requests_of(day, members[1]) == [(e.at, e.input_tokens, e.output_tokens) for e in answers]
    assert not [each for each in credited if isinstance(each, Attempt) and each.fault and each.fault.window]


async def test_the_day_is_in_the_log_before_the_dashboard_opens(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    ready = {
        "url": "http://127.0.0.1:1",
        "keys": [{"key": f"key-{index}-{'x' * 30}", "label": f"label {index}"} for index in range(2)],
        "accounts": [
            {"name": "amber", "id": "a", "plan": "pro", "dollars": None},
            {"name": "birch", "id": "b", "plan": "free", "dollars": None},
        ],
    }
    demo._write_settings(settings, ready)
    await demo._write_history(settings, ready)
    store = locate_store(json.loads(settings.read_text())["okr-tui"]["store"])
    try:
        logged = [entry.record for entry in await store.read()]
    finally:
        await store.close()
    used = {record.fingerprint for record in logged if isinstance(record, Attempt)}
    assert used == {fingerprint(key["key"]) for key in ready["keys"]}  # type: ignore[index]


async def test_a_simulated_cloud_that_does_not_start_is_reported() -> None:
    async with demo._child("-c", "pass") as process:
        with pytest.raises(OkrError, match="the simulated cloud ended before it was ready"):
            await demo._announced(process)
