"""What every store of the log can do."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.store.typed_json import StoredJson

LEASE_LONGEST: Final = 600.0
"""Seconds; a lease that seems to last longer was taken by a clock that was ahead, and blocks no one."""


class UnreachableLogError(StoreError):
    """The log cannot be reached, or takes no records, now; later it may."""


class ReplacedLogError(UnreachableLogError):
    """The log is not the one it was: removed, emptied, replaced, or damaged and set aside.

    The next call uses the new one, where the positions of the old one mean nothing.
    """


class AppendToken(NamedTuple):
    """The sender of records and the number of the first; a record sent twice under it is in the log once."""

    writer: str
    number: int


class LogEntry(NamedTuple):
    """A record with its place in the log; places only grow. `token`: what it was sent under."""

    sequence: int
    record: Record
    token: AppendToken | None = None


class Taking(NamedTuple):
    """Whether a slot was taken, what others hold or wait for before it, and its place in line, 0 without."""

    taken: bool
    others: int
    place: int


class SlotLeases(Protocol):
    """The request slots of accounts that machines share: a lease for each request under way.

    Leases end by the clock of the store, never by that of a machine. `owner` names the process, `slot` one
    of its requests. All raise StoreError at once where the store does not answer.
    """

    async def take(
        self,
        account: str,
        owner: str,
        slot: str,
        seconds: float,
        most: int,
        *,
        place: int = 0,
        also: Sequence[str] = (),
    ) -> Taking:
        """Take a slot of an account for some seconds, unless `most` are taken or others waited for longer.

        Who gets none waits in line, and is to ask again within two seconds with the `place` it was given.
        `also`: other names of the account, under which slots may still be held.
        """

    async def renew(self, account: str, owner: str, slots: Sequence[str], seconds: float) -> None:
        """Renew the leases of slots, or take them again, whoever holds them now."""

    async def free(self, account: str, owner: str, slots: Sequence[str]) -> None:
        """Give slots of an account back, and leave the line for them."""


class Store(Protocol):
    """An ordered log shared by processes, a few named documents, and leases. Failures are StoreErrors.

    A write whose failure was an UnreachableLogError may have arrived all the same.

    Times are epoch seconds. A position is a record's `sequence`.
    """

    @property
    def name(self) -> str:
        """The store's address for people, without secrets."""

    @property
    def notice(self) -> str | None:
        """What a person should know of how the store was opened."""

    @property
    def slots(self) -> SlotLeases | None:
        """The request slots that machines share; None for a log of one machine."""

    async def ready(self) -> None:
        """Ask once whether the log can be used now, within two seconds. Raises StoreError if not."""

    @property
    def identity(self) -> object:
        """Return what tells this log from another at the same address; None before it was read."""

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        """Append records at the end of the log, all or none, with no others between.

        Those that are in the log under `token` already are left out. Return the position of the last; 0 when
        any was left out.
        """

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records after a position, oldest first, at most `limit`."""

    def change_token(self) -> object | None:
        """Return a token that differs once the log has grown; None if that takes reading it."""

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last `limit` records before a position, or of the whole log; oldest first."""

    def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield the records after the last position seen as they come, from all processes, without end.

        `seen` returns that position; what the caller has read otherwise in the meantime is left out.
        """

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name; None without one."""

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name, in place of the one before."""

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the texts kept under names, by name; those without one are left out."""

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """Keep all texts under their names at once if a document still holds a text (None: does not exist).

        Return whether it did. An answer that was lost on its way may be returned as False.
        """

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop records up to a position that are older than `before`, or do not fit in `most` bytes."""

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease until `now + seconds`; return False while another owner holds it."""

    async def close(self) -> None:
        """Close the store."""


_records: Final[StoredJson[Record]] = StoredJson(Record, "kind")


def encode(record: Record) -> str:
    """Return the record as one line of JSON; what is None is left out."""
    return _records.write(record)


def decode(text: str) -> Record:
    """Return the record of a line of JSON; fields that it has from a later version are left out.

    Raises ValueError for a text that is none of our records.
    """
    return _records.read(text)


def decode_rows(rows: Sequence[tuple[int, str, str | None, int | None]]) -> list[LogEntry]:
    """Return the records of rows: position, line of JSON, and the fields of the token.

    Those that are none of our records, as from a later version, are left out.
    """
    read = _records.reader(len(rows))
    found = []
    for sequence, body, writer, number in rows:
        try:
            record = read(body)
        except ValueError:
            continue
        token = None if writer is None or number is None else AppendToken(writer, number)
        found.append(LogEntry(sequence, record, token))
    return found
