"""The endpoints that spend quota: chat, generate and their compatible forms."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from okr_tui.demo.answers import ScriptedAnswer, compose, pieces
from okr_tui.demo.catalogue import FAULTS
from okr_tui.demo.dialects import (
    AnthropicMessages,
    Dialect,
    Ending,
    Kind,
    Native,
    OpenAI,
    OpenAIResponses,
    anthropic_error,
    encode,
    native_error,
    openai_error,
)
from okr_tui.demo.models import MODELS, RETIRED, SimulatedModel
from okr_tui.demo.scenarios import FaultRule
from okr_tui.demo.state import QUEUE_LIMITS, REQUEST_UNITS, Account, CloudState, Received, UsageRecord

CONCURRENCY_RETRY_SECONDS = 10


class RequestFailed(Exception):  # noqa: N818  a refusal is an answer, not a defect
    """The request failed with a named fault."""

    def __init__(
        self, name: str, values: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name)
        self.name = name
        self.headers = headers
        self.values = values

    def response(self, path: str) -> Response:
        """Return the fault in the error envelope of a path."""
        fault = FAULTS[self.name]
        headers = dict(fault.headers if self.headers is None else self.headers)
        if fault.page is not None:
            return Response(fault.page, fault.status, headers, "text/html" if fault.page else None)
        text = fault.render(self.values, compatible=path.startswith("/v1/"))
        if path == "/v1/messages":
            body = anthropic_error(text, fault.status, f"req_{uuid4().hex[:24]}")
        elif path.startswith("/v1/"):
            body = openai_error(text, fault.status)
        else:
            body = {**native_error(text), **fault.extra}
        return Response(encode(body), fault.status, headers, headers.get("content-type", "application/json"))


class Hangup(Exception):  # noqa: N818  the caller is gone, nothing is wrong
    """The client has disconnected."""


@dataclass(slots=True)
class SimulatedCall:
    """A request and everything known about it. `fault` is a misbehaviour the answer must show."""

    state: CloudState
    request: Request
    received: Received
    pace: float
    body: Mapping[str, object] = field(default_factory=dict)
    fault: FaultRule | None = None
    occupied: Account | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def account(self) -> Account:
        """The account that pays; only where a key was demanded."""
        return self.state.accounts[str(self.received.account)]

    @property
    def breaking(self) -> FaultRule | None:
        """The fault, if it is one that breaks an answer in the middle."""
        fault = self.fault
        breaks = fault is not None and (fault.in_stream or fault.fault.startswith("stream-"))
        return fault if breaks else None

    def refuse(self, name: str, headers: Mapping[str, str] | None = None, **values: object) -> RequestFailed:
        """Return a refusal that speaks of this call's account and model."""
        known = {"name": self.received.account, "model": self.received.model}
        return RequestFailed(name, {key: value for key, value in known.items() if value} | values, headers)

    def occupy(self) -> None:
        """Take one of the account's slots until `release`, or refuse."""
        account = self.account
        active = account.active + account.elsewhere
        if active >= account.slots:
            queue = str(QUEUE_LIMITS[account.plan])
            retry = math.ceil(CONCURRENCY_RETRY_SECONDS / self.state.speed)
            headers = {
                "retry-after": str(retry),
                "x-ratelimit-active": str(active),
                "x-ratelimit-max-concurrent": str(account.slots),
                "x-ratelimit-queue-limit": queue,
                "x-ratelimit-queued": queue,
            }
            raise self.refuse("concurrency", headers)
        account.active += 1
        self.occupied = account

    def release(self) -> None:
        """Give the slot back and book what was really sent."""
        if self.occupied is None:
            return
        self.occupied.active -= 1
        units = REQUEST_UNITS + self.input_tokens + self.output_tokens
        self.occupied.charge(UsageRecord(self.state.clock(), units, self.input_tokens, self.output_tokens))
        self.occupied = None

    async def linger(self, seconds: float | None) -> None:
        """Wait, without end if None; a client that disconnects meanwhile ends the call."""
        try:
            await asyncio.wait_for(self._gone(), seconds)
        except TimeoutError:
            return
        raise Hangup

    async def _gone(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    async def drop(self) -> None:
        """Close the connection without sending anything more."""
        connections: dict[tuple[str, int], asyncio.Transport] = self.request.scope.get("connections", {})
        client = self.request.client
        if client is not None and (client.host, client.port) in connections:
            connections[client.host, client.port].abort()
        await asyncio.sleep(0)


Document = Mapping[str, object]

TEMPLATE_TOKENS = 12
CHARACTERS_PER_TOKEN = 4


async def chat(call: SimulatedCall) -> Response:
    """POST /api/chat."""
    return await _infer(call, Native)


async def generate(call: SimulatedCall) -> Response:
    """POST /api/generate."""
    return await _infer(call, partial(Native, chat=False))


async def chat_completions(call: SimulatedCall) -> Response:
    """POST /v1/chat/completions."""
    return await _infer(call, OpenAI)


async def completions(call: SimulatedCall) -> Response:
    """POST /v1/completions."""
    return await _infer(call, partial(OpenAI, chat=False))


async def responses(call: SimulatedCall) -> Response:
    """POST /v1/responses."""
    return await _infer(call, OpenAIResponses)


async def messages(call: SimulatedCall) -> Response:
    """POST /v1/messages."""
    return await _infer(call, AnthropicMessages)


async def _infer(
    call: SimulatedCall, make_dialect: Callable[[str, Callable[[], float]], Dialect]
) -> Response:
    model = find_model(call)
    conversation = _messages(call.body)
    _check(call, model, conversation)
    call.occupy()
    dialect = make_dialect(model.name, call.state.clock)
    options = call.body.get("stream_options")
    if isinstance(dialect, OpenAI) and isinstance(options, Mapping):
        dialect.include_usage = bool(options.get("include_usage"))
    answer = _answer(call, model, conversation)
    if call.body.get("stream", dialect.streams_by_default):
        return StreamingResponse(_stream(call, dialect, answer), media_type=dialect.media_type)
    return await _whole(call, dialect, answer)


def find_model(call: SimulatedCall) -> SimulatedModel:
    """Return the model that the body names; raise the refusal of a missing, unknown or retired one."""
    name = call.received.model
    if not name:
        raise call.refuse("bad-request", detail="model is required")
    if name in RETIRED:
        raise call.refuse("retired")
    if name not in MODELS:
        raise call.refuse("model-not-found")
    return MODELS[name]


def _check(call: SimulatedCall, model: SimulatedModel, conversation: Sequence[Document]) -> None:
    account = call.account
    if model.paid and account.plan == "free" and account.purchased <= 0:
        raise call.refuse("subscription-or-extra-usage")
    asked = _asked(call)
    if asked is not None and asked > model.output_limit:
        raise call.refuse("max-tokens", asked=asked, limit=model.output_limit)
    texts = [_text(message) for message in conversation]
    call.input_tokens = TEMPLATE_TOKENS + sum(map(len, texts)) // CHARACTERS_PER_TOKEN
    if call.input_tokens > model.context:
        raise call.refuse("context-too-long", excess=call.input_tokens - model.context)
    images = [image for message in conversation for image in _images(message)]
    if images and "vision" not in model.capabilities:
        raise call.refuse("image-not-supported")
    if any(str(image).startswith("http") for image in images):
        raise call.refuse("image-url")
    if (window := account.spent()) is not None:
        raise call.refuse(window)


def _answer(call: SimulatedCall, model: SimulatedModel, conversation: Sequence[Document]) -> ScriptedAnswer:
    tools = _objects(call.body.get("tools")) if "tools" in model.capabilities else []
    last = conversation[-1] if conversation else {}
    asked = [_text(message) for message in conversation if message.get("role", "user") == "user"]
    result = _text(last) if last.get("role") == "tool" else None
    answer = compose(asked[-1] if asked else "", tools, result)
    # gpt-oss always thinks, whatever the request says.
    silent = call.body.get("think") is False and model.architecture != "gptoss"
    if silent or "thinking" not in model.capabilities:
        answer = ScriptedAnswer("", answer.text, answer.tools)
    if call.fault is not None and call.fault.fault == "empty-content":
        return ScriptedAnswer("", "")
    return answer


def _cut(call: SimulatedCall, answer: ScriptedAnswer) -> tuple[list[tuple[Kind, str]], str]:
    parts: list[tuple[Kind, str]] = [("thinking", piece) for piece in pieces(answer.thinking)]
    parts += [("content", piece) for piece in pieces(answer.text)]
    asked = _asked(call)
    if asked is not None and 0 <= asked < len(parts):
        return parts[:asked], "length"
    return parts, "tool_calls" if answer.tools else "stop"


async def _stream(call: SimulatedCall, dialect: Dialect, answer: ScriptedAnswer) -> AsyncIterator[bytes]:
    started = call.state.clock()
    parts, reason = _cut(call, answer)
    broken = call.breaking
    if opening := dialect.opening():
        yield opening
    for kind, text in parts[: broken.after] if broken else parts:
        await asyncio.sleep(call.pace)
        call.output_tokens += 1
        yield dialect.piece(kind, text)
    if broken is None:
        for tool in answer.tools:
            yield dialect.tool(tool)
        yield dialect.closing(_ending(call, reason, started))
    elif broken.fault == "stream-truncated":
        yield dialect.piece("content", "never seen")[:40]
    elif broken.fault == "stream-dropped":
        await call.drop()
    elif broken.fault == "stream-stalled":
        # Ends when the client disconnects: the response is cancelled then.
        await asyncio.Event().wait()
    else:
        name = broken.fault if broken.in_stream else "internal-error"
        yield dialect.error(FAULTS[name].render(call.refuse(name).values))


async def _whole(call: SimulatedCall, dialect: Dialect, answer: ScriptedAnswer) -> Response:
    started = call.state.clock()
    parts, reason = _cut(call, answer)
    if call.pace:
        await call.linger(call.pace * len(parts))
    broken = call.breaking
    if broken is not None:
        if broken.fault == "stream-dropped":
            await call.drop()
            raise Hangup
        if broken.fault == "stream-stalled":
            await call.linger(None)
        if broken.fault != "stream-truncated":
            raise call.refuse(broken.fault if broken.in_stream else "internal-error")
    call.output_tokens = len(parts)
    kept = {kind: "".join(text for part, text in parts if part == kind) for kind in ("thinking", "content")}
    shown = ScriptedAnswer(kept["thinking"], kept["content"], answer.tools)
    body = encode(dialect.whole(shown, _ending(call, reason, started)))
    return Response(body[: len(body) // 2] if broken else body, media_type="application/json")


def _ending(call: SimulatedCall, reason: str, started: float) -> Ending:
    nanoseconds = max(1, int((call.state.clock() - started) * 1e9))
    return Ending(reason, call.input_tokens, call.output_tokens, nanoseconds)


def _asked(call: SimulatedCall) -> int | None:
    options = call.body.get("options")
    if call.received.path.startswith("/v1/"):
        names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
        asked = next((call.body[name] for name in names if name in call.body), None)
    else:
        asked = options.get("num_predict") if isinstance(options, Mapping) else None
    return asked if isinstance(asked, int) else None


def _messages(body: Document) -> list[Document]:
    """Return the messages of a request, each with a role and content, in any of their forms."""
    if "prompt" in body:
        return [{"role": "user", "content": body["prompt"], "images": body.get("images")}]
    if "input" in body:
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else _objects(given)
        return [message for item in items for message in _split(item)]
    return [message for item in _objects(body.get("messages")) for message in _split(item)]


def _objects(value: object) -> list[Document]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(message: Document) -> str:
    """Return the words of a message."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in _objects(content))
    return str(content or "")


def _images(message: Document) -> list[object]:
    """Return the pictures of a message, as base64 or as addresses."""
    native = message.get("images")
    linked = [part.get("image_url") for part in _objects(message.get("content")) if "image_url" in part]
    addresses = [link.get("url") if isinstance(link, Mapping) else link for link in linked]
    return (native if isinstance(native, list) else []) + addresses


def _split(item: Document) -> list[Document]:
    """Return a message, or for each tool result in it a message of the tool."""
    if item.get("type") == "function_call_output":
        return [{"role": "tool", "content": item.get("output")}]
    parts = _objects(item.get("content"))
    results = [part for part in parts if part.get("type") == "tool_result"]
    return [{"role": "tool", "content": part.get("content")} for part in results] or [item]
