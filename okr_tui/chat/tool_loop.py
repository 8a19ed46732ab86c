"""Answering with tools: the model is asked, what it calls is run, and it is asked again with the results."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from okr_tui.chat.addresses import addresses, is_known
from okr_tui.chat.events import ConsentRequested, Decision, Noted, RoundEvent, ToolRan
from okr_tui.chat.messages import ChatEvent, Message, ToolResult
from okr_tui.chat.tools import Tool, Toolbox, run
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.services.clock import Clock

Ask = Callable[[Sequence[Message], Sequence[Mapping[str, object]]], AsyncGenerator[ChatEvent, None]]
"""Asks a model with messages and tools, as ChatPool.chat does."""
MOST_CALLS = 32
"""Calls of one round that are run."""
UNKNOWN = "There is no such tool, or these were too many calls at once."
REFUSED = "The person refused this call. Go on without it."
MADE_UP = (
    "This address stands neither in the person's words nor in an earlier result, so the person has to be "
    "asked first. Go on without it, or name it in your answer."
)
MOST_ASKED = 4
"""Calls of one round that a person is asked about; further ones are refused."""
TOO_MANY_QUESTIONS = "the model called more tools at once than you are asked about; the others were refused"


@dataclass(slots=True)
class Consent:
    """Whether a person is asked before a tool runs. `allowed` are the tools that always may.

    `asks` is False where no person can be asked: what needs consent is then refused.
    """

    asks: bool = True
    allowed: set[str] = field(default_factory=set)


async def run_tool_loop(
    ask: Ask, messages: Sequence[Message], box: Toolbox | None, consent: Consent, clock: Clock
) -> AsyncGenerator[RoundEvent, None]:
    """Yield the events of every round, up to the settings' limit; the last one is asked without tools.

    Raises what `ask` raises. Closing it stops answer and tools. Calls run one after the other, in order.
    """
    tools: tuple[Tool, ...] = ()
    if box is not None:
        tools, problems = await box.tools()
        for problem in problems:
            yield Noted(problem)
    known = {tool.name: tool for tool in tools}
    history = list(messages)
    most = box.settings.rounds if box is not None and tools else 0
    for left in range(most, -1, -1):
        offered = [tool.wire() for tool in tools] if left else []
        pieces: list[Delta] = []
        async with aclosing(ask(history, offered)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    pieces.append(event)
                yield event
        answer = whole(pieces)
        if not answer.tool_calls or not left:
            return
        history.append(answer)
        questions, too_many = (MOST_ASKED, False) if consent.asks else (0, False)
        before = tuple(history[:-1])  # what the model named at once makes no address known
        for place, call in enumerate(answer.tool_calls):
            tool = known.get(call.name) if place < MOST_CALLS else None
            made_up = _made_up(tool, call, before) if tool else None
            allowed = tool is not None and (tool.confirm == "always" or tool.name in consent.allowed)
            allowed = allowed and made_up is None
            if tool is not None and not allowed and questions:
                decision: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
                yield ConsentRequested(call, tool.server, decision, consent.allowed, made_up)
                decided = await decision
                allowed = decided == "allow"
                questions = 0 if decided == "refuse-all" else questions - 1
                too_many = not questions and decided != "refuse-all"
            elif tool is not None and not allowed and too_many:
                too_many = False
                yield Noted(TOO_MANY_QUESTIONS)
            if tool is not None and allowed:
                ran = await _run(tool, call, clock)
            else:
                refusal = MADE_UP if made_up and not consent.asks else REFUSED
                ran = ToolRan(call, ToolResult.of(refusal if tool else UNKNOWN, failed=True))
            history.append(result_message(ran))
            yield ran
        if left == 1:
            yield Noted(f"{most} rounds of tools were run; the model answers without more")


def whole(pieces: Sequence[Delta]) -> Message:
    """Return the message that the pieces of an answer make."""
    return Message(
        "assistant",
        "".join(piece.content for piece in pieces),
        "".join(piece.thinking for piece in pieces),
        tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
    )


def result_message(ran: ToolRan) -> Message:
    """Return a result as the message that goes back to the model."""
    return Message("tool", ran.result.text, tool_name=ran.call.name, failed=ran.result.failed)


async def _run(tool: Tool, call: ToolCall, clock: Clock) -> ToolRan:
    began = clock.monotonic()
    result = await run(tool, call)
    return ToolRan(call, result, clock.monotonic() - began)


def _made_up(tool: Tool, call: ToolCall, before: Sequence[Message]) -> str | None:
    """Return an address of a call that the model has from nowhere; None without one."""
    named = addresses(call.arguments, tool.fetches)
    return next((address for address in named if not is_known(address, before)), None)
