"""The tables of the conversations and how older ones become these."""

import sqlite3

import aiosqlite

from okr_tui.domain.errors import StoreError

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
    """Bring a database to this version, once among all processes; answers whether words are indexed.

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
        raise StoreError("it was written by a later version of the program")
    return version


async def _version(database: aiosqlite.Connection) -> int:
    ((version,),) = await database.execute_fetchall("pragma user_version")
    return int(version)


async def _has_words(database: aiosqlite.Connection) -> bool:
    query = "select 1 from sqlite_master where name = 'words'"
    return bool(list(await database.execute_fetchall(query)))


async def _index_words(database: aiosqlite.Connection) -> bool:
    """Not every SQLite is built with the full-text index; without it the search looks at every text."""
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
