"""One turn of a conversation: the question, what happened on the way, the answer as it comes."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import var
from textual.timer import Timer
from textual.widgets import Markdown, Static

from okr_tui.domain.chat import ChatEvent, Delta, Finished, Hop, Message, Routed
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import WINDOW_WORDS
from okr_tui.ui.lines import FAULT, NOTICE, QUIET, STRONG, WARNING, Line, content, one_line

FLUSH = 0.08
FENCED_FLUSHES = 3
"""An open code block is highlighted whole on every write, so it is written to this many times less often."""


def hop_text(hop: Hop, following: int | None) -> str:
    """A fail-over on one line: "#3 5h spent → #1"."""
    fault = hop.fault
    if fault.kind is FaultKind.SPENT:
        reason = f"{WINDOW_WORDS.get(fault.window or '', 'quota')} spent"
    else:
        reason = f"{fault.status or ''} {fault.text or fault.kind.value}".strip()
    return one_line(f"{_name(hop.index)} {reason} → {_name(following)}")


def foot_text(finished: Finished) -> str:
    """Pace, first word, key and fail-overs of an answer."""
    pace = finished.tokens_per_second
    hops = len(finished.hops)
    parts = [
        f"{pace:.0f} tok/s" if pace else "",
        f"{finished.first_token_ms / 1000:.1f} s" if finished.first_token_ms is not None else "",
        f"via {_name(finished.index)}" if finished.index else "",
        f"{hops} hop{'' if hops == 1 else 's'}" if hops else "",
        "" if finished.done_reason == "stop" else finished.done_reason,
    ]
    return " · ".join(part for part in parts if part)


def _name(index: int | None) -> str:
    return f"#{index}" if index else "a removed key"


class Turn(Vertical):
    """A question and its answer. Text is gathered at once and drawn at a pace the terminal can follow."""

    unfolded: var[bool] = var(False)

    def __init__(self, model: str, question: str, at: float) -> None:
        super().__init__(classes="turn")
        self.model = model
        self.question = question
        self.text = ""
        self.thinking = ""
        self._asked_at = at
        self._thought_since: float | None = None
        self._thought_for: float | None = None
        self._waiting: list[str] = []
        self._flushes = 0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Question, thoughts, hops, answer, foot."""
        yield Static(content((("you  ", "bold $text-accent"), (self.question, STRONG))), classes="question")
        yield Static(classes="who")
        yield Static(content(()), classes="thoughts", markup=False)
        yield Static(classes="hops")
        yield Markdown(open_links=False)
        yield Static(classes="foot")

    def on_mount(self) -> None:
        """Begin to wait for the answer."""
        self._say_who("waiting")
        self._timer = self.set_interval(FLUSH, self._flush)

    def answer_message(self, *, incomplete: bool) -> Message:
        """The answer as history."""
        return Message("assistant", self.text, self.thinking, incomplete=incomplete)

    def show_event(self, event: ChatEvent, at: float) -> None:
        """Take in one part of the answer."""
        match event:
            case Routed():
                self._show_hops(event.hops, event.index)
                self._say_who(f"via {_name(event.index)}")
            case Delta():
                self._take(event, at)
            case Finished():
                self._show_hops(event.hops, event.index)
                self._end(((foot_text(event), QUIET),))

    def stop(self) -> None:
        """Keep what came and mark it as stopped."""
        self._end((("stopped", WARNING),))

    def fail(self, reason: str) -> None:
        """Keep what came and say why no more does."""
        cut = "cut off: " if self.text else ""
        self._end(((f"✖ {cut}{one_line(reason)}", FAULT),))

    def _take(self, delta: Delta, at: float) -> None:
        if delta.thinking:
            self._thought_since = at if self._thought_since is None else self._thought_since
            self.thinking += delta.thinking
            self._thought_for = at - self._thought_since
            self._say_who()
            if self.unfolded:
                self.watch_unfolded()
        if delta.content:
            first = not self.text
            self.text += delta.content
            if first:
                if self._thought_since is not None:
                    self._thought_for = at - self._thought_since
                self._say_who()
            self._waiting.append(delta.content)

    def _end(self, foot: Line) -> None:
        self._say_who()
        self.query_one(".foot", Static).update(content(foot))
        self.add_class("-ended")
        if self._timer:
            self._timer.stop()
        self.call_later(self._write)

    async def _flush(self) -> None:
        self._flushes += 1
        if self.text.count("```") % 2 == 0 or self._flushes % FENCED_FLUSHES == 0:
            await self._write()

    async def _write(self) -> None:
        if self._waiting:
            text = "".join(self._waiting)
            self._waiting.clear()
            await self.query_one(Markdown).append(text)

    def _say_who(self, state: str = "") -> None:
        parts: list[tuple[str, str]] = [(self.model, f"bold {NOTICE}")]
        if self._thought_for is not None:
            verb = "thought" if self.text else "thinking"
            parts.append((f"  {'▾' if self.unfolded else '▸'} {verb} {self._thought_for:.1f} s", QUIET))
        elif state:
            parts.append((f"  {state} …", QUIET))
        self.query_one(".who", Static).update(content(tuple(parts)))

    def _show_hops(self, hops: tuple[Hop, ...], index: int | None) -> None:
        following = [*(hop.index for hop in hops), index][1:]
        lines = [hop_text(hop, after) for hop, after in zip(hops, following, strict=True)]
        widget = self.query_one(".hops", Static)
        widget.update(content((("\n".join(lines), WARNING),)))
        widget.display = bool(lines)

    def watch_unfolded(self) -> None:
        """Show or hide the thoughts."""
        if not self.is_mounted:
            return
        thoughts = self.query_one(".thoughts", Static)
        thoughts.display = self.unfolded and bool(self.thinking)
        thoughts.update(content(((self.thinking if self.unfolded else "", QUIET),)))
        self._say_who()

    def on_click(self) -> None:
        """A click on a turn with thoughts unfolds or folds them."""
        if self.thinking:
            self.unfolded = not self.unfolded

    @on(Markdown.LinkClicked)
    def _open_link(self, event: Markdown.LinkClicked) -> None:
        if event.href.startswith(("https://", "http://")):
            self.app.open_url(event.href)
