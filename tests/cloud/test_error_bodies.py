"""Bodies nobody planned: the status decides, quickly, and nothing is guessed from loose words."""

import json
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.cloud.errors import (
    classify,
    classify_record,
    clean,
    no_answer_of_ollama,
    response_fault,
)
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.store.base import decode, encode
from tests.domain.facts import failed

HUGE = 10_000_000
BODIES = {
    "plain text": b"upstream connect error",
    "empty": b"",
    "cut JSON": b'{"error": "you (ann) have reached your weekly us',
    "HTML": b"<html><body>weekly usage limit</body></html>",
    "huge text": b"weekly usage limit " * (HUGE // 19),
    "huge JSON": b'{"filler": "' + b" " * HUGE + b'"}',
    "wrong charset": '{"error": "Unzulässig"}'.encode("latin-1"),
    "a list": b'["error"]',
    "a number": b"17",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep error": b'{"error": ' * 100_000,
    "a number as error": b'{"error": 429}',
    "a list as error": b'{"error": ["a busy week"]}',
    "an empty envelope": b'{"error": {}}',
    "a huge number": b'{"error": ' + b"9" * 10_000 + b"}",
}
STATUSES = {
    400: FaultKind.REQUEST,
    401: FaultKind.UNAUTHORIZED,
    402: FaultKind.NO_PLAN,
    403: FaultKind.FORBIDDEN,
    404: FaultKind.GONE,
    405: FaultKind.REQUEST,
    408: FaultKind.TRANSIENT,
    409: FaultKind.REQUEST,
    410: FaultKind.GONE,
    413: FaultKind.REQUEST,
    415: FaultKind.REQUEST,
    422: FaultKind.REQUEST,
    425: FaultKind.TRANSIENT,
    429: FaultKind.SLOWED,
    500: FaultKind.TRANSIENT,
    503: FaultKind.TRANSIENT,
    529: FaultKind.TRANSIENT,
}


def fault_of(status: int, error: str, path: str = "/api/chat", **headers: str) -> Fault:
    fault = classify(status, headers, json.dumps({"error": error}).encode(), path)
    assert fault is not None
    return fault


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_the_cloud_did_not_say_is_not_a_verdict_on_a_key(body: bytes) -> None:
    """ollama/ollama issue 16641: a front end refuses whole countries with a page and a status of 403."""
    for status, kind in STATUSES.items():
        fault = classify(status, {}, body, "/api/chat")
        assert fault is not None
        passing = kind is FaultKind.TRANSIENT
        assert fault.kind is (FaultKind.TRANSIENT if passing else FaultKind.PATH)
        assert fault.scope is (Scope.REQUEST if kind is FaultKind.REQUEST else Scope.SERVICE)
        assert fault.window is None
        assert f"HTTP {status}" in fault.text
    assert classify(200, {}, body, "/api/chat") is None


@pytest.mark.parametrize(
    ("headers", "body", "form"),
    [
        ({"content-type": "text/html; charset=utf-8"}, b"blocked", "HTML"),
        ({}, b"\n<!doctype html>", "HTML"),
        ({"content-type": "text/plain"}, b"RBAC: access denied", "text"),
        ({}, b"", "empty"),
        ({}, b'{"message": "Forbidden"}', "JSON"),
        ({}, b'{"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}', "JSON"),
        ({}, b'{"timestamp": 1, "status": 403, "error": "Forbidden", "path": "/api/chat"}', "JSON"),
        ({}, b'{"success": false, "errors": [{"code": 1020, "message": "Access denied"}]}', "JSON"),
    ],
)
@pytest.mark.parametrize("status", [401, 403, 404, 407, 410, 429, 451])
def test_a_refusal_on_the_way_is_shown_as_what_it_is(
    status: int, headers: dict[str, str], body: bytes, form: str
) -> None:
    fault = classify(status, headers, body, "/api/chat")
    assert fault is not None
    text = f"something between here and the cloud refuses: HTTP {status}, {form}"
    assert (fault.kind, fault.scope, fault.text) == (FaultKind.PATH, Scope.SERVICE, text)


@pytest.mark.parametrize("status", [407, 451])
def test_a_proxy_and_a_law_say_nothing_of_a_key_even_in_json(status: int) -> None:
    assert fault_of(status, "not available in your region").kind is FaultKind.PATH


@pytest.mark.parametrize(
    "body",
    [
        {"error": "you (ann) have reached your weekly usage limit"},
        {"error": {"message": "you (ann) have reached your weekly usage limit"}},
        {"error": {"error": "you (ann) have reached your weekly usage limit"}},
        {"error": {"error": {"message": "you (ann) have reached your weekly usage limit"}}},
        {"message": "you (ann) have reached your weekly usage limit"},
        {"detail": "weekly usage limit"},
        {"error": ["weekly usage limit"]},
        {"errors": [{"message": "reached your weekly usage limit"}]},
        {"detail": [{"msg": "you have reached your weekly usage limit"}]},
        {"code": 7, "detail": {"error": {"message": "reached your weekly usage limit"}}},
    ],
)
def test_quota_words_count_in_whichever_field_they_are(body: object) -> None:
    fault = classify(429, {}, json.dumps(body).encode(), "/api/chat")
    assert fault is not None
    assert (fault.kind, fault.window) == (FaultKind.SPENT, "weekly")


@pytest.mark.parametrize(
    "body",
    [
        {"message": "too many requests in this session"},
        {"detail": "monthly cap of the load balancer"},
        {"errors": [{"title": "no credit", "detail": "the balance of the hour"}]},
    ],
)
@pytest.mark.parametrize("status", [402, 403, 429])
def test_loose_words_of_others_are_not_quota(body: object, status: int) -> None:
    fault = classify(status, {}, json.dumps(body).encode(), "/api/chat")
    assert fault
    assert fault.kind is FaultKind.PATH


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}\n",
        "{}{{}}",
        '\n\n{}\r\n{{"done":true}}\n',
        "data: {}\n\n",
        "event: error\r\ndata:{}\r\n\r\ndata: [DONE]\r\n\r\n",
        ": keep-alive\nid: 7\nevent: error\ndata: {}\n\n",
        "\ufeff{}",
    ],
)
@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "you have reached your weekly usage limit", FaultKind.SPENT),
        (401, "invalid credentials", FaultKind.UNAUTHORIZED),
    ],
)
def test_an_error_in_the_form_of_a_stream_is_read(
    wrapped: str, status: int, text: str, kind: FaultKind
) -> None:
    """A front end may answer in the form that was asked for, whatever the status."""
    body = wrapped.format(json.dumps({"error": text})).encode()
    fault = classify(status, {}, body, "/api/chat")
    assert fault
    assert (fault.kind, fault.text) == (kind, text)


