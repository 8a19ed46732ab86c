"""Conversations and drafts in one SQLite file that several processes share."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.conversation import Conversation, Found, Turn
from okr_tui.domain.draft import Draft
from okr_tui.domain.errors import ChatError
from okr_tui.domain.export import turn_adapter
from okr_tui.store.conversation_file import ConversationFile
from okr_tui.store.conversation_queries import (
    draft_adapter,
    excerpt,
    found_conversation,
    options_adapter,
    queries,
    select,
    wanted_words,
)

KEEP_DELETED: Final = 30 * 86400.0
"""Seconds for which a deleted conversation can be brought back."""


class ConversationStore(ConversationFile):
    """The conversations of one user, and what was typed for them and not sent."""

    async def keep(self, conversation: Conversation) -> None:
        """Keep a conversation with its turns, in place of what was there of it; all or nothing."""
        async with self._writing():
            for table, column in (("turn", "conversation"), ("conversation", "id")):
                query = f"delete from {table} where {column} = ?"  # noqa: S608 fixed names
                await self._database.execute(query, (conversation.id,))
            await self._insert(conversation)

    async def change(self, conversation: Conversation) -> None:
        """Keep title, model, options and time of a conversation; its turns stay as they are."""
        query = "update conversation set title = ?, model = ?, options = ?, updated = ? where id = ?"
        values = (
            _text(conversation.title),
            conversation.model,
            _dump(options_adapter(), conversation.options),
            conversation.updated,
            conversation.id,
        )
        async with self._writing():
            await self._database.execute(query, values)

    async def put(self, identifier: str, turn: Turn) -> None:
        """Keep a turn at its place, in place of what was there, and the time of its conversation."""
        async with self._writing():
            await self._put(identifier, [turn])
            query = "update conversation set updated = max(updated, ?) where id = ?"
            await self._database.execute(query, (turn.at, identifier))

    async def cut(self, identifier: str, place: int) -> None:
        """Drop the turn at a place and all after it."""
        async with self._writing():
            query = "delete from turn where conversation = ? and place >= ?"
            await self._database.execute(query, (identifier, place))

    async def get(self, identifier: str) -> Conversation:
        """A conversation with its turns; raises ChatError when there is none, or it was deleted.

        A turn of a later version of the program, which this one cannot read, is passed over.
        """
        rows = await self._rows(select("where c.id = ? and c.deleted is null"), (identifier,))
        if not rows:
            raise ChatError(f"there is no conversation {identifier[:40]!r}")
        query = "select body from turn where conversation = ? order by place"
        turns = []
        for (body,) in await self._rows(query, (identifier,)):
            with contextlib.suppress(ValidationError, ValueError):
                turns.append(turn_adapter().validate_python(json.loads(body)))
        return replace(found_conversation(rows[0]).conversation, turns=tuple(turns))

    async def recent(self, limit: int, offset: int) -> tuple[Found, ...]:
        """A page of conversations, the one used last first."""
        query = select("where c.deleted is null order by c.updated desc, c.id limit ? offset ?")
        return tuple(found_conversation(row) for row in await self._rows(query, (limit, offset)))

    async def starting(self, start: str) -> tuple[str, ...]:
        """Identifiers that begin so, at most two."""
        query = "select id from conversation where substr(id, 1, ?) = ? and deleted is null limit 2"
        return tuple(row[0] for row in await self._rows(query, (len(start), start)))

    async def search(self, words: str, limit: int) -> tuple[Found, ...]:
        """Conversations with every word in one turn or in the title, the one used last first."""
        wanted = wanted_words(words)
        if not wanted:
            return await self.recent(limit, 0)
        for query, values in queries(wanted, indexed=self._indexed):
            if rows := await self._rows(query, (*values, limit)):
                found = (found_conversation(row) for row in rows)
                return tuple(replace(hit, excerpt=excerpt(hit.excerpt, wanted[0])) for hit in found)
        return ()

    async def delete(self, identifier: str, now: float) -> None:
        """Take a conversation away; `restore` brings it back for KEEP_DELETED seconds."""
        await self._mark(identifier, now)

    async def restore(self, identifier: str) -> None:
        """Bring a deleted conversation back; raises ChatError when it is gone for good."""
        await self._mark(identifier, None)

    async def keep_draft(self, identifier: str, draft: Draft, now: float) -> None:
        """Keep what was typed for a conversation, stored or not, in place of what was; an empty one goes."""
        async with self._writing():
            await self._database.execute("delete from draft where conversation = ?", (identifier,))
            if draft:
                row = (identifier, now, _dump(draft_adapter(), draft))
                await self._database.execute("insert into draft values (?, ?, ?)", row)

    async def draft(self, identifier: str) -> Draft:
        """What was typed for a conversation; an empty draft when there is none that this version can read."""
        query = "select body from draft where conversation = ?"
        for (body,) in await self._rows(query, (identifier,)):
            with contextlib.suppress(ValidationError, ValueError):
                return draft_adapter().validate_python(json.loads(body))
        return Draft()

    async def homeless_drafts(self) -> tuple[str, ...]:
        """The identifiers of drafts whose conversation was never stored, the newest first."""
        query = """select conversation from draft where conversation not in (select id from conversation)
            order by at desc, conversation"""
        return tuple(row[0] for row in await self._rows(query, ()))

    async def clear_out(self, now: float) -> None:
        """Remove what was deleted KEEP_DELETED seconds ago, with its turns and its draft."""
        async with self._writing():
            for table in ("turn", "draft"):
                gone = "select id from conversation where deleted < ?"
                query = f"delete from {table} where conversation in ({gone})"  # noqa: S608 fixed names
                await self._database.execute(query, (now - KEEP_DELETED,))
            query = "delete from conversation where deleted < ?"
            await self._database.execute(query, (now - KEEP_DELETED,))

    async def _mark(self, identifier: str, deleted: float | None) -> None:
        async with self._writing():
            query = "update conversation set deleted = ? where id = ?"
            cursor = await self._database.execute(query, (deleted, identifier))
        if not cursor.rowcount:
            raise ChatError(f"there is no conversation {identifier[:40]!r}")

    async def _insert(self, conversation: Conversation) -> None:
        query = "insert into conversation values (?, ?, ?, ?, ?, ?, ?, ?, null)"
        values = (
            conversation.id,
            _text(conversation.title),
            conversation.model,
            _dump(options_adapter(), conversation.options),
            conversation.created,
            conversation.updated,
            conversation.branched_from,
            conversation.branched_at,
        )
        await self._database.execute(query, values)
        await self._put(conversation.id, conversation.turns)

    async def _put(self, identifier: str, turns: Iterable[Turn]) -> None:
        query = """insert into turn (conversation, place, at, text, body) values (?, ?, ?, ?, ?)
            on conflict (conversation, place) do update
            set at = excluded.at, text = excluded.text, body = excluded.body"""
        rows = [
            (identifier, turn.place, turn.at, _text(turn.message.content), _dump(turn_adapter(), turn))
            for turn in turns
        ]
        await self._database.executemany(query, rows)


def _dump(adapter: TypeAdapter[Any], value: object) -> str:
    # ASCII, since a model may send halves of characters, which no database takes.
    return json.dumps(adapter.dump_python(value, mode="json"))


def _text(text: str) -> str:
    # No search looks behind a NUL.
    return text.encode(errors="replace").decode().replace("\0", " ")
