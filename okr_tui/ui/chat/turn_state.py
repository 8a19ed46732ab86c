"""The state of a turn: a question and everything it led to, kept whether it is drawn or not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from okr_tui.chat.conversation import (
    Answered,
    ConsentRequested,
    Conversation,
    Noted,
    RoundEvent,
    ToolRan,
    Turn,
)
from okr_tui.chat.messages import Finished, Routed, hop_lines, key_name
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.domain.faults import Hop
from okr_tui.ui.chat.markdown import MarkdownDocument, safe
from okr_tui.ui.lines import FAULT, QUIET, WARNING, Line, one_line

ToolState = Literal["running", "done", "failed", "stopped"]


@dataclass
class ToolStep:
    """A call of a tool. `summary` is a few words such as "5 results"; `seconds` it took, where known."""

    name: str
    arguments: str
    state: ToolState = "running"
    summary: str = ""
    result: str = ""
    seconds: float | None = None

    def end(self, result: str, *, failed: bool) -> None:
        """Keep the result, and a few words on it."""
        self.state = "failed" if failed else "done"
        self.result, self.summary = result, result_summary(result, failed=failed)


@dataclass
class KeyRoute:
    """How one round of an answer found its key."""

    hops: tuple[Hop, ...]
    index: int | None


@dataclass
class TurnState:
    """A question, the steps of its answer in their order, and how it ended. Moments are epoch seconds.

    `place` is the question's place in its conversation; `images` counts its pictures.
    """

    model: str
    question: str
    steps: list[MarkdownDocument | ToolStep] = field(default_factory=list)
    place: int | None = None
    images: int = 0
    routes: list[KeyRoute] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    thought_for: float | None = None
    foot: Line = ()
    incomplete: bool = False
    _thoughts: list[str] = field(default_factory=list)
    _thought_since: float | None = None
    _calling: bool = False
    _finished: Finished | None = None

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(step.text for step in self.steps if isinstance(step, MarkdownDocument))

    @property
    def answered(self) -> bool:
        """Whether any text of an answer arrived."""
        return any(isinstance(step, MarkdownDocument) for step in self.steps)

    @property
    def index(self) -> int | None:
        """The 1-based index of the key that answers."""
        return self.routes[-1].index if self.routes else None

    @property
    def thinking(self) -> str:
        """What the model thought so far."""
        self._thoughts[:] = ["".join(self._thoughts)]
        return self._thoughts[0]

    @property
    def thought(self) -> bool:
        """Whether the model thought aloud."""
        return bool(self._thoughts)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return bool(self.foot)

    def take(self, event: RoundEvent, at: float) -> None:
        """Add a part of the answer. A round that calls tools is not the last."""
        match event:
            case Delta():
                self.think(event.thinking, at)
                if event.content:
                    self.document().append(event.content)
                for call in event.tool_calls:
                    self._call(call)
            case Routed():
                self.routes.append(KeyRoute(event.hops, event.index))
                self._finished = None
            case Finished():
                self._finished = event
                self.routes[-1:] = [KeyRoute(event.hops, event.index)]
                if not self._calling:
                    self.finish()
                self._calling = False
            case ConsentRequested(call):
                if tool := self.running_tool(call.name):
                    tool.summary = "waiting for you"
            case ToolRan(call, result, seconds):
                tool = self.running_tool(call.name) or self._call(call)
                tool.seconds = seconds or None
                tool.end(result.text, failed=result.failed)
            case Noted(text):
                self.notes.append(text)

    def _call(self, call: ToolCall) -> ToolStep:
        """Add a tool call; later text goes below it."""
        self._calling = True
        for step in self.steps:
            if isinstance(step, MarkdownDocument):
                step.whole = True
        tool = ToolStep(call.name, arguments_text(call.arguments))
        self.steps.append(tool)
        return tool

    def think(self, text: str, at: float) -> None:
        """Add thoughts; their time counts until the first word of the answer."""
        if text:
            self._thoughts.append(text)
            self._thought_since = at if self._thought_since is None else self._thought_since
        if self._thought_since is not None and not self.answered:
            self.thought_for = at - self._thought_since

    def document(self) -> MarkdownDocument:
        """Return the text that grows: the last step, or a new one after a tool."""
        if not self.steps or isinstance(self.steps[-1], ToolStep):
            self.steps.append(MarkdownDocument())
        last = self.steps[-1]
        assert isinstance(last, MarkdownDocument)
        return last

    def running_tool(self, name: str) -> ToolStep | None:
        """Return the first call of that name which has no result yet."""
        tools = (step for step in self.steps if isinstance(step, ToolStep))
        return next((tool for tool in tools if tool.name == name and tool.state == "running"), None)

    def finish_as(self, end: Finished) -> None:
        """End a whole answer with its figures."""
        self._finished = end
        self.finish()

    def finish(self) -> None:
        """End the answer: it is whole, unless its length cut it off or its end never came."""
        end = self._finished
        if end is None:
            words = "stopped early" if self.steps else "no answer came"
            self.end(((words, WARNING),), incomplete=True)
            return
        hops = sum(len(route.hops) for route in self.routes)
        style = WARNING if end.lack else QUIET
        incomplete = end.done_reason == "length" or bool(end.lack)
        self.end(((foot_text(end, hops), style),), incomplete=incomplete)

    def reopen(self) -> None:
        """Reopen the answer: its last text may grow again."""
        self.foot, self.incomplete, self._thought_since, self._finished = (), False, None, None
        for step in self.steps:
            if isinstance(step, MarkdownDocument):
                step.whole = step is not self.steps[-1]

    def end(self, foot: Line, *, incomplete: bool = False) -> None:
        """End the answer; `foot` says how it ended."""
        self.foot, self.incomplete = foot, incomplete
        for step in self.steps:
            if isinstance(step, MarkdownDocument):
                step.whole = True
            elif step.state == "running":
                step.state = "stopped"

    def stop(self) -> None:
        """End the answer as stopped by the user; the text so far stays."""
        self.end((("stopped", WARNING),), incomplete=True)

    def fail(self, reason: str) -> None:
        """End the answer with the error that broke it; the text so far stays."""
        cut = "cut off: " if self.answered else ""
        self.end(((f"✖ {cut}{one_line(safe(reason))}", FAULT),), incomplete=True)


def remarks(state: TurnState) -> str:
    """Return every fail-over and note of the answer, one per line."""
    lines = [line for route in state.routes for line in hop_lines(route.hops, route.index)]
    return "\n".join(one_line(safe(each)) for each in (*lines, *state.notes))


def foot_text(finished: Finished, hops: int) -> str:
    """Return pace, time to the first token and to the last, key and fail-overs of an answer."""
    pace = finished.tokens_per_second
    parts = [
        f"{pace:.0f} tok/s" if pace else "",
        f"first {finished.first_token_ms / 1000:.1f} s" if finished.first_token_ms is not None else "",
        f"{finished.duration_ms / 1000:.1f} s" if finished.duration_ms else "",
        f"via {key_name(finished.index)}" if finished.index else "",
        f"{hops} hop{'' if hops == 1 else 's'}" if hops else "",
        finished.lack or _ending(finished.done_reason),
    ]
    return " · ".join(part for part in parts if part) or "done"


def _ending(reason: str) -> str:
    if reason == "stop":
        return ""
    return "cut off at the length limit" if reason == "length" else one_line(safe(reason))


SUMMARY_WORDS = 60


def turn_states(conversation: Conversation) -> list[TurnState]:
    """Return a turn for every question of a conversation."""
    found: list[TurnState] = []
    for turn in conversation.turns:
        message = turn.message
        if message.role == "user" or not found:
            question = message.content if message.role == "user" else ""
            found.append(
                TurnState(conversation.model or "", question, place=turn.place, images=len(message.images))
            )
        if message.role == "assistant":
            _answer(found[-1], turn)
        elif message.role == "tool":
            _result(found[-1], turn)
    for state in found:
        if not state.ended:
            state.finish()
    return found


def reopened(conversation: Conversation) -> TurnState:
    """Return the last turn, reopened. Raises IndexError without a question."""
    state = turn_states(conversation)[-1]
    state.reopen()
    return state


def arguments_text(arguments: Mapping[str, object]) -> str:
    """Return a call's arguments on one line: a single text in quotes, others as JSON."""
    values = list(arguments.values())
    single = values[0] if len(values) == 1 and isinstance(values[0], str) else arguments
    return json.dumps(single if isinstance(single, str) else dict(arguments), ensure_ascii=False)


