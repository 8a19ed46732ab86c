"""Conversations and drafts in one SQLite file that several processes share."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiosqlite

from okr_tui.chat.conversation import Conversation, Draft, Found, Turn, turn_adapter
from okr_tui.chat.options import ChatOptions
from okr_tui.domain.errors import ChatError, StoreError
from okr_tui.store.file_locks import exclusive_create, make_private
from okr_tui.store.sqlite import SMALL_CACHE, open_database
from okr_tui.store.typed_json import EXACT

if TYPE_CHECKING:
    from pydantic import TypeAdapter

BUSY_SECONDS = 5.0

TABLES = (
    """create table conversation (
        id text primary key, title text not null, model text, options text not null,
        created real not null, updated real not null,
        branched_from text, branched_at integer, deleted real)""",
    "create index conversation_updated on conversation (updated desc)",
    """create table turn (
        id integer primary key autoincrement, conversation text not null, place integer not null,
        at real not null, text text not null, body text not null, unique (conversation, place))""",
)
DRAFTS = ("create table draft (conversation text primary key, at real not null, body text not null)",)
MIGRATIONS: tuple[tuple[str, ...], ...] = (TABLES, DRAFTS)
"""What leads from each version to the next; a database's `user_version` counts those it has been through."""

WORDS = (
    "create virtual table words using fts5(text, content='turn', content_rowid='id')",
    """create trigger turn_added after insert on turn begin
        insert into words (rowid, text) values (new.id, new.text); end""",
    """create trigger turn_removed after delete on turn begin
        insert into words (words, rowid, text) values ('delete', old.id, old.text); end""",
    """create trigger turn_changed after update of text on turn begin
        insert into words (words, rowid, text) values ('delete', old.id, old.text);
        insert into words (rowid, text) values (new.id, new.text); end""",
    "insert into words (words) values ('rebuild')",
)


async def prepare(database: aiosqlite.Connection, *, indexed: bool = True) -> bool:
    """Bring a database to this version, once among all processes; return whether words are indexed.

    Raises StoreError for a database of a later version, sqlite3.Error for one that cannot be changed.
    """
    if await _version(database) != len(MIGRATIONS):
        await database.execute("begin immediate")
        try:
            for migration in MIGRATIONS[_known(await _version(database)) :]:
                for statement in migration:
                    await database.execute(statement)
            await database.execute(f"pragma user_version = {len(MIGRATIONS)}")
        except BaseException:
            await database.execute("rollback")
            raise
        await database.execute("commit")
    return await _has_words(database) or (indexed and await _index_words(database))


def _known(version: int) -> int:
    if version > len(MIGRATIONS):
        raise StoreError("it was written by a later version of okr-tui: update this one")
    return version


async def _version(database: aiosqlite.Connection) -> int:
    ((version,),) = await database.execute_fetchall("pragma user_version")
    return int(version)


async def _has_words(database: aiosqlite.Connection) -> bool:
    query = "select 1 from sqlite_master where name = 'words'"
    return bool(list(await database.execute_fetchall(query)))


async def _index_words(database: aiosqlite.Connection) -> bool:
    """Index all words; return False where SQLite is built without the full-text index."""
    await database.execute("begin immediate")
    try:
        if not await _has_words(database):
            for statement in WORDS:
                await database.execute(statement)
    except sqlite3.OperationalError as error:
        await database.execute("rollback")
        if "no such module" not in str(error):
            raise
        return False
    await database.execute("commit")
    return True


def _address(path: Path, option: str) -> str:
    return f"{path.absolute().as_uri()}?{option}"


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


EXCERPT_LONGEST: Final = 120
MOST_WORDS: Final = 20
COLUMNS: Final = """c.id, c.title, c.model, c.options, c.created, c.updated, c.branched_from, c.branched_at,
    (select count(*) from turn t where t.conversation = c.id)"""


Flat = TypeVar("Flat", ChatOptions, Draft)


