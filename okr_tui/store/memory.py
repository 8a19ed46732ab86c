"""A log that lives and dies with the process."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from okr_tui.domain.records import Record
from okr_tui.store.base import Logged


class MemoryStore:
    """The store of `memory:`, and of tests that need no other process."""

    name = "memory:"
    notice: str | None = None

    def __init__(self) -> None:
        self._log: list[Logged] = []
        self._documents: dict[str, str] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._grown = asyncio.Condition()

    async def append(self, records: Sequence[Record]) -> None:
        """See Store."""
        async with self._grown:
            first = len(self._log) + 1
            self._log += [Logged(place, record) for place, record in enumerate(records, first)]
            self._grown.notify_all()

    async def read(self, after: int = 0) -> list[Logged]:
        """See Store."""
        return self._log[after:]

    async def tail(self, after: int) -> AsyncIterator[list[Logged]]:
        """See Store."""
        while True:
            async with self._grown:
                await self._grown.wait_for(lambda: len(self._log) > after)  # noqa: B023 read at once
                found = self._log[after:]
            after = found[-1].sequence
            yield found

    async def load(self, document: str) -> str | None:
        """See Store."""
        return self._documents.get(document)

    async def save(self, document: str, text: str) -> None:
        """See Store."""
        self._documents[document] = text

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """See Store."""
        holder, until = self._leases.get(name, (owner, 0.0))
        if holder != owner and now < until:
            return False
        self._leases[name] = (owner, now + seconds)
        return True

    async def close(self) -> None:
        """See Store."""
