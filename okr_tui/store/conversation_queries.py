"""How conversations are listed and found, as queries."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.chat_options import ChatOptions
from okr_tui.domain.conversation import Conversation, Found
from okr_tui.domain.draft import Draft

EXCERPT_LONGEST: Final = 120
MOST_WORDS: Final = 20
COLUMNS: Final = """c.id, c.title, c.model, c.options, c.created, c.updated, c.branched_from, c.branched_at,
    (select count(*) from turn t where t.conversation = c.id)"""


@cache
def options_adapter() -> TypeAdapter[ChatOptions]:
    """Reads and writes a conversation's options."""
    return TypeAdapter(ChatOptions)


@cache
def draft_adapter() -> TypeAdapter[Draft]:
    """Reads and writes a draft."""
    return TypeAdapter(Draft)


def select(rest: str, more: str = "''") -> str:
    """A query for conversations: its conditions are `rest`, its last column is `more`."""
    return f"select {COLUMNS}, {more} from conversation c {rest}"  # noqa: S608 fixed texts


def found_conversation(row: tuple[Any, ...]) -> Found:
    """A row of `select` as a conversation without its turns."""
    identifier, title, model, options, created, updated, branched_from, branched_at, turns, text = row
    try:
        wanted = options_adapter().validate_python(json.loads(options))
    except (ValidationError, ValueError):
        wanted = ChatOptions()
    conversation = Conversation(
        identifier, title, model, wanted, created, updated, branched_from, branched_at
    )
    return Found(conversation, turns, text)


def wanted_words(text: str) -> list[str]:
    """The words of a search, at most MOST_WORDS."""
    return re.findall(r"\w+", text)[:MOST_WORDS]


def queries(wanted: Sequence[str], *, indexed: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Queries for conversations with every word in one turn or in the title, to be tried in order.

    Each still needs a limit behind its values. The last looks at every text: parts of words, and texts
    without blanks between words, are in no index.
    """
    likes = [f"%{_escaped(word)}%" for word in wanted]
    if indexed:
        match = " ".join(f'"{word}"*' for word in wanted)
        yield (
            _query("words join turn t on t.id = words.rowid where words match ?", len(wanted)),
            (match, *likes),
        )
    every = " and ".join(["t.text like ? escape '\\'"] * len(wanted))
    yield _query(f"turn t where {every}", len(wanted)), (*likes, *likes)


def _query(turns: str, words: int) -> str:
    title = " and ".join(["c.title like ? escape '\\'"] * words)
    hits = f"select t.conversation, max(t.text) as text from {turns} group by t.conversation"  # noqa: S608 as above
    rest = f"""left join ({hits}) hit on hit.conversation = c.id
        where c.deleted is null and (hit.conversation is not null or ({title}))
        order by c.updated desc, c.id limit ?"""
    return select(rest, "coalesce(hit.text, '')")


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def excerpt(text: str, word: str) -> str:
    """A line of a text around the first place of a word."""
    line = " ".join(text.split())
    at = max(line.lower().find(word.lower()), 0)
    start = max(0, at - EXCERPT_LONGEST // 3)
    cut = line[start : start + EXCERPT_LONGEST]
    return f"{'…' if start else ''}{cut}{'…' if start + EXCERPT_LONGEST < len(line) else ''}"
