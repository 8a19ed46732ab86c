"""Every error body the cloud is known to answer with, and what each says of a key."""

import json

import pytest

from okr_tui.cloud.errors import BODY_LIMIT, classify, classify_record, no_response
from okr_tui.domain.faults import Fault, FaultKind, Scope
from tests.domain.facts import FIXTURES, fixture

SPENT = (FaultKind.SPENT, Scope.ACCOUNT)
BUSY = (FaultKind.BUSY, Scope.ACCOUNT)
NO_PLAN = (FaultKind.NO_PLAN, Scope.ACCOUNT_MODEL)
SERVICE = (FaultKind.TRANSIENT, Scope.SERVICE)
OVERLOADED = (FaultKind.TRANSIENT, Scope.MODEL)
REQUEST = (FaultKind.REQUEST, Scope.REQUEST)
UNAUTHORIZED = (FaultKind.UNAUTHORIZED, Scope.KEY)
FORBIDDEN = (FaultKind.FORBIDDEN, Scope.ACCOUNT)
GONE = (FaultKind.GONE, Scope.MODEL)

# kind and scope, window, retry_after, max_concurrent, max_output
Expected = tuple[tuple[FaultKind, Scope], str | None, float | None, int | None, int | None]


def plain(kind: tuple[FaultKind, Scope], window: str | None = None) -> Expected:
    return (kind, window, None, None, None)


KNOWN: dict[str, Expected] = {
    "error-400-context-too-long.json": plain(REQUEST),
    "error-400-image-not-supported-v1.json": plain(REQUEST),
    "error-400-image-url-v1.json": plain(REQUEST),
    "error-400-max-tokens-v1.json": (REQUEST, None, None, None, 65536),
    "error-400-max-tokens.json": (REQUEST, None, None, None, 65536),
    "error-400-usage-bad-query.json": plain(REQUEST),
    "error-401-chat-invalid-key.json": plain(UNAUTHORIZED),
    "error-401-daemon-signin.json": plain(UNAUTHORIZED),
    "error-401-embed.json": plain((FaultKind.ENDPOINT, Scope.ENDPOINT)),
    "error-401-invalid-credentials.json": plain(UNAUTHORIZED),
    "error-401-v1-messages.json": plain(UNAUTHORIZED),
    "error-402-extra-usage-only.json": plain(NO_PLAN),
    "error-402-subscription-or-extra-usage-v1.json": plain(NO_PLAN),
    "error-402-subscription-or-usage-credits.json": plain(NO_PLAN),
    "error-403-account-suspended.json": plain(FORBIDDEN),
    "error-403-daemon-cloud-disabled.json": plain(FORBIDDEN),
    "error-403-subscription-anthropic.json": plain(NO_PLAN),
    "error-403-subscription.json": plain(NO_PLAN),
    "error-403-team-scope.json": plain(FORBIDDEN),
    "error-404-model-native.json": plain(GONE),
    "error-404-model-v1.json": plain(GONE),
    "error-405-me-get.json": plain(REQUEST),
    "error-410-retired.json": plain(GONE),
    "error-413-too-large.json": plain(REQUEST),
    "error-429-balance-rate-limit.json": ((FaultKind.SLOWED, Scope.ACCOUNT), None, 27, None, None),
    "error-429-concurrency-paid.json": (BUSY, None, 10, 4, None),
    "error-429-concurrency.json": (BUSY, None, 14, 1, None),
    "error-429-hourly.json": plain(SPENT, "hourly"),
    "error-429-monthly-inferred.json": plain(SPENT, "monthly"),
    "error-429-session-short.json": plain(SPENT, "session"),
    "error-429-session-v1.json": plain(SPENT, "session"),
    "error-429-session-wait.json": plain(SPENT, "session"),
    "error-429-session.json": plain(SPENT, "session"),
    "error-429-weekly-v1.json": plain(SPENT, "weekly"),
    "error-429-weekly.json": plain(SPENT, "weekly"),
    "error-4xx-concurrency-slot-timeout.json": plain(BUSY),
    "error-500-ref-v1.json": plain(SERVICE),
    "error-500-ref.json": plain(SERVICE),
    "error-502-bad-gateway.json": plain(SERVICE),
    "error-502-daemon-dial.json": plain(SERVICE),
    "error-502-html.html": plain(SERVICE),
    "error-503-daemon-account.json": plain(SERVICE),
    "error-503-daemon-queue-full.json": plain(SERVICE),
    "error-503-html.html": plain(SERVICE),
    "error-503-overloaded.json": plain(OVERLOADED),
    "error-503-temporarily.json": plain(SERVICE),
    "error-524-empty.json": plain(SERVICE),
}


