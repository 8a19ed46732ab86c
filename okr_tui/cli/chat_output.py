"""How `okr-tui chat` shows an answer: for people, or a line of JSON a piece."""

import sys
from dataclasses import dataclass, field

import click

from okr_tui.cli.documents import Document, hop_document
from okr_tui.cli.text import note, safe, show_record
from okr_tui.domain.chat import Delta, Finished, Routed, ToolCall
from okr_tui.services.chat_events import Noted, RoundEvent, ToolRan


@dataclass
class Answer:
    """What has come of an answer so far."""

    model: str
    content: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    routed: Routed | None = None
    finished: Finished | None = None

    def take(self, event: RoundEvent) -> None:
        """Keep one more event and show it."""
        match event:
            case Routed():
                self.routed = event
            case Delta():
                self.content.append(event.content)
                self.thinking.append(event.thinking)
                self.tool_calls += event.tool_calls
            case Finished():
                self.finished = event

    def close(self, error: str | None = None) -> None:
        """Show the end; `error` says what cut the answer off."""


class JsonAnswer(Answer):
    """One line a piece, and a summary as the last line, also of an answer that was cut off."""

    def take(self, event: RoundEvent) -> None:
        """See Answer."""
        super().take(event)
        if isinstance(event, Delta):
            piece = {
                "content": event.content,
                "thinking": event.thinking,
                "tool_calls": [_call_document(call) for call in event.tool_calls],
            }
            show_record({"done": False, "model": self.model, **piece})
        elif isinstance(event, ToolRan):
            tool = {"name": event.call.name, "failed": event.result.failed, "seconds": event.seconds}
            show_record({"done": False, "model": self.model, "tool": tool})

    def close(self, error: str | None = None) -> None:
        """See Answer."""
        end = self.finished
        summary: Document = {
            "done": end is not None,
            "model": self.model,
            "content": "".join(self.content),
            "thinking": "".join(self.thinking),
            "tool_calls": [_call_document(call) for call in self.tool_calls],
            "done_reason": end.done_reason if end else None,
            "key": self.routed.index if self.routed else None,
            "hops": [hop_document(hop) for hop in (self.routed.hops if self.routed else ())],
            "input_tokens": end.input_tokens if end else None,
            "output_tokens": end.output_tokens if end else None,
            "first_token_ms": end.first_token_ms if end else None,
            "duration_ms": end.duration_ms if end else None,
        }
        show_record(summary if error is None else {**summary, "error": error})


class PlainAnswer(Answer):
    """The answer for people: content on standard output, thinking and the way it took beside it."""

    def take(self, event: RoundEvent) -> None:
        """See Answer."""
        if isinstance(event, Routed):
            for hop in event.hops:
                status = f"{hop.fault.status} " if hop.fault.status else ""
                note(f"#{hop.index or '?'} {status}{hop.fault.text}")
        elif isinstance(event, Delta):
            self._write(event)
        elif isinstance(event, Noted):
            note(event.text)
        elif isinstance(event, ToolRan):
            note(f"{event.call.name} {'failed' if event.result.failed else 'answered'}")
        super().take(event)

    def _write(self, delta: Delta) -> None:
        if delta.thinking:
            click.echo(safe(delta.thinking), nl=False, err=True)
        if delta.content:
            if not any(self.content):
                _end_line(self.thinking, err=True)
            # A file gets what the model said; a terminal must not be told to do things.
            text = safe(delta.content) if sys.stdout.isatty() else delta.content
            click.echo(text, nl=False)
        for call in delta.tool_calls:
            note(f"the model asks for {call.name}")

    def close(self, error: str | None = None) -> None:
        """See Answer."""
        if not any(self.content):
            _end_line(self.thinking, err=True)
        _end_line(self.content)
        if self.finished:
            note(_figures(self.model, self.finished))
        elif error == "interrupted":
            note("interrupted")


def _end_line(pieces: list[str], *, err: bool = False) -> None:
    text = "".join(pieces[-2:])
    if any(pieces) and not text.endswith("\n"):
        click.echo(err=err)


def _figures(model: str, end: Finished) -> str:
    parts = [f"{model} via #{end.index or '?'}"]
    if end.input_tokens is not None and end.output_tokens is not None:
        parts.append(f"{end.input_tokens} + {end.output_tokens} tokens")
    if end.tokens_per_second:
        parts.append(f"{end.tokens_per_second:.0f} tok/s")
    if end.first_token_ms is not None:
        parts.append(f"first after {end.first_token_ms / 1000:.1f} s")
    return " · ".join([*parts, f"{end.duration_ms / 1000:.1f} s"])


def _call_document(call: ToolCall) -> Document:
    return {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}
