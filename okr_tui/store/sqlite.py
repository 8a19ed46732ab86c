"""The log in one SQLite file that several processes share."""

import asyncio
import contextlib
import errno
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite

from okr_tui.domain.records import Record
from okr_tui.store.base import (
    LEASE_LONGEST,
    AppendToken,
    LogEntry,
    ReplacedLogError,
    SlotLeases,
    UnreachableLogError,
    decode_rows,
    encode,
)
from okr_tui.store.file_locks import exclusive_create, make_private

SCHEMA = """
create table if not exists log
    (sequence integer primary key autoincrement, at real not null, body text not null,
    writer text, number integer);
create index if not exists log_at on log (at);
create table if not exists document (name text primary key, body text not null);
create table if not exists lease (name text primary key, owner text not null, until real not null);
pragma user_version = 1;
"""
SENT_ONCE: Final = "create unique index if not exists log_sent on log (writer, number)"
IDENTITY: Final = "identity"
"""The document whose text tells this log from another."""
BUSY_SECONDS: Final = 0.1
"""How long SQLite itself waits for another's lock: its thread takes nothing else meanwhile."""
PATIENCE: Final = 5.0
"""Seconds during which a locked log is tried again."""
OPENING: Final = 1.5
"""Seconds within which a locked log has to be opened."""
PAUSE: Final = 0.02
LOOK_EVERY = 0.2
LAST: Final = 2**63 - 1
"""A position beyond all that SQLite can count."""
LOOKS: Final = 10
"""Looks at a file that another program seems to write, each a moment after the one before."""
VALUES = 900
"""Values in one statement that every SQLite takes."""
TIME_STEP = 50_000_000
"""Nanoseconds within which two writes may carry the same time."""
SMALL_CACHE: Final = "pragma cache_size = -256"
"""Keep 256 KiB of the file in memory, not 2 MiB: the system has it too, and we read each page once."""
INCREMENTAL: Final = 2
"""SQLite's number for files that give free pages back when they are asked to."""
FREE_PART: Final = 0.25
"""The part of the file that is free before it is worth giving back."""
PAGES_AT_ONCE: Final = 500
DROPPED_AT_ONCE: Final = 5000
"""Records that one statement drops: a fiftieth of a second."""
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
OTHER_COLUMNS: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""What SQLite says where tables are not those of the log, as after a later version changed them."""
TABLES: Final = {
    "log": {"sequence", "at", "body"},
    "document": {"name", "body"},
    "lease": {"name", "owner", "until"},
}
"""The tables of a log, and columns that they have had since its first version."""
PAGE: Final = 4096
"""Bytes that SQLite writes at least."""
ROOM: Final = 1 << 20
"""Free bytes with which it is not the disk that is full, but the log's own numbers that are used up."""


