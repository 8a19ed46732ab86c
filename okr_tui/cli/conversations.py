"""`okr-tui conversations`: list, search, show, export and delete what the chat keeps."""

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import click

from okr_tui.chat.conversation import Found, write_file
from okr_tui.cli.invocation import Invocation, json_option, local_zone, run
from okr_tui.cli.output import note, show, show_document, show_text, table
from okr_tui.domain.errors import StoreError
from okr_tui.domain.words import moment, rfc3339

if TYPE_CHECKING:
    from okr_tui.chat.conversation import Form
    from okr_tui.chat.service import ConversationService
    from okr_tui.services.pool_service import PoolService

T = TypeVar("T")
ID_SHOWN = 8


@click.group()
def conversations() -> None:
    """List, search, show, export or delete saved conversations.

    ID may be the beginning of a conversation's ID.
    """


def _work(
    invocation: Invocation, work: "Callable[[ConversationService], Awaitable[T]]", *, reads: bool = False
) -> T:
    """Do some work; one that only reads goes on, with a note, where the file cannot be written."""
    from okr_tui.chat.answer import PoolClient
    from okr_tui.chat.service import ConversationService

    async def on_keyring(service: "PoolService") -> T:
        async with ConversationService.open(PoolClient(service)) as opened:
            done = await work(opened)
            if opened.notice:
                words = opened.notice.partition("; the chat")[0]
                if not (reads and done):
                    raise StoreError(words)
                note(f"okr-tui: {words}")
            return done

    return run(invocation, on_keyring, with_problems=False)


@conversations.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@click.pass_obj
def list_(invocation: Invocation, limit: int, *, as_json: bool) -> None:
    """List the conversations, most recently used first."""
    found = _work(invocation, lambda opened: opened.recent(limit), reads=True)
    _show(found, "There are no conversations yet.", as_json=as_json)


@conversations.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@click.pass_obj
def search(invocation: Invocation, words: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """List conversations with all WORDS in one turn or in the title."""
    found = _work(invocation, lambda opened: opened.search(" ".join(words), limit), reads=True)
    _show(found, "No conversation matches.", as_json=as_json)


@conversations.command("show")
@click.argument("identifier", metavar="ID")
@json_option
@click.pass_obj
def show_(invocation: Invocation, identifier: str, *, as_json: bool) -> None:
    """Show a conversation as Markdown, or everything about it as JSON."""
    if as_json:
        show_document(json.loads(_exported(invocation, identifier, "json")))
    else:
        show_text(_exported(invocation, identifier, "markdown").rstrip("\n"))


@conversations.command()
@click.argument("identifier", metavar="ID")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def export(invocation: Invocation, identifier: str, path: Path, *, as_json: bool) -> None:
    """Write a conversation to a new file, as Markdown or JSON."""
    text = _exported(invocation, identifier, "json" if as_json else "markdown")
    try:
        write_file(path, text)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
    _show_message(f"Written to {path}", as_json=as_json)


@conversations.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@json_option
@click.pass_obj
def import_(invocation: Invocation, file: TextIO, *, as_json: bool) -> None:
    """Store a conversation that was exported as JSON. FILE may be -, for standard input."""
    try:
        text = file.read()
    except ValueError as error:
        raise click.UsageError(f"{file.name} is not text") from error

    async def work(opened: "ConversationService") -> str:
        conversation = await opened.import_json(text)
        return f"Imported {conversation.title} as {conversation.id[:ID_SHOWN]}"

    _show_message(_work(invocation, work), as_json=as_json)


@conversations.command()
@click.argument("identifier", metavar="ID")
@json_option
@click.pass_obj
def delete(invocation: Invocation, identifier: str, *, as_json: bool) -> None:
    """Delete a conversation."""

    async def work(opened: "ConversationService") -> str:
        return await opened.delete(await opened.named(identifier))

    _show_message(_work(invocation, work), as_json=as_json)


def _show_message(message: str, *, as_json: bool) -> None:
    if as_json:
        show_document({"message": message})
    else:
        note(message)


def _exported(invocation: Invocation, identifier: str, form: "Form") -> str:
    async def work(opened: "ConversationService") -> str:
        return await opened.export(await opened.named(identifier), form)

    return _work(invocation, work, reads=True)


def _show(found: tuple[Found, ...], otherwise: str, *, as_json: bool) -> None:
    if as_json:
        show_document({"conversations": [_document(item) for item in found]})
        return
    now, zone = time.time(), local_zone()
    rows = [
        (
            item.conversation.id[:ID_SHOWN],
            moment(item.conversation.updated, now, zone),
            item.conversation.model or "-",
            f"{item.turns} turn{'' if item.turns == 1 else 's'}",
            item.conversation.title,
        )
        for item in found
    ]
    for line in table(rows) if rows else [otherwise]:
        show(line)


def _document(item: Found) -> dict[str, object]:
    conversation = item.conversation
    return {
        "id": conversation.id,
        "title": conversation.title,
        "model": conversation.model,
        "turns": item.turns,
        "created": rfc3339(conversation.created),
        "updated": rfc3339(conversation.updated),
        "branched_from": conversation.branched_from,
        "excerpt": item.excerpt,
    }
