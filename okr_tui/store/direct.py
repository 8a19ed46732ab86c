"""A look at a log on this machine without opening the store: for commands that must cost next to nothing.

Records are read as they are written, without checking them against their types, and nothing is folded.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import quote

from okr_tui.domain.errors import StoreError
from okr_tui.store.usage import HEAD, Detail, Head, UsageReading, combine

if TYPE_CHECKING:
    from okr_tui.domain.records import Record

BUSY_SECONDS: Final = 5.0
SUMMED_KINDS: Final = ('"kind":"attempt"', '"kind":"identity"')
OPTIONAL: Final = dict.fromkeys(
    ("model", "caller", "fault", "next_fingerprint", "first_byte_ms", "input_tokens", "cached_tokens",
     "output_tokens", "plan")
)  # fmt: skip


class Look(NamedTuple):
    """What was spent, and the documents that were asked for and exist, by name."""

    usage: UsageReading
    documents: Mapping[str, str]


def look(path: Path, since: float, until: float, detail: Detail, *documents: str) -> Look:
    """Read usage between two moments, as `read_usage` does, and documents, all as of one moment.

    A log that does not exist is empty. Raises StoreError for one that cannot be read.
    """
    if not path.exists():
        return Look(UsageReading({}, {}), {})
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        ) as database:
            database.execute("begin")
            head = Head.read(_load(database, HEAD).get(HEAD))
            days = _load(database, *head.names(detail, since, until))
            return Look(combine(head, days, _records(database, head.through)), _load(database, *documents))
    except sqlite3.Error as error:
        raise StoreError(f"cannot read the log {path}: {error}") from error


def _load(database: sqlite3.Connection, *names: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        row = database.execute("select body from document where name = ?", (name,)).fetchone()
        if row:
            found[name] = row[0]
    return found


def _records(database: sqlite3.Connection, after: int) -> "Iterator[Record]":
    """Yield the attempts and identities behind a place; what is none of our records is passed over."""
    for (body,) in database.execute("select body from log where sequence > ? order by sequence", (after,)):
        if not any(kind in body for kind in SUMMED_KINDS):
            continue
        with contextlib.suppress(ValueError, TypeError):
            yield cast("Record", SimpleNamespace(**{**OPTIONAL, **json.loads(body)}))