class SqliteStore:
    """A log file in write-ahead mode. The tail sees any process's records within a fifth of a second.

    The file is opened by the first call, and again by the next one after it was removed, replaced, or
    damaged and set aside. One that cannot be written is opened for reading only.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"sqlite:{path}"
        self.notice: str | None = None
        self.slots: SlotLeases | None = None
        self.identity: object = None
        self._identity_text: str | None = None
        self._path = path
        self._journal = f"{path}-wal"
        self._database: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()
        self._file: tuple[int, int] | None = None
        self._seen: tuple[int, int] | None = None
        """When the file itself was changed last, and its size: its journal moves there at times."""
        self._in_file = False
        """Whether the file itself, without its journal, was seen to be this log."""
        self._writable = True
        self._unwritable: OSError | sqlite3.Error | None = None
        """Why it could be opened for reading only."""
        self._closed = False
        self._sent = "writer, number"

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the log, made for its user alone. A file that is not a log is set aside, a fresh one begun."""
        store = cls(path)
        await store.ready()
        return store

    async def ready(self) -> None:
        """Open the file if it is not open, and see that it still is the log."""
        await self._connected()
        await self._check("read")

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        """Append records at the end of the log, in one statement: all or none."""
        placeholders = ", ".join(["(?, ?, ?, ?)"] * len(records))
        writer, first = (token.writer, token.number) if token else (None, 0)
        values = [
            value
            for sequence, record in enumerate(records, first)
            for value in (record.at, encode(record), writer, sequence if token else None)
        ]
        query = f"""insert into log (at, body, writer, number) values {placeholders}
            on conflict (writer, number) do nothing"""  # noqa: S608
        cursor = await self._write(query, values)
        if cursor.rowcount < len(records):
            return 0
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records after a position. Those of later versions are skipped."""
        query = "select sequence, body, {} from log where sequence > ? order by sequence limit ?"
        return await self._logged(query, after, -1 if limit is None else limit)

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last records before a position. Those of later versions are skipped."""
        query = """select * from (select sequence, body, {} from log where sequence < ?
            order by sequence desc limit ?) order by sequence"""
        return await self._logged(query, LAST if before is None else before, limit)

    async def _logged(self, query: str, *values: int) -> list[LogEntry]:
        await self._connected()
        return decode_rows(await self._fetch(query.format(self._sent), values))

    async def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield new records as they come."""
        after = 0
        last: tuple[int, int] | None = None
        while True:
            await self._check("read")
            token, identity = self.change_token(), self.identity
            if token is None or token != last:
                last = token
                found = await self.read(max(after, seen()))
                if identity != self.identity:
                    after, last = 0, None  # another call found it out; positions are those of the new log
                elif found:
                    after = found[-1].sequence
                    yield found
            await asyncio.sleep(LOOK_EVERY)

    def change_token(self) -> tuple[int, int] | None:
        """Return a token that changes with the log; None while its last write is too young to tell.

        A look at the file costs a fiftieth of asking SQLite.
        """
        try:
            status = os.stat(self._journal)
        except FileNotFoundError:
            return (0, 0) if _identity(self._path) == self._file else None
        except OSError:
            return None
        young = time.time_ns() - status.st_mtime_ns < TIME_STEP
        return None if young else (status.st_mtime_ns, status.st_size)

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name."""
        rows = await self._fetch("select body from document where name = ?", (document,))
        return str(rows[0][0]) if rows else None

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name."""
        await self._write("insert or replace into document values (?, ?)", (document, text))

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the texts kept under names, by name."""
        found: dict[str, str] = {}
        for start in range(0, len(documents), VALUES):
            names = documents[start : start + VALUES]
            placeholders = ", ".join("?" * len(names))
            query = f"select name, body from document where name in ({placeholders})"  # noqa: S608
            found |= {str(name): str(body) for name, body in await self._fetch(query, names)}
        return found

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """Keep all texts if a document still holds a text, in one statement: nothing comes between."""
        rows = ", ".join(["(?, ?)"] * len(texts))
        query = f"""insert into document (name, body) select column1, column2 from (values {rows})
            where (select body from document where name = ?) is ?
            on conflict (name) do update set body = excluded.body"""  # noqa: S608
        values = [value for item in texts.items() for value in item]
        return (await self._write(query, [*values, document, held])).rowcount > 0

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop old records, and give the room back where it is a good part of the file.

        A part at a time: nobody can write to the log meanwhile, in this process or another.
        """
        ((first, old),) = await self._fetch(
            "select (select min(sequence) from log), (select max(sequence) from log where at < ?)", (before,)
        )
        # The sums come from the newest record on, and end with the first that is too large.
        beyond = await self._fetch(
            """select sequence from (
                select sequence, sum(length(body))
                    over (order by sequence desc rows unbounded preceding) as bytes from log
            ) where bytes > ? limit 1""",
            (most,),
        )
        too_much = beyond[0][0] if beyond else 0
        query = "delete from log where sequence between ? and ? and (at < ? or sequence <= ?)"
        last = min(through, max(old or 0, too_much))
        dropped = 0
        for start in range(first or 1, last + 1, DROPPED_AT_ONCE):
            end = min(start + DROPPED_AT_ONCE - 1, last)
            dropped += (await self._write(query, (start, end, before, too_much))).rowcount
        if dropped > 0:
            await self._shrink()

    async def _shrink(self) -> None:
        """Give free pages back, a few at once: no other call is served meanwhile."""
        free, pages, kind = [
            (await self._fetch(f"pragma {name}", ()))[0][0]
            for name in ("freelist_count", "page_count", "auto_vacuum")
        ]
        if free < pages * FREE_PART:
            return
        if kind != INCREMENTAL:  # a log of an earlier version is rewritten, once
            await self._fetch(f"pragma auto_vacuum = {INCREMENTAL}", ())
            await self._fetch("vacuum", ())
        for _ in range(0, free, PAGES_AT_ONCE) if kind == INCREMENTAL else ():
            await self._tried("write", _give_back)
        await self._fetch("pragma wal_checkpoint (truncate)", ())

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease."""
        query = """insert into lease values (?, ?, ?) on conflict (name) do update
            set owner = excluded.owner, until = excluded.until
            where owner = excluded.owner or until <= ? or until > ?"""
        values = (name, owner, now + seconds, now, now + LEASE_LONGEST)
        return (await self._write(query, values)).rowcount > 0

    async def close(self) -> None:
        """Close the store; every later call raises UnreachableLogError."""
        self._closed = True
        await self._drop()

    async def _drop(self) -> None:
        """Close the file, which the next call opens again."""
        database, self._database = self._database, None
        if database:
            await database.close()

    async def _fetch(self, query: str, values: Sequence[Any]) -> list[Any]:
        async def fetched(database: aiosqlite.Connection) -> list[Any]:
            return list(await database.execute_fetchall(query, values))

        rows: list[Any] = await self._tried("read", fetched)
        return rows

    async def _write(self, query: str, values: Sequence[Any]) -> aiosqlite.Cursor:
        await self._check("write")
        cursor: aiosqlite.Cursor = await self._tried(
            "write", lambda database: database.execute(query, values)
        )
        return cursor

    async def _tried(self, action: str, work: Callable[[aiosqlite.Connection], Any]) -> Any:
        """Do some work, again and again while another process holds the log, for PATIENCE seconds."""
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while True:
            database = await self._connected()
            try:
                return await work(database)
            except ValueError as error:  # closed meanwhile by another call, which found it replaced
                raise UnreachableLogError(f"cannot {action} the log {self._path}: it was closed") from error
            except sqlite3.Error as error:
                code = _code(error)
                if code not in BUSY or clock() > until:
                    raise await self._failure(action, error) from error
            await asyncio.sleep(PAUSE)

    async def _failure(self, action: str, error: sqlite3.Error) -> UnreachableLogError:
        """Return the error to raise, after setting a damaged log aside."""
        readonly = not self._writable and _code(error) == sqlite3.SQLITE_READONLY
        cause: OSError | sqlite3.Error = error
        if readonly and self._unwritable and not isinstance(self._unwritable, PermissionError):
            cause = self._unwritable
        what = f"cannot {action} the log {self._path}: {_reason(cause)}"
        if _code(error) in DAMAGED:
            try:
                await self._drop()
                async with exclusive_create(self._path.parent):
                    if _identity(self._path) == self._file:  # else another process was first
                        self._set_aside("was damaged")
            except (OSError, sqlite3.Error) as failed:
                return UnreachableLogError(f"{what}; it cannot be set aside: {failed}")
            return ReplacedLogError(f"{what}; it was set aside")
        if readonly:
            await self._drop()  # the next call finds out whether it can be written again
        return UnreachableLogError(f"{what}; {_way_out(cause, self._path)}")

    async def _check(self, action: str) -> None:
        """Raise ReplacedLogError if the file is not the log any more.

        SQLite keeps using a file that has lost its name, where no other process sees what it writes, and
        with one that another program has written over, which it damages.
        """
        if self._database is None:
            return
        if _identity(self._path) != self._file:
            with contextlib.suppress(sqlite3.Error):
                await self._drop()
            raise ReplacedLogError(f"cannot {action} the log {self._path}: it was removed or replaced")
        if self._writable and _content(self._path) != self._seen:
            await self._look_into(action)

    async def _look_into(self, action: str) -> None:
        """Take note of a file that has changed: its log was copied into it, or another program wrote it."""
        what = f"cannot {action} the log {self._path}"
        for _ in range(LOOKS):
            content = _content(self._path)
            found = await asyncio.to_thread(_identity_within, self._path)
            if found == self._identity_text or (found is None and not self._in_file):
                self._seen, self._in_file = content, found is not None
                return
            settled = content is not None and abs(time.time_ns() - content[0]) > TIME_STEP
            if settled and content == _content(self._path):
                await self._take_over(what)
                raise ReplacedLogError(f"{what}: another program overwrote it")
            await asyncio.sleep(PAUSE)
        raise UnreachableLogError(f"{what}: another program is overwriting it; wait until that has ended")

    async def _take_over(self, what: str) -> None:
        """Put what another program wrote into a file of its own: the old one gets what SQLite still holds."""
        try:
            async with exclusive_create(self._path.parent):
                if _identity(self._path) == self._file:  # else another process was first
                    await asyncio.to_thread(_move_into_new_file, self._path)
            with contextlib.suppress(sqlite3.Error):
                await self._drop()
        except OSError as error:
            raise UnreachableLogError(f"{what}: another program overwrote it: {error}") from error

    async def _connected(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._closed:
                raise UnreachableLogError(f"the log {self._path} is closed")
            if self._database is None:
                self._database = await self._opened()
            return self._database

    async def _opened(self) -> aiosqlite.Connection:
        path = self._path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            async with exclusive_create(path.parent):
                make_private(path)
                try:
                    database = await _connect(str(path), self._prepare)
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError):
                        raise
                    self._set_aside("was not a readable log")
                    make_private(path)
                    database = await _connect(str(path), self._prepare)
                return await self._known(database, writable=True)
        except (OSError, sqlite3.Error) as error:
            if _code(error) not in BUSY and (readable := await self._opened_to_read()):
                self._unwritable = error
                return readable
            raise UnreachableLogError(
                f"cannot open the log {path}: {_reason(error)}; "
                f"{_way_out(error, path)}, or choose another with --store"
            ) from error

    async def _prepare(self, database: aiosqlite.Connection) -> None:
        await self._refuse_foreign(database)
        await database.execute(f"pragma auto_vacuum = {INCREMENTAL}")  # works on a file that is empty yet
        await database.execute("pragma journal_mode = wal")
        await database.execute("pragma synchronous = normal")
        await database.execute(SMALL_CACHE)
        await database.executescript(SCHEMA)
        columns = {row[1] for row in await database.execute_fetchall("pragma table_info (log)")}
        for column in ("writer text", "number integer"):
            if column.split()[0] not in columns:  # a log of an earlier version
                await database.execute(f"alter table log add column {column}")
        await database.execute(SENT_ONCE)
        if not list(await self._identified(database)):
            query = "insert or ignore into document values (?, ?)"
            await database.execute(query, (IDENTITY, uuid.uuid4().hex))
        await self._identified(database)
        self._sent = "writer, number"

    async def _refuse_foreign(self, database: aiosqlite.Connection) -> None:
        """Raise UnreachableLogError for the database of another program, which stays as it is."""
        found = await database.execute_fetchall(
            """select tables.name, columns.name from sqlite_master as tables, pragma_table_info (tables.name)
                as columns where tables.type in ('table', 'view')"""
        )
        held: dict[str, set[str]] = {}
        for table, column in found:
            held.setdefault(table, set()).add(column)
        ours = held.keys() & TABLES.keys()
        if (held and not ours) or any(TABLES[name] - held[name] for name in ours):
            raise UnreachableLogError(
                f"cannot open the log {self._path}: it is the database of another program; "
                "move it away, or choose another with --store"
            )

    async def _opened_to_read(self) -> aiosqlite.Connection | None:
        """Open a log that cannot be written, as where its disk is full or its folder read-only."""
        if not self._path.is_file():
            return None
        for way in ("mode=ro", "immutable=1"):  # the second needs no file next to the log
            with contextlib.suppress(sqlite3.Error):
                database = await _connect(f"{self._path.absolute().as_uri()}?{way}", self._prepare_to_read)
                return await self._known(database, writable=False)
        return None

    async def _known(self, database: aiosqlite.Connection, *, writable: bool) -> aiosqlite.Connection:
        try:
            self._file, self._writable = _identity(self._path), writable
            self._seen, self._in_file = None, False
        except BaseException:
            await database.close()  # its thread would keep the process alive
            raise
        return database

    async def _prepare_to_read(self, database: aiosqlite.Connection) -> None:
        await database.execute(SMALL_CACHE)
        await self._identified(database)
        columns = {row[1] for row in await database.execute_fetchall("pragma table_info (log)")}
        self._sent = "writer, number" if "writer" in columns else "null, null"
        await database.execute_fetchall("select max(sequence) from log")

    async def _identified(self, database: aiosqlite.Connection) -> list[Any]:
        rows = list(await database.execute_fetchall("select body from document where name = ?", (IDENTITY,)))
        if rows:
            self._identity_text = str(rows[0][0])
            self.identity = (self._identity_text, _identity(self._path))
        return rows

    def _set_aside(self, why: str) -> None:
        """Rename the file for a person to look at, and remember to report it."""
        path = self._path
        spare = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        path.replace(spare)
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        self.notice = f"{path} {why}; it is kept as {spare.name}, and a new one is begun"


