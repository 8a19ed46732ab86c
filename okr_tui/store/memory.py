"""A log that lives and dies with the process."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from operator import attrgetter

from okr_tui.domain.records import Record
from okr_tui.store.base import LEASE_LONGEST, AppendToken, LogEntry, SlotLeases, encode


class MemoryStore:
    """The store of `memory:`, and of tests that need no other process."""

    name = "memory:"
    identity: object = "memory"
    notice: str | None = None
    slots: SlotLeases | None = None

    def __init__(self) -> None:
        self._log: list[LogEntry] = []
        self._last = 0
        self._documents: dict[str, str] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._grown = asyncio.Condition()
        self._appended: dict[str, int] = {}
        """The number of the last record of each writer."""

    async def ready(self) -> None:
        """Return at once: it always can be used."""

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        """Append records at the end of the log, but those that are in it under the token."""
        async with self._grown:
            known = max(self._appended.get(token.writer, -1) - token.number + 1, 0) if token else 0
            for offset, record in enumerate(records[known:], known):
                self._last += 1
                own = AppendToken(token.writer, token.number + offset) if token else None
                self._log.append(LogEntry(self._last, record, own))
                if own:
                    self._appended[own.writer] = own.number
            self._grown.notify_all()
            return 0 if known else self._last

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records after a position."""
        start = bisect_right(self._log, after, key=attrgetter("sequence"))
        return self._log[start : None if limit is None else start + limit]

    def change_token(self) -> int:
        """Return a token that changes with the log."""
        return self._last

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last records before a position."""
        return [item for item in self._log if before is None or item.sequence < before][-limit:]

    async def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield new records as they come."""
        after = 0
        while True:
            async with self._grown:
                while not (found := await self.read(max(after, seen()))):
                    await self._grown.wait()
            after = found[-1].sequence
            yield found

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name."""
        return self._documents.get(document)

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name."""
        self._documents[document] = text

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the texts kept under names, by name; those without one are left out."""
        return {name: self._documents[name] for name in documents if name in self._documents}

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """Keep all texts at once if a document still holds what is expected; return whether it did."""
        if self._documents.get(document) != held:
            return False
        self._documents |= texts
        return True

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop old records."""
        kept: list[LogEntry] = []
        for item in reversed(self._log):
            most -= len(encode(item.record))
            if item.sequence > through or (item.record.at >= before and most >= 0):
                kept.append(item)
        self._log = kept[::-1]

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease."""
        holder, until = self._leases.get(name, (owner, 0.0))
        if holder != owner and now < until <= now + LEASE_LONGEST:
            return False
        self._leases[name] = (owner, now + seconds)
        return True

    async def close(self) -> None:
        """Close the store."""
