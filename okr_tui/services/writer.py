"""Records on their way into the log: what comes while the log is busy goes in together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from okr_tui.domain.records import Record


class Writer:
    """Gives records to `write`, in the order they came, as many at a time as are there."""

    def __init__(self, write: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, records: Sequence[Record]) -> None:
        """Return once they are written; raises what `write` raised. A caller who is cancelled leaves them."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((records, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        await written

    async def settled(self) -> None:
        """Return once everything is written, or has failed."""
        while self._writing:
            await asyncio.wait([self._writing])

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
