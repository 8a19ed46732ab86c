"""Alerts: each crossing is told once, by one of all processes, and again only after its end or reset."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from okr_tui.domain.alerts import (
    AlertRules,
    QuietHours,
    concerning,
    document,
    due,
    is_shown,
    reported_as,
    text,
)
from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.feed import entry
from okr_tui.domain.fold import apply
from okr_tui.domain.quota import Balance, Credits, Window
from okr_tui.domain.records import Alert, Disabled, Record, Reset
from okr_tui.domain.state import PoolState
from okr_tui.domain.usage import Budget, BudgetState
from tests.domain.facts import (
    KEYS,
    MONDAY,
    NOW,
    POLICY,
    SESSION_END,
    A,
    B,
    C,
    belongs,
    config,
    dollars,
    failed,
    reading,
    refused_reading,
    went_well,
    windows,
)
from tests.domain.histories import HISTORIES, TIMES

RULES = AlertRules()


class Log:
    """A log and its state, with a process that records what is due."""

    def __init__(self, *records: Record, pool: PoolConfig | None = None, rules: AlertRules = RULES) -> None:
        self.state = PoolState()
        self.config = pool or config(3)
        self.rules = rules
        self.add(*records)

    def add(self, *records: Record) -> None:
        for record in records:
            self.state = apply(self.state, record, POLICY)

    def tell(self, now: float, **more: object) -> list[str]:
        """Record what is due; return the events of what begins, with a minus before those that end."""
        found = due(self.state, self.config, POLICY, self.rules, now, **more)  # type: ignore[arg-type]
        self.add(*found)
        return [f"{'-' if each.over else ''}{each.event}" for each in found]


def session(used: float, end: float = SESSION_END) -> Balance:
    return windows(used, end=end)


@pytest.mark.parametrize(
    ("used", "events"),
    [(79.9, []), (80, ["window-80"]), (94.9, ["window-80"]), (95, ["window-80", "window-95"])],
)
def test_a_mark_is_reported_when_a_window_reaches_it(used: float, events: list[str]) -> None:
    assert Log(reading(NOW, session(used))).tell(NOW) == events


def test_a_crossing_is_reported_once() -> None:
    log = Log(reading(NOW, session(81)))
    assert log.tell(NOW) == ["window-80"]
    log.add(reading(NOW + 60, session(83)))
    assert log.tell(NOW + 60) == []


def test_readings_that_differ_a_little_raise_no_alert_again() -> None:
    log = Log(reading(NOW, session(80)))
    log.tell(NOW)
    log.add(reading(NOW + 60, session(78)))
    assert log.tell(NOW + 60) == []
    log.add(reading(NOW + 120, session(81)))
    assert log.tell(NOW + 120) == []


def test_the_reset_arms_a_mark_again() -> None:
    log = Log(reading(NOW, session(85)))
    log.tell(NOW)
    assert log.tell(SESSION_END) == ["-window-80"]
    log.add(reading(SESSION_END + 60, session(90, SESSION_END + 18000)))
    assert log.tell(SESSION_END + 60) == ["window-80"]


def test_a_reset_that_no_process_saw_arms_a_mark_too() -> None:
    log = Log(reading(NOW, session(85)))
    log.tell(NOW)
    log.add(reading(SESSION_END + 60, session(90, SESSION_END + 18000)))
    assert log.tell(SESSION_END + 60) == ["window-80"]


def test_of_two_processes_one_raises_an_alert() -> None:
    log = Log(reading(NOW, session(85)))
    [first] = due(log.state, log.config, POLICY, RULES, NOW)
    second = replace(first, owner="second", at=NOW + 0.01)
    first = replace(first, owner="first")
    log.add(first, second)
    assert log.state.alerts[first.name].owner == "first"
    shown = [entry(each, log.state, log.config, POLICY) for each in (first, second)]
    assert shown[0] is not None
    assert shown[1] is None


def test_marks_are_settings() -> None:
    rules = replace(RULES, low_percent=50, critical_percent=60)
    assert Log(reading(NOW, session(55)), rules=rules).tell(NOW) == ["window-80"]


def test_the_dollars_of_a_credit_plan_are_a_window() -> None:
    log = Log(reading(NOW, dollars(2, 60, until=MONDAY + 20 * 86400)))
    assert log.tell(NOW) == ["window-80", "window-95"]
    assert {each.window for each in log.state.alerts.values()} == {"credits"}


def test_bought_credit_is_not_an_empty_allowance() -> None:
    assert Log(reading(NOW, dollars(0, 60, bought=5, until=MONDAY + 20 * 86400))).tell(NOW) == []


def test_a_spent_window_is_reported_instead_of_its_marks_and_back_once() -> None:
    log = Log(failed(FaultKind.SPENT, window="session"), reading(NOW + 1, session(100)))
    assert log.tell(NOW + 1) == ["spent"]
    assert log.tell(NOW + 2) == []
    until = next(iter(log.state.alerts.values())).until
    assert until is not None
    assert log.tell(until) == ["-spent"]
    assert log.tell(until + 1) == []
    log.add(failed(FaultKind.SPENT, until + 60, window="session"))
    assert log.tell(until + 60) == ["spent"]


def test_a_return_that_the_cloud_has_not_said_is_marked_as_an_estimate() -> None:
    texts = []
    for before in ((), (reading(NOW - 60, session(90)),)):
        log = Log(*before, failed(FaultKind.SPENT, window="session"))
        [spent] = [each for each in due(log.state, log.config, POLICY, RULES, NOW) if each.event == "spent"]
        texts.append(text(spent, log.config))
    assert ["back ~" in each for each in texts] == [True, False]


def test_the_end_of_a_block_is_reported_as_back() -> None:
    log = Log(failed(FaultKind.SPENT, window="session"))
    log.tell(NOW)
    log.add(Reset(at=NOW + 5, fingerprint=A))
    [over] = due(log.state, log.config, POLICY, RULES, NOW + 5)
    assert reported_as(over) == "back"
    assert text(over, log.config) == "#1: 5h is available again"
    assert reported_as(Alert(at=NOW, event="window-80", over=True)) is None


def test_two_keys_of_one_account_are_reported_once() -> None:
    log = Log(belongs(A, "acme"), belongs(B, "acme"), failed(FaultKind.SPENT, window="session"))
    assert log.tell(NOW) == ["spent", "last-key"]


def test_a_refused_key_is_reported_once_it_is_confirmed() -> None:
    log = Log(failed(FaultKind.UNAUTHORIZED), pool=config(2))
    assert log.tell(NOW) == []
    log.add(refused_reading(FaultKind.UNAUTHORIZED, NOW + 2))
    assert log.tell(NOW + 2) == ["invalid", "last-key"]
    log.add(went_well(NOW + 60, started=NOW + 59))
    assert log.tell(NOW + 60) == ["-invalid", "-last-key"]


def test_a_key_that_is_switched_off_is_not_reported_as_back() -> None:
    log = Log(failed(FaultKind.SPENT, window="session"))
    log.tell(NOW)
    log.add(Disabled(at=NOW + 1, fingerprint=A))
    assert log.tell(NOW + 2) == []


def test_the_last_key_is_reported_among_several_accounts_only() -> None:
    spent = [failed(FaultKind.SPENT, key=key, window="session") for key in (A, B)]
    assert "last-key" in Log(*spent, pool=config(3)).tell(NOW)
    assert "last-key" not in Log(*spent, pool=config(2)).tell(NOW)
    assert "last-key" not in Log(pool=config(1)).tell(NOW)


def test_a_key_that_waits_a_moment_is_reported_only_on_request() -> None:
    log = Log(failed(FaultKind.SLOWED))
    assert log.tell(NOW) == []
    assert log.tell(NOW, slowed=True) == ["slowed"]
    until = next(iter(log.state.alerts.values())).until
    assert until is not None
    assert log.tell(until, slowed=True) == ["-slowed"]


def test_an_outage_is_reported_once_however_long_it_lasts() -> None:
    log = Log(*(failed(FaultKind.TRANSIENT, NOW + at, key, status=500) for at, key in enumerate((A, B))))
    assert log.tell(NOW + 1) == ["outage"]
    assert log.tell(NOW + 40) == []  # between two tries no block holds
    log.add(went_well(NOW + 60, started=NOW + 59))
    assert log.tell(NOW + 60) == ["-outage"]


def burning(*used: float, every: float = 600, end: float | None = SESSION_END) -> list[Record]:
    return [reading(NOW + index * every, windows(each, end=end)) for index, each in enumerate(used)]


def test_a_pace_that_empties_a_window_before_its_reset_is_reported_once_until_then() -> None:
    log = Log(*burning(10, 30))
    assert log.tell(NOW + 600) == ["empty-soon"]
    log.add(reading(NOW + 1800, session(31)))
    assert log.tell(NOW + 1800) == []
    log.add(reading(NOW + 2400, session(60)))
    assert log.tell(NOW + 2400) == []
    assert "-empty-soon" in log.tell(SESSION_END)


@pytest.mark.parametrize(
    "records",
    [
        burning(10, 11),  # lasts beyond the reset
        burning(10, 30, every=300),  # too short a time for a pace
        burning(30, 10),
    ],
    ids=["slow", "short", "falling"],
)
def test_no_pace_no_alert(records: list[Record]) -> None:
    assert "empty-soon" not in Log(*records).tell(records[-1].at)


def test_a_pace_of_old_readings_is_none() -> None:
    log = Log(*burning(10, 30))
    assert log.tell(NOW + 600 + RULES.stale_seconds + 1) == []


def test_much_left_of_a_week_is_reported_a_day_before_its_reset() -> None:
    balance = Balance((Window("session", 0, SESSION_END), Window("weekly", 30, MONDAY)))
    log = Log(reading(MONDAY - 86401, balance), pool=config(1))
    log.state = apply(log.state, reading(MONDAY - 86401, Balance((Window("weekly", 30, MONDAY),))), POLICY)
    assert log.tell(MONDAY - 86401) == []
    assert log.tell(MONDAY - 86400) == ["unused"]
    assert log.tell(MONDAY - 3600) == []
    assert text(next(iter(log.state.alerts.values())), log.config) == (
        "#1: 70% of week is still unused, reset Mon 00:00"
    )


def test_an_unused_session_is_not_news() -> None:
    assert Log(reading(SESSION_END - 60, session(0))).tell(SESSION_END - 60) == []


def test_a_gateway_that_is_gone_is_reported_and_over_once_it_runs_again() -> None:
    url = "http://127.0.0.1:11435"
    log = Log()
    assert log.tell(NOW, gateways_lost=[url], gateways=()) == ["gateway-down"]
    assert log.tell(NOW + 1, gateways_lost=[url], gateways=()) == []
    assert log.tell(NOW + 2) == []
    assert log.tell(NOW + 3, gateways=(url,)) == ["-gateway-down"]


def test_a_budget_is_reported_when_it_is_nearly_and_when_it_is_used_up() -> None:
    log, budget, midnight = Log(), Budget("laptop", 1000), NOW + 8 * 3600
    assert log.tell(NOW, budgets=[BudgetState(budget, 799, midnight)]) == []
    assert log.tell(NOW, budgets=[BudgetState(budget, 800, midnight)]) == ["budget"]
    assert log.tell(NOW, budgets=[BudgetState(budget, 1000, midnight)]) == ["budget"]
    assert log.tell(NOW, budgets=[BudgetState(budget, 1200, midnight)]) == []
    assert log.tell(midnight, budgets=[BudgetState(budget, 900, midnight + 86400)]) == ["budget"]


def test_what_ended_long_ago_is_forgotten() -> None:
    log = Log(
        *(
            Alert(at=NOW, event="gateway-down", subject=f"http://127.0.0.1:{port}", until=NOW + 60)
            for port in range(1, 500)
        )
    )
    log.add(Alert(at=NOW + 36 * 86400, event="outage"))
    assert [each.event for each in log.state.alerts.values()] == ["outage"]


def test_only_chosen_events_are_shown_and_no_end_of_others() -> None:
    rules = replace(RULES, events=("spent", "back"))
    assert is_shown(Alert(at=NOW, event="spent"), rules)
    assert is_shown(Alert(at=NOW, event="spent", over=True), rules)
    assert not is_shown(Alert(at=NOW, event="outage", over=True), rules)
    assert not is_shown(Alert(at=NOW, event="window-80"), rules)


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [
        ((22 * 60, 7 * 60), "2026-10-24T21:59:59+02:00", False),
        ((22 * 60, 7 * 60), "2026-10-24T22:00:00+02:00", True),
        ((22 * 60, 7 * 60), "2026-10-25T06:59:00+01:00", True),  # the clocks were set back that night
        ((22 * 60, 7 * 60), "2026-10-25T07:00:00+01:00", False),
        ((13 * 60, 14 * 60 + 30), "2026-10-25T14:29:00+01:00", True),
        ((13 * 60, 14 * 60 + 30), "2026-10-25T14:30:00+01:00", False),
    ],
)
def test_quiet_hours_are_those_of_the_viewers_zone(hours: tuple[int, int], at: str, quiet: bool) -> None:
    from datetime import datetime

    rules = replace(RULES, quiet_hours=QuietHours(*hours))
    moment = datetime.fromisoformat(at).timestamp()
    assert rules.is_quiet(moment, ZoneInfo("Europe/Berlin")) is quiet


def test_a_hook_gets_key_window_and_percent() -> None:
    labelled = PoolConfig((replace(KEYS[0], label="amber"), *KEYS[1:3]))
    log = Log(reading(NOW, session(81.5)), pool=labelled)
    [alert] = due(log.state, labelled, POLICY, RULES, NOW)
    assert document(alert, labelled) == {
        "schema": 1,
        "at": "2026-10-08T16:00:00Z",
        "kind": "alert",
        "who": None,
        "event": "window-80",
        "over": False,
        "about": "window-80",
        "subject": None,
        "key": 1,
        "fingerprint": A,
        "masked": KEYS[0].masked,
        "label": "amber",
        "window": "session",
        "percent": 81.5,
        "until": "2026-10-08T19:00:00Z",
        "empty_at": None,
        "text": "#1 amber: 5h 82% used, reset 19:00",
    }


def test_an_alert_about_credits_names_no_account() -> None:
    log = Log(belongs(C, "acme-account"), reading(NOW, Balance(credits=Credits(1, 60, 0, MONDAY)), C))
    found = due(log.state, log.config, POLICY, RULES, NOW)
    assert found
    assert all("acme" not in str(document(each, log.config)) for each in found)


@given(HISTORIES, TIMES)
def test_what_was_reported_is_not_due_again(records: list[Record], now: float) -> None:
    log = Log(*records)
    log.tell(now, slowed=True)
    assert log.tell(now, slowed=True) == []


@given(HISTORIES, TIMES)
def test_what_is_due_has_words_and_a_document_without_the_text_of_a_key(
    records: list[Record], now: float
) -> None:
    log = Log(*records)
    for alert in due(log.state, log.config, POLICY, RULES, now, slowed=True):
        reported = json.dumps(document(alert, log.config, ZoneInfo("Asia/Kolkata")))
        assert text(alert, log.config)
        assert not any(key.secret.get_secret_value() in reported for key in KEYS)


@given(HISTORIES, TIMES)
def test_of_any_number_of_processes_one_tells(records: list[Record], now: float) -> None:
    log = Log(*records)
    found = due(log.state, log.config, POLICY, RULES, now)
    reported = []
    for owner in ("first", "second", "third"):
        for alert in found:
            raised = replace(alert, owner=owner)
            log.add(raised)
            reported += [owner] * (log.state.alerts[raised.name] == raised)
    assert set(reported) <= {"first"}
    assert len(reported) == len(found)


def rounds(*people: "Log") -> list[list[str]]:
    """What people on one log raise and end, round after round, until all of them are still."""
    reported = []
    for turn in range(5):
        for person in people:
            person.state = people[0].state
            reported.append(person.tell(NOW + turn))
            people[0].state = person.state
    return reported


def test_two_pools_on_one_log_do_not_end_each_other_s_alerts() -> None:
    amber = Log(failed(FaultKind.SPENT, window="session"), pool=config(2))
    birch = Log(pool=config(4))
    assert rounds(amber, birch) == [["spent", "last-key"], *[[]] * 9]


def test_two_people_with_marks_of_their_own_do_not_end_each_other_s_alerts() -> None:
    amber = Log(reading(NOW, session(85)))
    birch = Log(rules=replace(RULES, low_percent=95))
    assert rounds(amber, birch) == [["window-80"], *[[]] * 9]
    amber.add(reading(NOW + 60, session(10)))
    birch.state = amber.state
    assert rounds(birch, amber)[:2] == [[], ["-window-80"]]


def test_people_who_want_to_know_of_waits_share_a_log_with_those_who_do_not() -> None:
    amber = Log(failed(FaultKind.SLOWED), reading(NOW, session(10)))
    birch = Log()
    birch.state = amber.state
    reported = due(amber.state, amber.config, POLICY, RULES, NOW, slowed=True)
    birch.add(*reported)
    assert [each.event for each in reported] == ["slowed"]
    assert birch.tell(NOW + 1) == []


def test_alerts_of_others_are_shown_for_keys_held_here_and_not_for_their_pool() -> None:
    amber = replace(config(2), person="amber")
    birch = PoolConfig(KEYS[1:3], person="birch")
    log = Log(belongs(A, "acme"), belongs(B, "acme"), reading(NOW, session(85)), pool=amber)
    [alert] = due(log.state, amber, POLICY, RULES, NOW)
    assert (alert.who, alert.fingerprint) == ("amber", A)
    log.add(alert)
    shown = entry(alert, log.state, birch, POLICY)
    assert shown is not None
    assert shown.text.startswith("#1: 5h 85% used")
    assert entry(alert, log.state, PoolConfig(KEYS[2:3], person="birch"), POLICY) is None
    for event in ("last-key", "outage", "gateway-down", "budget"):
        own = Alert(at=NOW, event=event, subject="s", fingerprint=B, who="amber")
        assert concerning(own, log.state, birch) is None
        assert concerning(own, log.state, amber) == own


def test_a_key_that_another_holds_is_theirs_in_an_alert() -> None:
    alert = Alert(at=NOW, event="window-80", percent=82, fingerprint=A, who="amber")
    assert text(alert, PoolConfig(person="birch")).startswith("a key of amber's: ")
    assert text(alert, PoolConfig(person="amber")).startswith("a removed key: ")


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        (Alert(at=NOW, event="spent", window="weekly", until=MONDAY), "#1: week spent, back Mon 00:00"),
        (Alert(at=NOW, event="spent"), "#1: quota spent"),
        (Alert(at=NOW, event="slowed", until=NOW + 15), "#1: rate limited, back 16:00:15"),
        (Alert(at=NOW, event="invalid"), "#1: the cloud refuses it; replace it, or try okr-tui test-key 1"),
        (Alert(at=NOW, event="last-key"), "#1 is the last key that can answer"),
        (
            Alert(at=NOW, event="empty-soon", window="session", empty_at=NOW + 3600, until=SESSION_END),
            "#1: at this pace 5h is empty at about 17:00, before its reset 19:00",
        ),
        (Alert(at=NOW, event="outage"), "the cloud does not answer"),
        (Alert(at=NOW, event="outage", over=True), "the cloud answers again"),
        (Alert(at=NOW, event="invalid", over=True), "#1: the cloud accepts it again"),
        (Alert(at=NOW, event="slowed", over=True), "#1: no longer rate limited"),
        (Alert(at=NOW, event="budget", subject="pi", percent=81.6), "pi: today's token budget is 82% used"),
        (
            Alert(at=NOW, event="budget", subject="pi", window="exceeded"),
            "pi: today's token budget is used up",
        ),
        (
            Alert(at=NOW, event="gateway-down", subject="http://127.0.0.1:1"),
            "the gateway at http://127.0.0.1:1 has stopped unexpectedly; restart it with okr-tui serve",
        ),
        (Alert(at=NOW, event="gateway-down", who="birch"), "birch's gateway has stopped unexpectedly"),
    ],
)
def test_an_alert_says_what_happened_to_what(alert: Alert, words: str) -> None:
    assert text(replace(alert, fingerprint=A), config(1)) == words


def test_a_suspended_account_is_invalid_unless_all_are_refused() -> None:
    refused = [failed(FaultKind.FORBIDDEN), refused_reading(FaultKind.FORBIDDEN, NOW + 2)]
    assert Log(*refused, pool=config(2)).tell(NOW + 2) == ["invalid", "last-key"]
    both = [replace(record, fingerprint=B) for record in refused]
    assert Log(*refused, *both, pool=config(2)).tell(NOW + 2) == ["outage"]
