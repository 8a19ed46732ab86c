"""One turn of a conversation: the question, the fail-overs, the tools that were called, and the answer."""

from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from okr_tui.chat.conversation import RoundEvent
from okr_tui.chat.messages import key_name
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.answer import AnswerView
from okr_tui.ui.chat.markdown import MarkdownDocument, safe
from okr_tui.ui.chat.turn_state import ToolState, ToolStep, TurnState, remarks
from okr_tui.ui.lines import FAULT, NOTICE, QUIET, STRONG, WARNING, Line, content, one_line, show_line

SHOWN_RESULT: Final = 4000
"""Characters of arguments and result that are drawn; the model gets all of them."""
WORDS: Final = 60
FEW_WORDS: Final = 30
STATES: Final[dict[ToolState, tuple[str, str]]] = {
    "running": ("⚙", NOTICE),
    "done": ("⚙", QUIET),
    "failed": ("✖", FAULT),
    "stopped": ("⚙", QUIET),
}


def tool_line(tool: ToolStep, *, unfolded: bool) -> Line:
    """Return a call on one line: `▸ ⚙ web_search "tides" … 1.2 s, 5 results`."""
    mark, style = STATES[tool.state]
    seconds = f"{tool.seconds:.1f} s" if tool.seconds is not None else ""
    outcome = ", ".join(part for part in (seconds, _short(tool.summary)) if part)
    if tool.state == "stopped":
        outcome = outcome or "stopped"
    fold = "" if tool.state == "running" else "▾ " if unfolded else "▸ "
    end = f" … {outcome}" if outcome else " …" if tool.state == "running" else ""
    return (
        (fold, QUIET),
        (f"{mark} {_short(tool.name)}", style),
        (f" {_short(tool.arguments, FEW_WORDS)}", QUIET),
        (end, FAULT if tool.state == "failed" else QUIET),
    )


def _short(text: str, longest: int = WORDS) -> str:
    words = one_line(safe(text[: 4 * longest]))
    return f"{words[: longest - 1]}…" if len(words) > longest else words


