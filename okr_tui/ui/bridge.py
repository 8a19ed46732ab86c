"""The only bridge from the service to the screen: what its iterators yield becomes messages."""

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from okr_tui.domain.errors import OkrError
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.usage_charts import PERIODS
from okr_tui.services.service import LOG_PROGRESS, Service, Snapshot, UsageReport
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.widgets.live import FeedList

if TYPE_CHECKING:
    from okr_tui.chat.conversation import Answering, ConversationEvent
    from okr_tui.chat.service import ConversationService


Opened = tuple[Service, "ConversationService"]
OpenService = Callable[[], AbstractAsyncContextManager[Opened]]
Post = Callable[[Message], bool]


@dataclass
class ServiceOpened(Message):
    """The service is there; commands may be sent."""

    service: Service
    conversations: "ConversationService"


@dataclass
class LogRead(Message):
    """How far the log was read while the service opens, in words."""

    words: str

    def can_replace(self, message: Message) -> bool:
        """Let newer words replace those still in the queue."""
        return isinstance(message, LogRead)


class KeyHandled(Message):
    """A key that was held back has been handled; the next may follow."""


@dataclass
class SnapshotArrived(Message):
    """The service's state changed."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """Let a newer snapshot replace one still in the queue."""
        return isinstance(message, SnapshotArrived)


@dataclass
class PageArrived(Message):
    """A page of the log that a list requested; None if it cannot be read."""

    request: FeedList.PageRequested
    page: Page | None


@dataclass
class HistoryArrived(Message):
    """What a key did, as its details request."""

    request: KeyDetails.HistoryRequested
    history: KeyHistory


class UsageView(Protocol):
    """What shows usage."""

    @property
    def is_attached(self) -> bool:
        """Return whether it is still open."""

    def show(self, period: int, report: UsageReport | None, problem: str = "") -> None:
        """Show sums that were read, or why they could not be."""


@dataclass
class UsageRequested(Message):
    """The usage screen needs the sums of a period, by its index among PERIODS."""

    screen: UsageView
    period: int


@dataclass
class ExportRequested(Message):
    """A table is to be written to files: their name without ending, and the text of each."""

    stem: str
    csv: str
    json: str


@dataclass
class UsageArrived(Message):
    """The sums that the usage screen requested; None with the reason if they cannot be read."""

    request: UsageRequested
    report: UsageReport | None
    problem: str = ""


async def serve(
    open_service: OpenService, post: Post, at_end: Callable[[], Coroutine[None, None, None]]
) -> None:
    """Hold the service open and post its snapshots until cancelled; `at_end` is done before it is closed."""
    LOG_PROGRESS.set(lambda words: post(LogRead(words)))
    async with open_service() as (service, conversations):
        from okr_tui.services.background import run_uncancelled

        post(ServiceOpened(service, conversations))
        try:
            async for snapshot in service.snapshots():
                post(SnapshotArrived(snapshot))
        finally:
            await run_uncancelled(at_end())


async def page(service: Service, request: FeedList.PageRequested, post: Post) -> None:
    """Read a page of the log and post it; a failure is posted and raised."""
    found: Page | None = None
    try:
        found = await service.history(request.wanted, before=request.before, after=request.after)
    finally:
        post(PageArrived(request, found))


async def history(service: Service, request: KeyDetails.HistoryRequested, post: Post) -> None:
    """Read the history of a key and post it."""
    post(HistoryArrived(request, await service.key_history(request.fingerprint)))


async def usage(service: Service, request: UsageRequested, post: Post) -> None:
    """Read the sums of a period and post them, or why they cannot be read."""
    try:
        report = await service.usage(PERIODS[request.period])
    except OkrError as error:
        post(UsageArrived(request, None, str(error)))
    else:
        post(UsageArrived(request, report))


@dataclass
class AnswerArrived(Message):
    """A part of the answer on one side of the chat, stamped with the moment it came (epoch seconds)."""

    side: int
    event: "ConversationEvent"
    at: float


async def answer(
    answering: "Awaitable[Answering]", side: int, post: Post, clock: Callable[[], float]
) -> None:
    """Ask, and post the parts of the answer. Raises what refuses the question or breaks the answer."""
    async with aclosing(await answering) as events:
        async for event in events:
            post(AnswerArrived(side, event, clock()))
