"""What the dashboard showed last, kept in a small file, so that the next one has something to show at once.

It is drawn before settings, log and cloud are loaded, with its age, and the service's first snapshot takes
its place. It holds masks and no key, and counts only for the settings files, sections and variables that it
was made with. Whatever the file holds, what is read of it is bounded, of the right types, and safe to draw.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

from okr_tui.domain.feed import Entry
from okr_tui.domain.feed_groups import grouped
from okr_tui.domain.text import clean_line
from okr_tui.domain.traffic import NO_TRAFFIC
from okr_tui.services.overview import Inputs
from okr_tui.services.service import GatewayView, Snapshot
from okr_tui.store.kept_files import KeptFiles
from okr_tui.store.typed_json import TypedReader

FILES: Final = KeptFiles("snapshot")
MOST_KEYS: Final = 100
MOST_MODELS: Final = 200
MOST_LINES: Final = 60
NUMBERS: Final = (-1e9, 2.5e11)
"""What numbers may be: every moment among them has a date."""


class LastSnapshot:
    """The last snapshot for some settings, in its file."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def load(self) -> Snapshot | None:
        """Return what was kept as a snapshot; None where there is nothing that counts here."""
        try:
            digest, found = json.loads(FILES.read(self._inputs.name) or "null")
            if digest != self._inputs.pool_digest:
                return None
            snapshot: Snapshot = READER.of(Snapshot)(found)
        except (TypeError, ValueError, LookupError, RecursionError):
            return None
        return replace(snapshot, remembered=True) if _is_consistent(snapshot) else None

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; one without keys is not worth it."""
        if snapshot.pool.keys:
            document = (self._inputs.pool_digest, _plain(_reduced(snapshot)))
            FILES.write(self._inputs.name, json.dumps(document, separators=(",", ":")))


def _reduced(snapshot: Snapshot) -> Snapshot:
    """Return what is worth keeping: no state of the moment, no problem, and of long lists the begin."""
    pool, models, settings = snapshot.pool, snapshot.models, snapshot.settings
    keys = tuple(replace(row, samples=(), in_flight=0) for row in pool.keys[:MOST_KEYS])
    indexes = range(1, len(keys) + 1)
    return replace(
        snapshot,
        pool=replace(
            pool,
            keys=tuple(
                replace(row, account_keys=tuple(at for at in row.account_keys if at in indexes))
                for row in keys
            ),
            active=pool.active if pool.active in indexes else None,
            preferred=pool.preferred if pool.preferred in indexes else None,
        ),
        models=replace(
            models,
            rows=tuple(
                replace(
                    row,
                    model=replace(row.model, model_info={}),
                    keys=tuple(at for at in row.keys if at in indexes),
                )
                for row in models.rows[:MOST_MODELS]
            ),
            refreshing=False,
        ),
        settings=replace(settings, problems=(), lines=(), trust=None, open_to_others=None),
        entries=_last_lines(snapshot.entries),
        gateway=GatewayView(),
        log=(),
        undoable=(),
        alerts=(),
        running=(),
        rates=NO_TRAFFIC,
    )


def _last_lines(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return the last lines as they are shown, each request and each run of similar ones as one."""
    groups = list(grouped(entries))[-MOST_LINES:]
    return tuple(
        replace(
            group.newest,
            at=group.at,
            tone=group.tone,
            text=group.text,
            detail=group.detail,
            more=group.more,
            record=None,
            trace=None,
        )
        for group in groups
    )


def _is_consistent(snapshot: Snapshot) -> bool:
    """Return whether all indexes that are named are indexes of its keys."""
    keys = snapshot.pool.keys
    indexes = range(1, len(keys) + 1)
    named = [at for at in (snapshot.pool.active, snapshot.pool.preferred) if at is not None]
    named += [at for row in snapshot.models.rows for at in row.keys]
    named += [at for key in keys for at in key.account_keys]
    return (
        bool(keys)
        and all(at in indexes for at in named)
        and all(key.index == at and key.account_keys for at, key in enumerate(keys, 1))
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: objects as lists of their fields."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return [_plain(getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, Mapping):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _drawable(hint: Any, found: Any) -> Any:
    """Read a text, number or truth; texts are made safe to draw, numbers are bounded."""
    if hint is float and isinstance(found, int | float) and not isinstance(found, bool):
        return _bounded(found)
    if type(found) is not (str if hint is Path else hint):
        raise ValueError("of another type")
    if isinstance(found, int):
        return _bounded(found) if hint is int else found
    return hint(clean_line(found)) if hint in (str, Path) else found


def _bounded(number: float) -> float:
    if not (math.isfinite(number) and NUMBERS[0] <= number <= 1000 * NUMBERS[1]):
        raise ValueError("out of bounds")
    if isinstance(number, float) and number > NUMBERS[1]:
        raise ValueError("out of bounds")
    return number


READER: Final = TypedReader(_drawable, by_name=False)
