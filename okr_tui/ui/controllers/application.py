"""What every controller shares: its view of the application, and how a command's result is reported."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker

from okr_tui.domain.errors import OkrError
from okr_tui.services.service import Service, Snapshot
from okr_tui.ui.keymap import ActiveKeymap

if TYPE_CHECKING:
    from okr_tui.chat.service import ConversationService

NOT_READY: Final = "the service is still being opened; try again"
SHORT: Final = 3.0
"""Seconds that good news stays on the screen."""
LONG: Final = 10.0
"""Seconds for news that a person may want to write down."""


class Application(Protocol):
    """The application as controllers see it. A test passes a stub, so no controller needs a terminal."""

    @property
    def zone(self) -> tzinfo:
        """The time zone that times are shown in."""

    @property
    def clock(self) -> Callable[[], float]:
        """The time in epoch seconds."""

    @property
    def keymap(self) -> ActiveKeymap:
        """The keys in force."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest state; None before the first."""

    @property
    def service(self) -> Service | None:
        """The service; None while it is not open."""

    @property
    def conversations(self) -> "ConversationService | None":
        """The stored conversations; None while the service is not open."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a toast."""

    def push_screen(self, screen: Screen[None]) -> object:
        """Lay a screen over the present one."""

    def post_message(self, message: Message) -> bool:
        """Queue a message to the application."""

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds."""

    def start(self, work: Coroutine[Any, Any, None], group: str = "command") -> Worker[None]:
        """Run a coroutine in the background. A failure in the group "command" is shown as a toast."""

    def copy(self, text: str, name: str) -> None:
        """Copy a text that is no secret and say so under its name."""


def send(app: Application, command: Awaitable[str], seconds: float = SHORT) -> None:
    """Run a command of the service and show its result for so many seconds."""

    async def run() -> None:
        app.notify(await command, timeout=seconds, markup=False)

    app.start(run())


def open_service(app: Application) -> Service:
    """Return the service. Raises OkrError while it is not open."""
    if app.service is None:
        raise OkrError(NOT_READY)
    return app.service


def open_conversations(app: Application) -> "ConversationService":
    """Return the stored conversations. Raises OkrError while the service is not open."""
    if app.conversations is None:
        raise OkrError(NOT_READY)
    return app.conversations
