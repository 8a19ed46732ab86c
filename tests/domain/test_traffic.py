"""What goes on: speeds of answers, rates of the last minute, tokens of the last hours by account."""

import gc
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.records import Attempt
from okr_tui.domain.traffic import (
    HOURS,
    NO_TRAFFIC,
    Rates,
    RecentAttempts,
    RecentUsage,
    RunningRequest,
    UsageStrip,
    recent_usage,
)
from okr_tui.domain.usage import addition, merged
from tests.domain.facts import MODEL, NOW, A, B, failed, went_well

RUN = RunningRequest("r1", "pi", MODEL, 1, A, NOW - 12, NOW - 10, 480)


def answer(at: float, tokens: int = 100, key: str = A) -> Attempt:
    """An answer that took two seconds, half of them until its first token."""
    return replace(went_well(at, key), output_tokens=tokens, first_byte_ms=1000, duration_ms=2000)


def rates(*attempts: Attempt, now: float = NOW) -> Rates:
    recent = RecentAttempts()
    recent.add(attempts, now)
    return recent.rates((), now)


def kept_attempts() -> int:
    gc.collect()
    return sum(isinstance(each, Attempt) for each in gc.get_objects())


@pytest.mark.parametrize(
    ("run", "speed"),
    [(RUN, 48.0), (replace(RUN, first_at=None), None), (replace(RUN, first_at=NOW - 0.1), None)],
)
def test_an_answer_has_a_speed_once_some_of_it_is_there(run: RunningRequest, speed: float | None) -> None:
    assert run.tokens_per_second(NOW) == speed


def test_the_last_minute_counts_requests_and_how_fast_they_were_answered() -> None:
    assert rates() == NO_TRAFFIC
    assert rates(answer(NOW - 30), answer(NOW - 1, 300)) == Rates(2, 200.0)
    assert rates(answer(NOW - 61), answer(NOW - 1)) == Rates(1, 100.0)


def test_the_hops_of_a_request_are_not_requests_and_readings_are_none_at_all() -> None:
    hop = replace(failed(FaultKind.SPENT, NOW - 3), next_fingerprint=B)
    assert rates(hop, answer(NOW - 1, key=B)).requests_per_minute == 1
    assert rates(went_well(NOW - 1, client="probe")) == NO_TRAFFIC


def test_what_streams_now_says_more_of_the_speed_than_what_has_ended() -> None:
    recent = RecentAttempts()
    recent.add([answer(NOW - 5)], NOW)
    assert recent.rates((RUN, replace(RUN, tokens=20)), NOW) == Rates(1, 50.0)


def test_rates_fade_with_time() -> None:
    recent = RecentAttempts()
    recent.add([answer(NOW)], NOW)
    assert recent.rates((), NOW + 61) == NO_TRAFFIC


def test_much_traffic_takes_no_more_room_than_little() -> None:
    recent = RecentAttempts()
    before = kept_attempts()
    for number in range(10_000):
        recent.add([answer(NOW + number / 200, 5)], NOW + number / 200)
    assert kept_attempts() <= before
    assert recent.rates((), NOW + 49.99).requests_per_minute == 10_000


def test_tokens_are_summed_by_account_and_hour_and_for_the_day_of_the_viewer() -> None:
    zone = timezone(timedelta(hours=-8))  # where NOW is eight in the morning
    hours = (0, 1, 1, 23, 24)
    parts = [addition(answer(NOW - 3600 * back, 10 * (back + 1), key)) for key in (A, B) for back in hours]
    usage = {cell: each.tokens for cell, each in merged(part for part in parts if part).items()}
    found = recent_usage(usage, {A: "amber", B: "amber"}, NOW, zone)
    (strip,) = found.strips
    assert strip.account == "amber"
    assert len(strip.tokens) == HOURS
    assert (strip.tokens[-1], strip.tokens[-2], strip.tokens[0]) == (20, 80, 480)
    assert found.today == 2 * (10 + 20 + 20)
    assert [each.account for each in recent_usage(usage, {B: "birch"}, NOW).strips] == sorted([A, "birch"])


def test_without_usage_there_is_no_strip() -> None:
    assert recent_usage({}, {}, NOW) == RecentUsage()
    assert UsageStrip("amber", (1, 2)).total == 3
