"""Every setting with the place it comes from, over the whole screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Static

from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import QUIET, Line, content
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME
from okr_tui.ui.widgets.settings import settings_lines


class SettingsScreen(Screen[None]):
    """Follows the newest snapshot; what can be done here is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings")]

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []

    def compose(self) -> ComposeResult:
        """Title, the scrolling text, the keys."""
        yield Static(content((*NAME, ("   settings", QUIET))), id="header")
        with VerticalScroll(id="settings"):
            yield Static(id="settings-text")
        yield FootLine("settings").data_bind(SettingsScreen.snapshot)

    def on_mount(self) -> None:
        """Follow the application's snapshot."""
        self.watch(self.app, "snapshot", self._take_over)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot

    def watch_snapshot(self) -> None:
        """Draw the new state."""
        self._draw()

    def on_resize(self) -> None:
        """Arrange anew."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        scroll = self.query_one("#settings", VerticalScroll)
        width = scroll.scrollable_content_region.width
        if self.snapshot is None or width <= 0:
            return
        lines = settings_lines(self.snapshot.settings, width)
        if lines != self._lines:
            self._lines = lines
            text = Content("\n").join(content(line) for line in lines)
            self.query_one("#settings-text", Static).update(text)

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()
