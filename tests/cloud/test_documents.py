"""What a balance document says, in every generation, and what it must not be made to say."""

import json
import math
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.cloud.documents import (
    Listing,
    parse,
    parse_time,
    read_balance,
    read_identity,
    read_models,
    read_usage,
    with_details,
)
from okr_tui.domain.models import Model
from okr_tui.domain.quota import Credits, Window
from okr_tui.domain.text import has_hidden
from okr_tui.domain.usage import CloudBucket, CloudCounts, CloudReading, read_readings, write_readings
from okr_tui.domain.words import moment
from tests.domain.facts import NOW, SESSION_END, dollars, fixture, utc

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["included", "purchased", "limits", "session", "weekly", "period", "until"])
            | st.sampled_from(["balance_usd", "allowance_usd", "remaining_percent", "resets_at", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_older_plan_has_windows_in_percent() -> None:
    balance = read_balance(fixture("balance-legacy-session-weekly.json"))
    session, weekly = balance.windows
    assert session == Window("session", 0.0, SESSION_END)
    assert weekly.used_percent == pytest.approx(40.81)
    assert weekly.resets_at == utc("2026-10-12T00:00:00")
    assert balance.credits is None
    assert balance.understood
    assert balance.used_percent == pytest.approx(40.81)


def test_used_up_session_fills_the_account() -> None:
    balance = read_balance(fixture("balance-legacy-exhausted.json"))
    assert balance.used_percent == 100
    assert balance.resets_at("session") == balance.resets_at("hourly") == SESSION_END


def test_newer_plan_has_dollars_of_a_period() -> None:
    balance = read_balance(fixture("balance-credits-fresh.json"))
    assert balance.windows == ()
    assert balance.credits == Credits(59.94249, 60, 0, utc("2026-11-05T04:52:03"))
    assert balance.used_percent == pytest.approx(0.09585)
    assert balance.resets_at("monthly") == balance.resets_at(None) == utc("2026-11-05T04:52:03")
    assert balance.resets_at("session") is None


def test_spent_allowance_is_full() -> None:
    assert read_balance(fixture("balance-credits-exhausted.json")).used_percent == 100


def test_purchased_credit_is_room_though_the_plan_is_used_up() -> None:
    balance = read_balance(fixture("balance-credits-included-gone-purchased-left.json"))
    assert balance.purchased_usd == 3.75
    assert balance.used_percent == 0
    assert balance.included_percent == 100


def test_zero_allowance_is_measured_in_dollars_only() -> None:
    balance = read_balance(fixture("balance-zero-allowance.json"))
    assert balance.credits is not None
    assert balance.credits.used_percent is None
    assert balance.credits.purchased_usd is None
    assert balance.used_percent == 100
    assert dollars(5, allowance=0).used_percent is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("usage-session-weekly.json", {"session": pytest.approx(81.9), "weekly": 23.0}),
        ("usage-session-weekly-idle.json", {"session": 0.0, "weekly": 0.0}),
        ("usage-monthly.json", {"monthly": pytest.approx(0.3)}),
        ("usage-models-as-map.json", {"session": 2.5, "weekly": pytest.approx(33.5)}),
        ("usage-null-window.json", {"session": None}),
        ("usage-no-limits.json", {}),
    ],
)
def test_older_limits_shape_is_still_read(name: str, expected: dict[str, float | None]) -> None:
    balance = read_balance(fixture(name))
    assert {window.name: window.used_percent for window in balance.windows} == expected


@pytest.mark.parametrize("window", [{}, {"session": None}, {"session": None, "weekly": None}])
def test_an_absent_window_is_neither_a_limit_nor_used_up(window: dict[str, None]) -> None:
    balance = read_balance({"included": window})
    assert (balance.windows, balance.used_percent, balance.understood) == ((), None, True)


def test_window_without_a_number_is_unknown() -> None:
    balance = read_balance({"included": {"session": {"remaining_percent": None, "resets_at": None}}})
    assert balance.windows == (Window("session", None, None),)
    assert (balance.used_percent, balance.understood) == (None, True)


def test_zero_left_is_not_unknown() -> None:
    balance = read_balance({"included": {"session": {"remaining_percent": 0}}})
    assert balance.used_percent == 100


def test_plan_without_a_part_of_its_own_may_have_bought_credit() -> None:
    for document in ({"included": None, "purchased": {"balance_usd": 5}}, {"purchased": {"balance_usd": 5}}):
        balance = read_balance(document)
        assert (balance.understood, balance.purchased_usd, balance.used_percent) == (True, 5, 0)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "balance",
        17,
        {},
        {"included": []},
        {"included": "all of it"},
        {"included": {"daily": {"remaining_percent": 50}}},
        {"included": {"session": "99 %"}},
        {"included": {"session": {"left": 5}}},
        {"included": {"session": {"remaining_percent": "50"}}},
        {"included": {"balance_usd": "12"}},
        {"purchased": {"balance_usd": None}},
    ],
)
def test_an_unknown_shape_is_reported_as_unknown_and_never_empty(document: object) -> None:
    balance = read_balance(document)
    assert not balance.understood
    assert balance.used_percent is None


