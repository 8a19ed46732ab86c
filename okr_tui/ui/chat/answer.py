"""A Markdown text that grows: one widget per answer, drawn line by line, at any length.

Why not Textual's own `Markdown.get_stream`: it mounts a widget per paragraph, item and fence, and parses and
arranges what grows with each write. CPU per 1,000 tokens, 2,000 tokens at once below earlier turns (two busy
cores; `python -m tests.ui.bench --tokens 2000 --ways ours stream log`): 0.16 s here, 3.1 s there, where the
event loop was blocked for up to 2 s at a time; plain lines in a RichLog take 0.18 s.

A finished block is parsed once and laid out once per width; the open one is plain text that is laid out at
every flush. Work is done in small helpings, so a key press never waits for an answer.
"""

from typing import Final

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.reactive import var
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.timer import Timer
from textual.widget import Widget

from okr_tui.ui.chat.markdown import LINK, LayoutRow, MarkdownDocument, copied
from okr_tui.ui.chat.messages import LinkChosen
from okr_tui.ui.lines import segments

FLUSH: Final = 1 / 15
"""Seconds for which arriving text is collected before it is drawn."""
REMEMBERED: Final = 500
"""Drawn rows that are kept for the next repaint."""
HELPING: Final = 0.012
"""Seconds of work after which the event loop runs again."""


class AnswerView(Widget):
    """Draws a document. Nothing ticks: a timer is set when text arrives and is gone when it is drawn."""

    # Textual's own asks for a layout when it is set, which is in a layout: each growth would take two.
    virtual_size = var(Size(0, 0))

    def __init__(self, document: MarkdownDocument) -> None:
        super().__init__(classes="answer")
        self.document = document
        self._rows: list[LayoutRow] = []
        self._laid = 0
        self._steady = 0
        self._width = 0
        self._strips: dict[int, Strip] = {}
        self._timer: Timer | None = None

    @property
    def source(self) -> str:
        """The text that is drawn or about to be."""
        return self.document.text

    @property
    def settled(self) -> bool:
        """Whether all text that arrived is drawn."""
        return self.document.settled and self._timer is None

    def on_mount(self) -> None:
        """Draw the text that has already arrived."""
        if not self.document.settled:
            self._wait()

    def grow(self) -> None:
        """Draw the added text with the next flush."""
        self._wait()

    def close(self) -> None:
        """Finish the open block as it is: no more text follows."""
        self.document.whole = True
        self._wait()

    def _wait(self) -> None:
        if self._timer is None and self.is_attached:
            self._timer = self.set_timer(FLUSH, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self.document.work(HELPING)
        if self._width:
            before, steady = self._rows, self._steady
            self._lay_out(self._width)
            if len(before) != len(self._rows):
                self.refresh(layout=True)
            else:
                self.refresh(Region(0, steady, self.size.width, len(before) - steady))
        if not self.document.settled:
            self._wait()

    def _lay_out(self, width: int) -> None:
        """Make rows for this width: only of parts that have none, and of the open block."""
        if width != self._width:
            self._width, self._laid, self._steady, self._rows = width, 0, 0, []
            self._strips.clear()
        document = self.document
        rows = self._rows[: self._steady]
        for part in document.parts[self._laid :]:
            rows.extend(part.rows(width))
        changed, self._steady, self._laid = self._steady, len(rows), len(document.parts)
        for part in document.open_parts():
            rows.extend(part.rows(width))
        self._rows = rows
        for y in [y for y in self._strips if y >= changed]:
            del self._strips[y]

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        """Return all the width there is."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the number of rows."""
        if width and width != self._width:
            self._lay_out(width)
        return len(self._rows)

    def render_line(self, y: int) -> Strip:
        """Return one row, remembered until it changes."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.visual_style.rich_style)
        if (strip := self._strips.get(y)) is None:
            if len(self._strips) >= REMEMBERED:
                self._strips.clear()
            strip = self._strips[y] = self._draw(y)
        return strip

    def _draw(self, y: int) -> Strip:
        row, style = self._rows[y], self.visual_style
        words = row.content
        if (selection := self.text_selection) and (span := selection.get_span(y)):
            start, end = span
            marked = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            words = words.stylize(marked, start, len(words) if end == -1 else end)
        if row.fill:
            style += self._get_style(row.fill)
        words = words or Content(" ")
        strip = Strip(segments(words, style, self), words.cell_length)
        rest = (style + Style(reverse=False)).rich_style
        return strip.adjust_cell_length(self.size.width, rest).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text, wrapped lines whole again."""
        rows, texts = [], []
        for y, row in enumerate(self._rows):
            if (span := selection.get_span(y)) is not None:
                start, end = span
                rows.append(row)
                texts.append(row.content.plain[start : None if end == -1 else end])
        return copied(rows, texts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Draw the selection."""
        self._strips.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw in the colours of another theme."""
        self._strips.clear()
        super().notify_style_update()

    def on_click(self, event: events.Click) -> None:
        """Ask to open a link; only addresses of the web are links."""
        if address := event.style.meta.get(LINK):
            event.stop()
            self.post_message(LinkChosen(address))
