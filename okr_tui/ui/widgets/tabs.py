"""The row of names that stands for the lower pane on a narrow terminal."""

from dataclasses import dataclass
from typing import Final, Literal

from textual import events
from textual.message import Message
from textual.reactive import var
from textual.widgets import Static

from okr_tui.ui.base_app import KeyedApp, keys_of
from okr_tui.ui.lines import QUIET, content

Tab = Literal["live", "models", "chat"]
TABS: Final[tuple[Tab, ...]] = ("live", "models", "chat")


class TabRow(Static):
    """Says which lower pane is shown; a click chooses another."""

    tab: var[Tab] = var("live")

    @dataclass
    class Picked(Message):
        """Another pane was picked with the mouse."""

        tab: Tab

    def __init__(self) -> None:
        super().__init__(id="tabs")

    def on_mount(self) -> None:
        """Follow the keymap."""
        if isinstance(self.app, KeyedApp):
            self.watch(self.app, "actions", self.watch_tab, init=False)

    def watch_tab(self) -> None:
        """Mark the shown one."""
        parts = []
        for name in TABS:
            style = "bold reverse $text-accent" if name == self.tab else QUIET
            parts += [(f" {name.capitalize()} ", style), (" ", "")]
        self.update(content((*parts, (f"{keys_of(self.app)('next-pane')} ⇥", QUIET))))

    def on_click(self, event: events.Click) -> None:
        """Pick the name under the mouse."""
        left = 0
        for name in TABS:
            right = left + len(name) + 3
            if left <= event.get_content_offset_capture(self).x < right:
                self.post_message(self.Picked(name))
            left = right
