"""The records of each dialect's answers, read leniently: unknown or malformed fields count as absent.

Streams of the compatible dialects consist of the same documents as OpenAI's and Anthropic's own
(docs.ollama.com/api/openai-compatibility, docs.ollama.com/api/anthropic-compatibility).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Final

from okr_tui.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` is a parsed object."""

    name: str
    arguments: Mapping[str, object]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer as it arrives."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.content or self.thinking or self.tool_calls)


NOTHING: Final = Delta()
MOST: Final = 10**15
"""The largest number that is taken for a count of tokens."""
REASONING: Final = ("reasoning", "reasoning_content")
RESPONSE_ENDS: Final = ("response.completed", "response.incomplete")
Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record of a stream: a piece of the answer, its end, or an error. Counts are tokens.

    `cached_tokens` are those of `input_tokens` that were read from the cloud's cache.
    `start` is where the record begins in the chunk that completed it; below 0 in an earlier one.
    """

    delta: Delta = NOTHING
    done: bool = False
    done_reason: str = ""
    error: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    start: int = field(default=0, compare=False)

    @property
    def commits(self) -> bool:
        """Whether the record holds output, after which a request cannot be sent again."""
        return bool(self.delta)


Reader = Callable[[Document], StreamRecord]


def error_message(document: object) -> str | None:
    """Return the message of a parsed error document: `{"error": text}` or `{"error": {"message": text}}`.

    An error within the error is read too: gateways wrap what they pass on once more.
    """
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        inner = error.get("error")
        error = error.get("message", inner.get("message") if isinstance(inner, dict) else inner)
    return error if isinstance(error, str) else None


def read_native(document: Document) -> StreamRecord:
    """Read a record of /api/chat or /api/generate; a whole answer has the same shape."""
    error = error_message(document)
    if error:
        return StreamRecord(error=error)
    message = document.get("message")
    part = message if isinstance(message, dict) else document
    content = part.get("content", document.get("response"))
    return StreamRecord(
        delta=Delta(_text(content), _text(part.get("thinking")), tuple(_tool_calls(part.get("tool_calls")))),
        done=document.get("done") is True,
        done_reason=_text(document.get("done_reason")),
        input_tokens=_count(document.get("prompt_eval_count")),
        cached_tokens=_count(document.get("prompt_eval_cached_count")),
        output_tokens=_count(document.get("eval_count")),
    )


def read_completions(document: Document) -> StreamRecord:
    """Read a chunk of /v1/chat/completions or /v1/completions, or a whole answer."""
    error = error_message(document)
    if error:
        return StreamRecord(error=error)
    content = thinking = reason = ""
    calls: list[ToolCall] = []
    for choice in _objects(document.get("choices")):
        part = _object(choice.get("delta")) or _object(choice.get("message"))
        content += _text(part.get("content")) + _text(part.get("refusal")) + _text(choice.get("text"))
        thinking += "".join(_text(part.get(name)) for name in REASONING)
        calls += _tool_calls(part.get("tool_calls"))
        reason = _text(choice.get("finish_reason")) or reason
    usage = _object(document.get("usage"))
    return StreamRecord(
        delta=Delta(content, thinking, tuple(calls)),
        done_reason=reason,
        input_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(_object(usage.get("prompt_tokens_details")).get("cached_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def read_responses(document: Document) -> StreamRecord:
    """Read an event of /v1/responses, or a whole answer."""
    kind = _text(document.get("type"))
    response = _object(document.get("response")) or document
    error = error_message(response) or error_message(document)
    if error is not None or kind in ("error", "response.failed"):
        return StreamRecord(error=error or _text(document.get("message")) or "the response failed")
    delta = NOTHING
    piece = _text(document.get("delta"))
    if kind.startswith("response.function_call_arguments"):
        delta = Delta(tool_calls=(ToolCall("", {}),))
    elif kind.endswith(".delta"):
        delta = Delta("", piece) if "reasoning" in kind else Delta(piece)
    elif kind == "response.output_item.added":
        delta = _item(_object(document.get("item")))
    elif not kind:
        delta = _joined([_item(item) for item in _objects(document.get("output"))])
    usage = _object(response.get("usage"))
    return StreamRecord(
        delta=delta,
        done=kind in RESPONSE_ENDS,
        done_reason=_text(response.get("status")) if kind in RESPONSE_ENDS else "",
        input_tokens=_count(usage.get("input_tokens")),
        cached_tokens=_count(_object(usage.get("input_tokens_details")).get("cached_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
    )


def read_messages(document: Document) -> StreamRecord:
    """Read an event of /v1/messages, or a whole answer."""
    error = error_message(document)
    if error:
        return StreamRecord(error=error)
    message = _object(document.get("message")) or document
    blocks = [_object(document.get(name)) for name in ("content_block", "delta")]
    blocks += _objects(document.get("content"))
    usage = _object(message.get("usage"))
    fresh, cached = _count(usage.get("input_tokens")), _count(usage.get("cache_read_input_tokens"))
    written = _count(usage.get("cache_creation_input_tokens")) or 0
    return StreamRecord(
        delta=_joined([_block(block) for block in blocks]),
        done=document.get("type") == "message_stop",
        done_reason=_text((_object(document.get("delta")) or message).get("stop_reason")),
        # Unlike in the other interfaces, the cached part is not in this count (docs.anthropic.com,
        # prompt caching).
        input_tokens=None if fresh is None else fresh + (cached or 0) + written,
        cached_tokens=cached,
        output_tokens=_count(usage.get("output_tokens")),
    )


def _block(block: Document) -> Delta:
    """Read a block of a message, or a piece of one."""
    kind = _text(block.get("type"))
    if kind in ("tool_use", "input_json_delta"):
        arguments = block.get("input")
        return Delta(
            tool_calls=(ToolCall(_text(block.get("name")), arguments if isinstance(arguments, dict) else {}),)
        )
    return Delta(_text(block.get("text")), _text(block.get("thinking")))


def _item(item: Document) -> Delta:
    """Read an output item of a response."""
    if _text(item.get("type")).endswith("_call"):
        return Delta(tool_calls=(ToolCall(_text(item.get("name")), {}),))
    content = "".join(_text(part.get("text")) for part in _objects(item.get("content")))
    return Delta(content, "".join(_text(part.get("text")) for part in _objects(item.get("summary"))))


def _joined(deltas: list[Delta]) -> Delta:
    return Delta(
        "".join(delta.content for delta in deltas),
        "".join(delta.thinking for delta in deltas),
        tuple(call for delta in deltas for call in delta.tool_calls),
    )


def _tool_calls(value: object) -> Iterator[ToolCall]:
    """Yield tool calls, native or OpenAI's; pieces of the latter have no arguments object yet."""
    for item in _objects(value):
        function = _object(item.get("function"))
        name, arguments, identifier = function.get("name"), function.get("arguments"), item.get("id")
        if not isinstance(name, str) and not isinstance(arguments, str):
            continue
        yield ToolCall(
            _text(name),
            arguments if isinstance(arguments, dict) else {},
            identifier if isinstance(identifier, str) else None,
        )


def _object(value: object) -> Document:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else None
