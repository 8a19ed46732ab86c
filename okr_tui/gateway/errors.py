"""What goes wrong, in the shape that each kind of client understands."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from okr_tui.cloud.endpoints import RESPONSES, Dialect, dialect_of
from okr_tui.domain.errors import CloudError, NoKeyError, OkrError, PoolBlockedError, StoreError
from okr_tui.domain.faults import ClientCause, Fault
from okr_tui.domain.health import pool_cause
from okr_tui.domain.words import span

OPENAI_TYPES: Final = {404: "not_found_error", 502: "api_error", 503: "api_error", 500: "api_error"}
CLIENT_HEADER: Final = "x-okr-tui-client"
PI: Final = "pi"
QUOTA: Final = "insufficient_quota"
NO_KEY: Final = "no_key"
NO_VALID_KEY: Final = "no_valid_key"
HOPELESS: Final = frozenset({QUOTA, NO_KEY, NO_VALID_KEY})

ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client is to see it. `code` is a word for programs; OpenAI's type where it is given."""

    status: int
    text: str
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class FailureError(Exception):
    """A request that ends here with this failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def failed(
    status: int, text: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> FailureError:
    """The error to raise for a failure."""
    return FailureError(Failure(status, text, code, headers or {}))


def as_told(failure: Failure, client: str | None) -> Failure:
    """A failure as a client of this name gets it; None for one that gave no name.

    pi sends the whole turn again, three times, for an error with 429 or 502 in it, and it puts the status
    before every text. It gives up at once on 402. Its text has no figure of three digits for the same reason,
    and not the keys' states, whose words ("rate limited") it looks for as well.
    """
    if client != PI or failure.code not in HOPELESS:
        return failure
    if failure.code != QUOTA:
        return replace(failure, status=402)
    wait = span(int(failure.headers["retry-after"]))
    text = f"{QUOTA}: no key of the pool is free; next key free in {wait}; `okr-tui explain` says more"
    return replace(failure, status=402, text=text)


def error_document(dialect: Dialect, failure: Failure) -> dict[str, object]:
    """The error envelope of a dialect."""
    if dialect == "native":
        return {"error": failure.text}
    if dialect == "anthropic":
        kind = ANTHROPIC_TYPES.get(failure.status, "invalid_request_error")
        error: dict[str, object] = {"type": kind, "message": failure.text}
        return {"type": "error", "error": error | ({"code": failure.code} if failure.code else {})}
    kind = failure.code or OPENAI_TYPES.get(failure.status, "invalid_request_error")
    return {"error": {"message": failure.text, "type": kind, "param": None, "code": failure.code}}


def error_record(path: str, failure: Failure, *, whole_line: bool) -> bytes:
    """An error inside a stream that has begun.

    It also ends a record that was cut in the middle, unless `whole_line`: Ollama's client for Python takes no
    empty line.
    """
    dialect = dialect_of(path)
    if path == RESPONSES.path:
        error = {"type": "error", "code": failure.code, "message": failure.text, "param": None}
        return b"\n\nevent: error\ndata: " + _encode(error) + b"\n\n"
    body = _encode(error_document(dialect, failure))
    if dialect == "native":
        return (b"" if whole_line else b"\n") + body + b"\n"
    return (b"\n\nevent: error\ndata: " if dialect == "anthropic" else b"\n\ndata: ") + body + b"\n\n"


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


UNKNOWN_RETURN: Final = 60
PASSED_ON: Final = frozenset({ClientCause.REQUEST, ClientCause.NO_MODEL})
"""Causes for which the cloud's own answer is returned as it is."""
NO_RETRY: Final = {"x-should-retry": "false"}


def failure_of(error: OkrError, now: float) -> Failure:
    """What a client is told when a request could not begin; `now` is epoch seconds."""
    if isinstance(error, PoolBlockedError):
        return _blocked(error, now)
    if isinstance(error, NoKeyError):
        return Failure(502, str(error), NO_KEY, NO_RETRY)
    if isinstance(error, CloudError):
        return _refused(error, error.fault)
    return Failure(503 if isinstance(error, StoreError) else 500, str(error))


def cut_off(fault: Fault) -> Failure:
    """What a client is told when an answer that has begun cannot go on."""
    return Failure(
        502, f"{fault.traits.words} in the middle of this answer; what has arrived is all there is of it"
    )


def _blocked(error: PoolBlockedError, now: float) -> Failure:
    cause = pool_cause(error.states)
    if cause is ClientCause.NO_VALID_KEY:
        return Failure(502, str(error), NO_VALID_KEY, NO_RETRY)
    if cause is ClientCause.NO_MODEL:
        return Failure(
            404, "the cloud has no such model: `okr-tui models` lists those it has", "model_not_found"
        )
    if cause is ClientCause.NO_PLAN:
        return Failure(403, str(error), "no_plan", NO_RETRY)
    wait = UNKNOWN_RETURN if error.earliest is None else max(1, math.ceil(error.earliest - now))
    headers = {"retry-after": str(wait), **NO_RETRY}
    if cause is ClientCause.OUTAGE:
        return Failure(503, f"{error}; next try in {wait} s", "outage", headers)
    when = "next key free at an unknown time" if error.earliest is None else f"next key free in {wait} s"
    return Failure(429, f"{QUOTA}: {error}; {when}", QUOTA, headers)


def _refused(error: CloudError, fault: Fault) -> Failure:
    match fault.traits.cause:
        case ClientCause.NOT_OFFERED:
            return Failure(404, fault.traits.words, "not_offered", NO_RETRY)
        case ClientCause.QUOTA | ClientCause.SLOWED | ClientCause.BUSY:
            wait = max(1, math.ceil(fault.retry_after or UNKNOWN_RETURN))
            headers = {"retry-after": str(wait), **NO_RETRY}
            return Failure(429, f"{QUOTA}: {error}; next key free in {wait} s", QUOTA, headers)
        case ClientCause.NO_PLAN:
            return Failure(403, str(error), "no_plan", NO_RETRY)
        case ClientCause.REQUEST | ClientCause.NO_MODEL:
            return Failure(fault.status if fault.status and fault.status >= 400 else 400, str(error))
    return Failure(503 if fault.status == 503 else 502, str(error))
