"""What every store of the log can do."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from okr_tui.domain.records import Record


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record with its place in the log; places only grow."""

    sequence: int
    record: Record


class Store(Protocol):
    """An ordered log shared by processes, a few named documents, and leases. Failures are StoreErrors."""

    @property
    def name(self) -> str:
        """The store's address for people, without secrets."""

    @property
    def notice(self) -> str | None:
        """What a person should know of how the store was opened."""

    async def append(self, records: Sequence[Record]) -> int:
        """Add records at the end of the log, all or none and side by side; the place of the last of them."""

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """The records behind a place, oldest first, at most `limit`."""

    def mark(self) -> object | None:
        """Another one whenever the log has grown, told without reading it; None where it cannot be told."""

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """The last `limit` records before a place, or of the whole log; oldest first."""

    def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """The records behind the last place seen as they come, from all processes, without end.

        What comes to be seen by another way meanwhile is left out.
        """

    async def load(self, document: str) -> str | None:
        """The text kept under a name."""

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name in place of the one before."""

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the texts kept under names, by name; those without one are left out."""

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """Keep all texts under their names at once if a document still holds a text (None: does not exist).

        Return whether it did. An answer that was lost on its way may be told as False.
        """

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop records up to a place that are older than `before`, or do not fit in `most` bytes of log."""

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease until `now + seconds`; false while another owner holds it."""

    async def close(self) -> None:
        """Let go of the store."""
