"""The form of POST /v1/responses: output items, each opened, filled and closed by events of its own."""

import json
from collections.abc import Callable

from okr_tui.demo.answers import Answer, ToolCall
from okr_tui.demo.dialects import Body, Dialect, Ending, Kind, encode

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
        return events + self._event(f"{DELTAS[kind]}.delta", **self._place(kind), delta=text)

    def tool(self, call: ToolCall) -> bytes:
        """Return an item of its own; its arguments are a string."""
        events = self._close()
        item = self._call(call)
        events += self._added({**item, "status": "in_progress", "arguments": ""})
        place = {"item_id": item["id"], "output_index": len(self._output)}
        name = "response.function_call_arguments"
        events += self._event(f"{name}.delta", **place, delta=item["arguments"])
        events += self._event(f"{name}.done", **place, name=call.name, arguments=item["arguments"])
        return events + self._done(item)

    def closing(self, ending: Ending) -> bytes:
        """Return the whole response once more."""
        events = self._close()
        status = _status(ending)
        response = self._response(status, self._output, ending)
        return events + self._event(f"response.{status}", response=response)

    def whole(self, answer: Answer, ending: Ending) -> Body:
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
        events = self._event(f"{DELTAS[kind]}.done", **self._place(kind), text=text)
        return events + self._part("done", kind, text) + self._done(self._item(kind, text))

    def _added(self, item: Body) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _done(self, item: Body) -> bytes:
        self._output.append(item)
        return self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _part(self, word: str, kind: Kind, text: str) -> bytes:
        name = "content_part" if kind == "content" else "reasoning_summary_part"
        return self._event(f"response.{name}.{word}", **self._place(kind), part=_part(kind, text))

    def _place(self, kind: Kind) -> Body:
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

    def _call(self, call: ToolCall) -> Body:
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
