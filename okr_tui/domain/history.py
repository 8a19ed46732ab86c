"""How full a key's windows were and how its requests went over the last hours. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from okr_tui.domain.quota import Balance, Sample
from okr_tui.domain.records import Attempt, BalanceRead, Record
from okr_tui.domain.values import dataclass

HOURS: Final = 6
SLOT: Final = 600
"""Seconds that one cell of a sparkline covers."""
CELLS: Final = HOURS * 3600 // SLOT
BARS: Final = "▁▂▃▄▅▆▇█"
CREDITS: Final = "credits"


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of a slot of time, and how many of them failed."""

    requests: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What the log says of one key and its account, not older than HOURS. Tallies go by `at // SLOT`."""

    samples: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    tallies: Mapping[int, Tally] = field(default_factory=dict)


def extended(
    history: KeyHistory, records: Sequence[Record], fingerprint: str, account_keys: frozenset[str], now: float
) -> KeyHistory:
    """Return the history with more records, oldest first, without entries that are too old at `now`.

    Readings of quota count with any key of the account, requests with the key of that fingerprint.
    """
    since = now - HOURS * 3600
    samples = {name: list(known) for name, known in history.samples.items()}
    tallies = dict(history.tallies)
    for record in records:
        if isinstance(record, BalanceRead) and record.fingerprint in account_keys:
            for name, used in quota_parts(record.balance):
                samples.setdefault(name, []).append(Sample(record.at, used))
        elif isinstance(record, Attempt) and record.fingerprint == fingerprint and record.client != "probe":
            slot = int(record.at // SLOT)
            old = tallies.get(slot, Tally())
            tallies[slot] = replace(
                old, requests=old.requests + 1, faults=old.faults + (record.fault is not None)
            )
    kept = {name: tuple(s for s in known if s.at >= since) for name, known in samples.items()}
    oldest = int(since // SLOT)
    return KeyHistory(kept, {slot: tally for slot, tally in tallies.items() if slot >= oldest})


def quota_parts(balance: Balance) -> Sequence[tuple[str, float]]:
    """Return the percent used of each window of a reading, and of its dollars."""
    parts = [(each.name, each.used_percent) for each in balance.windows if each.used_percent is not None]
    if balance.credits and balance.credits.used_percent is not None:
        parts.append((CREDITS, balance.credits.used_percent))
    return parts


def used_slots(samples: Sequence[Sample], now: float) -> tuple[float | None, ...]:
    """Return how full a window was at the end of each slot up to now; None before the first reading."""
    last = int(now // SLOT)
    slots: list[float | None] = [None] * CELLS
    for sample in samples:
        index = int(sample.at // SLOT) - last + CELLS - 1
        if 0 <= index < CELLS:
            slots[index] = sample.used_percent
    known: float | None = None
    for index, value in enumerate(slots):
        known = slots[index] = value if value is not None else known
    return tuple(slots)


def tally_slots(history: KeyHistory, now: float) -> tuple[Tally, ...]:
    """Return the tallies of each slot up to now."""
    last = int(now // SLOT)
    return tuple(history.tallies.get(slot, Tally()) for slot in range(last - CELLS + 1, last + 1))


def sparkline(values: Sequence[float | None], most: float) -> str:
    """Return one character per value; `most` is a full one, unknown and zero are dots."""
    if most <= 0:
        return "·" * len(values)
    top = len(BARS) - 1
    return "".join(
        "·" if value is None else BARS[min(top, int(min(1.0, value / most) * len(BARS)))] for value in values
    )
