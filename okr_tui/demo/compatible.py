"""The OpenAI and Anthropic forms of answers and errors under /v1."""

import json
from collections.abc import Callable

from okr_tui.demo.answers import Answer, ToolCall
from okr_tui.demo.dialects import Body, Dialect, Ending, Kind, encode

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

    def tool(self, call: ToolCall) -> bytes:
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

    def whole(self, answer: Answer, ending: Ending) -> Body:
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

    def _tool(self, call: ToolCall) -> Body:
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

    def tool(self, call: ToolCall) -> bytes:
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

    def whole(self, answer: Answer, ending: Ending) -> Body:
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
