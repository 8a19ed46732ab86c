"""Errors as clients see them: a table from causes to statuses and codes, one from dialects to shapes."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Final, Literal

from okr_tui.cloud.endpoints import RESPONSES, Dialect, dialect_of
from okr_tui.domain.errors import BudgetError, CloudError, NoKeyError, OkrError, PoolBlockedError, StoreError
from okr_tui.domain.faults import ClientCause, Fault
from okr_tui.domain.health import pool_cause
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import moment, rfc3339, span

CLIENT_HEADER: Final = "x-okr-tui-client"
"""The request header by which a client names itself, where it needs an answer of its own."""
SOURCE_HEADER: Final = "x-okr-tui-error"
"""The response header that says whose error it is: a `Source`."""
RETRY_AT_HEADER: Final = "x-okr-tui-retry-at"
"""The response header with the time of the first return, in RFC 3339."""
SHOULD_RETRY: Final = "x-should-retry"
"""The response header that tells the packages openai and anthropic not to ask again, if "false"."""
QUOTA_CODE: Final = "insufficient_quota"
RATE_CODE: Final = "rate_limit_exceeded"
PI: Final = "pi"
CODEX: Final = "codex"
CLAUDE_CODE: Final = "claude-code"
OPENCODE: Final = "opencode"
LITELLM: Final = "litellm"
AI_SDK: Final = "ai-sdk"
USER_AGENTS: Final[tuple[tuple[str, str], ...]] = (
    ("codex", CODEX),
    ("opencode/", OPENCODE),
    ("claude-cli/", CLAUDE_CODE),
    ("litellm/", LITELLM),
    ("ollama-python/", "ollama-python"),
    ("ollama-js/", "ollama-js"),
    ("ollama/", "ollama"),
    ("openai/", "openai"),
    ("asyncopenai/", "openai"),
    ("anthropic/", "anthropic"),
    ("asyncanthropic/", "anthropic"),
)
"""How the User-Agent of a client begins, in lower case, and what it is called here."""


NAMED_CLIENTS: Final = frozenset({PI, AI_SDK, *(name for _, name in USER_AGENTS)})
"""What a client may call itself: the log and the metrics tell it, so no other name is accepted."""


def client_name(headers: Mapping[str, str]) -> str | None:
    """Return the client's name, from its own header or a known User-Agent; header names in lower case."""
    if (named := headers.get(CLIENT_HEADER)) in NAMED_CLIENTS:
        return named
    agent = headers.get("user-agent", "").lower()
    found = next((name for start, name in USER_AGENTS if agent.startswith(start)), None)
    if found is None and "ai-sdk/" in agent:
        return AI_SDK
    # LiteLLM reads raw responses through the openai package, as LangChain does, which sets no timeout.
    if found == "openai" and headers.get("x-stainless-raw-response") == "true":
        return LITELLM if "x-stainless-read-timeout" in headers else found
    return found


class GatewayCause(Enum):
    """Why the gateway itself answers with an error, where no fault of a key is the cause."""

    NO_KEY = "no key"
    UNAVAILABLE = "unavailable"
    CLOUD = "cloud"
    CUT_OFF = "cut off"
    LOG = "log"
    ENDING = "ending"
    UNEXPECTED = "unexpected"
    BUDGET = "budget"


Cause = ClientCause | GatewayCause
Source = Literal["gateway", "cloud", "path"]
"""Whose error it is: the gateway's own, the cloud's, or that of something on the way to it."""


@dataclass(frozen=True, slots=True)
class Row:
    """How a cause is answered: `final` if a repeat is for nothing; `source` is whose error it is."""

    status: int
    code: str | None = None
    final: bool = False
    source: Source = "cloud"


