"""What the usage screen draws, with fixed clocks: zones, missing hours, month ends, forecasts and tables."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.quota import Sample
from okr_tui.domain.usage import (
    DAY,
    HOUR,
    By,
    Cell,
    CloudBucket,
    CloudCounts,
    CloudReading,
    Series,
    UsageSum,
    rolled_up,
    total,
)
from okr_tui.domain.usage_charts import (
    NOW_MARK,
    OTHERS,
    PERIODS,
    RESET_MARK,
    Buckets,
    Chart,
    Period,
    QuotaHistory,
    Unit,
    begin,
    cloud_note,
    compact,
    label_words,
    left,
    requests,
    sort_rows,
    speed,
    tokens,
)

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def cell(text: str, model: str | None = "gpt-oss:20b", key: str = "a", seconds: int = HOUR) -> Cell:
    return Cell(int(at(text)), seconds, Series(key, model, "cli"))


def spent(tokens: int = 0, **more: int) -> UsageSum:
    return UsageSum(requests=1, input_tokens=tokens, **more)


def buckets(unit: Unit, since: str, until: str, zone: tzinfo = UTC) -> Buckets:
    return Buckets(unit, at(since), at(until), zone)


def test_the_night_in_which_clocks_go_back_has_25_hours() -> None:
    found = buckets("hour", "2026-10-25T00:00+02:00", "2026-10-25T23:59+01:00", BERLIN).labels
    assert len(found) == 25
    assert found[2:4] == ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00")


def test_the_night_in_which_clocks_go_forward_has_23_hours() -> None:
    found = buckets("hour", "2026-03-29T00:00+01:00", "2026-03-29T23:59+02:00", BERLIN).labels
    assert len(found) == 23
    assert "2026-03-29T02:00:00+01:00" not in found


def test_an_hour_belongs_to_the_day_of_the_viewer() -> None:
    usage = {cell("2026-11-27T23:00Z"): spent(5)}
    day = buckets("day", "2026-11-27T00:00+01:00", "2026-11-28T12:00+01:00", BERLIN)
    assert tokens(usage, "model", day, {}).lines[0].values == (0, 5)
    assert tokens(usage, "model", buckets("day", "2026-11-27T00:00Z", "2026-11-28T12:00Z"), {}).totals == (
        5,
        0,
    )


@pytest.mark.parametrize(
    ("unit", "since", "until", "labels"),
    [
        ("day", "2026-02-27T00:00Z", "2026-03-01T01:00Z", ("2026-02-27", "2026-02-28", "2026-03-01")),
        ("day", "2028-02-28T00:00Z", "2028-03-01T01:00Z", ("2028-02-28", "2028-02-29", "2028-03-01")),
        ("month", "2026-01-31T00:00Z", "2026-03-01T00:00Z", ("2026-01", "2026-02", "2026-03")),
        ("week", "2026-12-30T00:00Z", "2027-01-04T00:00Z", ("2026-12-28", "2027-01-04")),
    ],
)
def test_months_and_years_end_where_calendars_end(
    unit: Unit, since: str, until: str, labels: tuple[str, ...]
) -> None:
    assert buckets(unit, since, until).labels == labels


def test_missing_hours_are_zeros() -> None:
    usage = {cell("2026-11-28T01:00Z"): spent(5), cell("2026-11-28T04:00Z"): spent(7)}
    chart = tokens(usage, "model", buckets("hour", "2026-11-28T00:00Z", "2026-11-28T05:30Z"), {})
    assert chart.lines[0].values == (0, 5, 0, 0, 7, 0)


def test_what_is_outside_is_left_out() -> None:
    usage = {cell("2026-11-27T23:00Z"): spent(5), cell("2026-11-28T06:00Z"): spent(7)}
    chart = tokens(usage, "model", buckets("hour", "2026-11-28T00:00Z", "2026-11-28T05:30Z"), {})
    assert chart.is_empty
    assert chart.rows[0] == ("2026-11-28T00:00:00+00:00", 0)


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Chatham")])
def test_a_period_has_whole_buckets_and_ends_now(period: Period, zone: tzinfo) -> None:
    now, first = at("2026-11-28T06:30Z"), at("2025-01-15T00:00Z")
    since = begin(period, now, first, zone)
    found = Buckets(period.unit, since, now, zone)
    assert 2 < len(found.labels) <= 31
    assert found.at(now) == len(found.labels) - 1
    assert found.at(since + HOUR) in (0, 1)


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_a_log_of_some_minutes_is_in_the_chart(period: Period) -> None:
    now, first = at("2026-11-28T06:30Z"), at("2026-11-28T06:12Z")
    found = Buckets(period.unit, begin(period, now, first, UTC), now, UTC)
    assert (found.at(first), found.at(now)) == (0, 0)


def test_ten_thousand_days_are_drawn_by_month_in_a_moment() -> None:
    now = at("2026-11-28T06:30Z")
    usage = {
        Cell(int(now // DAY) * DAY - day * DAY, DAY, Series("a", f"model-{day % 7}", "cli")): spent(10)
        for day in range(10_000)
    }
    since = begin(PERIODS[-1], now, min(cell.start for cell in usage), UTC)
    chart = tokens(usage, "model", Buckets("month", since, now, UTC), {})
    assert len(chart.labels) == 329
    assert sum(chart.totals) == 100_000
    assert len(chart.lines) == 6
    assert chart.lines[-1].name == OTHERS


def test_groups_come_largest_first_and_the_rest_is_one() -> None:
    usage = {cell("2026-11-28T01:00Z", f"m{number}"): spent(number) for number in range(1, 10)}
    chart = tokens(usage, "model", buckets("hour", "2026-11-28T00:00Z", "2026-11-28T02:00Z"), {})
    assert [line.name for line in chart.lines] == ["m9", "m8", "m7", "m6", "m5", OTHERS]
    assert chart.lines[-1].values == (0, 10, 0)
    assert chart.totals == (0, 45, 0)


def test_keys_of_an_account_are_stacked_together_under_its_words() -> None:
    usage = {cell("2026-11-28T01:00Z", key=key): spent(10) for key in "abc"}
    accounts = {"a": "acme", "b": "acme"}
    hours = buckets("hour", "2026-11-28T01:00Z", "2026-11-28T01:30Z")
    chart = tokens(usage, "account", hours, accounts, lambda _, name: {"acme": "#1 amber"}.get(name, name))
    assert [(line.name, line.values) for line in chart.lines] == [("#1 amber", (20,)), ("c", (10,))]


def test_requests_faults_and_hops() -> None:
    usage = {
        cell("2026-11-28T01:00Z"): UsageSum(requests=5, faults=2, hops=1),
        cell("2026-11-28T01:00Z", "other"): UsageSum(requests=1),
    }
    chart = requests(usage, buckets("hour", "2026-11-28T01:00Z", "2026-11-28T02:30Z"))
    assert chart.columns == ("time", "requests", "faults", "hops")
    assert chart.rows[0][1:] == (6, 2, 1)


def test_speed_is_shown_for_models_that_answered() -> None:
    usage = {
        cell("2026-11-28T01:00Z", "quick"): UsageSum(
            requests=2, answers=2, first_bytes=2, first_byte_ms=900, streamed_tokens=100, streaming_ms=1000,
            latest_first_byte_ms=700,
        ),
        cell("2026-11-28T01:00Z", "failing"): UsageSum(requests=9, faults=9),
    }  # fmt: skip
    chart = speed(usage, buckets("hour", "2026-11-28T01:00Z", "2026-11-28T02:30Z"))
    assert chart.rows == (("quick", 100.0, 0.45, 0.7, 2.0),)


NOW = at("2026-11-28T06:30Z")


def quota(*readings: tuple[str, float], **more: float) -> Chart:
    samples = tuple(Sample(at(when), used) for when, used in readings)
    history = QuotaHistory("#1 5h", samples, **more)
    return left([history], buckets("hour", "2026-11-28T01:00Z", "2026-11-28T06:30Z"), NOW, UTC)


def test_what_is_left_stays_as_it_was_read_and_is_unknown_before() -> None:
    chart = quota(("2026-11-28T02:10Z", 10), ("2026-11-28T02:50Z", 20), ("2026-11-28T05:10Z", 60))
    assert chart.lines[0].values[:6] == (None, 80, 80, 80, 40, 40)
    assert chart.lines[0].values[6:] == (None,) * 6


def test_a_forecast_falls_to_the_moment_it_is_empty_and_is_full_after_the_reset() -> None:
    chart = quota(
        ("2026-11-28T06:10Z", 60), empty_at=at("2026-11-28T09:30Z"), resets_at=at("2026-11-28T10:00Z")
    )
    values = chart.lines[0].values
    assert values[5] == 40
    assert values[6:8] == (20.0, 6.7)
    assert values[8:] == (0.0, 100.0, 100.0, 100.0)


def test_the_reset_grid_of_sessions_and_the_present_are_marked() -> None:
    chart = quota(("2026-11-28T06:10Z", 60))
    resets = [chart.labels[index] for index, name in chart.marks if name == RESET_MARK]
    assert all(datetime.fromisoformat(label).timestamp() % 18000 < HOUR for label in resets)
    assert resets
    assert (5, NOW_MARK) in chart.marks


def test_by_days_the_beginnings_of_weeks_are_marked() -> None:
    days = buckets("day", "2026-11-18T00:00+01:00", "2026-11-28T12:00+01:00", BERLIN)
    chart = left([QuotaHistory("#1 week", (Sample(at("2026-11-20T00:00Z"), 20),))], days, NOW, BERLIN)
    assert [chart.labels[index] for index, name in chart.marks if name == RESET_MARK] == ["2026-11-23"]
    assert chart.ahead == 0


def test_tables_are_written_as_csv_and_json() -> None:
    usage = {cell("2026-11-28T01:00Z", 'a "b", c'): spent(5)}
    chart = tokens(usage, "model", buckets("hour", "2026-11-28T01:00Z", "2026-11-28T02:30Z"), {})
    read = list(csv.reader(io.StringIO(chart.as_csv())))
    assert read == [
        ["time", "total", 'a "b", c'],
        ["2026-11-28T01:00:00+00:00", "5", "5"],
        ["2026-11-28T02:00:00+00:00", "0", "0"],
    ]
    assert json.loads(chart.as_json())["rows"][0]['a "b", c'] == 5


def test_rows_sort_by_any_column_and_unknown_values_come_last() -> None:
    rows = [("a", 2.0), ("b", None), ("c", 1.0)]
    assert [row[0] for row in sort_rows(rows, 1)] == ["c", "a", "b"]
    assert [row[0] for row in sort_rows(rows, 1, reverse=True)] == ["a", "c", "b"]
    assert [row[0] for row in sort_rows(rows, 0, reverse=True)] == ["c", "b", "a"]


def test_where_the_cloud_counts_something_else_both_are_shown() -> None:
    counts = CloudCounts(3, 100, 0, 50, None)
    reading = CloudReading(NOW, (CloudBucket(at("2026-11-28T00:00Z"), at("2026-11-29T00:00Z"), counts),))
    usage = {cell("2026-11-28T05:00Z"): spent(120), cell("2026-11-28T05:00Z", key="elsewhere"): spent(9)}
    accounts = {"a": "acme"}
    note = cloud_note({"acme": reading}, NOW - HOUR, NOW, usage, accounts)
    assert note == "the cloud counts 150 tokens of 1 account, the log 120"
    legacy = CloudReading(NOW, (CloudBucket(0, NOW + 1, CloudCounts(3)),))
    assert cloud_note({"acme": legacy}, NOW - HOUR, NOW, usage, accounts) == ""


def test_numbers_and_labels_fit_in_little_room() -> None:
    assert [compact(value) for value in (0, 0.42, 61, 999, 1234, 4_100_000)] == [
        "0", "0.42", "61", "999", "1.23k", "4.1M",
    ]  # fmt: skip
    assert label_words("2026-11-28T14:00:00+01:00", "hour") == "14:00"
    assert label_words("2026-11-08", "day") == "8 Nov"
    assert label_words("2026-11", "month") == "Nov 2026"


hours = st.integers(0, 60 * 24)
cells: st.SearchStrategy[Mapping[Cell, UsageSum]] = st.dictionaries(
    st.builds(
        lambda hour, key, model: Cell(hour * HOUR, HOUR, Series(key, model, "cli")),
        hours,
        st.sampled_from("ab"),
        st.sampled_from(["x", "y", None]),
    ),
    st.builds(lambda n: spent(n), st.integers(0, 1000)),
    max_size=30,
)


@given(
    cells, st.sampled_from(["day", "week", "month"]), st.sampled_from(["model", "key", "account", "client"])
)
def test_every_token_is_in_one_bucket_of_one_series(
    usage: Mapping[Cell, UsageSum], unit: Unit, by: By
) -> None:
    whole = Buckets(unit, 0, 61 * DAY, BERLIN)
    chart = tokens(usage, by, whole, {"a": "acme", "b": "acme"})
    assert sum(chart.totals) == total(usage).tokens
    rolled = rolled_up(usage, 30 * DAY)
    assert sum(tokens(rolled, "model", Buckets(unit, 0, 61 * DAY, UTC), {}).totals) == total(usage).tokens


def test_what_lies_outside_the_buckets_is_in_no_chart() -> None:
    hour = buckets("hour", "2026-11-28T01:00Z", "2026-11-28T01:30Z")
    usage = {cell("2026-11-28T01:00Z"): spent(5), cell("2026-11-28T00:00Z"): spent(7)}
    assert requests(usage, hour).lines[0].values == (1,)
    assert tokens(usage, "model", hour, {}).totals == (5,)
    timed = {known: added._replace(first_bytes=1, first_byte_ms=500) for known, added in usage.items()}
    assert speed(timed, hour).labels == ("gpt-oss:20b",)
    assert speed({cell("2026-11-28T00:00Z"): spent(7, first_bytes=1)}, hour).labels == ()
    before = QuotaHistory("#1", (Sample(at("2026-11-27T20:00Z"), 40),))
    assert left([before], hour, at("2026-11-28T01:30Z"), UTC).lines[0].values[0] is None


def test_a_window_that_does_not_empty_stays_as_it_is_until_its_reset() -> None:
    values = quota(("2026-11-28T06:10Z", 60), resets_at=at("2026-11-28T09:00Z")).lines[0].values
    assert values[5:] == (40, 40, 40, 100.0, 100.0, 100.0, 100.0)


def test_only_charts_over_time_have_a_unit() -> None:
    hour = buckets("hour", "2026-11-28T01:00Z", "2026-11-28T01:30Z")
    assert requests({}, hour).over_time
    assert not speed({}, hour).over_time


def test_a_period_of_an_empty_log_reaches_back_as_far_as_it_says() -> None:
    week = next(period for period in PERIODS if period.name == "7 d")
    assert begin(week, at("2026-11-28T12:00Z"), None, UTC) == at("2026-11-21T00:00Z")
    assert begin(week, at("2026-11-28T12:00Z"), at("2026-11-25T08:00Z"), UTC) == at("2026-11-25T00:00Z")