def sample(name: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a known error."""
    if name.endswith(".html"):
        return int(name.split("-")[1]), {"content-type": "text/html"}, (FIXTURES / name).read_bytes()
    document = fixture(name)
    body = document.get("body")
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return document["status"], document["headers"], raw


def known(name: str) -> Fault:
    status, headers, body = sample(name)
    fault = classify(status, headers, body, "/api/embed" if "embed" in name else "/api/chat")
    assert fault is not None
    return fault


def test_every_known_error_has_an_expectation() -> None:
    assert {path.name for path in FIXTURES.glob("error-*")} == set(KNOWN)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_error_is_classified_by_the_policy(name: str) -> None:
    fault = known(name)
    found = (fault.kind, fault.scope)
    limits = (fault.window, fault.retry_after, fault.max_concurrent, fault.max_output)
    assert (found, *limits) == KNOWN[name]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_error_text_is_one_bounded_line_without_account_and_reference(name: str) -> None:
    text = known(name).text
    assert text
    assert len(text) <= 240
    assert text.isprintable()
    assert "example_user" not in text
    assert "(ref" not in text
    assert "00000000-0000-4000-8000" not in text


@pytest.mark.parametrize("name", sorted(name for name in KNOWN if "subscription" in name or "429" in name))
def test_known_text_means_the_same_inside_a_stream(name: str) -> None:
    body = json.loads(sample(name)[2])
    error = body["error"]["message"] if isinstance(body["error"], dict) else body["error"]
    fault = classify_record(error, "/api/chat")
    expected = KNOWN[name]
    if name == "error-429-balance-rate-limit.json":
        assert fault.kind is FaultKind.TRANSIENT
    else:
        assert (fault.kind, fault.scope, fault.window) == (*expected[0], expected[1])


def test_failing_stream_record_without_a_known_text_is_transient() -> None:
    line = (FIXTURES / "chat-stream-error-midway.ndjson").read_text().splitlines()[-1]
    fault = classify_record(json.loads(line)["error"], "/api/chat")
    assert (fault.kind, fault.scope, fault.text) == (*SERVICE, "Internal Server Error")


@pytest.mark.parametrize("name", sorted({path.name for path in FIXTURES.glob("*.json")} - set(KNOWN)))
def test_success_body_is_not_a_fault(name: str) -> None:
    assert classify(200, {}, (FIXTURES / name).read_bytes(), "/api/chat") is None


def test_success_stream_is_not_a_fault() -> None:
    body = (FIXTURES / "chat-stream-plain.ndjson").read_bytes()
    assert classify(200, {}, body, "/api/chat") is None


def test_error_record_as_a_whole_success_body_is_a_fault() -> None:
    fault = classify(200, {}, b'{"error": "you (ann) have reached your weekly usage limit"}', "/api/chat")
    assert fault is not None
    assert (fault.kind, fault.window, fault.text) == (
        FaultKind.SPENT,
        "weekly",
        "you have reached your weekly usage limit",
    )


def test_no_response_is_transient_for_the_service() -> None:
    assert no_response("connection\nrefused") == Fault(*SERVICE, "connection refused")


def test_body_beyond_the_limit_is_judged_by_its_beginning() -> None:
    text = "you (ann) have reached your session usage limit" + " x" * BODY_LIMIT
    fault = classify(429, {}, json.dumps({"error": text}).encode(), "/api/chat")
    assert fault is not None
    assert fault.window == "session"
    assert len(fault.text) == 240