CAUSES: Final[Mapping[Cause, Row]] = {
    # The code is OpenAI's own.
    ClientCause.QUOTA: Row(402, QUOTA_CODE, final=True),
    ClientCause.SLOWED: Row(429, RATE_CODE),
    ClientCause.BUSY: Row(429, RATE_CODE),
    ClientCause.NO_VALID_KEY: Row(403, "no_valid_key", final=True),
    GatewayCause.NO_KEY: Row(403, "no_key", final=True, source="gateway"),
    # A limit that the gateway's owner has set for a client or a model.
    GatewayCause.BUDGET: Row(402, "budget_exceeded", final=True, source="gateway"),
    ClientCause.NO_PLAN: Row(403, "no_plan", final=True),
    # OpenAI's own code for a model that does not exist.
    ClientCause.NO_MODEL: Row(404, "model_not_found", final=True),
    # The cloud answers 401, which every client would take for a wrong token.
    ClientCause.NOT_OFFERED: Row(404, "not_offered", final=True),
    # The caller's own error, where the cloud's answer to it cannot be passed on.
    ClientCause.REQUEST: Row(400, final=True),
    ClientCause.OUTAGE: Row(503, "outage", final=True),
    # One request failed and the pool is not blocked: clients may send it again.
    GatewayCause.UNAVAILABLE: Row(503),
    GatewayCause.CLOUD: Row(502),
    GatewayCause.CUT_OFF: Row(502),
    GatewayCause.LOG: Row(503, source="gateway"),
    GatewayCause.ENDING: Row(503, "gateway_ended", source="gateway"),
    GatewayCause.UNEXPECTED: Row(500, source="gateway"),
}
# What the clients do, tried with each of them:
#   402  the packages openai and anthropic, the AI SDK, opencode (1.18), Claude Code (2.1), LangChain, llm and
#        pi (0.73 and 1.5) ask once, and show the text. At 429 opencode sleeps for Retry-After, days long; the
#        AI SDK asks three times, whatever x-should-retry says; pi repeats its whole turn three times.
#   401  none: every client takes it for a wrong token.
#   429, 502, 503  may be over a moment later. The libraries of Ollama, and what is built on them, ask once;
#        the packages openai and anthropic, LangChain and the AI SDK three times, after Retry-After, and
#        opencode six times; aider nine times in a minute, with the text each time; Claude Code eleven times,
#        or as CLAUDE_CODE_MAX_RETRIES says; all then show the text. Codex: see `streams_errors`. Open WebUI
#        (0.12) never asks again; Cline (3.0) asks six times, Continue (1.5) eleven times in two minutes.
#        Neither opencode nor aider has a status for "once or twice": opencode (session/retry.ts) takes 408,
#        409, 429, 5xx and words for passing, waits for Retry-After, and gives up after five repeats; aider
#        (exceptions.py) goes by LiteLLM's class of the status, and waits ever longer, up to a minute,
#        whatever Retry-After says.
ENDS_AT: Final[Mapping[str, frozenset[int]]] = {
    # Codex (0.171) asks six times at any other, 402 to 404 and 413 among them, thirty times at 502 and 503,
    # and hides the text of 429; for a WebSocket 426 is the one that ends it.
    CODEX: frozenset({400, 401, 426}),
    # LiteLLM makes its caller repeat: aider (0.86) asks nine times, for a minute, at 402, 403, 410, 413, 5xx.
    LITELLM: frozenset({400, 401, 404, 422}),
    # Claude Code (2.1) calls 403 a failed login.
    CLAUDE_CODE: frozenset(range(400, 600)) - {403},
}
"""The statuses with which a client takes an error as final, and shows it; where there is none, all do."""
STOPS: Final = 400
"""The status that ends the matter for all of them."""
PASSED_ON: Final = frozenset({ClientCause.REQUEST, ClientCause.NO_MODEL})
"""Causes for which the cloud's own answer is passed on."""
AFTER_OUTPUT: Final = frozenset({GatewayCause.CUT_OFF, GatewayCause.ENDING})
"""Causes of an answer that ends in its middle: asking again would be paid for again."""
PASSING: Final = frozenset({408, 425, 429})
"""Statuses of the caller's own errors after which the same request may do."""
LONGEST_RETRY_AFTER: Final = 60
"""Seconds; a spent pool that is back later has the time in its words: clients would sleep until then."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client is to see it. `code` is for programs; OpenAI's dialect has it as the type too."""

    status: int
    text: str
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: Cause | None = field(default=None, compare=False)
    source: Source = "gateway"

    @classmethod
    def of(
        cls,
        cause: Cause,
        text: str,
        *,
        retry_after: int | None = None,
        retry_at: float | None = None,
        source: Source | None = None,
    ) -> "Failure":
        """Return the failure of a cause; `retry_after` is in seconds, `retry_at` in epoch seconds."""
        row = CAUSES[cause]
        headers = {}
        if retry_after is not None and (not row.final or retry_after <= LONGEST_RETRY_AFTER):
            headers["retry-after"] = str(retry_after)
        if retry_at is not None:
            headers[RETRY_AT_HEADER] = str(rfc3339(math.ceil(retry_at)))
        if row.final:
            headers[SHOULD_RETRY] = "false"
        return cls(row.status, text, row.code, headers, cause, source or row.source)

    @property
    def ends(self) -> bool:
        """Whether the same request would be for nothing."""
        if self.cause is None:  # the request is itself wrong
            return self.status < 500 and self.status not in PASSING
        return CAUSES[self.cause].final

    @property
    def ends_stream(self) -> bool:
        """Whether the same request would be for nothing, or paid for twice, where an answer has begun."""
        return self.ends or self.cause in AFTER_OUTPUT


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


