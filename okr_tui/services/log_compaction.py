"""States kept in the store, so that a start folds only the end of the log and old records can be dropped."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.state import PoolState
from okr_tui.store.base import Store
from okr_tui.store.usage import summed_through

APART: Final = 500
SNAPSHOT: Final = "snapshot"
COMPACT_AFTER: Final = 2000
LOG_SECONDS: Final = 30 * 86400
LOG_BYTES: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptState:
    """The state after the log's record of that sequence."""

    sequence: int
    state: PoolState


_snapshots: TypeAdapter[KeptState] = TypeAdapter(KeptState)


class Checkpoints:
    """Remembers the last states that were passed, at least APART records apart, and the one that was kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept = 0
        self._passed = deque([KeptState(0, PoolState())], maxlen=2)

    async def load(self) -> KeptState:
        """Return the state that was kept, that of an empty log without one or with one of another version."""
        kept = await self._stored() or KeptState(0, PoolState())
        self._kept = kept.sequence
        self._passed = deque([KeptState(0, PoolState()), kept], maxlen=2)
        return kept

    async def leave(self, state: PoolState) -> None:
        """Keep a state as that of the empty log, for a log that begins anew; the first process does."""
        kept = _snapshots.dump_json(KeptState(0, state)).decode()
        if await self._stored() is None and not await self._store.read(0, 1):
            await self._store.save_if(SNAPSHOT, None, {SNAPSHOT: kept})

    async def _stored(self) -> KeptState | None:
        text = await self._store.load(SNAPSHOT)
        try:
            return None if text is None else _snapshots.validate_json(text)
        except ValidationError:
            return None

    def passed(self, sequence: int, state: PoolState) -> None:
        """Remember the state after a record."""
        if sequence - self._passed[-1].sequence >= APART:
            self._passed.append(KeptState(sequence, state))

    async def keep(self, now: float) -> None:
        """Keep a state once the log has grown; drop records that are older than 30 days or beyond 50 MiB.

        The state kept is an older one, so that the next start still has records to show as lines.
        """
        oldest = self._passed[0]
        if oldest.sequence - self._kept < COMPACT_AFTER:
            return
        stored = await self._stored()
        if stored and stored.sequence > oldest.sequence:
            # Another process was first, and records between the two may be gone.
            self._kept = stored.sequence
            return
        await self._store.save(SNAPSHOT, _snapshots.dump_json(oldest).decode())
        self._kept = oldest.sequence
        # What is not in the sums of usage must stay.
        through = min(oldest.sequence, await summed_through(self._store))
        await self._store.trim(through, now - LOG_SECONDS, LOG_BYTES)
