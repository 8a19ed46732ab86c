"""What a response of the cloud means for a key: pure functions from the raw response to a fault.

The texts are those Ollama Cloud is known to answer with (ollama/ollama issues 15319, 16890, 17639;
docs.ollama.com/api/errors). The order of the rules matters: a quota text also says "upgrade" and
"extra usage", so it has to be recognised before a missing plan is.

Only the cloud itself may say something of a key, an account or a model. It speaks in JSON envelopes of its
own; a refusal in any other form comes from a proxy, a firewall or a front end (ollama/ollama issue 16641).
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from okr_tui.cloud.dialects import error_message
from okr_tui.cloud.endpoints import find
from okr_tui.domain.faults import Fault, FaultKind, Rule, Scope
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass

TEXT_LIMIT: Final = 240
BODY_LIMIT: Final = 65536
# Both end at the text's end where the bracket is missing: they always match, so a long text stays cheap.
REFERENCE = re.compile(r" ?\(ref: [^)]*(?:\)|\Z)", re.IGNORECASE)
ACCOUNT_NAME = re.compile(r"\byou \([^)]*(?:\)|\Z)", re.IGNORECASE)
USAGE_LIMIT = re.compile(r"reached your (?P<window>\w+) usage limit|usage limit")
MAX_OUTPUT = re.compile(r"max_tokens \(\d+\) exceeds [^(]*\((?P<limit>\d{1,9})\)")
NO_PLAN = ("subscription", "extra usage", "usage credits", "upgrade for access")
# The two texts of a model that the plan lacks; "your usage credits are empty" is about the account.
NO_PLAN_402 = re.compile(r"requires? a subscription|upgrade for access|extra usage only")
NO_MODEL = re.compile(r"\bmodel\b.*\b(?:not found|does not exist|retired|no longer)\b")
FIVE_HOURS = re.compile(r"\b(?:5|five)[- ]?h(?:ours?)?\b")
TRANSIENT_STATUSES = frozenset({408, 425})
ABOUT_THE_REQUEST: Final = frozenset({400, 405, 406, 409, 411, 413, 414, 415, 416, 417, 422, 431})
"""Statuses that say something of the request, whoever answers with them."""
NEVER_THE_CLOUD: Final = frozenset({407, 451})
"""Statuses of a proxy and of a law: they say nothing of a key even in the cloud's own form."""
IN_STREAM: Final = 200
ANSWER_TYPES: Final = frozenset({"text/event-stream", "text/plain", "application/octet-stream"})
"""What answers come as, besides the kinds of JSON; the latter two from servers that do not care."""
SECONDS: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
TEXT_FIELDS: Final = ("error", "errors", "message", "detail", "description", "title", "msg", "reason")
"""Where error documents of other servers have their text."""
FOREIGN_FIELDS: Final = frozenset({"status", "statusCode", "status_code", "timestamp"})
"""Fields that error documents of proxies and frameworks have, and the cloud's have not."""
DEEPEST: Final = 4
FIRST_RECORD: Final = re.compile(
    r"\s*(?:(?:event|id|retry|):[^\n]*\n)*(?:data:\s*)?(?P<record>\{.*)", re.DOTALL
)
"""The first record of a stream of JSON lines, or of server-sent events."""


def clean(text: str) -> str:
    """Make a text of the cloud safe to keep and show: one line, bounded, without account and reference."""
    return clean_line(_normal(text), TEXT_LIMIT)


def _normal(text: str) -> str:
    line = clean_line(text, BODY_LIMIT)
    return ACCOUNT_NAME.sub("you", REFERENCE.sub("", line)).strip()


def no_response(text: str) -> Fault:
    """Return the fault of a request without an answer: name look-up, refusal, reset, time-out."""
    return Fault(FaultKind.TRANSIENT, Scope.SERVICE, clean(text))


def response_fault(
    status: int, headers: Mapping[str, str], body: bytes, path: str, now: float | None = None
) -> Fault | None:
    """Return the fault in a response, None for a success; a redirect is a fault, none is followed.

    `now` is the epoch seconds that a date in Retry-After is compared with where the response has no date.
    """
    if 300 <= status < 400:
        text = f"HTTP {status}: the address redirects, check the cloud URL"
        return Fault(FaultKind.PATH, Scope.SERVICE, text, status)
    return classify(status, headers, body[:BODY_LIMIT] if status >= 400 else body, path, now)


def classify(
    status: int, headers: Mapping[str, str], body: bytes, path: str, now: float | None = None
) -> Fault | None:
    """Return the fault in a whole response, None for a success. Header names are lower case."""
    found = _read(body)
    if status < 400 and not found.own:
        return None
    if not found.own:
        return _foreign(status, headers, body, found, path, now)
    return _judge(status, headers, found.text, path, now)


def classify_record(error: str, path: str) -> Fault:
    """Return the fault of an `{"error": ...}` record inside a stream of status 200."""
    return _judge(IN_STREAM, {}, error, path, None)


