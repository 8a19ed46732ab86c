"""Errors as clients see them: a table from causes to statuses and codes, one from dialects to shapes."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from okr_tui.cloud.endpoints import RESPONSES, Dialect, dialect_of
from okr_tui.domain.errors import CloudError, NoKeyError, OkrError, PoolBlockedError, StoreError
from okr_tui.domain.faults import ClientCause, Fault
from okr_tui.domain.health import pool_cause
from okr_tui.domain.words import span

CLIENT_HEADER: Final = "x-okr-tui-client"
"""The request header by which a client names itself, where it needs an answer of its own."""
PI: Final = "pi"
QUOTA_CODE: Final = "insufficient_quota"


class GatewayCause(Enum):
    """Why the gateway itself answers with an error, where no fault of a key is the cause."""

    NO_KEY = "no key"
    UNAVAILABLE = "unavailable"
    CLOUD = "cloud"
    CUT_OFF = "cut off"
    LOG = "log"
    ENDING = "ending"
    UNEXPECTED = "unexpected"


Cause = ClientCause | GatewayCause


@dataclass(frozen=True, slots=True)
class Row:
    """How a cause is answered.

    `final` adds `x-should-retry: false`. `pi` is the status for pi, which repeats a whole turn, three times,
    for an error with 429 or 502 in it.
    """

    status: int
    code: str | None = None
    final: bool = False
    pi: int | None = None


# The openai and anthropic packages repeat every 429 without x-should-retry; the code is OpenAI's own.
# Never 401, which clients take for a wrong token. pi repeats 429 and 502, and gives up at once on 402.
_QUOTA: Final = Row(429, QUOTA_CODE, final=True, pi=402)
CAUSES: Final[Mapping[Cause, Row]] = {
    ClientCause.QUOTA: _QUOTA,
    ClientCause.SLOWED: _QUOTA,
    ClientCause.BUSY: _QUOTA,
    ClientCause.NO_VALID_KEY: Row(502, "no_valid_key", final=True, pi=402),
    GatewayCause.NO_KEY: Row(502, "no_key", final=True, pi=402),
    ClientCause.NO_PLAN: Row(403, "no_plan", final=True),
    # OpenAI's own code for a model that does not exist.
    ClientCause.NO_MODEL: Row(404, "model_not_found"),
    # The cloud answers 401, which every client would take for a wrong token.
    ClientCause.NOT_OFFERED: Row(404, "not_offered", final=True),
    # The caller's own error, where the cloud's answer to it cannot be passed on.
    ClientCause.REQUEST: Row(400),
    ClientCause.OUTAGE: Row(503, "outage", final=True),
    # One request failed and the pool is not blocked: clients may send it again.
    GatewayCause.UNAVAILABLE: Row(503),
    GatewayCause.CLOUD: Row(502),
    GatewayCause.CUT_OFF: Row(502),
    GatewayCause.LOG: Row(503),
    GatewayCause.ENDING: Row(503, "gateway_ended"),
    GatewayCause.UNEXPECTED: Row(500),
}
WAITS: Final = frozenset({ClientCause.QUOTA, ClientCause.SLOWED, ClientCause.BUSY})
"""Causes that pass by themselves: the answer says when."""
PASSED_ON: Final = frozenset({ClientCause.REQUEST, ClientCause.NO_MODEL})
"""Causes for which the cloud's own answer is passed on."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client is to see it. `code` is for programs; OpenAI's dialect has it as the type too."""

    status: int
    text: str
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: Cause | None = field(default=None, compare=False)

    @classmethod
    def of(cls, cause: Cause, text: str, *, retry_after: int | None = None) -> "Failure":
        """Return the failure of a cause; `retry_after` is in seconds."""
        row = CAUSES[cause]
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        if row.final:
            headers["x-should-retry"] = "false"
        return cls(row.status, text, row.code, headers, cause)


class FailureError(Exception):
    """A request that ends here with this failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def failure_error(
    status: int, text: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> FailureError:
    """Return the error to raise for a request that is itself wrong."""
    return FailureError(Failure(status, text, code, headers or {}))


def for_client(failure: Failure, client: str | None) -> Failure:
    """Return a failure as the client of this name gets it; None for one that gave no name.

    pi puts the status before every text and looks for words in both. So its text for spent quota has no
    number of three digits, and not the keys' states, whose words ("rate limited") make it repeat too.
    """
    row = CAUSES[failure.cause] if failure.cause else None
    if client != PI or row is None or row.pi is None:
        return failure
    if failure.cause not in WAITS:
        return replace(failure, status=row.pi)
    wait = span(int(failure.headers["retry-after"]))
    text = f"{QUOTA_CODE}: no key of the pool is free; next key free in {wait}; `okr-tui explain` says more"
    return replace(failure, status=row.pi, text=text)


UNKNOWN_RETURN: Final = 60
"""Retry-After in seconds where the end of a block is not known."""


def failure_of(error: OkrError, now: float) -> Failure:
    """Return the failure of a request that could not begin; `now` is epoch seconds."""
    if isinstance(error, PoolBlockedError):
        return _blocked(error, now)
    if isinstance(error, NoKeyError):
        return Failure.of(GatewayCause.NO_KEY, str(error))
    if isinstance(error, CloudError):
        return _refused(error, error.fault)
    cause = GatewayCause.LOG if isinstance(error, StoreError) else GatewayCause.UNEXPECTED
    return Failure.of(cause, str(error))


def cut_off(fault: Fault) -> Failure:
    """Return the failure of an answer that has begun and cannot go on."""
    text = f"{fault.traits.words} in the middle of this answer; what has arrived is all there is of it"
    return Failure.of(GatewayCause.CUT_OFF, text)


def ended() -> Failure:
    """Return the failure of an answer that was in progress when the gateway ended."""
    return Failure.of(GatewayCause.ENDING, "the gateway ended before this answer did; start it and ask again")


def _blocked(error: PoolBlockedError, now: float) -> Failure:
    cause = pool_cause(error.states)
    if cause is ClientCause.NO_MODEL:
        return Failure.of(cause, "the cloud has no such model: `okr-tui models` lists those it has")
    if cause in (ClientCause.NO_VALID_KEY, ClientCause.NO_PLAN):
        return Failure.of(cause, str(error))
    wait = UNKNOWN_RETURN if error.earliest is None else max(1, math.ceil(error.earliest - now))
    if cause is ClientCause.OUTAGE:
        return Failure.of(cause, f"{error}; next try in {wait} s", retry_after=wait)
    when = "next key free at an unknown time" if error.earliest is None else f"next key free in {wait} s"
    return Failure.of(ClientCause.QUOTA, f"{QUOTA_CODE}: {error}; {when}", retry_after=wait)


def _refused(error: CloudError, fault: Fault) -> Failure:
    cause = fault.traits.cause
    if cause in WAITS:
        wait = max(1, math.ceil(fault.retry_after or UNKNOWN_RETURN))
        return Failure.of(cause, f"{QUOTA_CODE}: {error}; next key free in {wait} s", retry_after=wait)
    if cause is ClientCause.NOT_OFFERED:
        return Failure.of(cause, fault.traits.words)
    if cause is ClientCause.NO_PLAN:
        return Failure.of(cause, str(error))
    if cause in PASSED_ON:
        status = fault.status if fault.status and fault.status >= 400 else CAUSES[ClientCause.REQUEST].status
        return Failure(status, str(error))
    return Failure.of(GatewayCause.UNAVAILABLE if fault.status == 503 else GatewayCause.CLOUD, str(error))


Document = dict[str, object]


def _native(failure: Failure, _type: str) -> Document:
    return {"error": failure.text}


def _openai(failure: Failure, kind: str) -> Document:
    kind = failure.code or kind
    return {"error": {"message": failure.text, "type": kind, "param": None, "code": failure.code}}


def _anthropic(failure: Failure, kind: str) -> Document:
    code = {"code": failure.code} if failure.code else {}
    return {"type": "error", "error": {"type": kind, "message": failure.text} | code}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a dialect writes errors: its envelope, its type for each status, and a record inside a stream."""

    envelope: Callable[[Failure, str], Document]
    types: Mapping[int, str]
    frame: bytes


INVALID_REQUEST: Final = "invalid_request_error"
"""The type of a status that is not listed."""
SHAPES: Final[Mapping[Dialect, Shape]] = {
    "native": Shape(_native, {}, b"%b\n"),
    "openai": Shape(
        _openai,
        {404: "not_found_error", 500: "api_error", 502: "api_error", 503: "api_error"},
        b"\n\ndata: %b\n\n",
    ),
    "anthropic": Shape(
        _anthropic,
        {
            401: "authentication_error",
            402: "billing_error",
            403: "permission_error",
            404: "not_found_error",
            413: "request_too_large",
            429: "rate_limit_error",
            500: "api_error",
            502: "api_error",
            503: "overloaded_error",
        },
        b"\n\nevent: error\ndata: %b\n\n",
    ),
}


def error_document(dialect: Dialect, failure: Failure) -> Document:
    """Return an error in the envelope of a dialect."""
    shape = SHAPES[dialect]
    return shape.envelope(failure, shape.types.get(failure.status, INVALID_REQUEST))


def error_record(path: str, failure: Failure, *, whole_line: bool) -> bytes:
    """Return an error for a stream that has begun; it also ends a record that was cut in the middle.

    `whole_line` says that none was: Ollama's client for Python takes no empty line.
    """
    if path == RESPONSES.path:
        event = {"type": "error", "code": failure.code, "message": failure.text, "param": None}
        return SHAPES["anthropic"].frame % _encode(event)  # OpenAI names the events of this endpoint
    dialect = dialect_of(path)
    record = SHAPES[dialect].frame % _encode(error_document(dialect, failure))
    return b"\n" + record if dialect == "native" and not whole_line else record


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
