"""What happens while a question is answered, and what a front may ask of the conversations."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from okr_tui.chat.conversation import Conversation, Draft, Found, Gauge, Turn
from okr_tui.chat.messages import Finished, Routed, ToolResult
from okr_tui.chat.options import ChatOptions
from okr_tui.cloud.dialects import Delta, ToolCall


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

    `server` is the tool server it is of, None for a built-in tool.
    """

    call: ToolCall
    server: str | None
    decision: asyncio.Future[bool] = field(repr=False, compare=False)
    always: set[str] = field(repr=False, compare=False)

    def decide(self, *, allow: bool, always: bool = False) -> None:
        """Allow or refuse the call; `always` allows the tool for the rest of this conversation's run."""
        if allow and always:
            self.always.add(self.call.name)
        if not self.decision.done():
            self.decision.set_result(allow)


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


PAGE = 50
Form = Literal["markdown", "json"]
Answering = AsyncGenerator[ConversationEvent, None]


class ConversationService(Protocol):
    """The conversations. Every method raises an OkrError of one line when it cannot be done.

    Asking stores the question, or says what is wrong with it, and answers an iterator: Began, then Routed,
    Deltas and Finished for each round, with ConsentRequested, ToolRan and Noted between them, then Ended.
    Closing it stops the answer; what came is kept, marked incomplete. After an error it is kept too, and a
    question without any answer stays until the next one takes its place.
    """

    @property
    def notice(self) -> str | None:
        """Why nothing is saved, in one line; None while all is."""

    def new(self, model: str | None = None, options: ChatOptions | None = None) -> Conversation:
        """A conversation that is stored with its first question."""

    async def get(self, identifier: str) -> Conversation:
        """A conversation with its turns."""

    async def draft(self, identifier: str) -> Draft:
        """What was typed for it and not sent; "" is the new conversation. See Drafts on several programs."""

    async def keep_draft(self, identifier: str, draft: Draft) -> None:
        """Keep what is typed for it, in place of what was; an empty draft is forgotten."""

    async def recent(self, limit: int = PAGE, offset: int = 0) -> tuple[Found, ...]:
        """A page of conversations, the one used last first."""

    async def search(self, words: str, limit: int = PAGE) -> tuple[Found, ...]:
        """Those with every word in one turn or in the title."""

    async def rename(self, identifier: str, name: str) -> Conversation:
        """Give it another title."""

    async def configure(
        self, identifier: str, *, model: str | None = None, options: ChatOptions | None = None
    ) -> Conversation:
        """Give it another model or other options, from the next question on."""

    async def branch(self, identifier: str, place: int) -> Conversation:
        """A copy of all turns before a place, which goes its own way."""

    async def compare(
        self, identifier: str | None, models: Sequence[str], options: ChatOptions | None = None
    ) -> tuple[Conversation, ...]:
        """A branch of the whole conversation, or a new one, for each model; `ask` each of them."""

    async def delete(self, identifier: str) -> str:
        """Take it away; answers what `restore` would bring back."""

    async def restore(self, identifier: str) -> Conversation:
        """Bring a deleted one back."""

    async def export(self, identifier: str, form: Form = "markdown") -> str:
        """The whole conversation as a text."""

    async def take_in(self, text: str) -> Conversation:
        """Keep an exported one (JSON) as a new conversation."""

    async def ask(
        self, identifier: str, text: str, images: Sequence[str] = (), *, only: int | None = None
    ) -> Answering:
        """Ask a question. `images` are base64 texts; `only` is the place of the one key to use."""

    async def edit(self, identifier: str, place: int, text: str, images: Sequence[str] = ()) -> Answering:
        """Ask another question in place of the one there, with its images: in a branch, which Began names."""

    async def again(self, identifier: str, *, other_key: bool = False, only: int | None = None) -> Answering:
        """Ask the last question again, in a branch when it was answered.

        `other_key` leaves out the account that answered.
        """

    async def resume(self, identifier: str) -> Answering:
        """Let an incomplete answer go on where it stopped; its turn grows."""

    def gauge(self, conversation: Conversation) -> Gauge:
        """How much of its model's context it fills."""
