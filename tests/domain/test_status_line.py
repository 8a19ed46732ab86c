"""The line for status bars, from what was last known and the time that went by."""

import json
from datetime import UTC

import pytest

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import STATES, Wait
from okr_tui.domain.quota import Balance, Credits, Window
from okr_tui.domain.records import Disabled, Record
from okr_tui.domain.status_line import (
    IN_USE,
    PoolStatus,
    StatusLine,
    clock_time,
    plain,
    short_count,
    starship,
    status_line,
    tmux,
    waybar,
)
from okr_tui.domain.usage import UsageSum
from okr_tui.domain.view import view
from okr_tui.domain.words import WINDOW_WORDS
from tests.domain.facts import (
    KEYS,
    NOW,
    POLICY,
    SESSION_END,
    A,
    B,
    after,
    belongs,
    config,
    dollars,
    failed,
    reading,
    went_well,
    windows,
)

TODAY = UsageSum(requests=412, faults=3, input_tokens=150_000, output_tokens=32_400)


def known(*records: Record, keys: int = 2) -> PoolStatus:
    shown = view(after(*records), config(keys), POLICY, NOW)
    return PoolStatus.of(shown, NOW, WINDOW_WORDS)


def line(*records: Record, now: float = NOW, today: UsageSum = TODAY, keys: int = 2) -> StatusLine:
    return status_line(known(*records, keys=keys), today, now)


def spent(key: str) -> Record:
    return failed(FaultKind.SPENT, key=key, window="session")


def test_the_states_that_a_request_waits_for_are_those_of_the_table() -> None:
    assert {state.value for state, traits in STATES.items() if traits.wait is Wait.SLOT} == IN_USE


def test_a_pool_that_answers_is_busy_and_not_blocked() -> None:
    taken = [
        failed(FaultKind.BUSY, key=key, status=429, text="too many concurrent requests") for key in (A, B)
    ]
    made = line(*taken)
    assert (made.text, made.level) == ("0/2 all busy · 182k today", "busy")
    assert line(spent(A), taken[1]).level == "busy"


def test_a_pool_that_is_well() -> None:
    made = line(belongs(A, "amber"), belongs(B, "birch"), reading(NOW, windows(37.4, 22)))
    assert (made.text, made.level, made.percent) == ("2/2 · #1 37% 5h · 182k today", "ok", 37)
    assert made.tooltip.splitlines()[0].startswith(f"#1 {KEYS[0].masked}  ready  5h 37%  week 22%")
    assert made.tooltip.splitlines()[-2:] == [
        "today: 150,000 tokens in, 32,400 out, 412 requests, 3 faults",
        "last change 16:00",
    ]


def test_it_warns_before_a_window_is_full() -> None:
    assert line(reading(NOW, windows(79.9, 0)), keys=1).level == "ok"
    assert line(reading(NOW, windows(80, 0)), keys=1).level == "low"


def test_a_window_that_was_reset_since_says_nothing() -> None:
    balance = Balance((Window("session", 90.0, SESSION_END), Window("weekly", 20.0, None)))
    assert line(reading(NOW, balance), keys=1).text.startswith("1/1 · #1 90% 5h")
    later = line(reading(NOW, balance), now=SESSION_END, keys=1)
    assert (later.text, later.level) == ("1/1 · #1 20% week · 182k today", "ok")


def test_dollars_are_shown_where_there_is_no_window() -> None:
    dollars = Balance((), Credits(45.5, 60.0, 1.0, None))
    assert line(reading(NOW, dollars)).text == "2/2 · #1 $46.50 · 182k today"


def test_a_blocked_pool_says_when_it_is_back_and_is_back_then() -> None:
    facts = belongs(A, "amber"), belongs(B, "birch"), spent(A), spent(B)
    made = line(*facts, today=UsageSum())
    assert (made.level, made.text[:9]) == ("blocked", "0/2 ✖ bac")
    back = min(key.until for key in known(*facts).keys if key.until)
    assert made.text == f"0/2 ✖ back {status_line_time(back)}"
    later = line(*facts, now=max(key.until or 0 for key in known(*facts).keys), today=UsageSum())
    assert (later.text, later.level) == ("2/2 · #1", "ok")


