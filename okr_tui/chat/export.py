"""A conversation as a document: Markdown to read, JSON to keep and to bring back."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.chat.conversation import Conversation, Turn, longest_fence
from okr_tui.domain.clocks import has_date
from okr_tui.domain.errors import ChatError

VERSION: Final = 1
FORMAT: Final = "okr-tui.conversation"
NAMES: Final = {"user": "You", "assistant": "Answer", "tool": "Tool", "system": "System"}


@cache
def conversation_adapter() -> TypeAdapter[Conversation]:
    """Return what reads and writes whole conversations; made on first use, since that takes a while."""
    return TypeAdapter(Conversation)


@cache
def turn_adapter() -> TypeAdapter[Turn]:
    """Return what reads and writes single turns."""
    return TypeAdapter(Turn)


def to_json(conversation: Conversation) -> str:
    """Return a JSON document with everything known of a conversation; `from_json` reads it."""
    body: Any = conversation_adapter().dump_python(conversation, mode="json")
    return _clean(json.dumps({"format": FORMAT, "version": VERSION, **body}, ensure_ascii=False, indent=2))


def from_json(text: str) -> Conversation:
    """Return the conversation of a document of `to_json`. Raises ChatError for any other text."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise ChatError("this is no exported conversation")
        if document.pop("version", None) != VERSION:
            raise ChatError("this conversation was exported by another version of the program")
        conversation = conversation_adapter().validate_python(document)
    except (ValidationError, ValueError, RecursionError) as error:
        raise ChatError("this exported conversation is damaged") from error
    times = (conversation.created, conversation.updated, *(turn.at for turn in conversation.turns))
    if not all(map(has_date, times)):
        raise ChatError("this exported conversation has times that no calendar has")
    return conversation


def to_markdown(conversation: Conversation) -> str:
    """Return a conversation as Markdown: questions, answers, folded thoughts, tools with their results."""
    heading = " ".join(conversation.title.split()).replace("#", r"\#")
    parts = [f"# {heading}"]
    if conversation.model:
        parts.append(f"Model: {conversation.model}")
    if conversation.options.system:
        parts += ["## System", conversation.options.system]
    for turn in conversation.turns:
        parts += _turn(turn)
    return _clean("\n\n".join(parts) + "\n")


def _clean(text: str) -> str:
    """Without halves of characters, which a model may send and no file takes."""
    return text.encode(errors="replace").decode()


def _turn(turn: Turn) -> Iterator[str]:
    message, answered = turn.message, turn.answered
    name = answered.model if answered else NAMES[message.role]
    yield f"## {name}{' (cut off)' if message.incomplete else ''}"
    if message.thinking:
        yield f"<details><summary>Thoughts</summary>\n\n{message.thinking.strip()}\n\n</details>"
    if message.role == "tool":
        mark = "failed" if message.failed else "answered"
        fence = longest_fence([message.content])
        yield f"{message.tool_name or 'tool'} {mark}:\n\n{fence}\n{message.content}\n{fence}"
    elif message.content:
        yield message.content.rstrip("\n")
    for call in message.tool_calls:
        yield f"Calls `{call.name}` with `{json.dumps(dict(call.arguments), ensure_ascii=False)}`"
    if message.images:
        count = len(message.images)
        yield f"*{count} image{'' if count == 1 else 's'} attached*"