PI_STATES: Final = re.compile(r": #\d.*(?=; next key free)", re.DOTALL)
"""The keys' states in the text of a spent pool, whose words ("rate limited") make pi repeat its turn."""
BUDGET_SIZE: Final = re.compile(r" of [\d,.]+ tokens a day")
"""The size of a budget: at numbers such as 500 in a text opencode (1.18) asks again, whatever the status."""
LITELLM_STOPS: Final[Mapping[Dialect, str]] = {
    "native": "Invalid response object from API",
    "openai": "invalid_request_error",
}
"""Words at which LiteLLM does not ask again, whatever it knows of the status: in a stream there is none."""


def misreads_errors(client: str | None, dialect: Dialect) -> bool:
    """Return whether the cloud's own error document does not reach the user of a client.

    LiteLLM takes an error as final at words alone, whatever its status; the AI SDK's provider for Ollama
    reads OpenAI's form alone.
    """
    return dialect == "native" and client in (LITELLM, AI_SDK)


def overlooks_errors(client: str | None, dialect: Dialect) -> bool:
    """Return whether a client takes an answer that ends in an error record for a whole one.

    The AI SDK's provider for Ollama (3.6) drops every record that is not a piece of an answer, and the field
    `error` of one that is. Only a connection that is cut is an error to it, with words of its own.
    """
    return client == AI_SDK and dialect == "native"


def streams_errors(client: str | None, path: str) -> bool:
    """Return whether a client that asked for a stream had better get errors of a moment within one.

    Codex hides the text of statuses, and asks thirty times at some of them.
    """
    return client == CODEX and path == RESPONSES.path


def for_client(
    failure: Failure, client: str | None, dialect: Dialect = "openai", *, begun: bool = False
) -> Failure:
    """Return a failure as the client of this name gets it; None for one that is not known.

    begun: it ends an answer of which something was sent.
    """
    if client == LITELLM:  # its caller repeats too
        failure = replace(failure, headers={**failure.headers, SHOULD_RETRY: "false"})
    if client is None or not (failure.ends_stream if begun else failure.ends):
        return failure
    text = failure.text
    if client == PI and failure.cause is ClientCause.QUOTA:
        text = PI_STATES.sub("; `okr-tui explain` says more", text)
    elif client == OPENCODE and failure.cause is GatewayCause.BUDGET:
        text = BUDGET_SIZE.sub("", text)
    elif client == LITELLM and dialect in LITELLM_STOPS:
        text = f"{text} ({LITELLM_STOPS[dialect]})"
    return replace(failure, status=final_status(failure.status, client), text=text)


