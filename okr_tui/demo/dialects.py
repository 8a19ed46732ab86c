"""The forms that an answer or an error takes in each interface: native, OpenAI's and Anthropic's."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from okr_tui.demo.answers import ScriptedAnswer, ScriptedToolCall

Kind = Literal["thinking", "content"]
Body = dict[str, object]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended and what it cost."""

    reason: str
    input_tokens: int
    output_tokens: int
    nanoseconds: int


def encode(body: Body) -> bytes:
    """Compact JSON, as the cloud writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def native_error(text: str) -> Body:
    """Return the error envelope of /api/*."""
    return {"error": text}


class Dialect(ABC):
    """Writes one answer. An instance serves one request and may keep count of what it wrote."""

    media_type = "application/x-ndjson"
    streams_by_default = True

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self.model = model
        self.clock = clock

    def opening(self) -> bytes:
        """Return what precedes the first piece."""
        return b""

    @abstractmethod
    def piece(self, kind: Kind, text: str) -> bytes:
        """Return a piece of thinking or of the answer."""

    @abstractmethod
    def tool(self, call: ScriptedToolCall) -> bytes:
        """Return a tool call, always whole."""

    @abstractmethod
    def closing(self, ending: Ending) -> bytes:
        """Return what follows the last piece."""

    @abstractmethod
    def whole(self, answer: ScriptedAnswer, ending: Ending) -> Body:
        """Return the answer as one object."""

    @abstractmethod
    def error(self, text: str) -> bytes:
        """Return an error after the stream has begun."""


class Native(Dialect):
    """POST /api/chat, or /api/generate: `response` in place of a message, and no tools."""

    def __init__(self, model: str, clock: Callable[[], float], *, chat: bool = True) -> None:
        super().__init__(model, clock)
        self.chat = chat

    def piece(self, kind: Kind, text: str) -> bytes:
        """Return a line with a message; while thinking its content is empty."""
        return self._line(self.message(text if kind == "content" else "", text if kind == "thinking" else ""))

    def tool(self, call: ScriptedToolCall) -> bytes:
        """Return a line with the tool call; its arguments are an object."""
        return self._line(self.message("", "", (call,)))

    def closing(self, ending: Ending) -> bytes:
        """Return the last line, with the cloud's short set of metrics."""
        return encode(self._record(self.message("", ""), ending)) + b"\n"

    def whole(self, answer: ScriptedAnswer, ending: Ending) -> Body:
        """One record that is also the last."""
        return self._record(self.message(answer.text, answer.thinking, answer.tools), ending)

    def error(self, text: str) -> bytes:
        """One more line."""
        return encode(native_error(text)) + b"\n"

    def message(self, text: str, thinking: str, tools: tuple[ScriptedToolCall, ...] = ()) -> Body:
        """Return the part of a record that carries output."""
        if not self.chat:
            return {"response": text, "thinking": thinking} if thinking else {"response": text}
        message: Body = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if tools:
            message["tool_calls"] = [
                {"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}}
                for index, call in enumerate(tools)
            ]
        return {"message": message}

    def _line(self, output: Body) -> bytes:
        return encode(self._record(output, None)) + b"\n"

    def _record(self, output: Body, ending: Ending | None) -> Body:
        moment = self.clock()
        created = datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        record: Body = {
            "model": self.model,
            "created_at": f"{created}.{int(moment % 1 * 1e9):09d}Z",
            **output,
            "done": ending is not None,
        }
        if ending is not None:
            record |= {
                "done_reason": ending.reason,
                "total_duration": ending.nanoseconds,
                "prompt_eval_count": ending.input_tokens,
                "eval_count": ending.output_tokens,
            }
        return record


DELTAS = {"thinking": "response.reasoning_summary_text", "content": "response.output_text"}


class OpenAIResponses(Dialect):
    """POST /v1/responses; nothing of it is kept, so an answer cannot be asked for again."""

    media_type = "text/event-stream"
    streams_by_default = False

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        super().__init__(model, clock)
        self._number = -1
        self._output: list[Body] = []
        self._open: Kind | None = None
        self._text = ""

    def opening(self) -> bytes:
        """Return the response without output, twice."""
        response = self._response("in_progress", [])
        return b"".join(
            self._event(f"response.{word}", response=response) for word in ("created", "in_progress")
        )

    def piece(self, kind: Kind, text: str) -> bytes:
        """Return a delta, in an item of its kind."""
        events = b""
        if self._open != kind:
            events = self._close()
            self._open = kind
            events += self._added(self._item(kind, None)) + self._part("added", kind, "")
        self._text += text
        return events + self._event(f"{DELTAS[kind]}.delta", **self._location(kind), delta=text)

    def tool(self, call: ScriptedToolCall) -> bytes:
        """Return an item of its own; its arguments are a string."""
        events = self._close()
        item = self._call(call)
        events += self._added({**item, "status": "in_progress", "arguments": ""})
        location = {"item_id": item["id"], "output_index": len(self._output)}
        name = "response.function_call_arguments"
        events += self._event(f"{name}.delta", **location, delta=item["arguments"])
        events += self._event(f"{name}.done", **location, name=call.name, arguments=item["arguments"])
        return events + self._done(item)

    def closing(self, ending: Ending) -> bytes:
        """Return the whole response again."""
        events = self._close()
        status = _status(ending)
        response = self._response(status, self._output, ending)
        return events + self._event(f"response.{status}", response=response)

    def whole(self, answer: ScriptedAnswer, ending: Ending) -> Body:
        """Return a response with its items."""
        if answer.thinking:
            self._output.append(self._item("thinking", answer.thinking))
        if answer.text:
            self._output.append(self._item("content", answer.text))
        self._output += [self._call(call) for call in answer.tools]
        return self._response(_status(ending), self._output, ending)

    def error(self, text: str) -> bytes:
        """Return an error event."""
        return self._event("error", code=None, message=text, param=None)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        kind, text = self._open, self._text
        self._open, self._text = None, ""
        events = self._event(f"{DELTAS[kind]}.done", **self._location(kind), text=text)
        return events + self._part("done", kind, text) + self._done(self._item(kind, text))

    def _added(self, item: Body) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _done(self, item: Body) -> bytes:
        self._output.append(item)
        return self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _part(self, word: str, kind: Kind, text: str) -> bytes:
        name = "content_part" if kind == "content" else "reasoning_summary_part"
        return self._event(f"response.{name}.{word}", **self._location(kind), part=_part(kind, text))

    def _location(self, kind: Kind) -> Body:
        index = "content_index" if kind == "content" else "summary_index"
        return {"item_id": _identity(kind), "output_index": len(self._output), index: 0}

    def _item(self, kind: Kind, text: str | None) -> Body:
        """Return an item; its text is None while it is still to come."""
        parts = [] if text is None else [_part(kind, text)]
        if kind == "thinking":
            return {"type": "reasoning", "id": _identity(kind), "summary": parts}
        status = "in_progress" if text is None else "completed"
        message: Body = {"type": "message", "id": _identity(kind), "status": status, "role": "assistant"}
        return {**message, "content": parts}

    def _call(self, call: ScriptedToolCall) -> Body:
        return {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": json.dumps(call.arguments),
            "status": "completed",
        }

    def _response(self, status: str, output: list[Body], ending: Ending | None = None) -> Body:
        length = status == "incomplete"
        return {
            "id": "resp_demo",
            "object": "response",
            "created_at": int(self.clock()),
            "model": self.model,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if length else None,
            "instructions": None,
            "metadata": {},
            "output": list(output),
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": None if ending is None else _usage(ending),
        }

    def _event(self, kind: str, **body: object) -> bytes:
        self._number += 1
        document = {"type": kind, "sequence_number": self._number, **body}
        return f"event: {kind}\ndata: ".encode() + encode(document) + b"\n\n"


def _status(ending: Ending) -> str:
    return "incomplete" if ending.reason == "length" else "completed"


def _identity(kind: Kind) -> str:
    return "msg_demo" if kind == "content" else "rs_demo"


def _part(kind: Kind, text: str) -> Body:
    if kind == "thinking":
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(ending: Ending) -> Body:
    return {
        "input_tokens": ending.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": ending.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": ending.input_tokens + ending.output_tokens,
    }


OPENAI_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def openai_error(text: str, status: int) -> Body:
    """Return the error envelope of /v1/*."""
    kind = OPENAI_TYPES.get(status, "api_error")
    return {"error": {"message": text, "type": kind, "param": None, "code": None}}


def anthropic_error(text: str, status: int, request_id: str) -> Body:
    """Return the error envelope of /v1/messages."""
    error = {"type": ANTHROPIC_TYPES.get(status, "api_error"), "message": text}
    return {"type": "error", "error": error, "request_id": request_id}


class OpenAI(Dialect):
    """POST /v1/chat/completions, or /v1/completions: bare text, without thinking or tools."""

    media_type = "text/event-stream"
    streams_by_default = False

    def __init__(self, model: str, clock: Callable[[], float], *, chat: bool = True) -> None:
        super().__init__(model, clock)
        self.chat = chat
        self.include_usage = False
        self._first = True
        self._tools = 0

    def piece(self, kind: Kind, text: str) -> bytes:
        """Return a chunk; reasoning has a field of its own, and a completion only empty text for it."""
        if not self.chat:
            return self._chunk({"text": text if kind == "content" else ""})
        delta: Body = {"content": text} if kind == "content" else {"content": "", "reasoning": text}
        return self._chunk(delta)

    def tool(self, call: ScriptedToolCall) -> bytes:
        """Return a chunk with the tool call, whose arguments are a string; a completion has none."""
        if not self.chat:
            return b""
        self._tools += 1
        return self._chunk({"content": "", "tool_calls": [{"index": self._tools - 1, **self._tool(call)}]})

    def closing(self, ending: Ending) -> bytes:
        """Return the finish reason, the usage if asked for, and the end mark."""
        closing = self._chunk({}, ending.reason)
        if self.include_usage:
            closing += self._event({"choices": [], "usage": self._usage(ending)})
        return closing + b"data: [DONE]\n\n"

    def whole(self, answer: ScriptedAnswer, ending: Ending) -> Body:
        """Return a chat.completion or a text_completion."""
        if not self.chat:
            choice: Body = {"index": 0, "text": answer.text, "finish_reason": ending.reason}
            return self._envelope("text_completion") | {"choices": [choice], "usage": self._usage(ending)}
        message: Body = {"role": "assistant", "content": answer.text}
        if answer.thinking:
            message["reasoning"] = answer.thinking
        if answer.tools:
            message["tool_calls"] = [self._tool(call) for call in answer.tools]
        choice = {"index": 0, "message": message, "finish_reason": ending.reason}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self._usage(ending)}

    def error(self, text: str) -> bytes:
        """One more event."""
        return b"data: " + encode(openai_error(text, 500)) + b"\n\n"

    def _chunk(self, delta: Body, reason: str | None = None) -> bytes:
        if not self.chat:
            return self._event({"choices": [{"index": 0, "text": "", **delta, "finish_reason": reason}]})
        if self._first:
            self._first = False
            delta = {"role": "assistant", **delta}
        return self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    def _event(self, body: Body) -> bytes:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return b"data: " + encode(self._envelope(kind) | body) + b"\n\n"

    def _envelope(self, kind: str) -> Body:
        return {
            "id": "chatcmpl-730" if self.chat else "cmpl-730",
            "object": kind,
            "created": int(self.clock()),
            "model": self.model,
            "system_fingerprint": "fp_ollama",
        }

    def _tool(self, call: ScriptedToolCall) -> Body:
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"id": call.id, "type": "function", "function": function}

    def _usage(self, ending: Ending) -> Body:
        total = ending.input_tokens + ending.output_tokens
        return {
            "prompt_tokens": ending.input_tokens,
            "completion_tokens": ending.output_tokens,
            "total_tokens": total,
        }


class AnthropicMessages(Dialect):
    """POST /v1/messages."""

    media_type = "text/event-stream"
    streams_by_default = False

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        super().__init__(model, clock)
        self._open: str | None = None
        self._index = -1

    def opening(self) -> bytes:
        """Return the message without content."""
        message = self._message([], None, {"input_tokens": 0, "output_tokens": 0})
        return self._event("message_start", {"message": message})

    def piece(self, kind: Kind, text: str) -> bytes:
        """Return a delta, in a block of its kind."""
        if kind == "thinking":
            return self._delta(
                {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": text}
            )
        return self._delta({"type": "text", "text": ""}, {"type": "text_delta", "text": text})

    def tool(self, call: ScriptedToolCall) -> bytes:
        """Return a block of its own, also after another tool's."""
        before = self._stop() if self._open == "tool_use" else b""
        self._open = None if before else self._open
        block: Body = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        delta: Body = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        return before + self._delta(block, delta)

    def closing(self, ending: Ending) -> bytes:
        """Return the stop reason, the usage, and the end mark."""
        delta = {"stop_reason": STOP_REASONS[ending.reason], "stop_sequence": None}
        body: Body = {"delta": delta, "usage": self._usage(ending)}
        return self._stop() + self._event("message_delta", body) + self._event("message_stop", {})

    def whole(self, answer: ScriptedAnswer, ending: Ending) -> Body:
        """Return a message with its blocks."""
        blocks: list[Body] = []
        if answer.thinking:
            blocks.append({"type": "thinking", "thinking": answer.thinking})
        if answer.text:
            blocks.append({"type": "text", "text": answer.text})
        for call in answer.tools:
            blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
        return self._message(blocks, STOP_REASONS[ending.reason], self._usage(ending))

    def error(self, text: str) -> bytes:
        """Return an error event."""
        return b"event: error\ndata: " + encode(anthropic_error(text, 500, "req_demo")) + b"\n\n"

    def _delta(self, block: Body, delta: Body) -> bytes:
        events = b""
        if self._open != block["type"]:
            events = self._stop()
            self._open = str(block["type"])
            self._index += 1
            events += self._event("content_block_start", {"index": self._index, "content_block": block})
        return events + self._event("content_block_delta", {"index": self._index, "delta": delta})

    def _stop(self) -> bytes:
        return b"" if self._open is None else self._event("content_block_stop", {"index": self._index})

    def _message(self, blocks: list[Body], reason: str | None, usage: Body) -> Body:
        return {
            "id": "msg_demo",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": blocks,
            "stop_reason": reason,
            "usage": usage,
        }

    def _event(self, kind: str, body: Body) -> bytes:
        return f"event: {kind}\ndata: ".encode() + encode({"type": kind, **body}) + b"\n\n"

    def _usage(self, ending: Ending) -> Body:
        return {"input_tokens": ending.input_tokens, "output_tokens": ending.output_tokens}
