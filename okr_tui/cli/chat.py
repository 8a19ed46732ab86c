"""`okr-tui chat`: one answer, streamed."""

import asyncio
import os
import stat
import sys
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.chat_output import Answer, JsonAnswer, PlainAnswer
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note
from okr_tui.cli.verb import json_option, run
from okr_tui.domain.chat import Message
from okr_tui.domain.chat_options import THINK_LEVELS, ChatOptions, think_refusal
from okr_tui.domain.errors import ChatError, OkrError
from okr_tui.domain.models import bare_name

if TYPE_CHECKING:
    from okr_tui.services.keyring import Keyring
    from okr_tui.services.rounds import Ask

CONVERSATION = "cli"


@click.command()
@click.argument("model")
@click.argument("prompt", metavar="[PROMPT | -]", required=False)
@click.option("--system", metavar="TEXT", default="", help="What the model is told before the prompt.")
@click.option("--think", type=click.Choice(list(THINK_LEVELS)), help="How much the model thinks first.")
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="temperature, top_p, num_predict or seed; may be given several times.",
)
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A picture to go with the prompt; may be given several times.",
)
@click.option("--tools/--no-tools", help="Let the model search and read the web, unasked  [default: no]")
@json_option
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
    """Ask MODEL. What is piped in is the prompt, or follows the one that is given.

    The answer goes to standard output as it comes, all else to standard error. Within a loop that reads
    lines, give this command an input of its own: </dev/null.
    """
    from okr_tui.services.images import check_sight, read_image
    from okr_tui.services.rounds import Consent, rounds
    from okr_tui.services.tools import BUILT_IN_ONLY, ToolBox

    options = _options(settings)
    text = _prompt(prompt)
    try:
        pictures = tuple(map(read_image, images))
    except ChatError as error:
        raise click.UsageError(str(error)) from error
    messages = [Message("system", system)] if system else []
    messages.append(Message("user", text, images=pictures))
    answer: Answer = JsonAnswer(bare_name(model)) if as_json else PlainAnswer(bare_name(model))

    async def work(keyring: "Keyring") -> None:
        known = next((each for each in keyring.inventory.models if each.id == bare_name(model)), None)
        check_sight(known, len(pictures))
        box = ToolBox(BUILT_IN_ONLY, partial(keyring.post, conversation=CONVERSATION)) if tools else None
        refusal = think_refusal(known, think)
        if refusal:
            note(refusal)
        ask = _asking(keyring, model, None if refusal else think, options)
        try:
            async with aclosing(rounds(ask, messages, box, Consent(asks=False), keyring.clock)) as events:
                async for event in events:
                    answer.take(event)
        except asyncio.CancelledError:
            answer.close("interrupted")
            raise
        except OkrError as error:
            answer.close(str(error))
            raise
        answer.close()

    run(invocation, work)


def _asking(keyring: "Keyring", model: str, think: str | None, options: ChatOptions) -> "Ask":
    return lambda messages, tools: keyring.chat(
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
            raise click.UsageError(f"--{name} is an option of its own")
        try:
            options = options.changed(name, value)
        except ChatError as error:
            raise click.UsageError(str(error)) from error
    return options


def _prompt(prompt: str | None) -> str:
    """The prompt: the argument, and behind it what is piped in; `-` stands for the latter alone."""
    given = "" if prompt is None or prompt == "-" else prompt
    piped = "" if prompt is None and sys.stdin.isatty() else _piped(wanted=not given)
    text = f"{given}\n\n{piped}" if given.strip() and piped.strip() else given or piped
    if not text.strip():
        raise click.UsageError("a prompt is needed: as an argument or on standard input")
    return text


def _piped(*, wanted: bool) -> str:
    """What is on standard input; unless that is wanted, only of a pipe or a file: no terminal, no device."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except OSError:
        mode = stat.S_IFIFO
    if not wanted and not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    return sys.stdin.buffer.read().decode(errors="replace")