def final_status(status: int, client: str | None) -> int:
    """Return the status with which a client takes an error as final that would usually have another one."""
    return status if client is None or status in ENDS_AT.get(client, (status,)) else STOPS


UNKNOWN_RETURN: Final = 60
"""Retry-After in seconds where the end of a block is not known."""
NEAR: Final = 120
"""A return that is nearer is given in seconds."""
BACK_LATER: Final = frozenset({ClientCause.QUOTA, GatewayCause.BUDGET})
"""Causes whose end a person waits for: given with the time of day."""


def failure_of(
    error: OkrError, now: float, model: str | None = None, successor: str | None = None
) -> Failure:
    """Return the failure of a request that could not begin; `now` is epoch seconds.

    `model` is what it asked for; `successor` is the model that replaces that one, if it is retired.
    """
    if isinstance(error, PoolBlockedError):
        return _blocked(error, now, model, successor)
    if isinstance(error, NoKeyError):
        return Failure.of(GatewayCause.NO_KEY, str(error))
    if isinstance(error, BudgetError):
        return _waiting(GatewayCause.BUDGET, error, now, error.resets_at)
    if isinstance(error, CloudError):
        return _refused(error, error.fault, now)
    cause = GatewayCause.LOG if isinstance(error, StoreError) else GatewayCause.UNEXPECTED
    return Failure.of(cause, str(error))


REPEATED_WORDS: Final = re.compile(
    r"overload|rate.?limit|too many|\d{3}|unavailable|error|connection|network|time.?out|timed|fetch|"
    r"upstream|reset|terminated|ended|closed|refused|hang|retry|try again",
    re.IGNORECASE,
)
"""Words of the cloud's at which pi and others repeat a turn, paid for again."""


def cut_off(fault: Fault) -> Failure:
    """Return the failure of an answer that has begun and cannot go on."""
    detail = "" if REPEATED_WORDS.search(fault.text) or not fault.text else f" ({fault.text})"
    text = f"{fault.traits.words} in the middle of this answer{detail}; the answer is incomplete"
    return Failure.of(GatewayCause.CUT_OFF, text, source=_source(fault))


def ended() -> Failure:
    """Return the failure of an answer that was in progress when the gateway ended."""
    return Failure.of(
        GatewayCause.ENDING, "the gateway stopped before this answer was complete; start it and ask again"
    )


def _source(fault: Fault) -> Source:
    return "path" if fault.on_the_way else "cloud"


def _blocked(error: PoolBlockedError, now: float, model: str | None, successor: str | None) -> Failure:
    cause = pool_cause(error.states)
    if cause is ClientCause.NO_MODEL:
        what = f"model {model}" if model else "such model"
        instead = f"ask for {successor}, which replaces it; " if successor else ""
        return Failure.of(cause, f"the cloud has no {what}: {instead}`okr-tui models` lists those it has")
    if cause in (ClientCause.NO_VALID_KEY, ClientCause.NO_PLAN):
        return Failure.of(cause, f"{CAUSES[cause].code}: {error}; `okr-tui keys` shows them")
    source: Source | None = None
    if cause is ClientCause.OUTAGE and error.on_the_way:
        source = "path"
    elif cause is ClientCause.BUSY and error.earliest is None:
        # All slots are taken by requests under way here: the cloud was not asked, and has refused nothing.
        source = "gateway"
    return _waiting(cause, error, now, error.earliest, source)