def test_slots_are_recognised_in_whichever_field() -> None:
    fault = classify(429, {}, b'{"message": "too many concurrent requests"}', "/api/chat")
    assert fault is not None
    assert fault.kind is FaultKind.BUSY


@pytest.mark.parametrize(
    ("path", "text", "gone"),
    [
        ("/api/chat", "model 'x' not found", True),
        ("/v1/chat/completions", 'model "x" not found', True),
        ("/api/chat", "page not found", False),
        ("/api/web_search", "model 'x' not found", False),
        ("/api/embed", "model 'x' not found", False),
        ("/v1/messages/count_tokens", "model 'x' not found", False),
    ],
)
def test_a_model_is_gone_by_the_clouds_word_only(path: str, text: str, gone: bool) -> None:
    assert fault_of(404, text, path).kind is (FaultKind.GONE if gone else FaultKind.REQUEST)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("your usage credits balance is empty, add usage credits: https://ollama.com", FaultKind.SPENT),
        ("Insufficient credits, top up your balance", FaultKind.SPENT),
        ("payment required", FaultKind.SPENT),
        ("this model requires a subscription or extra usage", FaultKind.NO_PLAN),
        ("this model requires a subscription or usage credits, upgrade for access", FaultKind.NO_PLAN),
        ("this model uses extra usage only and your extra usage balance is empty", FaultKind.NO_PLAN),
    ],
)
def test_402_is_an_empty_balance_unless_it_names_the_models_plan(text: str, kind: FaultKind) -> None:
    fault = fault_of(402, text)
    assert fault.kind is kind
    assert fault.window == ("credits" if kind is FaultKind.SPENT else None)


