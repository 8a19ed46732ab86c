"""From a store's address to the store."""

import contextlib
import hashlib
import json
import math
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote

import platformdirs

from okr_tui.domain.errors import StoreError
from okr_tui.domain.extras import how_to_add
from okr_tui.domain.keys import mask_key_words
from okr_tui.domain.text import clean_line
from okr_tui.store.usage import HEAD, Detail, Head, UsageReading, combine

if TYPE_CHECKING:
    from okr_tui.domain.records import Record
    from okr_tui.store.base import Store


NO_HOME: Final = Path("/nonexistent")
NO_FOLDER: Final = (
    "there is no home folder, and so nowhere to keep the log and the gateway's token: "
    "set HOME or XDG_STATE_HOME, or name a log with --store"
)


def state_folder() -> Path:
    """Return where the program keeps what it remembers, by the platform's custom.

    Raises StoreError for a user without a home folder.
    """
    try:
        folder = platformdirs.user_state_path("okr-tui", appauthor=False)
    except RuntimeError:
        raise StoreError(NO_FOLDER) from None
    # Older releases of platformdirs return a relative one; system users have a home that never exists.
    if not folder.is_absolute() or NO_HOME in folder.parents:
        raise StoreError(NO_FOLDER)
    return folder


def default_log() -> Path:
    """Return the log of a user who configured none."""
    return state_folder() / "log.db"


def default_address() -> str:
    """Return the address of that log for people; "-" for a user without a home folder."""
    try:
        return f"sqlite:{default_log()}"
    except StoreError:
        return "-"


def sqlite_path(url: str | None) -> Path | None:
    """Return the file of the log at an address, by default the user's own; None for a log in no file.

    Raises StoreError for a user without a home folder, where there is no address.
    """
    if url is None:
        return default_log()
    scheme, _, path = url.partition(":")
    return Path(os.path.expanduser(path)) if scheme == "sqlite" and path else None


SERVERS: Final = ("redis", "rediss", "valkey", "valkeys", "unix")
"""The schemes of addresses of a server."""


def is_shared(url: str | None) -> bool:
    """Return whether a log at this address is on a server, where other people may write to it too."""
    return (url or "").partition(":")[0] in SERVERS


def locate_store(url: str | None) -> "Store":
    """Return the store at an address, which its first call opens. Raises StoreError for no such address.

    Addresses are `sqlite:PATH` (the default, in the state folder), `redis://`, `rediss://`, `valkey://`,
    `valkeys://`, `unix://SOCKET` and `memory:`.
    """
    if url is None:
        url = f"sqlite:{default_log()}"
    if path := sqlite_path(url):
        from okr_tui.store.sqlite import SqliteStore

        return SqliteStore(path)
    scheme = url.partition(":")[0]
    if scheme == "memory":
        from okr_tui.store.memory import MemoryStore

        return MemoryStore()
    if "sentinel" in scheme or "cluster" in scheme:
        raise StoreError(
            f"a log cannot be kept at {scheme}:// addresses: give the address of one server, redis://HOST"
        )
    if scheme in SERVERS:
        return _redis(url)
    shown = clean_line(mask_key_words(scheme), 40)
    raise StoreError(
        f"unknown store {shown}: use sqlite:PATH, redis://HOST, rediss://HOST, unix://SOCKET or memory:"
    )


async def open_store(url: str | None) -> "Store":
    """Open the store at an address. Raises StoreError when it cannot be used now."""
    store = locate_store(url)
    try:
        await store.ready()
    except BaseException:
        await store.close()
        raise
    return store


def _redis(url: str) -> "Store":
    try:
        from okr_tui.store.redis import RedisStore
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise StoreError(f"a log on a server needs the extra redis: {how_to_add('redis')}") from error
    return RedisStore(url)


BUSY_SECONDS: Final = 5.0
UNWRITABLE: Final = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
)
"""What SQLite says where it cannot make the files that it needs next to a log, even to read it."""
SUMMED_KINDS: Final = ('"kind":"attempt"', '"kind":"identity"')
SUMMED_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "attempt": {
        **dict.fromkeys(("client", "fingerprint", "outcome"), str),
        **dict.fromkeys(("model", "caller", "next_fingerprint"), str | None),
        **dict.fromkeys(("first_byte_ms", "input_tokens", "cached_tokens", "output_tokens"), int | None),
        "duration_ms": int,
        "at": float | int,
    },
    "identity": {"fingerprint": str, "account": str, "at": float | int},
}
"""What usage is summed up from, by kind of record: with anything else in these fields it is not ours."""
OPTIONAL: Final = dict.fromkeys(
    ("model", "caller", "fault", "next_fingerprint", "first_byte_ms", "input_tokens", "cached_tokens",
     "output_tokens", "plan")
)  # fmt: skip


