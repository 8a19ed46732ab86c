"""What a person can ask of the service, and the texts that answer from the newest snapshot."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, tzinfo
from typing import Literal

from textual import on
from textual.command import CommandPalette
from textual.content import Content
from textual.reactive import var

from okr_tui.domain.health import State
from okr_tui.domain.view import KeyView
from okr_tui.domain.words import sentence
from okr_tui.services.service import GatewayView, ModelRow, Service, Snapshot
from okr_tui.ui import bridge
from okr_tui.ui.base_app import KeyedApp, KeyOf
from okr_tui.ui.editor import EditFile, edit_file
from okr_tui.ui.palette import ModelPicker
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.model import ChatAsked, FavourAsked, ModelScreen
from okr_tui.ui.screens.text import TextScreen, help_text
from okr_tui.ui.widgets.feed_list import FeedList


def active_key(snapshot: Snapshot) -> str:
    """The active key masked, or "(none)"."""
    pool = snapshot.pool
    return next((row.masked for row in pool.keys if row.index == pool.active), "(none)")


def status_text(snapshot: Snapshot, key_of: KeyOf) -> str:
    """What `ollama-status` says."""
    count = len(snapshot.pool.keys)
    return "\n".join(
        [
            "🦙 Ollama Cloud Status",
            "",
            f"Keys:       {f'✅ {count} configured' if count else '❌ none configured'}",
            f"Active key: {active_key(snapshot)}",
            f"Models:     {len(snapshot.models.rows)}",
            f"URL:        {snapshot.settings.cloud_url}",
            f"Gateway:    {_gateway(snapshot.gateway, key_of)}",
            *(f"Problem:    {problem}" for problem in snapshot.problems),
        ]
    )


def _gateway(gateway: GatewayView, key_of: KeyOf) -> str:
    if gateway.url is None:
        return gateway.error or f"not running; {key_of('switch-gateway')} starts it"
    where = "in another process" if gateway.elsewhere else "here"
    return f"{gateway.url} ({where}); `okr-tui connect CLIENT` shows how to use it"


def keys_text(snapshot: Snapshot, now: float, zone: tzinfo) -> str:
    """What `ollama-keys` says, with each key's health."""
    pool = snapshot.pool
    lines = [
        "🔑 Ollama Cloud Key Pool",
        "",
        f"Total:  {len(pool.keys)}",
        f"Active: {active_key(snapshot)}",
        "",
    ]
    for row in pool.keys:
        mark = "👉" if row.index == pool.active else "  "
        reason = sentence(row.verdict, now, zone)
        state = row.state.value if reason == row.state.value else f"{row.state.value}, {reason}"
        lines.append(f"{mark} #{row.index} {row.masked}  {row.state.traits.glyph} {state}")
    return "\n".join([*lines, "", pool.why] if pool.why else lines)


def models_text(snapshot: Snapshot) -> str:
    """What `ollama-models` says."""
    names = [row.model.display for row in snapshot.models.rows if row.model.status == "listed"]
    if not names:
        return "No cloud models are currently available."
    header = f"☁️ Cloud ({len(names)}) — active key {active_key(snapshot)}"
    return "\n".join([header, "", *names])


ON_A_KEY = frozenset(
    {
        "use_key",
        "rotate",
        "key_details",
        "test_key",
        "reset_key",
        "toggle_key",
        "remove_key",
        "label_key",
    }
)
NEEDS_SERVICE = ON_A_KEY | {
    "refresh_models",
    "add_key",
    "restore_key",
    "close_file",
    "answer_trust",
    "switch_gateway",
}


SHORT = 3.0
"""Seconds that good news stays on the screen."""
LONG = 10.0
"""Seconds for news that a person may want to write down."""


