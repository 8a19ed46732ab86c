"""`okr-tui chat`: one answer, streamed."""

import asyncio
import os
import stat
import sys
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.chat.conversation import Noted, RoundEvent, ToolRan
from okr_tui.chat.messages import Finished, Message, Routed, hop_lines, key_name
from okr_tui.chat.options import THINK_LEVELS, ChatOptions, think_refusal
from okr_tui.cli.completion import complete_models
from okr_tui.cli.documents import Document, hop_document
from okr_tui.cli.invocation import Invocation, json_lines_option, run
from okr_tui.cli.output import note, show_piece, show_record
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.domain.errors import ChatError, OkrError
from okr_tui.domain.models import bare_name

if TYPE_CHECKING:
    from okr_tui.chat.answer import PoolClient
    from okr_tui.chat.tools import Ask
    from okr_tui.services.pool_service import PoolService


@dataclass
class StreamedAnswer:
    """An answer as far as it has arrived."""

    model: str
    content: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    routed: Routed | None = None
    finished: Finished | None = None

    def take(self, event: RoundEvent) -> None:
        """Keep one more event."""
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
        """End the answer; `error` is what cut it off."""


class JsonAnswer(StreamedAnswer):
    """The answer as lines of JSON: one per event and a summary at the end, even if it was cut off."""

    def take(self, event: RoundEvent) -> None:
        """Print one more event as a line of JSON."""
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
        """Print the summary."""
        end = self.finished
        summary: Document = {
            "done": end is not None,
            "model": self.model,
            "content": "".join(self.content),
            "thinking": "".join(self.thinking),
            "tool_calls": [_call_document(call) for call in self.tool_calls],
            "done_reason": end.done_reason if end else None,
            "key": self.routed.index if self.routed else None,
            **({"answered_by": self.routed.answered_by} if self.routed and self.routed.answered_by else {}),
            "hops": [hop_document(hop) for hop in (self.routed.hops if self.routed else ())],
            "input_tokens": end.input_tokens if end else None,
            "output_tokens": end.output_tokens if end else None,
            "first_token_ms": end.first_token_ms if end else None,
            "duration_ms": end.duration_ms if end else None,
            **({"lack": end.lack} if end and end.lack else {}),
        }
        show_record(summary if error is None else {**summary, "error": error})


class PlainAnswer(StreamedAnswer):
    """The answer as text: content on standard output, thinking and key changes on standard error."""

    def take(self, event: RoundEvent) -> None:
        """Print one more event as text."""
        if isinstance(event, Routed):
            for line in hop_lines(event.hops, event.index):
                note(line)
        elif isinstance(event, Delta):
            self._write(event)
        elif isinstance(event, Noted):
            note(event.text)
        elif isinstance(event, ToolRan):
            note(f"{event.call.name} {'failed' if event.result.failed else 'answered'}")
        super().take(event)

    def _write(self, delta: Delta) -> None:
        if delta.thinking:
            show_piece(delta.thinking, err=True)
        if delta.content:
            if not any(self.content):
                _end_line(self.thinking, err=True)
            show_piece(delta.content)
        for call in delta.tool_calls:
            note(f"the model asks for {call.name}")

    def close(self, error: str | None = None) -> None:
        """End the line and print the figures of the answer."""
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
    parts = [f"{model} via {key_name(end.index)}"]
    if end.input_tokens is not None and end.output_tokens is not None:
        parts.append(f"{end.input_tokens} + {end.output_tokens} tokens")
    if end.tokens_per_second:
        parts.append(f"{end.tokens_per_second:.0f} tok/s")
    if end.first_token_ms is not None:
        parts.append(f"first after {end.first_token_ms / 1000:.1f} s")
    return " · ".join([*parts, f"{end.duration_ms / 1000:.1f} s"])


def _call_document(call: ToolCall) -> Document:
    return {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}


CONVERSATION = "cli"
PIPED_LONGEST = 16 * 1024 * 1024
"""Bytes of standard input, far more than any model has room for."""