@lru_cache(maxsize=64)
def may_be_answer(content_type: str) -> bool:
    """Return whether a success may be a model's answer by its content type; servers do leave it out."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind in ANSWER_TYPES or kind.endswith("json")


def no_answer_of_ollama(headers: Mapping[str, str], status: int = 200) -> Fault:
    """Return the fault of a success that no Ollama server sent: a sign-in page, a login portal."""
    kind = headers.get("content-type", "").partition(";")[0].strip()[:60] or "without a type"
    return Fault(FaultKind.PATH, Scope.SERVICE, clean(f"not an Ollama answer ({kind})"), status)


@dataclass(frozen=True, slots=True)
class _Body:
    """An error body: its text, whether it has one of the cloud's own forms, and whether it is JSON."""

    text: str | None = None
    own: bool = False
    is_json: bool = False


def _read(body: bytes) -> _Body:
    try:
        document = _document(body)
    except (ValueError, RecursionError):
        return _Body()
    if (text := error_message(document)) is not None and not _is_foreign(document):
        return _Body(text, own=True, is_json=True)
    return _Body(" ".join(_texts(document, DEEPEST)) or None, is_json=True)


def _document(body: bytes) -> object:
    """Return the JSON document of an error, also that of the first record of a stream. Raises ValueError."""
    try:
        return json.loads(body)
    except ValueError:
        found = FIRST_RECORD.match(body.decode().removeprefix("\ufeff"))
        if found is None:
            raise
        return json.JSONDecoder().raw_decode(found["record"])[0]


def _is_foreign(document: object) -> bool:
    """Return whether an error document is that of a proxy or a front end, in spite of its field `error`.

    Google's front end, for one, has a number as the code of its errors.
    """
    if not isinstance(document, dict) or FOREIGN_FIELDS & document.keys():
        return True
    error = document.get("error")
    return isinstance(error, dict) and isinstance(error.get("code"), int)


def _texts(value: object, depth: int) -> Iterator[str]:
    """Yield every text in an error document of any form."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list):
        for item in value[:DEEPEST]:
            yield from _texts(item, depth - 1)
    elif depth and isinstance(value, dict):
        for name in TEXT_FIELDS:
            yield from _texts(value.get(name), depth - 1)


def _foreign(
    status: int, headers: Mapping[str, str], body: bytes, found: _Body, path: str, now: float | None
) -> Fault:
    """Judge a refusal that is in none of the cloud's forms: only words that no other server uses count.

    Those are the texts of quota and slots, in whichever field of a JSON document. Everything else is the
    way's, or the request's where the status says so, and never blocks a key.
    """
    if found.text:
        fault = _judge(status, headers, found.text, path, now)
        text = fault.text.lower()
        of_quota = fault.traits.rule is Rule.WINDOW and USAGE_LIMIT.search(text)
        if of_quota or fault.traits.rule is Rule.SLOTS:
            return fault
    if status >= 500 or status in TRANSIENT_STATUSES:
        return Fault(FaultKind.TRANSIENT, Scope.SERVICE, f"HTTP {status}", status)
    form = "HTML" if _is_page(headers, body) else "JSON" if found.is_json else "text" if body else "empty"
    words = f"something between here and the cloud refuses: HTTP {status}, {form}"
    scope = Scope.REQUEST if status in ABOUT_THE_REQUEST else Scope.SERVICE
    retry_after = _seconds(headers, now)
    return Fault(FaultKind.PATH, scope, words, status, retry_after=retry_after)


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<"


def _judge(status: int, headers: Mapping[str, str], error: str | None, path: str, now: float | None) -> Fault:
    shown = clean(error) if error else f"HTTP {status}"
    text = _normal(error).lower() if error else ""
    retry_after = _seconds(headers, now)

    def fault(kind: FaultKind, scope: Scope, window: str | None = None) -> Fault:
        return Fault(kind, scope, shown, status, window, retry_after)

    if status in NEVER_THE_CLOUD:
        return fault(FaultKind.PATH, Scope.SERVICE)
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
    if status == 402:
        if not text or NO_PLAN_402.search(text):
            return fault(FaultKind.NO_PLAN, Scope.ACCOUNT_MODEL)
        return fault(FaultKind.SPENT, Scope.ACCOUNT, "credits")
    if status in (403, IN_STREAM) and any(words in text for words in NO_PLAN):
        return fault(FaultKind.NO_PLAN, Scope.ACCOUNT_MODEL)
    if status == 403:
        return fault(FaultKind.FORBIDDEN, Scope.ACCOUNT)
    endpoint = find(path)
    if status == 410 or (
        status == 404 and endpoint.runs_model and endpoint.offered and NO_MODEL.search(text)
    ):
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
    if "session" in text or "hourly" in text or FIVE_HOURS.search(text):
        return "hourly" if "hourly" in text else "session"
    if "month" in text:
        return "monthly"
    if "credit" in text or re.search(r"\bbalance\b", text):
        return "credits"
    return None


def _seconds(headers: Mapping[str, str], now: float | None) -> float | None:
    """Return a Retry-After in seconds, also from a date (RFC 9110, section 10.2.3); None without one."""
    value = headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(value):
        return float(value)
    at = _date(value)
    if at is None:
        return None
    return max(0.0, at - (_date(headers.get("date")) or (time.time() if now is None else now)))


def _date(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, OverflowError):
        return None


def _count(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return int(value) or None