async def _give_back(database: aiosqlite.Connection) -> None:
    """Take free pages off the file. As a script: a single statement is taken one step, which is one page."""
    await database.executescript(f"pragma incremental_vacuum ({PAGES_AT_ONCE})")


async def open_database(database: str, busy: float, *, uri: bool = False) -> aiosqlite.Connection:
    """Open a database, which waits `busy` seconds for others. If the caller is cancelled, it is closed again.

    aiosqlite leaves such a one to the garbage collector.
    """
    opening = asyncio.ensure_future(aiosqlite.connect(database, isolation_level=None, timeout=busy, uri=uri))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(sqlite3.Error):
            await (await opening).close()
        raise


async def _connect(database: str, prepare: Callable[[aiosqlite.Connection], Any]) -> aiosqlite.Connection:
    connection = await open_database(database, BUSY_SECONDS, uri=database.startswith("file:"))
    until = asyncio.get_running_loop().time() + OPENING
    try:
        while True:
            try:
                await prepare(connection)
            except sqlite3.OperationalError as error:
                if _code(error) not in BUSY or asyncio.get_running_loop().time() > until:
                    raise
            else:
                return connection
            await asyncio.sleep(PAUSE)
    except BaseException:
        await connection.close()
        raise


def _code(error: BaseException) -> int | None:
    """Return SQLite's code without its details."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _reason(error: OSError | sqlite3.Error) -> str:
    words = isinstance(error, OSError) and error.strerror
    return words.lower() if words else str(error)


def _way_out(error: OSError | sqlite3.Error, path: Path) -> str:
    if _code(error) in BUSY:
        return "end the program that holds it"
    if _code(error) == sqlite3.SQLITE_FULL and _free(path) > ROOM:
        return "its disk has room, so move it away: a new one is begun"
    no_room = _code(error) == sqlite3.SQLITE_IOERR and _free(path) < PAGE
    if no_room or _code(error) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return "make room on its disk"
    if getattr(error, "errno", None) in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return "move away what is there instead"
    if _code(error) in OTHER_COLUMNS:
        return "move it away: another program or version made it"
    return "make it writable"


def _free(path: Path) -> int:
    """Return the free bytes of a file's disk; 0 when that is not known."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return 0


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of its name; None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _content(path: Path) -> tuple[int, int] | None:
    """Return what changes with the content of a file; None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _identity_within(path: Path) -> str | None:
    """Return the identity of the log in a file, without its journal.

    None: it has none yet. "": the file holds no log.
    """
    if not (content := _content(path)) or not content[1]:
        return ""
    try:
        address = f"{path.absolute().as_uri()}?immutable=1"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            rows = database.execute("select body from document where name = ?", (IDENTITY,)).fetchall()
    except sqlite3.Error as error:
        return None if _code(error) == sqlite3.SQLITE_ERROR else ""
    return str(rows[0][0]) if rows else None


def _move_into_new_file(path: Path) -> None:
    """Give a file's name to a copy of it, without its journal. Raises OSError."""
    copy = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        make_private(copy)
        shutil.copyfile(path, copy)
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
