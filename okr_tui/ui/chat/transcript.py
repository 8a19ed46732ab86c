"""The turns of a conversation: the newest are drawn, older ones come back when scrolled to."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Static

from okr_tui.services.background import tune_gc
from okr_tui.ui.actions import bindings
from okr_tui.ui.chat.markdown import TextPart, safe
from okr_tui.ui.chat.turn import TurnView
from okr_tui.ui.chat.turn_state import TurnState
from okr_tui.ui.lines import QUIET, content

COLUMN: Final = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")
"""A line up to its second column: two blanks or more part them."""


class Notice(Static):
    """A block on the screen that is not part of the conversation."""

    def __init__(self, text: str, style: str) -> None:
        super().__init__(classes="notice")
        # Terminals differ on how wide a sign with a variation selector is.
        self._text_lines = safe(text.replace("\ufe0f", "")).splitlines()
        self._style = style

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the number of lines at this width."""
        return sum(1 for _ in self._lines(width))

    def render(self) -> Content:
        """Return the lines at this width."""
        return Content("\n").join(self._lines(self.size.width)).stylize(self._style)

    def _lines(self, width: int) -> Iterator[Content]:
        for line in self._text_lines:
            found = COLUMN.match(line)
            head = found[0] if found and 2 * len(found[0]) <= width else ""
            first = Content(head)
            piece = TextPart(Content(line[len(head) :]), first, Content(" " * first.cell_length))
            yield from (row.content for row in piece.rows(width))


class LoadEarlier(Static):
    """Shows how many turns are not drawn; a click brings some back."""

    def __init__(self, count: int) -> None:
        super().__init__(classes="load-earlier")
        self.show(count)

    def show(self, count: int) -> None:
        """Show how many there are."""
        turns = "1 earlier turn" if count == 1 else f"{count} earlier turns"
        self.update(content(((f"… {turns}, scroll up to show", QUIET),)))


SHOWN: Final = 20
"""Turns that are drawn, and how many older ones come back at a time."""
STEP: Final = 3
"""Lines by which a key moves within a turn higher than the screen."""


