"""Every setting with the place it comes from, over the whole screen."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Static

from okr_tui.services.service import SettingLine, Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import QUIET, content
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME
from okr_tui.ui.widgets.rows import RowList
from okr_tui.ui.widgets.settings import SettingsList


class SettingsScreen(Screen[None]):
    """Follows the newest snapshot; what can be done here is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings")]

    snapshot: var[Snapshot | None] = var(None)

    @dataclass
    class ChangeAsked(Message):
        """One value is to be changed."""

        line: SettingLine

    def compose(self) -> ComposeResult:
        """Title, the list, the keys."""
        yield Static(content((*NAME, ("   settings", QUIET))), id="header")
        yield SettingsList()
        yield FootLine("settings").data_bind(SettingsScreen.snapshot)

    def on_mount(self) -> None:
        """Follow the application's snapshot."""
        self.watch(self.app, "snapshot", self._take_over)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        if snapshot is not None:
            self.query_one(SettingsList).show_settings(snapshot.settings)

    @on(RowList.Chosen)
    def action_change_setting(self) -> None:
        """Change the value under the cursor."""
        line = self.query_one(SettingsList).selected
        if isinstance(line, SettingLine):
            self.post_message(self.ChangeAsked(line))

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()
