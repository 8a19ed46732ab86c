"""What was spent: sums that merge in any order, the viewer's days, budgets."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.errors import BudgetError
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.records import Attempt
from okr_tui.domain.usage import (
    CLOUD_USAGE,
    DAY,
    HOUR,
    NO_MODEL,
    Budget,
    By,
    Cell,
    CloudBucket,
    CloudCounts,
    CloudReading,
    Series,
    Usage,
    UsageCounter,
    UsageRow,
    UsageSum,
    addition,
    budget_states,
    cloud_usage_of,
    grouped,
    merged,
    midnight,
    next_midnight,
    read_readings,
    rolled_up,
    spent_on_day,
    total,
    write_readings,
)
from tests.domain.facts import MODEL, NOW, OTHER_MODEL, A, B, failed, utc, went_well
from tests.domain.histories import attempts

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")
GROUPINGS: tuple[By, ...] = ("day", "hour", "model", "key", "account", "client")


def answered(at: float, tokens: int = 10, *, key: str = A, **fields: object) -> Attempt:
    """An answer with as many tokens in as out."""
    return replace(went_well(at, key), input_tokens=tokens, output_tokens=tokens, **fields)  # type: ignore[arg-type]


def summed(records: Sequence[Attempt]) -> Usage:
    """The sums of records, one by one."""
    return merged(part for record in records if (part := addition(record)))


def names(rows: Sequence[UsageRow]) -> list[str]:
    return [row.name for row in rows]


def requests(rows: Sequence[UsageRow]) -> dict[str, int]:
    return {row.name: row.sum.requests for row in rows}


def test_an_answer_adds_its_tokens_and_times() -> None:
    record = replace(
        answered(utc("2026-11-28T14:59:59.9"), caller="laptop", client="gateway"),
        cached_tokens=4,
        first_byte_ms=300,
        duration_ms=2300,
    )
    assert addition(record) == (
        Cell(int(utc("2026-11-28T14:00:00")), HOUR, Series(A, MODEL, "gateway", "laptop")),
        UsageSum(
            requests=1,
            input_tokens=10,
            cached_tokens=4,
            output_tokens=10,
            answers=1,
            duration_ms=2300,
            first_bytes=1,
            first_byte_ms=300,
            streamed_tokens=10,
            streaming_ms=2000,
            longest_ms=2300,
            latest_first_byte_ms=300,
        ),
    )


def test_a_fault_is_a_hop_when_another_key_follows() -> None:
    fault = replace(failed(FaultKind.SPENT), duration_ms=90)
    stays = replace(fault, next_fingerprint=A)
    moves = replace(fault, next_fingerprint=B, input_tokens=7)
    assert total(summed([fault, stays])) == UsageSum(requests=2, faults=2)
    assert total(summed([moves])) == UsageSum(requests=1, faults=1, hops=1, input_tokens=7)


def test_a_cancelled_answer_counts_its_tokens_and_no_times() -> None:
    cut = replace(answered(0, first_byte_ms=5, duration_ms=9), outcome="cancelled")
    assert total(summed([cut])) == UsageSum(requests=1, input_tokens=10, output_tokens=10)


@pytest.mark.parametrize("at", [-1.0, 1e18, float("inf"), float("nan")])
def test_a_time_that_no_calendar_has_is_left_out(at: float) -> None:
    assert addition(answered(at)) is None


def test_a_probe_is_not_a_use() -> None:
    assert addition(replace(answered(0), client="probe")) is None


def test_means_are_of_what_is_known() -> None:
    slow = answered(0, first_byte_ms=400, duration_ms=1400)
    both = total(summed([slow, answered(1, 30, first_byte_ms=200, duration_ms=1200), answered(2)]))
    assert (both.mean_first_byte_ms, both.tokens_per_second) == (300, 20.0)
    assert (both.longest_ms, both.latest_first_byte_ms) == (1400, 400)
    nothing = UsageSum()
    assert (nothing.mean_first_byte_ms, nothing.tokens_per_second) == (None,) * 2


@given(st.lists(attempts(), max_size=20), st.randoms(use_true_random=False), st.integers(1, 5))
def test_sums_of_sums_are_the_sums_of_the_records(
    records: list[Attempt], dice: random.Random, parts: int
) -> None:
    dealt: list[list[Attempt]] = [[] for _ in range(parts)]
    for record in dice.sample(records, len(records)):
        dealt[dice.randrange(parts)].append(record)
    sums = [list(summed(each).items()) for each in dealt]
    assert merged(part for each in sums for part in each) == summed(records)


@given(st.lists(attempts(), max_size=20), st.lists(st.floats(0, 2e9), max_size=3))
def test_joining_hours_to_days_loses_nothing(records: list[Attempt], moments: list[float]) -> None:
    usage = summed(records)
    rolled = usage
    for moment in moments:
        rolled = rolled_up(rolled, moment)
    assert rolled == rolled_up(usage, max(moments, default=0))
    assert total(rolled) == total(usage)
    for by in ("day", "model", "key", "account", "client"):
        assert grouped(rolled, by, 0, 2e9) == grouped(usage, by, 0, 2e9)


@given(st.lists(attempts(), max_size=20), st.sampled_from(GROUPINGS), st.sampled_from([BERLIN, KOLKATA]))
def test_every_grouping_has_all_of_it(records: list[Attempt], by: By, zone: ZoneInfo) -> None:
    usage = summed(records)
    rows = grouped(usage, by, 0, utc("2027-01-01T00:00:00"), zone=zone)
    assert total({Cell(0, index, Series("", None, "")): row.sum for index, row in enumerate(rows)}) == total(
        usage
    )
    assert len(set(names(rows))) == len(rows)


def test_groups_come_largest_first_and_under_their_names() -> None:
    records = [
        answered(0, 5),
        answered(0, 9, key=B, model=OTHER_MODEL, client="gateway", caller="laptop"),
        answered(0, 1, model=None, path="/api/web_search"),
    ]
    usage = summed(records)
    assert names(grouped(usage, "model", 0, HOUR)) == [OTHER_MODEL, MODEL, NO_MODEL]
    assert names(grouped(usage, "client", 0, HOUR)) == ["laptop", "cli"]
    assert names(grouped(usage, "key", 0, HOUR)) == [B, A]
    both = grouped(usage, "account", 0, HOUR, accounts={A: "amber", B: "amber"})
    assert requests(both) == {"amber": 3}
    assert requests(grouped(usage, "account", 0, HOUR, accounts={A: "amber"})) == {B: 1, "amber": 2}


def test_days_are_the_viewers_and_those_between_are_empty() -> None:
    late, next_day = utc("2026-11-27T23:30:00"), utc("2026-11-30T12:00:00")
    usage = summed([answered(late), answered(next_day)])
    since, now = utc("2026-11-01T00:00:00"), utc("2026-12-01T08:00:00")
    assert requests(grouped(usage, "day", since, now)) == {
        "2026-11-27": 1,
        "2026-11-28": 0,
        "2026-11-29": 0,
        "2026-11-30": 1,
        "2026-12-01": 0,
    }
    berlin = requests(grouped(usage, "day", since, now, zone=BERLIN))
    assert list(berlin.items())[:3] == [("2026-11-28", 1), ("2026-11-29", 0), ("2026-11-30", 1)]
    assert names(grouped(usage, "day", since, now, zone=NEW_YORK))[0] == "2026-11-27"


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-02-28", 24), ("2028-02-29", 24)]
)
def test_a_day_has_the_hours_that_the_zone_gives_it(day: str, hours: int) -> None:
    start = midnight(utc(f"{day}T12:00:00"), BERLIN)
    end = next_midnight(utc(f"{day}T12:00:00"), BERLIN)
    assert end - start == hours * HOUR
    records = [answered(start + HOUR * index) for index in range(-1, hours + 1)]
    usage = summed(records)
    days = requests(grouped(usage, "day", start - DAY, end + DAY, zone=BERLIN))
    assert days[day] == hours
    assert [days[name] for name in sorted(days)[:3]] == [1, hours, 1]
    rows = grouped(usage, "hour", start, end - 1, zone=BERLIN)
    assert requests(rows) == dict.fromkeys(names(rows), 1)
    assert len(rows) == hours
    assert rows[0].name.startswith(f"{day}T00:00:00+0")


def test_the_hour_that_comes_twice_has_two_names() -> None:
    twice = [answered(utc("2026-10-25T00:10:00")), answered(utc("2026-10-25T01:10:00"))]
    rows = grouped(summed(twice), "hour", 0, twice[1].at, zone=BERLIN)
    assert names(rows) == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_an_hour_belongs_to_the_day_it_begins_in_where_zones_have_half_hours() -> None:
    usage = summed([answered(utc("2026-11-27T18:10:00")), answered(utc("2026-11-27T18:50:00"))])
    rows = grouped(usage, "day", 0, utc("2026-11-27T20:00:00"), zone=KOLKATA)
    assert requests(rows) == {"2026-11-27": 2, "2026-11-28": 0}


def test_hours_without_a_request_are_there_and_old_days_stand_before_them() -> None:
    old, recent = utc("2026-01-05T10:30:00"), utc("2026-11-28T10:30:00")
    usage = rolled_up(
        summed([answered(old), answered(recent), answered(recent + 2 * HOUR)]), utc("2026-02-01T00:00:00")
    )
    rows = grouped(usage, "hour", 0, recent + 3 * HOUR)
    assert list(requests(rows).items()) == [
        ("2026-01-05", 1),
        ("2026-11-28T10:00:00+00:00", 1),
        ("2026-11-28T11:00:00+00:00", 0),
        ("2026-11-28T12:00:00+00:00", 1),
        ("2026-11-28T13:00:00+00:00", 0),
    ]


def test_time_is_cut_at_whole_hours_and_days_at_whole_days() -> None:
    noon = utc("2026-11-28T12:00:00")
    usage = summed(
        [answered(noon - 1), answered(noon + 10), answered(noon + HOUR), answered(noon - 9 * HOUR)]
    )
    assert requests(grouped(usage, "model", noon + 1800, noon + 1900)) == {MODEL: 1}
    assert requests(grouped(usage, "model", noon, noon + HOUR)) == {MODEL: 2}
    assert requests(grouped(usage, "day", noon, noon)) == {"2026-11-28": 4}


def test_nothing_has_no_rows() -> None:
    assert [grouped({}, by, 0, 1e9) for by in GROUPINGS] == [[]] * len(GROUPINGS)


def test_ten_thousand_days_are_grouped_while_a_person_waits() -> None:
    first = int(utc("2000-01-01T00:00:00"))
    series = Series(A, MODEL, "cli"), Series(B, MODEL, "gateway")
    usage = {Cell(first + day * DAY, DAY, each): UsageSum(1) for day in range(10_000) for each in series}
    began = time.process_time()
    rows = grouped(usage, "day", 0, first + 9999 * DAY + HOUR, zone=BERLIN)
    took = time.process_time() - began
    assert len(rows) == 10_000
    assert {row.sum.requests for row in rows} == {2}
    assert (rows[0].name, rows[-1].name) == ("2000-01-01", "2027-05-18")
    assert took < 3


def test_a_budget_counts_the_viewers_day_by_caller_client_and_model() -> None:
    now = utc("2026-03-29T10:00:00")  # the day in Berlin began at 23:00 UTC, and has 23 hours
    records = [
        answered(now - 11.5 * HOUR, 1000, client="gateway", caller="laptop"),
        answered(now - 10.5 * HOUR, 50, client="gateway", caller="laptop"),
        answered(now, 30, client="gateway", caller="laptop", model=OTHER_MODEL),
        answered(now, 7),
    ]
    budgets = [Budget("laptop", 160), Budget("cli", 15, hard=True), Budget(OTHER_MODEL, 60), Budget("x", 1)]
    states = budget_states(budgets, summed(records), now, BERLIN)
    assert [(state.used, state.left, state.exceeded) for state in states] == [
        (160, 0, True),
        (14, 1, False),
        (60, 0, True),
        (0, 1, False),
    ]
    assert [state.used_percent for state in states] == [100, 93.3, 100, 0]
    assert {state.resets_at for state in states} == {utc("2026-03-29T22:00:00")}
    (empty,) = budget_states([Budget("nobody", 0)], {}, now)
    assert (empty.exceeded, empty.used_percent) == (True, 100)


def test_a_caller_named_like_its_model_is_counted_once() -> None:
    record = answered(0, 10, client="gateway", caller=MODEL)
    (state,) = budget_states([Budget(MODEL, 100)], summed([record]), 0)
    assert state.used == 20


def test_a_budget_counts_what_has_no_model_for_its_caller() -> None:
    usage = summed([answered(utc("2026-11-28T05:00"), 10, model=None, caller="pi")])
    states = budget_states([Budget("pi", 100), Budget(NO_MODEL, 100)], usage, utc("2026-11-28T06:00"))
    assert [state.used for state in states] == [20, 0]


DAY_ONE, DAY_TWO = CloudCounts(3, 100, 0, 50, None), CloudCounts(4, 200, 20, None, None)
READ = CloudReading(NOW, (CloudBucket(0, DAY, DAY_ONE), CloudBucket(DAY, 2 * DAY, DAY_TWO)))


def test_the_clouds_days_add_up_where_every_day_is_reported() -> None:
    assert READ.between(10, DAY + 10) == CloudBucket(0, 2 * DAY, CloudCounts(7, 300, 20, None, None))
    assert READ.between(DAY, DAY) == CloudBucket(DAY, 2 * DAY, DAY_TWO)
    assert READ.between(2 * DAY, 3 * DAY) is None


def test_the_clouds_readings_survive_being_written_down() -> None:
    readings = {"amber": READ, "birch": CloudReading(NOW, ())}
    assert read_readings(write_readings(readings)) == readings


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "null", '{"a": 1}', '{"a": [1]}', '{"a": [1, [[0, 1]]]}', '{"a": [1, 2]}',
     '{"a": [1, [[0, 1, [1, 2, 3, 4, 5, 6]]]]}', '{"a": ["soon", []]}', '{"a": [1, [["0", 1, [1]]]]}',
     '{"a": [1, [[0, 1, ["many"]]]]}', '{"a": [1, [[0, 1, [true]]]]}'],
)  # fmt: skip
def test_any_other_text_holds_no_readings(text: str | None) -> None:
    assert read_readings(text) == {}


def test_a_counter_counts_hops_and_the_time_that_answers_streamed() -> None:
    at = utc("2026-11-28T05:00")
    counter = UsageCounter()
    counter.add(answered(at, 10, first_byte_ms=500, duration_ms=1500))
    counter.add(answered(at, 20, first_byte_ms=700, duration_ms=700))
    counter.add(replace(failed(FaultKind.SPENT, at), next_fingerprint=B))
    counter.add(replace(failed(FaultKind.TRANSIENT, at), next_fingerprint=A))
    (found,) = counter.usage.values()
    assert (len(counter), found.requests, found.faults, found.hops) == (1, 4, 2, 1)
    assert (found.streamed_tokens, found.streaming_ms) == (10, 1000)
    assert (found.longest_ms, found.latest_first_byte_ms) == (1500, 700)


def test_a_counter_keeps_the_longest_answer_whichever_came_first() -> None:
    at = utc("2026-11-28T05:00")
    counter = UsageCounter()
    for first, whole in ((100, 900), (300, 1500), (200, 700)):
        counter.add(answered(at, 10, first_byte_ms=first, duration_ms=whole))
    (found,) = counter.usage.values()
    assert (found.longest_ms, found.latest_first_byte_ms) == (1500, 300)


def test_the_last_reading_of_an_account_has_its_bucket() -> None:
    assert cloud_usage_of("amber") == cloud_usage_of("amber")
    assert {cloud_usage_of(f"account {number}") for number in range(999)} == {*CLOUD_USAGE}


def test_a_used_up_budget_says_when_the_next_day_begins() -> None:
    assert BudgetError("pi has used its budget", 5.0).resets_at == 5.0


def test_what_was_spent_on_a_day_is_that_of_the_viewers_day() -> None:
    records = [answered(utc("2026-11-27T23:30"), 10), answered(utc("2026-11-28T05:00"), 100)]
    usage, now = summed(records), utc("2026-11-28T06:00")
    assert spent_on_day(usage, now).tokens == 200
    assert spent_on_day(usage, now, BERLIN).tokens == 220
    assert spent_on_day(usage, now, NEW_YORK).tokens == 200
    assert spent_on_day(usage, utc("2026-11-26T06:00")).tokens == 0