class Transcript(VerticalScroll):
    """Follows the newest text unless scrolled up, and again once scrolled back to the end.

    With the focus one turn is selected; moving goes line by line through a turn higher than the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list"), *bindings("turns")]

    unfolded: var[bool] = var(False)
    selected: var[TurnView | None] = var(None)
    # As in an answer, so that growing takes one layout; a scrollbar that comes or goes asks for its own.
    virtual_size = var(Size(0, 0))

    @dataclass
    class Chosen(Message):
        """Enter on a turn."""

        turn: TurnView

    def __init__(self, *, shown: int = SHOWN) -> None:
        super().__init__(id="turns")
        self.states: list[TurnState] = []
        self.shown = shown
        self._first = 0
        self._loading = False

    def on_mount(self) -> None:
        """Follow the end from the beginning."""
        self.anchor()

    @property
    def hidden(self) -> int:
        """How many earlier turns are not drawn."""
        return self._first

    async def begin(self, state: TurnState) -> TurnView:
        """Draw a new turn at the end, in sight; the oldest that are drawn make room."""
        self.run_worker(asyncio.to_thread(warm_up), group="markdown", exit_on_error=False)
        self.states.append(state)
        (turn,) = await self._mount([state])
        turns = self.turns
        for old in turns[: -self.shown]:
            old.remove()
        self._first = len(self.states) - min(len(turns), self.shown)
        await self._update_earlier()
        self.anchor()
        return turn

    async def cut(self, place: int) -> None:
        """Drop the turns from a question's place on; they are asked again."""
        kept = [each for each in self.states if each.place is None or each.place < place]
        if len(kept) == len(self.states):
            return
        dropped = {id(each) for each in self.states} - {id(each) for each in kept}
        self.states = kept
        self._first = min(self._first, len(kept))
        for turn in self.turns:
            if id(turn.state) in dropped:
                await turn.remove()

    @property
    def notice(self) -> Notice | None:
        """The block that is shown next to the conversation."""
        return next(iter(self.query_children(Notice)), None)

    async def show_notice(self, text: str, style: str = QUIET) -> None:
        """Show a block that is not part of the conversation, in place of the one before.

        It comes into sight whole, or from its beginning.
        """
        await self.close_notice()
        notice = Notice(text, style)
        await self.mount(notice)
        self.anchor()

        def begin() -> None:
            if notice.is_attached and notice.size.height > self.scrollable_content_region.height:
                self.release_anchor()
                self.scroll_to_widget(notice, top=True, animate=False, immediate=True)

        self.call_after_refresh(begin)

    async def close_notice(self) -> bool:
        """Take the block away; return whether there was one."""
        notice = self.notice
        if notice is not None:
            await notice.remove()
            self.anchor()
        return notice is not None

    async def show(self, states: Sequence[TurnState]) -> None:
        """Show another conversation."""
        self.selected = None
        await self.remove_children()
        self.states = list(states)
        self._first = max(0, len(self.states) - self.shown)
        await self._mount(self.states[self._first :])
        await self._update_earlier()
        self.anchor()

    async def show_earlier(self) -> None:
        """Draw some earlier turns; the visible ones stay in place."""
        if self._loading or not self._first:
            return
        self._loading = True
        bottom = self.virtual_size.height - self.scroll_y
        first = max(0, self._first - self.shown)
        before = self.turns[0]
        await self._mount(self.states[first : self._first], before=before)
        self._first = first
        await self._update_earlier()

        def stay() -> None:
            self._loading = False
            self.scroll_to(y=self.virtual_size.height - bottom, animate=False, immediate=True)

        self.call_after_refresh(stay)

    async def _mount(self, states: Sequence[TurnState], before: TurnView | None = None) -> list[TurnView]:
        turns = [TurnView(state) for state in states]
        for turn in turns:
            turn.unfolded = self.unfolded
        await self.mount(*turns, before=before)
        return turns

    async def _update_earlier(self) -> None:
        line = self.query_children(LoadEarlier).first() if self.query_children(LoadEarlier) else None
        if self._first and line:
            line.show(self._first)
        elif self._first:
            await self.mount(LoadEarlier(self._first), before=0)
        elif line:
            await line.remove()

    def watch_unfolded(self) -> None:
        """Show or fold the thoughts of every turn."""
        for turn in self.turns:
            turn.unfolded = self.unfolded

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw earlier turns once the top is reached."""
        super().watch_scroll_y(old_value, new_value)
        if new_value <= 0 < old_value and self.max_scroll_y > 0:
            self.call_later(self.show_earlier)

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:  # noqa: ARG002
        """Draw earlier turns where nothing is left to scroll."""
        if self.scroll_y <= 0:
            await self.show_earlier()

    async def on_click(self, event: events.Click) -> None:
        """Draw earlier turns on a click on their line; select a turn that is clicked."""
        widget: Widget | None = event.widget
        if isinstance(widget, LoadEarlier):
            await self.show_earlier()
        elif widget is not None:
            turn = next((node for node in widget.ancestors_with_self if isinstance(node, TurnView)), None)
            self.selected = turn or self.selected

    @property
    def turns(self) -> list[TurnView]:
        """The turns that are drawn, oldest first. A query of Textual's would match style rules for them."""
        return [child for child in self.children if isinstance(child, TurnView)]

    @property
    def last(self) -> TurnView | None:
        """The newest turn."""
        turns = self.turns
        return turns[-1] if turns else None

    @property
    def chosen(self) -> TurnView | None:
        """The selected turn, or the last one while none is."""
        shown = self.selected is not None and self.selected.parent is self
        return self.selected if shown else self.last

    def find(self, words: str) -> tuple[int, int]:
        """Select the next turn, upwards, that has all the words, and bring it into sight.

        Return its place among those that have them, from 1, and how many there are; after the first turn
        the search continues from the end.
        """
        wanted = words.lower().split()
        texts = [f"{state.question}\n{state.text}".lower() for state in self.states]
        found = [index for index, text in enumerate(texts) if all(word in text for word in wanted)]
        if not found or not wanted:
            return 0, 0
        shown = self.selected.state if self.selected is not None else None
        here = next((index for index, state in enumerate(self.states) if state is shown), len(self.states))
        index = max((each for each in found if each < here), default=found[-1])
        self.release_anchor()
        self.call_later(self._show_state, self.states[index])
        return found.index(index) + 1, len(found)

    async def _show_state(self, state: TurnState) -> None:
        while not any(turn.state is state for turn in self.turns) and self._first:
            self._loading = False
            await self.show_earlier()
        for turn in self.turns:
            if turn.state is state:
                self.selected = turn
                self.call_after_refresh(self.scroll_to_widget, turn, top=True, animate=False, immediate=True)

    def on_focus(self) -> None:
        """Select the last turn, where none is yet."""
        self.selected = self.chosen

    def watch_selected(self, before: TurnView | None, after: TurnView | None) -> None:
        """Mark the selected turn."""
        if before is not None:
            before.remove_class("-selected")
        if after is not None:
            after.add_class("-selected")

    def _step(self, direction: int) -> None:
        """Scroll through the selected turn, then on to the next one."""
        turns, chosen = self.turns, self.chosen
        if chosen is None:
            return
        region, top = chosen.virtual_region, self.scroll_offset.y
        bottom = top + self.scrollable_content_region.height
        if direction > 0 and region.bottom - chosen.styles.margin.bottom > bottom:
            self.scroll_to(y=top + STEP, animate=False)
        elif direction < 0 and region.y < top:
            self.scroll_to(y=max(region.y, top - STEP), animate=False)
        else:
            index = min(max(0, turns.index(chosen) + direction), len(turns) - 1)
            self.selected = turns[index]
            if turns[index] is not chosen:
                self._bring(turns[index], at_end=direction < 0)
            elif direction < 0:
                self.call_later(self.show_earlier)

    def _bring(self, turn: TurnView, *, at_end: bool) -> None:
        """Show the end of a turn reached from below, the beginning of one reached from above."""
        region, room = turn.virtual_region, self.scrollable_content_region.height
        top = self.scroll_offset.y
        if at_end and region.y < top:
            self.scroll_to(y=max(0, min(region.y, region.bottom - room)), animate=False)
        elif not at_end and region.bottom > top + room:
            self.scroll_to(
                y=min(region.y, region.bottom - room) if region.height < room else region.y, animate=False
            )

    def action_cursor_up(self) -> None:
        """Move one turn up, or scroll within a long one."""
        self._step(-1)

    def action_cursor_down(self) -> None:
        """Move one turn down, or scroll within a long one."""
        self._step(1)

    def action_cursor_first(self) -> None:
        """Go to the first turn that is drawn; earlier ones come back."""
        self.selected = next(iter(self.turns), None)
        self.scroll_home(animate=False)

    def action_cursor_last(self) -> None:
        """Go to the end."""
        self.selected = self.last
        self.scroll_end(animate=False)

    def action_cursor_page(self, direction: int) -> None:
        """Scroll one page."""
        if direction < 0:
            self.scroll_page_up(animate=False)
        else:
            self.scroll_page_down(animate=False)

    def action_choose(self) -> None:
        """Post the turn that enter was pressed on."""
        if turn := self.chosen:
            self.post_message(self.Chosen(turn))


@cache
def warm_up() -> None:
    """Load what the first answer needs, once per process: it takes some 50 ms.

    Until now nearly all objects are code and widgets that stay; drawn lines refer to themselves.
    """
    from okr_tui.ui.chat.markdown import Blocks, parts_of

    blocks = Blocks()
    for block in (*blocks.feed("*a* https://example.org\n\n```python\na = 1\n```\n"), *blocks.close()):
        parts_of(block)
    tune_gc()
