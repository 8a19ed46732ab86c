"""What every controller shares: its view of the application, and what can be done in it now."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker

from okr_tui.domain.errors import OkrError
from okr_tui.services.service import Service, Snapshot
from okr_tui.ui.actions import ACTIONS
from okr_tui.ui.keymap import ActiveKeymap

if TYPE_CHECKING:
    from okr_tui.chat.service import ConversationService


NOT_READY: Final = "the service is still being opened; try again"
SHORT: Final = 3.0
"""Seconds that a short message stays on the screen."""
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
    def screen_stack(self) -> Sequence[Screen[Any]]:
        """The screens that are open, the one in front last."""

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
        """Push a screen on top of the current one."""

    def post_message(self, message: Message) -> bool:
        """Queue a message to the application."""

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds."""

    def start(self, work: Coroutine[Any, Any, None], group: str = "command") -> Worker[None]:
        """Run a coroutine in the background. A failure in the group "command" is shown as a toast."""

    def open_url(self, url: str) -> None:
        """Open an address in the browser."""

    def copy(self, text: str, name: str) -> None:
        """Copy a text that is not secret and confirm it by its name."""


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


ON_A_KEY: Final = frozenset(action.name for action in ACTIONS if action.needs == "key")
NEEDS_SERVICE: Final = frozenset(action.name for action in ACTIONS if action.needs)
NOT_OVER_SETTINGS: Final = ON_A_KEY | {"refresh_models", "demo", "show_settings", "show_usage"}
"""Actions on the dashboard, which the settings screen hides."""
NEEDS_SNAPSHOT: Final[dict[str, Callable[[Snapshot], bool]]] = {
    "show_settings": lambda snapshot: True,  # noqa: ARG005
    "undo": lambda snapshot: bool(snapshot.undoable),
    "make_file_private": lambda snapshot: snapshot.settings.open_to_others is not None,
    "answer_trust": lambda snapshot: snapshot.settings.trust is not None,
}
"""Actions that apply only while there is something for them to do."""


def available(
    action: str, snapshot: Snapshot | None, *, service: bool, over_settings: bool = False
) -> bool | None:
    """Say whether an action of the application can run: None greys it out, False hides it, as in Textual.

    action: its Textual name. service: whether the service is open. over_settings: whether the settings hide
    the dashboard.
    """
    if over_settings and action in NOT_OVER_SETTINGS:
        return False
    if (needed := NEEDS_SNAPSHOT.get(action)) and not (snapshot and needed(snapshot)):
        return False
    without_keys = snapshot is not None and not snapshot.pool.keys
    if (action == "demo" and not without_keys) or (action in ON_A_KEY and without_keys):
        return False
    return None if action in NEEDS_SERVICE and not service else True
