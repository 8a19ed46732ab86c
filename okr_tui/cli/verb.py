"""What every verb shares: `--json`, a key's number, and one piece of work on an open service."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note
from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.services.keyring import Keyring

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
# A negative number is a wrong number and not an option of another name.
NUMBERED: dict[str, Any] = {"ignore_unknown_options": True}


def key_number(text: str) -> int:
    """The place of a key in the pool, from 1, in decimal digits; anything else is a usage error."""
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise click.BadParameter(f"{text!r} is not the number of a key")
    if text.startswith("-") or int(digits) == 0:
        raise click.UsageError(f"Invalid key index: {text}; keys count from 1")
    return int(digits)


def run(
    invocation: Invocation,
    work: "Callable[[Keyring], Coroutine[None, None, T]]",
    *,
    with_problems: bool = True,
) -> T:
    """Open the service, do the work and close it.

    A fault that the work met is confirmed before the end, so that the next command knows. What is wrong in
    the settings is said first, unless the work itself tells.
    """

    async def once() -> T:
        async with invocation.keyring("cli", watching=False) as keyring:
            for problem in keyring.problems if with_problems else ():
                note(f"okr-tui: {problem}")
            longest = keyring.pool.policy.confirm_at_exit
            try:
                done = await work(keyring)
            except OkrError:
                await keyring.meter.settle(longest)
                raise
            await keyring.meter.settle(longest)
            return done

    return asyncio.run(once())
