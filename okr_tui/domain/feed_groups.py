"""Runs of alike lines as one, so that what matters stays in sight. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from okr_tui.domain.feed import Entry, Tone
from okr_tui.domain.records import Attempt
from okr_tui.domain.words import span

QUIET_LEAST: Final = 3
ALIKE_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class Group:
    """One line of the feed as it is shown: an entry, or a run of alike ones, oldest first."""

    entries: tuple[Entry, ...]

    @property
    def newest(self) -> Entry:
        """The entry that speaks for all."""
        return self.entries[-1]

    @property
    def at(self) -> float:
        """When it last happened (epoch seconds)."""
        return self.newest.at

    @property
    def tone(self) -> Tone:
        """The tone of all of them."""
        return self.newest.tone

    @property
    def text(self) -> str:
        """The line: the newest entry's with the count, or how many requests went well."""
        count = len(self.entries)
        if count == 1:
            return self.newest.text
        return f"{count} requests ok" if self.tone == "quiet" else f"{self.newest.text} ×{count}"

    @property
    def detail(self) -> str:
        """What stands behind the line; for a run also the time it took."""
        if len(self.entries) == 1:
            return self.newest.detail
        within = f"in {span(self.newest.at - self.entries[0].at)}"
        if self.tone != "quiet":
            return " · ".join(part for part in (within, self.newest.detail) if part)
        counts = Counter(entry.key for entry in self.entries)
        keys = " ".join(f"#{key or '?'} ×{count}" for key, count in counts.most_common(6))
        return f"{keys} · {within}"


def grouped(entries: Iterable[Entry]) -> Iterator[Group]:
    """The lines for entries in order: requests that went well, and faults that say the same, together."""
    for _, run in groupby(entries, key=_kind):
        alike = tuple(run)
        if len(alike) < (QUIET_LEAST if alike[0].tone == "quiet" else ALIKE_LEAST):
            yield from (Group((entry,)) for entry in alike)
        else:
            yield Group(alike)


def _kind(entry: Entry) -> Hashable:
    """What entries of one run have in common; the time a key is back may differ."""
    if entry.tone == "quiet":
        return "quiet"
    record = entry.record
    if isinstance(record, Attempt) and record.fault:
        fault = record.fault
        about = (entry.fingerprint, entry.client, entry.model, record.path)
        return (*about, fault.kind, fault.status, fault.text)
    return (entry.tone, entry.fingerprint, entry.text, entry.detail)