def test_consumption_history_is_not_a_balance() -> None:
    assert not read_balance(fixture("usage-history-7d.json")).understood


@pytest.mark.parametrize(("left", "used"), [(150, 0), (-20, 100), (59.19, pytest.approx(40.81))])
def test_percentages_stay_within_bounds(left: float, used: float) -> None:
    assert read_balance({"included": {"session": {"remaining_percent": left}}}).used_percent == used


@given(JSON)
def test_any_document_is_read_without_raising(document: object) -> None:
    balance = read_balance(document)
    used = balance.used_percent
    assert used is None or 0 <= used <= 100


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-10-08T19:00:00Z", SESSION_END),
        ("2026-10-08T19:00:00", SESSION_END),
        ("2026-10-08T21:00:00+02:00", SESSION_END),
        ("2026-10-08T19:00:00.5Z", SESSION_END + 0.5),
        ("2026-10-08T19:00:00.53443312Z", pytest.approx(SESSION_END + 0.534433)),
        ("2026-10-08T19:00:00.123456789Z", pytest.approx(SESSION_END + 0.123456)),
    ],
)
def test_times_are_read_up_to_nanoseconds(text: str, at: float) -> None:
    assert parse_time(text) == at


@pytest.mark.parametrize(
    "value", ["", "soon", "2026-13-01T00:00:00Z", None, 1790000000, {}, "0001-01-01T00:00:00Z"]
)
def test_what_is_not_a_time_is_unknown(value: object) -> None:
    assert parse_time(value) is None


@given(st.text(max_size=40) | st.datetimes().map(str))
def test_any_text_is_a_time_or_not(text: str) -> None:
    at = parse_time(text)
    assert at is None or (math.isfinite(at) and at > 0)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_not_every_calendar_has_is_none(text: str) -> None:
    assert parse_time(text) is None
    last = parse_time("9999-12-30T00:00:00Z")
    assert last is not None
    for hours in (-12, 0, 14):
        assert moment(last, NOW, timezone(timedelta(hours=hours))).startswith("9999-12-")


def test_a_usage_history_is_read_day_by_day_and_adds_up_to_its_total() -> None:
    document = fixture("usage-history-7d.json")
    days = read_usage(document)
    assert days is not None
    assert len(days) == len(document["buckets"])
    assert days[1] == CloudBucket(
        utc("2026-09-25T00:00:00"), utc("2026-09-26T00:00:00"), CloudCounts(12, 88000, 20000, 9100, 0.0141)
    )
    whole = CloudReading(NOW, days).between(0, NOW)
    assert whole is not None
    assert whole.counts == CloudCounts(*(document["totals"][name] for name in USAGE_FIELDS))


USAGE_FIELDS = ("request_count", "input_tokens", "cached_input_tokens", "output_tokens", "usage_usd")


def test_a_plan_that_only_counts_requests_leaves_the_rest_unknown() -> None:
    days = read_usage(fixture("usage-history-7d-legacy-plan.json"))
    assert days
    whole = CloudReading(NOW, days).between(0, NOW)
    assert whole
    assert whole.counts == CloudCounts(78, None, None, None, None)


def test_a_part_of_a_usage_history_is_cut_at_whole_days() -> None:
    days = read_usage(fixture("usage-history-7d.json")) or ()
    noon = utc("2026-09-25T12:00:00")
    some = CloudReading(NOW, days).between(noon, noon + 1)
    assert some
    assert (some.since, some.until, some.counts.requests) == (noon - 43200, noon + 43200, 12)
    assert CloudReading(NOW, days).between(NOW, NOW + 9) is None


@given(JSON)
def test_no_document_is_taken_for_a_usage_history_by_chance(document: object) -> None:
    assert read_usage(document) is None


@pytest.mark.parametrize("name", ["usage-session-weekly.json", "usage-monthly.json", "usage-no-limits.json"])
def test_an_older_usage_document_has_no_history(name: str) -> None:
    assert read_usage(fixture(name)) is None


def test_readings_survive_being_written_down_and_odd_texts_are_none() -> None:
    days = read_usage(fixture("usage-history-24h.json"))
    assert days
    readings = {"amber": CloudReading(NOW, days), "birch": CloudReading(0.0, ())}
    assert read_readings(write_readings(readings)) == readings
    assert read_readings(*(write_readings({name: each}) for name, each in readings.items()), None) == readings
    for text in (None, "", "[]", "7", '{"a": 1}', '{"a": [1, [[1]]]}', "{"):
        assert read_readings(text) == {}


