"""What only the fold knows of the log's events, and the small file that keeps it between runs of `events`.

Nearly all of an event is in its record. Only where an outage begins or ends, and what an alert says, takes a
fold of the whole log. A run that has folded it leaves both; the next one reads the records that it prints and
no others, unless settings, environment or log have changed, or a record has come since that may add to what
was left.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from okr_tui.domain.faults import FAULTS, Rule
from okr_tui.services.overview import LONGEST, Basis, Inputs
from okr_tui.store.factory import stretch
from okr_tui.store.kept_files import KeptFiles

FILES: Final = KeptFiles("events")
NEWS: Final = (
    '"kind":"alert"',
    '"kind":"reset-undone"',
    *(f'"kind":"{kind.value}"' for kind, row in FAULTS.items() if row.rule is Rule.BREAKER),
)
"""Texts of the only records that are an alert or may begin an outage."""
Document = dict[str, object]


class KeptEvents(NamedTuple):
    """What the fold knows, up to a position in the log.

    at: when that was, in epoch seconds. keys: the fingerprints of the pool, in their order. outages: their
    begins and ends, by the position of the record that shows it. alerts: those that are no repeats, also by
    position.
    is_out: whether an outage holds at the end.
    """

    at: float
    keys: tuple[str, ...]
    outages: Mapping[int, Document]
    alerts: Mapping[int, Document]
    is_out: bool


def keep(found: KeptEvents, inputs: Inputs, basis: Basis) -> None:
    """Keep what the fold knows for the next run."""
    by_sequence = (list(found.outages.items()), list(found.alerts.items()))
    document = (*basis, (found.at, found.keys, *by_sequence, found.is_out))
    FILES.write(inputs.name, json.dumps(document, separators=(",", ":")))


def since(
    inputs: Inputs, log: Path, oldest: float, now: float
) -> tuple[KeptEvents, list[tuple[int, str]]] | None:
    """Return what an earlier run kept, and the records since a moment, encoded, with their positions.

    None where what was kept does not count any more.
    """
    try:
        inputs_digest, identity, sequence, fields = json.loads(FILES.read(inputs.name) or "null")
        at, keys, outages, alerts, is_out = fields
        kept = KeptEvents(at, tuple(keys), dict(outages), dict(alerts), is_out)
        found = stretch(log, oldest, sequence, NEWS)
    except (TypeError, ValueError, RecursionError):
        return None
    if found is None or found.has_news or (kept.is_out and found.last != sequence):
        return None
    if (inputs_digest, identity) != (inputs.digest, found.identity) or found.last < sequence:
        return None
    return (kept, found.records) if kept.at <= now < kept.at + LONGEST else None