class ToolLine(Vertical, can_focus=True):
    """One call; enter or a click shows arguments and result. Whoever changes its tool calls `draw`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "unfold", "unfold", show=False)]

    unfolded: var[bool] = var(False)

    def __init__(self, tool: ToolStep) -> None:
        super().__init__(classes="tool")
        self.tool = tool

    def compose(self) -> ComposeResult:
        """Yield the line, and what it unfolds."""
        yield Static(content(tool_line(self.tool, unfolded=False)), classes="call")
        yield Static(classes="result")

    def draw(self) -> None:
        """Show the current state of the call."""
        if not self.is_mounted:
            return
        self.query_one(".call", Static).update(content(tool_line(self.tool, unfolded=self.unfolded)))
        shown = self.query_one(".result", Static)
        shown.display = self.unfolded and self.tool.state != "running"
        if shown.display:
            whole = f"{self.tool.arguments}\n\n{self.tool.result}".strip()
            left = len(whole) - SHOWN_RESULT
            more = f"\n… {left:,} more characters" if left > 0 else ""
            shown.update(content(((safe(whole[:SHOWN_RESULT]) + more, QUIET),)))

    def watch_unfolded(self) -> None:
        """Show or fold arguments and result."""
        self.draw()

    def action_unfold(self) -> None:
        """Toggle between folded and unfolded."""
        self.unfolded = not self.unfolded

    def on_click(self, event: events.Click) -> None:
        """Unfold or fold on a click, as enter does."""
        event.stop()
        self.action_unfold()


THINKING_FLUSH: Final = 0.1
SHOWN_THOUGHTS: Final = 6000
"""Characters of thoughts that are drawn, the newest."""
SHOWN_QUESTION: Final = 8000


class TurnView(Vertical):
    """Draws one turn. What arrives is noted at once and drawn at a pace that the terminal can follow."""

    unfolded: var[bool] = var(False)
    # As in an answer, so that growing takes one layout.
    virtual_size = var(Size(0, 0))

    def __init__(self, state: TurnState) -> None:
        super().__init__(classes="turn -ended" if state.ended else "turn")
        self.state = state
        self._status = "waiting"
        self._timer: Timer | None = None
        self._steps: list[AnswerView | ToolLine] = []
        self._offered = ""

    def compose(self) -> ComposeResult:
        """Yield question, head, thoughts, fail-overs, steps of the answer, foot."""
        state = self.state
        question = (("you  ", "bold $text-accent"), (self._question(), STRONG))
        yield Static(content(question), classes="question")
        yield Static(content(self._head()), classes="who")
        yield Static(classes="thoughts")
        yield Static(content(((remarks(state), WARNING),)), classes="hops")
        self._steps = [self._widget_of(step) for step in state.steps]
        yield from self._steps
        yield Static(content(state.foot), classes="foot")
        yield Static(classes="offers")

    def on_mount(self) -> None:
        """Show the present state."""
        self._show_remarks()
        self._show_head()
        self._show_thoughts()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.state.text

    @property
    def place(self) -> int | None:
        """The question's place in its conversation."""
        return self.state.place

    @property
    def settled(self) -> bool:
        """Whether everything that arrived is drawn."""
        return self._timer is None and all(
            step.settled for step in self._steps if isinstance(step, AnswerView)
        )

    def show_event(self, event: RoundEvent, at: float) -> None:
        """Add a part of the answer, which arrived at `at` (epoch seconds)."""
        state = self.state
        answered = state.answered
        state.take(event, at)
        if isinstance(event, Delta):
            if event.thinking:
                self._wait()
            if event.content:
                if not answered:
                    self._show_head()
                self._grow()
            if event.tool_calls:
                self._add_steps()
            return
        self._show_remarks()
        self._add_steps()
        self._draw_tools()
        if state.routes:
            self._status = f"via {key_name(state.index)}"
        self._show_head()
        if state.ended:
            self._end()

    def finish(self) -> None:
        """End the turn: nothing more comes, whether or not an end was announced."""
        if not self.state.ended:
            self.state.finish()
            self._end()

    def stop(self) -> None:
        """Mark the turn as stopped; the text so far stays."""
        self.state.stop()
        self._end()

    def fail(self, reason: str) -> None:
        """Show what broke the turn; the text so far stays."""
        self.state.fail(reason)
        self._end()

    def offer(self, words: str) -> None:
        """Show under an answer that is not whole what can be done about it; no words hide the line."""
        if words == self._offered:
            return
        self._offered = words
        offers = self.query_one(".offers", Static)
        show_line(offers, ((words, QUIET),))
        offers.display = bool(words)

    def _end(self) -> None:
        self._show_head()
        self.query_one(".foot", Static).update(content(self.state.foot))
        self.add_class("-ended")
        self._draw_tools()
        for answer in self._answers():
            answer.close()

    def _answers(self) -> list[AnswerView]:
        return [step for step in self._steps if isinstance(step, AnswerView)]

    def _draw_tools(self) -> None:
        for step in self._steps:
            if isinstance(step, ToolLine):
                step.draw()

    def _grow(self) -> None:
        """Draw the text that grows, in a widget of its own after each tool."""
        document = self.state.document()
        last = self._steps[-1] if self._steps else None
        if isinstance(last, AnswerView) and last.document is document:
            last.grow()
        else:
            self._add_steps()

    def _add_steps(self) -> None:
        """Mount a widget for each new step; text above a tool call is finished."""
        for step in self.state.steps[len(self._steps) :]:
            if isinstance(step, ToolStep):
                for answer in self._answers():
                    answer.close()
            widget = self._widget_of(step)
            self._steps.append(widget)
            self.mount(widget, before=self.query_one(".foot"))

    def _widget_of(self, step: MarkdownDocument | ToolStep) -> AnswerView | ToolLine:
        return AnswerView(step) if isinstance(step, MarkdownDocument) else ToolLine(step)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.set_timer(THINKING_FLUSH, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._show_head()
        self._show_thoughts()

    def _question(self) -> str:
        text = safe(self.state.question)
        left = len(text) - SHOWN_QUESTION
        shown = f"{text[:SHOWN_QUESTION]}\n… {left:,} more characters" if left > 0 else text
        count = self.state.images
        return f"{shown}  ▣ {count} image{'' if count == 1 else 's'}".strip() if count else shown

    def _head(self) -> Line:
        state = self.state
        parts: list[tuple[str, str]] = [(one_line(safe(state.model)), f"bold {NOTICE}")]
        if state.thought_for is not None:
            verb = "thought" if state.answered or state.ended else "thinking"
            fold = "▾" if self.unfolded else "▸"
            parts.append((f"  {fold} {verb} {state.thought_for:.1f} s", QUIET))
        elif not (state.answered or state.ended):
            parts.append((f"  {self._status} …", QUIET))
        return tuple(parts)

    def _show_head(self) -> None:
        # Always one line high, so no new layout is needed.
        self.query_one(".who", Static).update(content(self._head()), layout=False)

    def _show_remarks(self) -> None:
        words = remarks(self.state)
        widget = self.query_one(".hops", Static)
        if words and str(widget.content) != words:
            widget.update(content(((words, WARNING),)))
        widget.display = bool(words)

    def _show_thoughts(self) -> None:
        thoughts = self.query_one(".thoughts", Static)
        shown = self.unfolded and self.state.thought
        if shown:
            text = self.state.thinking
            left = len(text) - SHOWN_THOUGHTS
            before = f"… {left:,} earlier characters\n" if left > 0 else ""
            thoughts.update(content(((before + safe(text[-SHOWN_THOUGHTS:]), QUIET),)))
        thoughts.display = shown

    def watch_unfolded(self) -> None:
        """Show or hide the thoughts."""
        if self.is_mounted:
            self._show_head()
            self._show_thoughts()

    def on_click(self, event: events.Click) -> None:
        """Unfold or fold the thoughts on a click on the head; one on the text is for selecting."""
        widget: Widget | None = event.widget
        if self.state.thought and widget is not None and widget.has_class("who"):
            self.unfolded = not self.unfolded