@click.command()
@click.argument("model", shell_complete=complete_models)
@click.argument("prompt", metavar="[PROMPT | -]", required=False)
@click.option("--system", metavar="TEXT", default="", help="A system message before the prompt.")
@click.option(
    "--think",
    metavar="LEVEL",
    help=f"How much the model thinks first: a level that `info` lists, or {', '.join(THINK_LEVELS)}.",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="temperature, top_p, num_predict or seed; may be repeated.",
)
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A picture for the prompt; may be repeated.",
)
@click.option("--tools/--no-tools", help="Let the model use the web without asking  [default: no]")
@json_lines_option
@click.pass_obj
def chat(
    invocation: Invocation,
    model: str,
    prompt: str | None,
    system: str,
    think: str | None,
    settings: tuple[str, ...],
    images: tuple[Path, ...],
    *,
    tools: bool,
    as_json: bool,
) -> None:
    """Ask a model and stream its answer.

    The exit code is 1 when the answer is incomplete, for example cut off at the length limit.

    Piped text is the prompt, or follows the given one. The answer goes to standard output as it arrives,
    everything else to standard error. In a shell loop that reads lines, add </dev/null.
    """
    from okr_tui.chat.answer import PoolClient
    from okr_tui.chat.messages import check_sight, read_image
    from okr_tui.chat.tools import BUILT_IN_ONLY, Consent, Toolbox, run_tool_loop

    options = _options(settings)
    text = _prompt(prompt)
    try:
        think = ChatOptions().changed("think", think or "").think
        pictures = tuple(map(read_image, images))
    except ChatError as error:
        raise click.UsageError(str(error)) from error
    messages = [Message("system", system)] if system else []
    messages.append(Message("user", text, images=pictures))
    answer: StreamedAnswer = JsonAnswer(bare_name(model)) if as_json else PlainAnswer(bare_name(model))

    async def work(service: "PoolService") -> None:
        client = PoolClient(service)
        name = service.model_names.resolve(model)
        known = next((each for each in service.catalog.models if each.id == name), None)
        check_sight(known, len(pictures))
        box = Toolbox(BUILT_IN_ONLY, partial(client.post, conversation=CONVERSATION)) if tools else None
        refusal = think_refusal(known, think)
        if refusal:
            note(refusal)
        ask = _asking(client, model, None if refusal else think, options)
        try:
            async with aclosing(
                run_tool_loop(ask, messages, box, Consent(asks=False), service.clock)
            ) as events:
                async for event in events:
                    answer.take(event)
        except asyncio.CancelledError:
            answer.close("interrupted")
            raise
        except OkrError as error:
            answer.close(str(error))
            raise
        answer.close()
        if answer.finished and answer.finished.lack:
            raise ChatError(answer.finished.lack)

    run(invocation, work)


def _asking(client: "PoolClient", model: str, think: str | None, options: ChatOptions) -> "Ask":
    return lambda messages, tools: client.chat(
        model,
        messages,
        conversation=CONVERSATION,
        think=think,
        sampling=options.sampling(),
        tools=tools,
    )


def _options(settings: tuple[str, ...]) -> ChatOptions:
    options = ChatOptions()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes NAME=VALUE, not {setting[:40]!r}")
        if name in ("system", "think", "tools"):
            raise click.UsageError(f"--set does not take {name}: use --{name}")
        try:
            options = options.changed(name, value)
        except ChatError as error:
            raise click.UsageError(str(error)) from error
    return options


def _prompt(prompt: str | None) -> str:
    """Return the prompt: the argument followed by piped text, or with `-` the piped text alone."""
    given = "" if prompt is None or prompt == "-" else prompt
    piped = "" if prompt is None and sys.stdin.isatty() else _piped(wanted=not given)
    text = f"{given}\n\n{piped}" if given.strip() and piped.strip() else given or piped
    if not text.strip():
        raise click.UsageError("give a prompt, as an argument or on standard input")
    return text


def _piped(*, wanted: bool) -> str:
    """Read standard input; unless `wanted`, only a pipe or a file, never a terminal or a device."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except OSError:
        mode = stat.S_IFIFO
    if not wanted and not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    piped = sys.stdin.buffer.read(PIPED_LONGEST + 1)
    if len(piped) > PIPED_LONGEST:
        raise click.UsageError(f"standard input is longer than {PIPED_LONGEST // 1024 // 1024} MB; send less")
    return piped.decode(errors="replace")
