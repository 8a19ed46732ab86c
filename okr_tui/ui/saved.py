"""A stored conversation as exchanges to draw."""

import json
from collections.abc import Mapping

from okr_tui.domain.chat import Finished
from okr_tui.domain.conversation import Answered, Conversation, Turn
from okr_tui.ui.exchange import Exchange, Route, Tool
from okr_tui.ui.lines import one_line

SUMMARY_WORDS = 60


def exchanges_of(conversation: Conversation) -> list[Exchange]:
    """Every question with what came of it."""
    found: list[Exchange] = []
    for turn in conversation.turns:
        message = turn.message
        if message.role == "user" or not found:
            asked = message.content if message.role == "user" else ""
            found.append(
                Exchange(conversation.model or "", asked, place=turn.place, images=len(message.images))
            )
        if message.role == "assistant":
            _answer(found[-1], turn)
        elif message.role == "tool":
            _result(found[-1], turn)
    for exchange in found:
        if not exchange.ended:
            exchange.finish()
    return found


def reopened(conversation: Conversation) -> Exchange:
    """The last exchange, with whatever it has, as one that goes on; raises IndexError without a question."""
    exchange = exchanges_of(conversation)[-1]
    exchange.reopen()
    return exchange


def arguments_text(arguments: Mapping[str, object]) -> str:
    """A call's arguments in one line: a single text in quotes, others as JSON."""
    values = list(arguments.values())
    single = values[0] if len(values) == 1 and isinstance(values[0], str) else arguments
    return json.dumps(single if isinstance(single, str) else dict(arguments), ensure_ascii=False)


def result_summary(text: str, *, failed: bool) -> str:
    """A few words on a tool's result."""
    if failed:
        return one_line(text[: 4 * SUMMARY_WORDS])[:SUMMARY_WORDS]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    results = document.get("results") if isinstance(document, dict) else None
    if isinstance(results, list):
        return f"{len(results)} result{'' if len(results) == 1 else 's'}"
    return f"{len(text):,} characters"


def _answer(exchange: Exchange, turn: Turn) -> None:
    message, answered = turn.message, turn.answered or Answered("")
    exchange.model = answered.model or exchange.model
    exchange.think(message.thinking, turn.at)
    if answered.thinking_ms is not None:
        exchange.thought_for = (exchange.thought_for or 0.0) + answered.thinking_ms / 1000
    if turn.answered:
        exchange.routes.append(Route(answered.hops, answered.index))
    if message.content:
        exchange.document().append(message.content)
    exchange.steps += [Tool(call.name, arguments_text(call.arguments)) for call in message.tool_calls]
    if message.tool_calls:
        return
    if not message.incomplete:
        exchange.finish_as(_finished(answered))
    elif answered.error == "stopped":
        exchange.stop()
    elif answered.error:
        exchange.fail(answered.error)


def _result(exchange: Exchange, turn: Turn) -> None:
    message = turn.message
    tool = exchange.running_tool(message.tool_name or "")
    if tool is not None:
        tool.state = "failed" if message.failed else "done"
        tool.result = message.content
        tool.summary = result_summary(message.content, failed=message.failed)


def _finished(answered: Answered) -> Finished:
    return Finished(
        answered.done_reason or "stop",
        answered.input_tokens,
        answered.output_tokens,
        answered.first_token_ms,
        answered.duration_ms or 0,
        answered.hops,
        answered.fingerprint,
        answered.index,
    )
