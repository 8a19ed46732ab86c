"""Conversations in one SQLite file that several processes share."""

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite
from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.conversation import Conversation, Found, Turn
from okr_tui.domain.errors import ChatError, StoreError
from okr_tui.domain.export import turn_adapter
from okr_tui.store.conversation_queries import (
    excerpt,
    found_conversation,
    options_adapter,
    queries,
    select,
    wanted_words,
)
from okr_tui.store.conversation_schema import BUSY_SECONDS, prepare

KEEP_DELETED: Final = 30 * 86400.0
"""Seconds for which a deleted conversation can be brought back."""


class ConversationStore:
    """The conversations of one user. Every failure of the file is a StoreError of one line.

    A write is on the disk's way when it returns: a process that is killed loses nothing it was told of.
    """

    def __init__(self, name: str, database: aiosqlite.Connection, *, indexed: bool) -> None:
        self.name = name
        self._database = database
        self._indexed = indexed
        self._turns = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, now: float, *, indexed: bool = True) -> Self:
        """Open or begin the file, made for its user alone; what was deleted long ago goes for good."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            store = await cls._prepared(str(path), str(path), indexed=indexed)
        except (OSError, sqlite3.Error, StoreError) as error:
            raise StoreError(f"conversations in {path} cannot be used: {_reason(error)}") from error
        try:
            await store._purge(now - KEEP_DELETED)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def in_memory(cls, copied: Path | None = None) -> Self:
        """A store that ends with the process, with all of `copied` that can still be read."""
        if copied is not None:
            for option in ("mode=ro", "immutable=1"):
                with contextlib.suppress(sqlite3.Error, OSError, StoreError):
                    return await cls._prepared("memory", ":memory:", source=_address(copied, option))
        return await cls._prepared("memory", ":memory:")

    @classmethod
    async def _prepared(
        cls, name: str, target: str, *, source: str | None = None, indexed: bool = True
    ) -> Self:
        database = await aiosqlite.connect(target, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            if source is not None:
                async with aiosqlite.connect(source, uri=True) as readable:
                    await readable.backup(database)
            await database.execute("pragma journal_mode = wal")
            await database.execute("pragma synchronous = normal")
            return cls(name, database, indexed=await prepare(database, indexed=indexed))
        except BaseException:
            await database.close()
            raise

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

    async def close(self) -> None:
        """Let go of the file."""
        await self._database.close()

    async def _mark(self, identifier: str, deleted: float | None) -> None:
        async with self._writing():
            query = "update conversation set deleted = ? where id = ?"
            cursor = await self._database.execute(query, (deleted, identifier))
        if not cursor.rowcount:
            raise ChatError(f"there is no conversation {identifier[:40]!r}")

    async def _purge(self, before: float) -> None:
        async with self._writing():
            query = "delete from turn where conversation in (select id from conversation where deleted < ?)"
            await self._database.execute(query, (before,))
            await self._database.execute("delete from conversation where deleted < ?", (before,))

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

    async def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._failures("read"):
            return list(await self._database.execute_fetchall(query, values))

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """A transaction; the tasks of this process take turns."""
        async with self._turns:
            with self._failures("written"):
                await self._database.execute("begin immediate")
                try:
                    yield
                    await self._database.execute("commit")
                except BaseException:
                    # Told to end while the commit was on its way, there is nothing to take back.
                    with contextlib.suppress(sqlite3.Error):
                        await self._database.execute("rollback")
                    raise

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"conversations in {self.name} cannot be {action}: {_reason(error)}") from error


def _dump(adapter: TypeAdapter[Any], value: object) -> str:
    # ASCII, since a model may send halves of characters, which no database takes.
    return json.dumps(adapter.dump_python(value, mode="json"))


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()


def _address(path: Path, option: str) -> str:
    return f"{path.absolute().as_uri()}?{option}"


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