def status_line_time(at: float) -> str:
    hours, minutes = divmod(int(at % 86400) // 60, 60)
    return f"{hours:02d}:{minutes:02d}"


def test_a_pool_that_only_a_person_brings_back() -> None:
    made = line(Disabled(at=NOW, fingerprint=A), Disabled(at=NOW, fingerprint=B), today=UsageSum())
    assert (made.text, made.level) == ("0/2 ✖ see okr-tui keys", "blocked")


def test_an_outage_ends_by_itself() -> None:
    pool = known()._replace(outage=True, outage_until=NOW + 60)
    assert status_line(pool, UsageSum(), NOW).level == "outage"
    assert status_line(pool, UsageSum(), NOW).text == "2/2 ▲ cloud does not answer"
    assert status_line(pool, UsageSum(), NOW + 60).level == "ok"


def test_it_says_when_the_pool_will_be_empty_if_that_is_near() -> None:
    soon, far = (known()._replace(empty_at=NOW + hours * 3600) for hours in (1, 9))
    assert status_line(soon, UsageSum(), NOW).text == "2/2 · #1 · empty ~17:00"
    assert status_line(soon, UsageSum(), NOW).level == "low"
    assert status_line(far, UsageSum(), NOW).text == "2/2 · #1"
    assert status_line(soon, UsageSum(), NOW + 3600).level == "ok"


def test_no_key_at_all() -> None:
    made = line(keys=0, today=UsageSum())
    assert (made.text, made.level) == ("no key", "none")
    assert made.tooltip.startswith("no key is configured")


def test_a_status_survives_being_written_down() -> None:
    pool = known(belongs(A, "amber"), spent(A), reading(NOW, windows(5, 6), key=B))
    assert PoolStatus.read(pool.write()) == pool
    assert pool.says_the_same(pool._replace(at=0))
    assert not pool.says_the_same(pool._replace(active=None, at=0))


@pytest.mark.parametrize(
    "text", [None, "", "null", "[]", "{}", '{"keys": [{}]}', '{"keys": 7, "at": 1}', "[" * 100_000]
)
def test_a_status_of_another_version_is_none(text: str | None) -> None:
    assert PoolStatus.read(text) is None


def test_every_format_escapes_what_it_would_act_on() -> None:
    made = StatusLine("1/2 · #1 <&>", "blocked", 'a "label" <b>', 40)
    assert plain(made) == "okr 1/2 · #1 <&>"
    assert starship(made) == "1/2 · #1 <&>"
    assert tmux(made) == "#[fg=red]okr 1/2 · ##1 <&>#[default]"
    assert tmux(made._replace(level="ok")) == "okr 1/2 · ##1 <&>"
    assert json.loads(waybar(made)) == {
        "text": "okr 1/2 · #1 &lt;&amp;&gt;",
        "alt": "blocked",
        "class": "blocked",
        "tooltip": 'a "label" &lt;b&gt;',
        "percentage": 40,
    }
    assert "percentage" not in json.loads(waybar(made._replace(percent=None)))
    assert "\n" not in waybar(made._replace(tooltip="two\nlines"))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (9999, "9.9k"),
        (10_000, "10k"),
        (999_999, "999k"),
        (1_250_000, "1.2M"),
        (12**10, "61G"),
    ],
)
def test_counts_are_short(count: int, text: str) -> None:
    assert short_count(count) == text


def test_a_pinned_key_that_is_away_is_replaced_by_no_other_until_it_is_back() -> None:
    shown = view(after(went_well(key=B), spent(A)), config(2, preferred=A, strategy="pinned"), POLICY, NOW)
    status = PoolStatus.of(shown, NOW, WINDOW_WORDS)
    away = status_line(status, TODAY, NOW)
    assert (away.text, away.level) == ("1/2 ✖ the pinned key cannot be used · 182k today", "blocked")
    assert status.keys[0].until is not None
    back = status_line(status, TODAY, status.keys[0].until + 1)
    assert (back.text, back.level) == ("2/2 · #1 · 182k today", "ok")


@pytest.mark.parametrize(
    ("at", "words"),
    [(NOW + 7 * 3600, "23:00"), (NOW + 8 * 3600, "Fri 00:00"), (NOW + 6 * 86400 - 1, "Wed 15:59"),
     (NOW + 6 * 86400, "2026-10-14")],
)  # fmt: skip
def test_a_time_far_away_has_its_date(at: float, words: str) -> None:
    assert clock_time(at, NOW, UTC) == words


def test_the_tooltip_says_how_many_dollars_are_left() -> None:
    made = line(reading(NOW, dollars(12.5, 60, bought=1)), keys=1)
    assert made.tooltip.splitlines()[0].endswith("  $13.50 left")
    assert made.text == "1/1 · #1 $13.50 · 182k today"
    assert "left" not in line(reading(NOW, windows(5)), keys=1).tooltip