HOSTILE = {
    "a clipboard sequence": "\x1b]52;c;cm0gfg==\x1b\\",
    "a title": "\x1b]0;x\x07",
    "a reset": "\x1bc",
    "CSI of one byte": "\x9b31m",
    "a surrogate": "\ud800",
    "an override": "\u202e",
    "an isolate": "\u2066",
    "an Arabic letter mark": "\u061c",
    "nothing wide": "\u200b",
    "a tag": "\U000e0041",
    "NUL": "\0",
    "a line feed": "\n",
    "a line separator": "\u2028",
    "a soft hyphen": "\u00ad",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_model_whose_name_hides_something_is_left_out_and_counted(kind: str) -> None:
    document = {"models": [{"model": f"gpt{HOSTILE[kind]}oss"}, {"model": "kimi-k3"}]}
    assert read_models(document) == Listing((Model("kimi-k3"),), 1)


def test_a_name_that_is_too_long_or_was_no_text_is_left_out_too() -> None:
    raw = b'{"models": [{"model": "%s"}, {"name": "gl\xffm"}, {"name": "  "}, {"name": "qwen"}]}' % (
        b"x" * 300
    )
    assert read_models(parse(raw)) == Listing((Model("qwen"),), 3)


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_other_word_of_a_document_is_made_safe(kind: str) -> None:
    word = f"a{HOSTILE[kind]}b" + "c" * 1000
    listed = read_models({"models": [{"model": "m", "digest": word, "modified_at": word}]})
    assert listed is not None
    shown = {
        "details": {"family": word, "quantization_level": word},
        "capabilities": [word, HOSTILE[kind]],
        "model_info": {word: word, "general.architecture": word},
    }
    model = with_details(listed.models[0], shown)
    identity = read_identity({"ID": word, "Plan": word})
    assert identity is not None
    texts = (model.digest, model.modified_at, model.family, model.quantization, *(model.capabilities or ()))
    texts += (*model.model_info, *map(str, model.model_info.values()), identity.account, identity.plan)
    for text in texts:
        assert text
        assert not has_hidden(text)
        assert len(text) <= 240


@pytest.mark.parametrize(
    ("thinking", "levels", "default", "shown"),
    [
        ({"values": ["low", "high", "xhigh"], "default": "high"}, ("low", "high", "xhigh"), "high", None),
        ({"values": [False, True], "default": True}, ("off", "on"), "on", "off, on (default)"),
        ({"values": [False, "max"], "default": "max"}, ("off", "max"), "max", "off, max (default)"),
        ({"values": [False]}, ("off",), None, "no"),
        (
            {"values": ["low", 3, None, "a b", "x" * 99, "\u202elow", "low"], "default": 3},
            ("low",),
            None,
            "low",
        ),
        ({"values": ["low"], "default": "gone"}, ("low",), None, "low"),
        ({"values": "low"}, None, None, "unknown"),
        ([], None, None, "unknown"),
        (None, None, None, "unknown"),
    ],
)
def test_levels_of_thinking_are_those_that_the_cloud_tells(
    thinking: object, levels: tuple[str, ...] | None, default: str | None, shown: str | None
) -> None:
    model = with_details(Model("m"), {"capabilities": ["thinking"], "thinking": thinking})
    assert (model.thinking, model.thinking_default) == (levels, default)
    assert model.thinking_text == (shown or "low, high (default), xhigh")


@pytest.mark.parametrize("number", ["1" + "0" * 400, "9" * 5000, "-5", "NaN", "Infinity", "1e999", "true"])
def test_a_number_out_of_bounds_spoils_its_own_field_only(number: str) -> None:
    raw = f'{{"models": [{{"model": "a", "size": {number}}}, {{"model": "b", "size": 7}}]}}'
    assert read_models(parse(raw.encode())) == Listing((Model("a"), Model("b", size=7)))
    info = f'{{"general.parameter_count": {number}, "a.context_length": {number}, "rope": 1.5}}'
    model = with_details(
        Model("a"), parse(f'{{"details": {{"family": "f"}}, "model_info": {info}}}'.encode())
    )
    assert (model.parameters, model.context_length, model.family) == (None, None, "f")
    assert model.model_info["rope"] == 1.5
    assert json.dumps(dict(model.model_info), allow_nan=False)
    windows = f'{{"session": {{"remaining_percent": 40}}, "weekly": {{"remaining_percent": {number}}}}}'
    session, _ = read_balance(parse(f'{{"included": {windows}}}'.encode())).windows
    assert session.used_percent == 60


def test_an_odd_day_of_a_usage_history_is_left_out() -> None:
    document = fixture("usage-history-7d.json")
    assert isinstance(document, dict)
    days = read_usage(document) or ()
    odd = {"from": "\ud800", "until": 10**400, "input_tokens": 10**400}
    assert read_usage({**document, "buckets": [*document["buckets"], odd, 7]}) == days
    assert read_usage({"buckets": [odd]}) is None


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b"nonsense", b'{"a": 1} 2'])
def test_what_is_not_json_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(raw)
