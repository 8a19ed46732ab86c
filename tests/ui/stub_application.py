"""An application without a terminal: what controllers ask of it is recorded."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker

from okr_tui.domain.errors import OkrError
from okr_tui.services.service import Service, Snapshot
from okr_tui.ui.keymap import ActiveKeymap
from tests.ui.examples import NOW, snapshot

if TYPE_CHECKING:
    from okr_tui.chat.service import ConversationService

S = TypeVar("S", bound=Screen[Any])


class StubTimer:
    """Fires when the test says so."""

    def __init__(self, delay: float, callback: Callable[[], None]) -> None:
        self.delay = delay
        self.fire = callback
        self.stopped = False

    def stop(self) -> None:
        """Note that it was stopped."""
        self.stopped = True


class StubApplication:
    """Implements `Application`. `settle` waits until all that was started has ended."""

    def __init__(self, service: object = None, conversations: object = None) -> None:
        self.zone: tzinfo = UTC
        self.clock: Callable[[], float] = lambda: NOW
        self.keymap = ActiveKeymap()
        self.snapshot: Snapshot | None = snapshot()
        self.service = cast(Service | None, service)
        self.conversations = cast("ConversationService | None", conversations)
        self.toasts: list[tuple[str, str]] = []
        self.screens: list[Screen[Any]] = []
        self.screen_stack = self.screens
        self.messages: list[Message] = []
        self.copied: list[tuple[str, str]] = []
        self.opened: list[str] = []
        self.timers: list[StubTimer] = []
        self.failures: list[OkrError] = []
        self._tasks: list[asyncio.Task[None]] = []

    def notify(
        self,
        message: str,
        *,
        title: str = "",  # noqa: ARG002
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,  # noqa: ARG002
        markup: bool = True,  # noqa: ARG002
    ) -> None:
        """Note a toast."""
        self.toasts.append((severity, message))

    def push_screen(self, screen: Screen[Any]) -> None:
        """Note a screen."""
        self.screens.append(screen)

    def post_message(self, message: Message) -> bool:
        """Note a message."""
        self.messages.append(message)
        return True

    def open_url(self, url: str) -> None:
        """Note an address that was opened."""
        self.opened.append(url)

    def copy(self, text: str, name: str) -> None:
        """Note what was copied."""
        self.copied.append((text, name))

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Note a timer."""
        self.timers.append(StubTimer(delay, callback))
        return cast(Timer, self.timers[-1])

    def start(self, work: Coroutine[Any, Any, None], group: str = "command") -> Worker[None]:  # noqa: ARG002
        """Run a coroutine as a task."""
        self._tasks.append(asyncio.create_task(work))
        return cast(Worker[None], self._tasks[-1])

    async def settle(self) -> None:
        """Wait for everything that was started; a failure of ours is noted, any other raised."""
        while self._tasks:
            try:
                await self._tasks.pop(0)
            except OkrError as error:
                self.failures.append(error)

    def pushed(self, kind: type[S]) -> S:
        """Return the screen that was pushed last."""
        screen = self.screens[-1]
        assert isinstance(screen, kind)
        return screen
