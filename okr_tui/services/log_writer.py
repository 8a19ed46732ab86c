"""Records on their way into the log, written together where they wait or the log is busy."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from okr_tui.domain.records import Record

PATIENCE: Final = 0.01
"""Seconds a record may wait for others: writes are expensive, and make other processes read."""


class BatchingWriter:
    """Passes records to `write` in the order they came, all that wait at a time."""

    def __init__(self, write: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._gathering: asyncio.TimerHandle | None = None

    async def add(self, records: Sequence[Record], *, hurried: bool = True) -> None:
        """Wait until records are written; raise what `write` raised. Cancelling does not take them back."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        self._waiting.append((records, written))
        if hurried:
            self._begin()
        elif self._writing is None and self._gathering is None:
            self._gathering = loop.call_later(PATIENCE, self._begin)
        await written

    async def settled(self) -> None:
        """Wait until everything is written, or has failed."""
        while self._waiting or self._writing:
            await asyncio.wait([self._begin()])

    def _begin(self) -> asyncio.Task[None]:
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        return self._writing

    async def _run(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                error = await self._written([record for records, _ in together for record in records])
                for _, written in together:
                    if written.done():
                        continue
                    if error:
                        written.set_exception(error)
                    else:
                        written.set_result(None)
        finally:
            self._writing = None

    async def _written(self, records: Sequence[Record]) -> Exception | None:
        try:
            await self._write(records)
        except Exception as error:
            return error  # to be raised where the records come from
        return None