class LogReading(NamedTuple):
    """What was spent, and the documents that were asked for and exist, by name."""

    usage: UsageReading
    documents: Mapping[str, str]


def read_log(path: Path, since: float, until: float, detail: Detail, *documents: str) -> LogReading:
    """Read usage between two moments, as `read_usage` does, and documents, all as of one moment.

    A log that does not exist, or has just begun, is empty. Raises StoreError for one that cannot be read.
    """
    if not path.exists():
        return LogReading(UsageReading({}, {}), {})
    if not path.is_file():
        what = "it is no regular file; move away what is there instead"
        raise StoreError(f"cannot read the log {path}: {what}")
    try:
        return _read_log(path, "mode=ro", since, until, detail, documents)
    except sqlite3.Error as error:
        failure = error
    with contextlib.suppress(sqlite3.Error):
        if failure.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # no tables: begun on a full disk
            return LogReading(UsageReading({}, {}), {})
        if failure.sqlite_errorcode & 0xFF in UNWRITABLE:
            return _read_log(path, "immutable=1", since, until, detail, documents)
    raise StoreError(f"cannot read the log {path}: {failure}") from failure


def _read_log(
    path: Path, way: str, since: float, until: float, detail: Detail, documents: Sequence[str]
) -> LogReading:
    address = f"file:{quote(os.fsencode(path.absolute()))}?{way}"
    with contextlib.closing(
        sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    ) as database:
        database.execute("begin")
        head = Head.read(_load(database, HEAD).get(HEAD))
        days = _load(database, *head.names(detail, since, until))
        return LogReading(combine(head, days, _records(database, head.through)), _load(database, *documents))


def end(path: Path) -> tuple[str, int] | None:
    """Return what tells this log from another, as `repr` of SqliteStore.identity, and its last position.

    None where that cannot be known without opening the log as a process of the pool does.
    """
    found = stretch(path, math.inf, 0)
    return found and (found.identity, found.last)


SINCE: Final = """
select sequence, body from log
where at >= ?1 and sequence >= (select min(+sequence) from log where at >= ?1)
order by sequence
"""
"""From the first record of a time on, found by the index of times: without the sum, SQLite would rather look
through the whole log, as that is in the order that is asked for."""


class Stretch(NamedTuple):
    """A part of a log, with its identity and last position as of `end`: encoded records with positions.

    `has_news`: whether one after some position has one of some texts.
    """

    identity: str
    last: int
    records: list[tuple[int, str]]
    has_news: bool


def stretch(path: Path, since: float, behind: int, news: Sequence[str] = ()) -> Stretch | None:
    """Return the records of a log since a moment (epoch seconds), in their order, by its index.

    None where that cannot be known without opening the log as a process of the pool does.
    """
    if any(unsent_folder(f"sqlite:{path}").glob("*")):
        return None
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)) as log:
            log.execute("begin")
            (identity,) = log.execute("select body from document where name = 'identity'").fetchone()
            (last,) = log.execute("select max(sequence) from log").fetchone()
            records = [] if since == math.inf else log.execute(SINCE, (since,)).fetchall()
            later = (text for (text,) in log.execute("select body from log where sequence > ?", (behind,)))
            has_news = bool(news) and any(text in body for body in later for text in news)
    except (OSError, sqlite3.Error, TypeError):
        return None
    return Stretch(repr((identity, (status.st_dev, status.st_ino))), last or 0, records, has_news)


def unsent_folder(log: str) -> Path:
    """Return where records wait that could not be written to a log, by its store's name.

    Raises StoreError for a user without a home folder.
    """
    return state_folder() / "unsent" / hashlib.sha256(os.fsencode(log)).hexdigest()[:16]


def _load(database: sqlite3.Connection, *names: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        row = database.execute("select body from document where name = ?", (name,)).fetchone()
        if row:
            found[name] = row[0]
    return found


def _records(database: sqlite3.Connection, after: int) -> "Iterator[Record]":
    """Yield the attempts and identities after a position; anything but our records is skipped."""
    for (body,) in database.execute("select body from log where sequence > ? order by sequence", (after,)):
        if not isinstance(body, str) or not any(kind in body for kind in SUMMED_KINDS):
            continue
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            document = {**OPTIONAL, **json.loads(body)}
            fields = SUMMED_FIELDS.get(str(document.get("kind")), {})
            if fields and all(isinstance(document.get(name), known) for name, known in fields.items()):
                yield cast("Record", SimpleNamespace(**document))
