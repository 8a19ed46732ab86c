"""The forms an answer or an error takes: native NDJSON here, the compatible interfaces beside it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from okr_tui.demo.answers import Answer, ToolCall

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
    def tool(self, call: ToolCall) -> bytes:
        """Return a tool call, always whole."""

    @abstractmethod
    def closing(self, ending: Ending) -> bytes:
        """Return what follows the last piece."""

    @abstractmethod
    def whole(self, answer: Answer, ending: Ending) -> Body:
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

    def tool(self, call: ToolCall) -> bytes:
        """Return a line with the tool call; its arguments are an object."""
        return self._line(self.message("", "", (call,)))

    def closing(self, ending: Ending) -> bytes:
        """Return the last line, with the cloud's short set of metrics."""
        return encode(self._record(self.message("", ""), ending)) + b"\n"

    def whole(self, answer: Answer, ending: Ending) -> Body:
        """One record that is also the last."""
        return self._record(self.message(answer.text, answer.thinking, answer.tools), ending)

    def error(self, text: str) -> bytes:
        """One more line."""
        return encode(native_error(text)) + b"\n"

    def message(self, text: str, thinking: str, tools: tuple[ToolCall, ...] = ()) -> Body:
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