def test_answer_of_another_server_is_named_by_its_type() -> None:
    fault = no_answer_of_ollama({"content-type": "text/html; charset=utf-8"})
    assert (fault.kind, fault.text) == (FaultKind.PATH, "not an Ollama answer (text/html)")


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings", "/api/ps", "/v1/embeddings"])
def test_refusal_by_an_endpoint_the_cloud_lacks_says_nothing_of_the_key(path: str) -> None:
    assert fault_of(401, "unauthorized", path).kind is FaultKind.ENDPOINT


@pytest.mark.parametrize("path", ["/api/chat", "/api/me", "/api/balance", "/v1/chat/completions"])
def test_refusal_elsewhere_is_about_the_key(path: str) -> None:
    assert fault_of(401, "unauthorized", path).kind is FaultKind.UNAUTHORIZED


@pytest.mark.parametrize(
    "text", ["credit", "forbidden", "timeout", "subscription", "monthly balance", "upgrade"]
)
def test_loose_words_decide_nothing(text: str) -> None:
    assert fault_of(400, f"bad {text} given").kind is FaultKind.REQUEST
    assert fault_of(500, f"bad {text} given").kind is FaultKind.TRANSIENT
    assert fault_of(404, f"bad {text} given").kind is FaultKind.REQUEST


def test_only_a_bad_request_may_be_an_inner_failure() -> None:
    assert fault_of(400, "Internal Server Error (ref: x)").kind is FaultKind.TRANSIENT
    assert fault_of(422, "internal server error").kind is FaultKind.REQUEST


@pytest.mark.parametrize("status", [400, 403, 408, 429, 500, 503])
def test_concurrency_is_recognised_whatever_the_status(status: int) -> None:
    assert fault_of(status, "too many concurrent requests").kind is FaultKind.BUSY


def test_usage_limit_is_recognised_whatever_the_status() -> None:
    fault = fault_of(403, "reached your weekly usage limit, upgrade for access or add extra usage")
    assert (fault.kind, fault.window) == (FaultKind.SPENT, "weekly")


def test_the_named_window_wins_over_others_in_the_text() -> None:
    text = "you (ann) have reached your session usage limit (weekly: 40 % left, add usage credits)"
    assert fault_of(429, text).window == "session"


def test_usage_limit_of_an_unknown_window_is_spent_without_a_window() -> None:
    fault = fault_of(429, "you (ann) have reached your daily usage limit, add usage credits")
    assert (fault.kind, fault.window) == (FaultKind.SPENT, None)


