"""The bridge from the conversations to the screen: what an answer yields becomes messages."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from okr_tui.domain.conversation import Conversation

if TYPE_CHECKING:
    from okr_tui.services.chat_events import ConversationEvent
    from okr_tui.services.conversation_service import Answering

Post = Callable[[Message], bool]


@dataclass
class AnswerArrived(Message):
    """A part of the answer on one side of the chat, stamped with the moment it came (epoch seconds)."""

    side: int
    event: "ConversationEvent"
    at: float


@dataclass
class ConversationArrived(Message):
    """What one side's conversation has become."""

    side: int
    conversation: Conversation


async def answer(asked: "Awaitable[Answering]", side: int, post: Post, clock: Callable[[], float]) -> None:
    """Ask, and post the parts of the answer. Raises what refuses the question or breaks the answer."""
    async with aclosing(await asked) as events:
        async for event in events:
            post(AnswerArrived(side, event, clock()))