def _read(of: type[Flat], text: str) -> Flat:
    """Return options or a draft; pydantic is loaded for what is not of the usual form. Raises ValueError."""
    found = json.loads(text)
    try:
        value: Flat = EXACT.of(of)(found)
    except (TypeError, ValueError, LookupError):
        from pydantic import TypeAdapter

        value = TypeAdapter(of).validate_python(found)
    return value


async def _turns() -> "TypeAdapter[Turn]":
    """Return what reads and writes turns; a thread loads pydantic, so that the screen stays responsive."""
    return await asyncio.to_thread(turn_adapter)


def select(rest: str, more: str = "''") -> str:
    """Return a query for conversations: its conditions are `rest`, its last column is `more`."""
    return f"select {COLUMNS}, {more} from conversation c {rest}"  # noqa: S608 fixed texts


def found_conversation(row: tuple[Any, ...]) -> Found:
    """Return a row of `select` as a conversation without its turns."""
    identifier, title, model, options, created, updated, branched_from, branched_at, turns, text = row
    try:
        wanted = _read(ChatOptions, options)
    except ValueError:
        wanted = ChatOptions()
    conversation = Conversation(
        identifier, title, model, wanted, created, updated, branched_from, branched_at
    )
    return Found(conversation, turns, text)


def wanted_words(text: str) -> list[str]:
    """Return the words of a search, at most MOST_WORDS."""
    return re.findall(r"\w+", text)[:MOST_WORDS]