@pytest.mark.parametrize(
    ("text", "window"),
    [("credit balance is empty", "credits"), ("monthly limit", "monthly"), ("balance is used up", "credits")],
)
def test_too_many_requests_with_a_known_word_is_spent(text: str, window: str) -> None:
    fault = fault_of(429, text)
    assert (fault.kind, fault.window) == (FaultKind.SPENT, window)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("27", 27.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-1", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("9" * 400, None),
        ("1_0", None),
        ("\u0661", None),
        ("", None),
        ("Wed, 07 Oct 2026 22:43:05 GMT", 125.0),
        ("Wed, 07 Oct 2026 22:40:00 GMT", 0.0),
        ("Wed, 77 Oct 2026 22:40:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    body, date = b'{"error": "slow down"}', "Wed, 07 Oct 2026 22:41:00 GMT"
    for headers, now in (({"date": date}, None), ({}, parsedate_to_datetime(date).timestamp())):
        fault = classify(429, {"retry-after": value, **headers}, body, "/api/chat", now)
        assert fault is not None
        assert (fault.kind, fault.retry_after) == (FaultKind.SLOWED, seconds)


@pytest.mark.parametrize(
    ("value", "slots"),
    [
        ("4", 4),
        ("0", None),
        ("-3", None),
        ("four", None),
        ("9" * 9, 999999999),
        ("9" * 10, None),
        ("9" * 5000, None),
        ("٣", None),
    ],
)
def test_slot_count_is_a_positive_number_or_nothing(value: str, slots: int | None) -> None:
    body = b'{"error": "too many concurrent requests"}'
    fault = classify(429, {"x-ratelimit-max-concurrent": value}, body, "/api/chat")
    assert fault is not None
    assert fault.max_concurrent == slots


def test_output_limit_beyond_belief_is_not_remembered() -> None:
    text = f"max_tokens (5) exceeds model's maximum output tokens ({'9' * 5000})"
    assert fault_of(400, text).max_output is None


@pytest.mark.parametrize("part", [" ", "you (", "(ref: ", "max_tokens (1) exceeds ", "reached your "])
@pytest.mark.timeout(5)
def test_hostile_text_is_judged_quickly(part: str) -> None:
    fault = fault_of(500, part * (HUGE // len(part)))
    assert fault.kind is FaultKind.TRANSIENT
    assert len(fault.text) <= 240


def test_text_after_a_long_preamble_still_counts() -> None:
    fault = fault_of(429, f"{'x' * 400} reached your weekly usage limit")
    assert fault.window == "weekly"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("You (ann) have reached it", "you have reached it"),
        ("you (ann smith) have\n\treached it (ref: 1-2)", "you have reached it"),
        ("you (never closed", "you"),
        ("bad\x1b[31m line\u2028end\u202e!", "bad [31m line end!"),
        ("half \ud800 a character", "half a character"),
    ],
)
def test_shown_text_is_safe(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(alphabet=st.characters(), max_size=400), st.sampled_from(sorted(STATUSES)))
def test_any_text_gives_a_bounded_printable_line(text: str, status: int) -> None:
    fault = fault_of(status, f"you (secret-name) {text} (ref: secret-ref)")
    assert len(fault.text) <= 240
    assert not set("\n\r\x1b\x00\u2028\u2029") & set(fault.text)
    assert "secret-name" not in fault.text
    assert fault.text.encode()


@given(st.binary(max_size=200), st.integers(100, 999))
def test_any_bytes_are_classified(body: bytes, status: int) -> None:
    fault = classify(status, {}, body, "/api/chat")
    assert fault is not None or status < 400


def test_message_is_found_in_every_envelope() -> None:
    openai = {"error": {"message": "no", "type": "api_error", "param": None, "code": None}}
    anthropic = {"type": "error", "error": {"type": "api_error", "message": "no"}, "request_id": "r"}
    for document in ({"error": "no"}, openai, anthropic):
        fault = classify(400, {}, json.dumps(document).encode(), "/api/chat")
        assert fault is not None
        assert fault.text == "no"


def test_stream_record_of_an_overloaded_model_concerns_the_model() -> None:
    assert classify_record("Server overloaded, please retry shortly", "/api/chat").scope is Scope.MODEL


def test_fault_with_any_text_of_the_cloud_can_be_written_down() -> None:
    fault = classify(500, {}, b'{"error": "broken \\ud800 text\\u0000"}', "/api/chat")
    record = replace(failed(FaultKind.TRANSIENT), fault=fault)
    assert decode(encode(record)) == record


@pytest.mark.parametrize(("status", "redirects"), [(299, False), (300, True), (308, True), (399, True)])
def test_every_redirect_is_a_fault(status: int, redirects: bool) -> None:
    fault = response_fault(status, {}, b"", "/api/chat")
    assert (fault is not None and "redirects" in fault.text) is redirects
