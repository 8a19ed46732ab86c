"""The SQLite file of the conversations: opened or begun, read, written in turns, copied into memory."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import aiosqlite

from okr_tui.domain.errors import StoreError
from okr_tui.store.beginning import alone_in, make_private
from okr_tui.store.conversation_schema import BUSY_SECONDS, prepare


class ConversationFile:
    """A file that several processes share. Every failure of it is a StoreError of one line.

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
            async with alone_in(path.parent):
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

    async def clear_out(self, now: float) -> None:
        """Remove for good what nobody can ask for any more at `now`, in epoch seconds."""

    async def close(self) -> None:
        """Let go of the file."""
        await self._database.close()

    async def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._failures("read"):
            return list(await self._database.execute_fetchall(query, values))

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """A transaction; the tasks of this process take turns."""
        async with self._turns:
            with self._failures("written"):
                try:
                    await self._database.execute("begin immediate")
                    yield
                    await self._database.execute("commit")
                except BaseException:
                    # Told to end while it began, it begins all the same; while it was committed, nothing is
                    # there to take back.
                    with contextlib.suppress(sqlite3.Error):
                        await self._database.execute("rollback")
                    raise

    @contextlib.contextmanager
    def _failures(self, action: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"conversations in {self.name} cannot be {action}: {_reason(error)}") from error


def _address(path: Path, option: str) -> str:
    return f"{path.absolute().as_uri()}?{option}"


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
