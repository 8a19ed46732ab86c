"""The only bridge from the service to the screen: what its iterators yield becomes messages."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from textual.message import Message

from okr_tui.domain.chat import ChatEvent
from okr_tui.services.service import Service, Snapshot

OpenService = Callable[[], AbstractAsyncContextManager[Service]]
Post = Callable[[Message], bool]


@dataclass
class ServiceOpened(Message):
    """The service is there; commands may be sent."""

    service: Service


@dataclass
class SnapshotArrived(Message):
    """The service's state changed."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """A newer snapshot makes one that is still waiting superfluous."""
        return isinstance(message, SnapshotArrived)


@dataclass
class AnswerArrived(Message):
    """A part of the running answer, stamped with the moment it came (epoch seconds)."""

    event: ChatEvent
    at: float


async def serve(open_service: OpenService, post: Post) -> None:
    """Hold the service open and post its snapshots until cancelled."""
    async with open_service() as service:
        post(ServiceOpened(service))
        async for snapshot in service.snapshots():
            post(SnapshotArrived(snapshot))


async def answer(events: AsyncIterator[ChatEvent], post: Post, clock: Callable[[], float]) -> None:
    """Post the parts of one answer."""
    async for event in events:
        post(AnswerArrived(event, clock()))