def queries(wanted: Sequence[str], *, indexed: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield queries for conversations with every word in one turn or in the title, to be tried in order.

    Each still needs a limit after its values. The last looks at every text: parts of words, and texts
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
    """Return a line of a text around the first occurrence of a word."""
    line = " ".join(text.split())
    at = max(line.lower().find(word.lower()), 0)
    start = max(0, at - EXCERPT_LONGEST // 3)
    cut = line[start : start + EXCERPT_LONGEST]
    return f"{'…' if start else ''}{cut}{'…' if start + EXCERPT_LONGEST < len(line) else ''}"


KEEP_DELETED: Final = 30 * 86400.0
"""Seconds for which a deleted conversation can be brought back."""


class ConversationStore:
    """The conversations of one user, and what was typed for them and not sent, in a file that is shared.

    Every failure of the file is a StoreError of one line. A write is on the disk's way when it returns: a
    process that is killed loses nothing that was written.
    """

    def __init__(self, name: str, database: aiosqlite.Connection, *, indexed: bool) -> None:
        self.name = name
        self._database = database
        self._indexed = indexed
        self._turns = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, now: float, *, indexed: bool = True) -> Self:
        """Open or begin the file, made for its user alone; what was deleted long ago is removed for good."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            async with exclusive_create(path.parent):
                make_private(path)
                store = await cls._prepared(str(path), str(path), indexed=indexed)
        except (OSError, sqlite3.Error, StoreError) as error:
            raise StoreError(f"conversations in {path} cannot be used: {_reason(error)}") from error
        try:
            await store.clear_out(now)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def in_memory(cls, copied: Path | None = None) -> Self:
        """Return a store that ends with the process, with all of `copied` that can still be read."""
        if copied is not None:
            for option in ("mode=ro", "immutable=1"):
                with contextlib.suppress(sqlite3.Error, OSError, StoreError):
                    return await cls._prepared("memory", ":memory:", source=_address(copied, option))
        return await cls._prepared("memory", ":memory:")

    @classmethod
    async def _prepared(
        cls, name: str, target: str, *, source: str | None = None, indexed: bool = True
    ) -> Self:
        database = await open_database(target, BUSY_SECONDS)
        try:
            if source is not None:
                async with aiosqlite.connect(source, uri=True) as readable:
                    await readable.backup(database)
            await database.execute("pragma journal_mode = wal")
            await database.execute("pragma synchronous = normal")
            await database.execute(SMALL_CACHE)
            return cls(name, database, indexed=await prepare(database, indexed=indexed))
        except BaseException:
            await database.close()
            raise

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

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
            json.dumps(asdict(conversation.options)),
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
        """Return a conversation with its turns. Raises ChatError when there is none, or it was deleted.

        A turn of a later version of the program, which this one cannot read, is skipped.
        """
        rows = await self._rows(select("where c.id = ? and c.deleted is null"), (identifier,))
        if not rows:
            raise ChatError(f"there is no conversation {identifier[:40]!r}")
        query = "select body from turn where conversation = ? order by place"
        turns, adapter = [], await _turns()
        for (body,) in await self._rows(query, (identifier,)):
            with contextlib.suppress(ValueError):
                turns.append(adapter.validate_python(json.loads(body)))
        return replace(found_conversation(rows[0]).conversation, turns=tuple(turns))

    async def recent(self, limit: int, offset: int) -> tuple[Found, ...]:
        """Return a page of conversations, the one used last first."""
        query = select("where c.deleted is null order by c.updated desc, c.id limit ? offset ?")
        return tuple(found_conversation(row) for row in await self._rows(query, (limit, offset)))

    async def starting(self, start: str) -> tuple[str, ...]:
        """Return the identifiers that begin so, at most two."""
        query = "select id from conversation where substr(id, 1, ?) = ? and deleted is null limit 2"
        return tuple(row[0] for row in await self._rows(query, (len(start), _text(start))))

    async def search(self, words: str, limit: int) -> tuple[Found, ...]:
        """Return conversations with every word in one turn or in the title, the one used last first."""
        wanted = wanted_words(words)
        if not wanted:
            return await self.recent(limit, 0)
        for query, values in queries(wanted, indexed=self._indexed):
            if rows := await self._rows(query, (*values, limit)):
                found = (found_conversation(row) for row in rows)
                return tuple(replace(hit, excerpt=excerpt(hit.excerpt, wanted[0])) for hit in found)
        return ()

    async def delete(self, identifier: str, now: float) -> None:
        """Delete a conversation; `restore` brings it back for KEEP_DELETED seconds."""
        await self._mark(identifier, now)

    async def restore(self, identifier: str) -> None:
        """Bring a deleted conversation back. Raises ChatError when it is gone for good."""
        await self._mark(identifier, None)

    async def keep_draft(self, identifier: str, draft: Draft, now: float) -> None:
        """Keep what was typed for a conversation, stored or not, in place of what was; an empty one goes."""
        async with self._writing():
            await self._database.execute("delete from draft where conversation = ?", (identifier,))
            if draft:
                row = (identifier, now, json.dumps(asdict(draft)))
                await self._database.execute("insert into draft values (?, ?, ?)", row)

    async def draft(self, identifier: str) -> Draft:
        """Return what was typed for a conversation; an empty draft when none can be read by this version."""
        query = "select body from draft where conversation = ?"
        for (body,) in await self._rows(query, (identifier,)):
            with contextlib.suppress(ValueError):
                return _read(Draft, body)
        return Draft()

    async def orphaned_drafts(self) -> tuple[str, ...]:
        """Return the identifiers of drafts whose conversation was never stored, the newest first."""
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
            json.dumps(asdict(conversation.options)),
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
        adapter = await _turns()
        # ASCII, since a model may send halves of characters, which no database takes.
        rows = [
            (
                identifier,
                turn.place,
                turn.at,
                _text(turn.message.content),
                json.dumps(adapter.dump_python(turn, mode="json")),
            )
            for turn in turns
        ]
        await self._database.executemany(query, rows)

    async def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._failures("read"):
            return list(await self._database.execute_fetchall(query, values))

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Hold a write transaction; the tasks of this process take turns."""
        async with self._turns:
            with self._failures("written"):
                try:
                    await self._database.execute("begin immediate")
                    yield
                    await self._database.execute("commit")
                except BaseException:
                    # Cancelled while it began, it begins all the same; cancelled while it was committed,
                    # there is nothing to roll back.
                    with contextlib.suppress(sqlite3.Error):
                        await self._database.execute("rollback")
                    raise

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"conversations in {self.name} cannot be {action}: {_reason(error)}") from error


def _text(text: str) -> str:
    # No search looks behind a NUL.
    return text.encode(errors="replace").decode().replace("\0", " ")
