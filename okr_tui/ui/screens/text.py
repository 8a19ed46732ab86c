"""A text over the dashboard: the original's commands, a line of the log in full."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from okr_tui.domain.choice import absent_key_name
from okr_tui.domain.feed import entry_fields
from okr_tui.domain.feed_groups import Group
from okr_tui.domain.view import PoolView
from okr_tui.ui.actions import COPY_OR_QUIT, borrowed
from okr_tui.ui.lines import QUIET, STRONG, TONES, one_line


class TextScreen(ModalScreen[None]):
    """Shows a text until escape, q or enter. No right border: terminals differ on how wide emoji are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "close", show=False),
        Binding("y", "copy", "copy", show=False),
        *borrowed("help", "close"),
        *COPY_OR_QUIT,
    ]

    @dataclass
    class CopyRequested(Message):
        """The text is to be copied."""

        text: str

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self.heading = title
        self.text = text

    def compose(self) -> ComposeResult:
        """Heading, scrolling text, the way out."""
        with VerticalScroll(classes="box"):
            yield Static(Content(self.heading), classes="box-heading")
            yield Static(self.text, id="text-body")
            yield Static(Content(self.foot()), classes="box-foot")

    def foot(self) -> str:
        """Return the line of keys under the text."""
        return "y copies · esc closes"

    def action_copy(self) -> None:
        """Put the text on the clipboard."""
        self.post_message(self.CopyRequested(self.text.plain))

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()


NAME: Final = 12
"""Cells of a field's name."""
LISTED: Final = 12
"""Earlier lines of a run that are listed."""


def record_screen(group: Group, pool: PoolView, now: float, zone: tzinfo) -> TextScreen:
    """Show a line of the log; of a run, the newest record and the times of the others."""

    def key(fingerprint: str) -> str:
        for row in pool.keys:
            if row.fingerprint == fingerprint:
                return f"#{row.index} {row.masked}{f' {one_line(row.label)}' if row.label else ''}"
        return f"{absent_key_name(other)} ({fingerprint})"

    entry = group.newest
    who = getattr(entry.record, "who", None)
    other = None if who == pool.person else who
    glyph, style = TONES[entry.tone]
    parts: list[Content] = []
    for index, (name, value) in enumerate(entry_fields(entry, key, now, zone)):
        mark = (f"{glyph} {one_line(value)}", style) if index == 0 else (one_line(value), "")
        parts.append(Content.assemble((f"{name:<{NAME}}", QUIET), mark))
    if len(group.entries) > 1:
        if len(group.requests) == 1:
            heading = f"\n{len(group.entries)} sends of one request: the last above, earlier ones below"
        else:
            heading = f"\n{len(group.entries)} similar lines: the newest above, earlier ones below"
        parts.append(Content.styled(heading, STRONG))
        for earlier in group.entries[-2 : -2 - LISTED : -1]:
            fields = dict(entry_fields(earlier, key, now, zone))
            parts.append(Content.assemble((f"{fields['when']}  ", QUIET), earlier.text))
        if (more := len(group.entries) - 1 - LISTED) > 0:
            parts.append(Content.styled(f"and {more} more", QUIET))
    return TextScreen("Log entry", Content("\n").join(parts))
