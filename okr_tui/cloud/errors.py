"""What a response of the cloud means for a key: pure functions from the raw response to a fault.

The texts are those Ollama Cloud is known to answer with (ollama/ollama issues 15319, 16890, 17639;
docs.ollama.com/api/errors). The order of the rules matters: a quota text also says "upgrade" and
"extra usage", so it has to be recognised before a missing plan is.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from okr_tui.cloud.dialects import error_message
from okr_tui.cloud.endpoints import find
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.text import clean_line

TEXT_LIMIT: Final = 240
BODY_LIMIT: Final = 65536
# Both end at the text's end where the bracket is missing: they always match, so a long text stays cheap.
REFERENCE = re.compile(r" ?\(ref: [^)]*(?:\)|\Z)", re.IGNORECASE)
ACCOUNT_NAME = re.compile(r"\byou \([^)]*(?:\)|\Z)", re.IGNORECASE)
USAGE_LIMIT = re.compile(r"reached your (?P<window>\w+) usage limit|usage limit")
MAX_OUTPUT = re.compile(r"max_tokens \(\d+\) exceeds [^(]*\((?P<limit>\d{1,9})\)")
NO_PLAN = ("subscription", "extra usage", "usage credits", "upgrade for access")
TRANSIENT_STATUSES = frozenset({408, 425})
IN_STREAM: Final = 200


def clean(text: str) -> str:
    """Make a text of the cloud safe to keep and show: one line, bounded, without account and reference."""
    return clean_line(_normal(text), TEXT_LIMIT)


def _normal(text: str) -> str:
    line = clean_line(text, BODY_LIMIT)
    return ACCOUNT_NAME.sub("you", REFERENCE.sub("", line)).strip()


def no_response(text: str) -> Fault:
    """Return the fault of a request without an answer: name look-up, refusal, reset, time-out."""
    return Fault(FaultKind.TRANSIENT, Scope.SERVICE, clean(text))


def response_fault(status: int, headers: Mapping[str, str], body: bytes, path: str) -> Fault | None:
    """Return the fault in a response, None for a success; a redirect is a fault, none is followed."""
    if 300 <= status < 400:
        return no_response(f"HTTP {status}: the address redirects, check the cloud URL")
    return classify(status, headers, body[:BODY_LIMIT] if status >= 400 else body, path)


def classify(status: int, headers: Mapping[str, str], body: bytes, path: str) -> Fault | None:
    """Return the fault in a whole response, None for a success. Header names are lower case."""
    error = error_text(body)
    if status < 400 and error is None:
        return None
    return _judge(status, headers, error, path)


def classify_record(error: str, path: str) -> Fault:
    """Return the fault of an `{"error": ...}` record inside a stream of status 200."""
    return _judge(IN_STREAM, {}, error, path)


def error_text(body: bytes) -> str | None:
    """Return the message of an error body in any of the cloud's envelopes; None without one."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return error_message(document)


def _judge(status: int, headers: Mapping[str, str], error: str | None, path: str) -> Fault:
    shown = clean(error) if error else f"HTTP {status}"
    text = _normal(error).lower() if error else ""
    retry_after = _seconds(headers.get("retry-after"))

    def fault(kind: FaultKind, scope: Scope, window: str | None = None) -> Fault:
        return Fault(kind, scope, shown, status, window, retry_after)

    if status == 401:
        if not find(path).offered:
            return fault(FaultKind.ENDPOINT, Scope.ENDPOINT)
        return fault(FaultKind.UNAUTHORIZED, Scope.KEY)
    if "concurrent request" in text:
        slots = _count(headers.get("x-ratelimit-max-concurrent"))
        return Fault(FaultKind.BUSY, Scope.ACCOUNT, shown, status, None, retry_after, max_concurrent=slots)
    usage = USAGE_LIMIT.search(text)
    if usage or status == 429:
        window = _window(usage["window"] if usage and usage["window"] else text)
        if window or usage:
            return fault(FaultKind.SPENT, Scope.ACCOUNT, window)
        return fault(FaultKind.SLOWED, Scope.ACCOUNT)
    if status == 402 or (status in (403, IN_STREAM) and any(words in text for words in NO_PLAN)):
        return fault(FaultKind.NO_PLAN, Scope.ACCOUNT_MODEL)
    if status == 403:
        return fault(FaultKind.FORBIDDEN, Scope.ACCOUNT)
    if status in (404, 410):
        return fault(FaultKind.GONE, Scope.MODEL)
    if status in (400, IN_STREAM) and (limit := MAX_OUTPUT.search(text)):
        most = int(limit["limit"])
        return Fault(FaultKind.REQUEST, Scope.REQUEST, shown, status, max_output=most)
    inner = status == 400 and "internal server error" in text
    if inner or status < 400 or status in TRANSIENT_STATUSES or status >= 500:
        return fault(FaultKind.TRANSIENT, Scope.MODEL if "overloaded" in text else Scope.SERVICE)
    return fault(FaultKind.REQUEST, Scope.REQUEST)


def _window(text: str) -> str | None:
    if "weekly" in text:
        return "weekly"
    if "session" in text or "hourly" in text:
        return "hourly" if "hourly" in text else "session"
    if "month" in text:
        return "monthly"
    if "credit" in text or "balance" in text:
        return "credits"
    return None


def _seconds(value: str | None) -> float | None:
    """Return a Retry-After in seconds; None for its date form, which the cloud does not use."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def _count(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return int(value) or None
