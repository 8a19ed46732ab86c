"""What a person can ask of the service, and the texts that answer from the newest snapshot."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, tzinfo
from typing import Literal

from textual.app import App
from textual.command import CommandPalette
from textual.content import Content
from textual.reactive import var

from okr_tui.domain.health import State
from okr_tui.domain.view import KeyView
from okr_tui.services.service import ModelRow, Service, Snapshot
from okr_tui.ui import texts
from okr_tui.ui.editor import EditFile, edit_file
from okr_tui.ui.palette import ModelPicker
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.screens.text import TextScreen, help_text

ON_A_KEY = frozenset({"use_key", "rotate", "test_key", "reset_key", "toggle_key", "remove_key", "label_key"})
NEEDS_SERVICE = ON_A_KEY | {"refresh_models", "add_key", "restore_key", "close_file", "answer_trust"}


SHORT = 3.0
"""Seconds that good news stays on the screen."""


class Commands(App[str]):
    """The actions that reach beyond the screen."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, zone: tzinfo = UTC, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.service: Service | None = None
        self.zone = zone
        self.clock = clock
        self.edit_file: EditFile = edit_file

    @property
    def dashboard(self) -> Dashboard:
        """The screen at the bottom."""
        screen = self.screen_stack[0]
        if not isinstance(screen, Dashboard):
            raise TypeError("the dashboard is always the first screen")
        return screen

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Commands wait for the service; without a key the demo takes the place of what needs one."""
        known, keys = self.snapshot is not None, self.snapshot and self.snapshot.pool.keys
        if (action == "demo" and not (known and not keys)) or (action in ON_A_KEY and known and not keys):
            return False
        return None if action in NEEDS_SERVICE and self.service is None else True

    def _command(self, answer: Awaitable[str]) -> None:
        """Send a command and say what it did."""

        async def tell() -> None:
            self.notify(await answer, timeout=SHORT, markup=False)

        self.run_worker(tell(), group="command", exit_on_error=False)

    def _selected_key(self) -> KeyView | None:
        return self.dashboard.keys.selected

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

    def action_demo(self) -> None:
        """Leave for the simulated cloud."""
        self.exit(result="demo")

    def action_help(self) -> None:
        """Every key and mark."""
        self.push_screen(TextScreen("okr-tui help", help_text()))

    def show_text(self, name: Literal["status", "keys", "models"]) -> None:
        """Answer one of the original's commands."""
        if self.snapshot is None:
            return
        text = {
            "status": lambda shown: texts.status_text(shown),
            "keys": lambda shown: texts.keys_text(shown, self.clock(), self.zone),
            "models": lambda shown: texts.models_text(shown),
        }[name](self.snapshot)
        self.push_screen(TextScreen(f"ollama-{name}", Content(text)))

    def show_model(self, row: ModelRow) -> None:
        """Answer `ollama-info`."""
        self.push_screen(TextScreen(f"ollama-info {row.model.id}", Content(texts.info_text(row))))

    def pick_model(self) -> None:
        """Ask which model `ollama-info` is about."""
        self.push_screen(CommandPalette(providers=[ModelPicker], placeholder="Which model?"))
