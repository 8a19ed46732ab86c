"""The prompt under the conversation."""

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import TextArea

from okr_tui.ui.actions import bindings


class Prompt(TextArea):
    """Several lines that grow as needed; enter sends, ctrl+j or shift+enter begins a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    @dataclass
    class Sent(Message):
        """The person sent this text."""

        text: str

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            compact=True,
            highlight_cursor_line=False,
            placeholder="choose a model with enter, then ask here",
        )
        self.cursor_blink = False

    def on_key(self, event: events.Key) -> None:
        """Enter is taken before the text area turns it into a new line."""
        if event.key == "enter":
            event.prevent_default().stop()
            self.action_send()

    def action_send(self) -> None:
        """Send what was typed."""
        if text := self.text.strip():
            self.post_message(self.Sent(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")
