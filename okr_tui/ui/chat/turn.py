"""One turn of a conversation: the question, what happened on the way, the answer as it comes."""

from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from okr_tui.chat.messages import ChatEvent
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.answer import Answer
from okr_tui.ui.chat.document import Document, safe
from okr_tui.ui.chat.tool_line import ToolLine
from okr_tui.ui.chat.turn_model import Exchange, Tool, ToolState, asides, key_name
from okr_tui.ui.lines import NOTICE, QUIET, STRONG, WARNING, Line, content, one_line

THINKING_FLUSH: Final = 0.1
SHOWN_THOUGHTS: Final = 6000
"""Characters of thoughts that are drawn, the newest."""
SHOWN_QUESTION: Final = 8000


class Turn(Vertical):
    """Draws an exchange. What arrives is noted at once and drawn at a pace the terminal can follow."""

    unfolded: var[bool] = var(False)
    # As in an answer, so that growing takes one layout.
    virtual_size = var(Size(0, 0))

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(classes="turn")
        self.exchange = exchange
        self._state = "waiting"
        self._timer: Timer | None = None
        self._steps: list[Answer | ToolLine] = []

    def compose(self) -> ComposeResult:
        """Question, thoughts, hops, steps of the answer, foot."""
        exchange = self.exchange
        question = (("you  ", "bold $text-accent"), (self._question(), STRONG))
        yield Static(content(question), classes="question")
        yield Static(content(self._who()), classes="who")
        yield Static(classes="thoughts")
        yield Static(content(((asides(exchange), WARNING),)), classes="hops")
        self._steps = [self._widget_of(step) for step in exchange.steps]
        yield from self._steps
        yield Static(content(exchange.foot), classes="foot")
        yield Static(classes="offers")

    def on_mount(self) -> None:
        """Show what there is."""
        self._show_hops()
        self.set_class(self.exchange.ended, "-ended")
        self._say_who()
        self._show_thoughts()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.exchange.text

    @property
    def place(self) -> int | None:
        """The question's place in its conversation."""
        return self.exchange.place

    @property
    def settled(self) -> bool:
        """Whether all that came is drawn."""
        return self._timer is None and all(step.settled for step in self._steps if isinstance(step, Answer))

    def show_event(self, event: ChatEvent, at: float) -> None:
        """Take in one part of the answer."""
        exchange = self.exchange
        answered = exchange.answered
        exchange.take(event, at)
        if isinstance(event, Delta):
            if event.thinking:
                self._wait()
            if event.content:
                if not answered:
                    self._say_who()
                self._growing()
            return
        self._show_hops()
        self._state = f"via {key_name(exchange.index)}"
        self._say_who()
        if exchange.ended:
            self._end()

    def ask_tool(self, name: str, arguments: str) -> Tool:
        """The model called a tool; what follows of its text stands below."""
        tool = Tool(name, arguments)
        for answer in self._answers():
            answer.close()
        self.exchange.steps.append(tool)
        self._add_step(tool)
        return tool

    def wait_for_person(self, name: str) -> None:
        """A call waits for the person's word."""
        tool = self.exchange.running_tool(name)
        if tool is not None:
            tool.summary = "waits for you"
            self._draw_tools()

    def tool_ended(
        self,
        tool: Tool,
        state: ToolState,
        result: str = "",
        *,
        summary: str = "",
        seconds: float | None = None,
    ) -> None:
        """How the call went."""
        tool.state, tool.result, tool.summary, tool.seconds = state, result, summary, seconds
        self._draw_tools()

    def note(self, words: str) -> None:
        """Something the person should know of this answer."""
        self.exchange.notes.append(words)
        self._show_hops()

    def finish(self) -> None:
        """The stream is over, whether or not it said how it ended."""
        if not self.exchange.ended:
            self.exchange.finish()
            self._end()

    def stop(self) -> None:
        """Keep what came and mark it as stopped."""
        self.exchange.stop()
        self._end()

    def fail(self, reason: str) -> None:
        """Keep what came and say why no more does."""
        self.exchange.fail(reason)
        self._end()

    def offer(self, words: str) -> None:
        """Say under an answer that is not whole what can be done about it; nothing hides the line."""
        offers = self.query_one(".offers", Static)
        offers.update(content(((words, QUIET),)))
        offers.display = bool(words)

    def _end(self) -> None:
        self._say_who()
        self.query_one(".foot", Static).update(content(self.exchange.foot))
        self.add_class("-ended")
        self._draw_tools()
        for answer in self._answers():
            answer.close()

    def _answers(self) -> list[Answer]:
        return [step for step in self._steps if isinstance(step, Answer)]

    def _draw_tools(self) -> None:
        for step in self._steps:
            if isinstance(step, ToolLine):
                step.draw()

    def _growing(self) -> None:
        """Draw the text that grows, in a widget of its own after each tool."""
        document = self.exchange.document()
        last = self._steps[-1] if self._steps else None
        if isinstance(last, Answer) and last.document is document:
            last.grow()
        else:
            self._add_step(document)

    def _add_step(self, step: Document | Tool) -> None:
        widget = self._widget_of(step)
        self._steps.append(widget)
        self.mount(widget, before=self.query_one(".foot"))

    def _widget_of(self, step: Document | Tool) -> Answer | ToolLine:
        return Answer(step) if isinstance(step, Document) else ToolLine(step)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.set_timer(THINKING_FLUSH, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._say_who()
        self._show_thoughts()

    def _question(self) -> str:
        text = safe(self.exchange.question)
        left = len(text) - SHOWN_QUESTION
        shown = f"{text[:SHOWN_QUESTION]}\n… {left:,} more characters" if left > 0 else text
        count = self.exchange.images
        return f"{shown}  ▣ {count} image{'' if count == 1 else 's'}".strip() if count else shown

    def _who(self) -> Line:
        exchange = self.exchange
        parts: list[tuple[str, str]] = [(one_line(safe(exchange.model)), f"bold {NOTICE}")]
        if exchange.thought_for is not None:
            verb = "thought" if exchange.answered or exchange.ended else "thinking"
            fold = "▾" if self.unfolded else "▸"
            parts.append((f"  {fold} {verb} {exchange.thought_for:.1f} s", QUIET))
        elif not (exchange.answered or exchange.ended):
            parts.append((f"  {self._state} …", QUIET))
        return tuple(parts)

    def _say_who(self) -> None:
        # Always one line high, so nothing has to be arranged anew.
        self.query_one(".who", Static).update(content(self._who()), layout=False)

    def _show_hops(self) -> None:
        words = asides(self.exchange)
        widget = self.query_one(".hops", Static)
        if words and str(widget.content) != words:
            widget.update(content(((words, WARNING),)))
        widget.display = bool(words)

    def _show_thoughts(self) -> None:
        thoughts = self.query_one(".thoughts", Static)
        shown = self.unfolded and self.exchange.thought
        if shown:
            text = self.exchange.thinking
            left = len(text) - SHOWN_THOUGHTS
            before = f"… {left:,} earlier characters\n" if left > 0 else ""
            thoughts.update(content(((before + safe(text[-SHOWN_THOUGHTS:]), QUIET),)))
        thoughts.display = shown

    def watch_unfolded(self) -> None:
        """Show or hide the thoughts."""
        if self.is_mounted:
            self._say_who()
            self._show_thoughts()

    def on_click(self, event: events.Click) -> None:
        """A click on the head unfolds or folds the thoughts; one on the text is for selecting."""
        widget: Widget | None = event.widget
        if self.exchange.thought and widget is not None and widget.has_class("who"):
            self.unfolded = not self.unfolded