def result_summary(text: str, *, failed: bool) -> str:
    """Return a few words on a tool's result."""
    if failed:
        return one_line(text[: 4 * SUMMARY_WORDS])[:SUMMARY_WORDS]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    results = document.get("results") if isinstance(document, dict) else None
    if isinstance(results, list):
        return f"{len(results)} result{'' if len(results) == 1 else 's'}"
    return f"{len(text):,} characters"


def _answer(state: TurnState, turn: Turn) -> None:
    message, answered = turn.message, turn.answered or Answered("")
    state.model = answered.model or state.model
    state.think(message.thinking, turn.at)
    if answered.thinking_ms is not None:
        state.thought_for = (state.thought_for or 0.0) + answered.thinking_ms / 1000
    if turn.answered:
        state.routes.append(KeyRoute(answered.hops, answered.index))
    if message.content:
        state.document().append(message.content)
    state.steps += [ToolStep(call.name, arguments_text(call.arguments)) for call in message.tool_calls]
    if message.tool_calls:
        return
    if not message.incomplete:
        state.finish_as(_finished(answered))
    elif answered.error == "stopped":
        state.stop()
    elif answered.error:
        state.fail(answered.error)


def _result(state: TurnState, turn: Turn) -> None:
    message = turn.message
    tool = state.running_tool(message.tool_name or "")
    if tool is not None:
        tool.end(message.content, failed=message.failed)


def _finished(answered: Answered) -> Finished:
    return Finished(
        answered.done_reason or "stop",
        answered.input_tokens,
        answered.output_tokens,
        answered.first_token_ms,
        answered.duration_ms or 0,
        answered.hops,
        answered.fingerprint,
        answered.index,
    )
