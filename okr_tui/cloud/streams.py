"""A streamed answer cut into records while its bytes pass by unchanged.

Native streams are one JSON object a line; the compatible ones are server-sent events. Either may carry
an error record after a status of 200 (docs.ollama.com/api/errors).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from okr_tui.domain.chat import Delta, ToolCall
from okr_tui.domain.faults import error_message

LINE_LIMIT: Final = 8 * 1024 * 1024
NOTHING: Final = Delta()


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record of a stream: a piece of the answer, its end, or an error. Counts are tokens."""

    delta: Delta = NOTHING
    done: bool = False
    done_reason: str = ""
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def commits(self) -> bool:
        """Whether the caller has been given something that cannot be taken back."""
        return bool(self.delta)


class RecordReader:
    """Cuts a byte stream into records. It is fed chunks of any size and keeps only the unfinished line."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[StreamRecord]:
        """The records that this chunk completes."""
        self._rest += chunk
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            if self._skipping:
                self._skipping = False
                continue
            yield from self._line(line)
        if len(self._rest) > LINE_LIMIT:
            self._rest.clear()
            self._skipping = True

    def finish(self) -> Iterator[StreamRecord]:
        """The record in what is left after the last chunk, if it is whole."""
        line, self._rest = bytes(self._rest), bytearray()
        if not self._skipping:
            yield from self._line(line)

    def _line(self, line: bytes) -> Iterator[StreamRecord]:
        line = line.strip()
        if line.startswith(b"data:"):
            line = line[5:].strip()
        if line == b"[DONE]":
            yield StreamRecord(done=True)
        elif line.startswith(b"{"):
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                return
            yield read_record(document)


def read_record(document: Mapping[str, object]) -> StreamRecord:
    """A parsed record of the native dialect. Unknown fields are passed over, wrong types read as absent."""
    error = error_message(document)
    if error is not None:
        return StreamRecord(error=error)
    message = document.get("message")
    part = message if isinstance(message, dict) else document
    content = part.get("content", document.get("response"))
    delta = Delta(_text(content), _text(part.get("thinking")), tuple(_tool_calls(part.get("tool_calls"))))
    return StreamRecord(
        delta=delta,
        done=document.get("done") is True,
        done_reason=_text(document.get("done_reason")),
        input_tokens=_count(document.get("prompt_eval_count")),
        output_tokens=_count(document.get("eval_count")),
    )


def _tool_calls(value: object) -> Iterator[ToolCall]:
    for item in value if isinstance(value, list) else ():
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        arguments = function.get("arguments")
        identifier = item.get("id")
        yield ToolCall(
            function["name"],
            arguments if isinstance(arguments, dict) else {},
            identifier if isinstance(identifier, str) else None,
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
