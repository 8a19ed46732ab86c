"""What happens while a question is answered, as events in their order."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal

from okr_tui.chat.conversation import Conversation, Gauge, Turn
from okr_tui.chat.messages import Finished, Routed, ToolResult
from okr_tui.cloud.dialects import Delta, ToolCall

Decision = Literal["allow", "refuse", "refuse-all"]


@dataclass(frozen=True, slots=True)
class Began:
    """The question is stored and about to be sent; `turn` is None when an answer goes on or is asked anew."""

    conversation: Conversation
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the person should know, one line; the answer goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class ConsentRequested:
    """The model calls a tool that needs consent; nothing goes on until `decide` was called.

    `server` is the tool server it is of, None for a built-in tool. `address` is one that the model made up: a
    tool that otherwise runs unasked is asked about then, each time.
    """

    call: ToolCall
    server: str | None
    decision: asyncio.Future[Decision] = field(repr=False, compare=False)
    always: set[str] = field(repr=False, compare=False)
    address: str | None = None

    def decide(self, *, allow: bool, always: bool = False, rest: bool = False) -> None:
        """Allow or refuse the call.

        `always` allows the tool for the rest of this conversation's run; `rest` refuses also what else the
        model calls at once.
        """
        if allow and always and self.address is None:
            self.always.add(self.call.name)
        if not self.decision.done():
            self.decision.set_result("allow" if allow else "refuse-all" if rest else "refuse")


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A call has its result; `seconds` are 0 for one that was not run."""

    call: ToolCall
    result: ToolResult
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """All is stored: the conversation with its turns as they now are."""

    conversation: Conversation
    gauge: Gauge


RoundEvent = Routed | Delta | Finished | ConsentRequested | ToolRan | Noted
ConversationEvent = Began | RoundEvent | Ended


Form = Literal["markdown", "json"]
Answering = AsyncGenerator[ConversationEvent, None]
