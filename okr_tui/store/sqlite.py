"""The log in one SQLite file that several processes share."""

import asyncio
import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import aiosqlite
from pydantic import ValidationError

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.store.base import LogEntry
from okr_tui.store.encoding import decode, encode
from okr_tui.store.file_locks import exclusive_create, make_private

SCHEMA = """
create table if not exists log
    (sequence integer primary key autoincrement, at real not null, body text not null);
create table if not exists document (name text primary key, body text not null);
create table if not exists lease (name text primary key, owner text not null, until real not null);
pragma user_version = 1;
"""
BUSY_MILLISECONDS = 5000
LOOK_EVERY = 0.2
VALUES = 900
"""Values in one statement that every SQLite takes."""
TIME_STEP = 50_000_000
"""Nanoseconds within which two writes may carry the same time."""


class SqliteStore:
    """A log file in write-ahead mode. The tail sees any process's records within a fifth of a second."""

    def __init__(self, path: Path, database: aiosqlite.Connection) -> None:
        self.name = f"sqlite:{path}"
        self.notice: str | None = None
        self._path = path
        self._database = database
        self._journal = f"{path}-wal"
        self._file = _identity(path)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the log, made for its user alone. A file that is no log is set aside and a fresh one begun."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            async with exclusive_create(path.parent):
                try:
                    return await cls._connected(path)
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError):
                        raise
                    spare = _set_aside(path)
                    store = await cls._connected(path)
                    store.notice = (
                        f"{path} was not a readable log; it is kept as {spare.name}, a fresh one is begun"
                    )
                    return store
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot open the log {path}: {error}; {_way_out(error)}, or choose another with --store"
            ) from error

    @classmethod
    async def _connected(cls, path: Path) -> Self:
        database = await _connect(path)
        try:
            return cls(path, database)
        except BaseException:
            await database.close()  # its thread would keep the process alive
            raise

    async def append(self, records: Sequence[Record]) -> int:
        """Append records at the end of the log, in one statement: all or none."""
        places = ", ".join(["(?, ?)"] * len(records))
        values = [value for record in records for value in (record.at, encode(record))]
        self._check("write")
        with self._failures("write"):
            cursor = await self._database.execute(f"insert into log (at, body) values {places}", values)  # noqa: S608
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records behind a place. Those of later versions are skipped."""
        query = "select sequence, body from log where sequence > ? order by sequence limit ?"
        return await self._logged(query, after, -1 if limit is None else limit)

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last records before a place. Those of later versions are skipped."""
        query = """select * from (select sequence, body from log where ? is null or sequence < ?
            order by sequence desc limit ?) order by sequence"""
        return await self._logged(query, before, before, limit)

    async def _logged(self, query: str, *values: int | None) -> list[LogEntry]:
        with self._failures("read"):
            rows = await self._database.execute_fetchall(query, values)
        found = []
        for sequence, body in rows:
            with contextlib.suppress(ValidationError):
                found.append(LogEntry(sequence, decode(body)))
        return found

    async def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield new records as they come."""
        after = 0
        last: tuple[int, int] | None = None
        while True:
            self._check("read")
            token = self.change_token()
            if token is None or token != last:
                last = token
                if found := await self.read(max(after, seen())):
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
            return (0, 0)
        except OSError:
            return None
        young = time.time_ns() - status.st_mtime_ns < TIME_STEP
        return None if young else (status.st_mtime_ns, status.st_size)

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name."""
        with self._failures("read"):
            rows = list(
                await self._database.execute_fetchall("select body from document where name = ?", (document,))
            )
        return str(rows[0][0]) if rows else None

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name."""
        with self._failures("write"):
            await self._database.execute("insert or replace into document values (?, ?)", (document, text))

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """See Store."""
        found: dict[str, str] = {}
        for start in range(0, len(documents), VALUES):
            names = documents[start : start + VALUES]
            places = ", ".join("?" * len(names))
            query = f"select name, body from document where name in ({places})"  # noqa: S608
            with self._failures("read"):
                found |= dict(await self._database.execute_fetchall(query, names))  # type: ignore[arg-type]
        return found

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """See Store. One statement, so that nothing of this or another process comes between."""
        rows = ", ".join(["(?, ?)"] * len(texts))
        query = f"""insert into document (name, body) select column1, column2 from (values {rows})
            where (select body from document where name = ?) is ?
            on conflict (name) do update set body = excluded.body"""  # noqa: S608
        values = [value for item in texts.items() for value in item]
        self._check("write")
        with self._failures("write"):
            cursor = await self._database.execute(query, [*values, document, held])
        return cursor.rowcount > 0

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop old records. Freed pages are used again, so the file stays near its bound."""
        query = """delete from log where sequence <= ? and (at < ? or sequence <= (
            select max(sequence) from (
                select sequence, sum(length(body)) over (order by sequence desc) as bytes from log
            ) where bytes > ?))"""
        with self._failures("write"):
            await self._database.execute(query, (through, before, most))

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease."""
        query = """insert into lease values (?, ?, ?) on conflict (name) do update
            set owner = excluded.owner, until = excluded.until where owner = excluded.owner or until <= ?"""
        with self._failures("write"):
            cursor = await self._database.execute(query, (name, owner, now + seconds, now))
        return cursor.rowcount > 0

    async def close(self) -> None:
        """Close the store."""
        await self._database.close()

    def _check(self, action: str) -> None:
        """SQLite goes on with a file that has lost its name, where no other process sees what it writes."""
        if _identity(self._path) != self._file:
            what = f"cannot {action} the log {self._path}: it was removed or replaced"
            raise StoreError(f"{what}; start the program again")

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"cannot {action} the log {self._path}: {error}") from error


def _way_out(error: OSError | sqlite3.Error) -> str:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "end the program that holds it"
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if full or getattr(error, "errno", None) == errno.ENOSPC:
        return "make room on its disk"
    return "make it writable"


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of its name; None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def _connect(path: Path) -> aiosqlite.Connection:
    make_private(path)
    database = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    try:
        await database.execute("pragma journal_mode = wal")
        await database.execute("pragma synchronous = normal")
        await database.executescript(SCHEMA)
    except BaseException:
        await database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    spare = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    path.replace(spare)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return spare