class Commands(KeyedApp):
    """The actions that reach beyond the screen."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, zone: tzinfo = UTC, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.service: Service | None = None
        self.zone = zone
        self.edit_file: EditFile = edit_file

    @property
    def dashboard(self) -> Dashboard:
        """The screen at the bottom."""
        screen = self.screen_stack[0]
        if not isinstance(screen, Dashboard):
            raise TypeError("the dashboard is always the first screen")
        return screen

    @property
    def is_answering(self) -> bool:
        """Whether an answer is coming."""
        return bool(self.dashboard.chat.running)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Commands wait for the service; without a key the demo takes the place of what needs one."""
        known, keys = self.snapshot is not None, self.snapshot and self.snapshot.pool.keys
        if (action == "demo" and not (known and not keys)) or (action in ON_A_KEY and known and not keys):
            return False
        return None if action in NEEDS_SERVICE and self.service is None else True

    def _command(self, answer: Awaitable[str], seconds: float = SHORT) -> None:
        """Send a command and say what it did, for so many seconds."""

        async def tell() -> None:
            self.notify(await answer, timeout=seconds, markup=False)

        self.run_worker(tell(), group="command", exit_on_error=False)

    def _selected_key(self) -> KeyView | None:
        """The key whose details are shown, else the one under the cursor."""
        details = self._key_details
        return details.row if details else self.dashboard.keys.selected

    @property
    def _key_details(self) -> KeyDetails | None:
        return next((each for each in reversed(self.screen_stack) if isinstance(each, KeyDetails)), None)

    def action_key_details(self) -> None:
        """Everything about the selected key, or back from there."""
        if details := self._key_details:
            details.action_close()
        else:
            self.dashboard.open_key()

    @on(FeedList.PageAsked)
    def _page_asked(self, event: FeedList.PageAsked) -> None:
        """Read a page of the log for a list that came to an edge."""
        if self.service is None:
            event.feed.failed()
        else:
            asked = bridge.page(self.service, event, self.post_message)
            self.run_worker(asked, group="command", exit_on_error=False)

    @on(bridge.PageArrived)
    def _page_arrived(self, event: bridge.PageArrived) -> None:
        feed, asked = event.asked.feed, event.asked
        if event.page is None or feed.wanted != asked.wanted:
            feed.failed()
        elif feed.is_attached:
            feed.take(event.page, older=asked.after is None)

    @on(KeyDetails.TrailAsked)
    def _trail_asked(self, event: KeyDetails.TrailAsked) -> None:
        """Read what a key did, for its details."""
        if self.service:
            asked = bridge.trail(self.service, event, self.post_message)
            self.run_worker(asked, group="command", exit_on_error=False)

    @on(bridge.TrailArrived)
    def _trail_arrived(self, event: bridge.TrailArrived) -> None:
        if event.asked.details.is_attached:
            event.asked.details.show_trail(event.asked.fingerprint, event.trail)

    def action_use_key(self, index: int) -> None:
        """Prefer the key of that number."""
        if self.service:
            self._command(self.service.use_key(index))

    def action_rotate(self) -> None:
        """Prefer the next key."""
        if self.service:
            self._command(self.service.rotate())

    def action_refresh_models(self) -> None:
        """Read the model list again."""
        if self.service:
            self.notify("Refreshing Ollama cloud models…", timeout=SHORT)
            self._command(self.service.refresh_models())

    def action_test_key(self) -> None:
        """Read quota and identity of the selected key."""
        if self.service and (row := self._selected_key()):
            self._command(self.service.test_key(row.index))

    def action_reset_key(self) -> None:
        """Forget the blocks of the selected key."""
        if self.service and (row := self._selected_key()):
            self._command(self.service.reset_key(row.index))

    def action_toggle_key(self) -> None:
        """Switch the selected key on or off."""
        if self.service and (row := self._selected_key()):
            self._command(self.service.set_enabled(row.index, enabled=row.state is State.OFF))

    def action_switch_gateway(self) -> None:
        """Start the gateway in this process, or stop it."""
        if self.service and self.snapshot:
            starting = self.snapshot.gateway.url is None
            self._command(self.service.switch_gateway(), LONG if starting else SHORT)

    def copy_gateway(self) -> None:
        """Copy the address of the gateway that runs."""
        if self.snapshot and (url := self.snapshot.gateway.url):
            self.copy(url, f"{url}; `okr-tui connect CLIENT` shows how to use it")

    def action_demo(self) -> None:
        """Leave for the simulated cloud."""
        self.exit(result="demo")

    def action_help(self) -> None:
        """Every key and mark."""
        self.push_screen(TextScreen("okr-tui help", help_text(self.actions)))

    def show_text(self, name: Literal["status", "keys", "models"]) -> None:
        """Answer one of the original's commands."""
        if self.snapshot is None:
            return
        text = {
            "status": lambda shown: status_text(shown, self.key_of),
            "keys": lambda shown: keys_text(shown, self.clock(), self.zone),
            "models": lambda shown: models_text(shown),
        }[name](self.snapshot)
        self.push_screen(TextScreen(f"ollama-{name}", Content(text)))

    def show_model(self, row: ModelRow) -> None:
        """Answer `ollama-info`."""
        if self.snapshot:
            self.push_screen(ModelScreen(row.model.id, self.snapshot, self.zone))

    @on(ChatAsked)
    def _chat_asked(self, event: ChatAsked) -> None:
        self.dashboard.talk_to(event.model)

    @on(FavourAsked)
    def _favour_asked(self, event: FavourAsked) -> None:
        if self.service:
            self._command(self.service.favour_model(event.model, wanted=event.wanted), LONG)

    def pick_model(self) -> None:
        """Ask which model `ollama-info` is about."""
        self.push_screen(CommandPalette(providers=[ModelPicker], placeholder="Which model?"))