def _waiting(
    cause: Cause, error: OkrError, now: float, back: float | None, source: Source | None = None
) -> Failure:
    """Return the failure of a cause that passes by itself; `back` is when, in epoch seconds."""
    wait = UNKNOWN_RETURN if back is None else max(1, math.ceil(back - now))
    if back is None:
        when = "at an unknown time"
    else:
        when = f"in {wait} s" if wait < NEAR else f"in {span(wait)}"
        if cause in BACK_LATER:
            when = f"{when}, at {moment(back, now)} UTC"
    first = RETURNS.get(cause, "next key free")
    code = f"{CAUSES[cause].code}: " if cause is not ClientCause.OUTAGE else ""
    return Failure.of(cause, f"{code}{error}; {first} {when}", retry_after=wait, retry_at=back, source=source)


RETURNS: Final[Mapping[Cause, str]] = {
    ClientCause.OUTAGE: "next try",
    GatewayCause.BUDGET: "the budget is renewed",
}
"""What is back then, where it is no key."""


def _refused(error: CloudError, fault: Fault, now: float) -> Failure:
    cause = fault.traits.cause
    if cause in (ClientCause.QUOTA, ClientCause.SLOWED, ClientCause.BUSY):
        return _waiting(cause, error, now, None if fault.retry_after is None else now + fault.retry_after)
    if cause is ClientCause.NOT_OFFERED:
        return Failure.of(cause, fault.traits.words)
    if cause in (ClientCause.NO_PLAN, ClientCause.NO_VALID_KEY):
        return Failure.of(cause, str(error))
    if cause in PASSED_ON:
        status = fault.status if fault.status and fault.status >= 400 else CAUSES[ClientCause.REQUEST].status
        return replace(Failure.of(cause, str(error), source=_source(fault)), status=status)
    unavailable = GatewayCause.UNAVAILABLE if fault.status == 503 else GatewayCause.CLOUD
    return Failure.of(unavailable, str(error), source=_source(fault))


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


def error_document(dialect: Dialect, failure: Failure, client: str | None = None) -> Document:
    """Return an error in the envelope of a dialect."""
    if client == AI_SDK and dialect == "native":
        dialect = "openai"  # its provider for Ollama reads errors in OpenAI's form alone
    shape = SHAPES[dialect]
    return shape.envelope(failure, shape.types.get(failure.status, INVALID_REQUEST))


def error_record(path: str, failure: Failure, last: bytes = b"") -> bytes:
    """Return an error for a stream that has begun; it also ends a record that was cut in the middle.

    `last` is the end of what was sent before. Ollama's client for Python takes no empty line, so there is
    none where that ends a line.
    """
    if path == RESPONSES.path:
        return _failed_response(failure, last, stops=failure.ends_stream if last else failure.ends)
    dialect = dialect_of(path)
    record = SHAPES[dialect].frame % _encode(error_document(dialect, failure))
    return b"\n" + record if dialect == "native" and last and not last.endswith(b"\n") else record


SEQUENCE: Final = re.compile(rb'"sequence_number"\s*:\s*(\d{1,9})')


def _failed_response(failure: Failure, last: bytes, *, stops: bool) -> bytes:
    """Return the event that ends a response of OpenAI's with an error.

    platform.openai.com/docs/api-reference/responses-streaming/response/failed. The packages take an event
    `error` for the end as well, but Codex does not. Only at the code `invalid_prompt` does Codex show the
    text and ask once. At `insufficient_quota` it has words of its own; at others it asks six times and then
    shows the text, at `rate_limit_exceeded` after the seconds that it reads there.
    """
    text, code = failure.text, "invalid_prompt" if stops else failure.code or "server_error"
    if code == RATE_CODE and (wait := failure.headers.get("retry-after")):
        text = f"{text}; try again in {wait}s"
    numbers = SEQUENCE.findall(last)
    event = {
        "type": "response.failed",
        "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
        "response": {
            "id": "resp_failed",
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {"code": code, "message": text},
            "incomplete_details": None,
            "model": "",
            "output": [],
            "usage": None,
        },
    }
    return b"\n\nevent: response.failed\ndata: %b\n\n" % _encode(event)


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
