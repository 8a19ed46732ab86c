"""This process's fold of the shared log, kept up to date, with the feed's lines beside it."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.domain.choice import Choice, Question, Roster, choose
from okr_tui.domain.feed import Entry, entry, recoveries
from okr_tui.domain.policy import Policy
from okr_tui.domain.pool import apply
from okr_tui.domain.records import Record, SettingsRead
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import PoolView, view
from okr_tui.services.clock import Clock
from okr_tui.store.base import Logged, Store

ENTRIES: Final = 500
SNAPSHOT: Final = "snapshot"
COMPACT_AFTER: Final = 2000
COMPACT_EVERY: Final = 900.0
LONGEST_SLEEP: Final = 3600.0
CATCH_UP_AFTER: Final = 0.02
LOG_SECONDS: Final = 30 * 86400
LOG_BYTES: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptState:
    """The state after the log's record of that sequence."""

    sequence: int
    state: PoolState


_snapshots: TypeAdapter[KeptState] = TypeAdapter(KeptState)


class Pool:
    """The pool as the log says it is. Every record goes through `append`, every reader sees `state`."""

    def __init__(
        self, store: Store, roster: Roster, policy: Policy, clock: Clock, zone: tzinfo = UTC
    ) -> None:
        self.store = store
        self.roster = roster
        self.policy = policy
        self.clock = clock
        self.state = PoolState()
        self.entries: deque[Entry] = deque(maxlen=ENTRIES)
        self.in_flight: Counter[str] = Counter()
        self._zone = zone
        self.settings_read: SettingsRead | None = None
        self._sequence = 0
        self._kept = 0
        self._caught_up = 0.0
        self._checkpoints = deque([(0, self.state)], maxlen=2)
        self.listeners: list[Callable[[], None]] = []
        self._changed: set[asyncio.Event] = set()
        self._shown = PoolView()

    @property
    def sequence(self) -> int:
        """The place in the log of the last record that the state knows."""
        return self._sequence

    async def open(self) -> None:
        """Fold the log from the last snapshot on. The feed's lines are made for its last records only."""
        await self._load_snapshot()
        logged = await self.store.read(self._sequence)
        for item in logged[:-ENTRIES]:
            self._apply(item)
        self._take(logged[-ENTRIES:])
        self._shown = self.view()

    async def _load_snapshot(self) -> None:
        text = await self.store.load(SNAPSHOT)
        if text is None:
            return
        try:
            kept = _snapshots.validate_json(text)
        except ValidationError:
            return  # of another version of the program: what is left of the log is folded instead
        self.state, self._sequence, self._kept = kept.state, kept.sequence, kept.sequence
        self._checkpoints.append((kept.sequence, kept.state))

    async def compact(self) -> None:
        """Keep a state beside the log once the log has grown, and drop records that are too old or too many.

        The state kept is an older one, so that the next start still has records to show as lines.
        """
        sequence, state = self._checkpoints[0]
        if sequence - self._kept < COMPACT_AFTER:
            return
        kept = KeptState(sequence, state)
        await self.store.save(SNAPSHOT, _snapshots.dump_json(kept).decode())
        self._kept = sequence
        await self.store.trim(sequence, self.clock.time() - LOG_SECONDS, LOG_BYTES)

    def _apply(self, item: Logged) -> None:
        self._sequence = item.sequence
        self.state = apply(self.state, item.record, self.policy)
        if isinstance(item.record, SettingsRead):
            self.settings_read = item.record
        if item.sequence - self._checkpoints[-1][0] >= ENTRIES:
            self._checkpoints.append((item.sequence, self.state))

    async def follow(self) -> None:
        """Apply what any process appends, for ever."""
        async for logged in self.store.tail(self._sequence):
            self._take(logged)

    async def catch_up(self) -> None:
        """See what other processes have just appended, so that no request goes where the log says no."""
        now = asyncio.get_running_loop().time()
        if now - self._caught_up >= CATCH_UP_AFTER:
            self._caught_up = now
            self._take(await self.store.read(self._sequence))

    async def append(self, *records: Record) -> None:
        """Put records in the log and see them, and all that came before them, in the state."""
        await self.store.append(records)
        self._take(await self.store.read(self._sequence))

    def _take(self, logged: Sequence[Logged]) -> None:
        for item in logged:
            if item.sequence <= self._sequence:
                continue
            self._apply(item)
            if line := entry(item.record, self.state, self.roster, self.policy, self._zone):
                self.entries.append(line)
        if logged:
            self.announce()

    def change_roster(self, roster: Roster, policy: Policy) -> None:
        """The settings changed: other keys, another preference, other numbers for what comes."""
        self.roster = roster
        self.policy = policy
        self.announce()

    def view(self) -> PoolView:
        """The pool as it is shown now."""
        return view(self.state, self.roster, self.policy, self.clock.time(), self.in_flight)

    def look(self) -> PoolView:
        """The pool as it is shown now; what time alone changed since the last look becomes feed lines."""
        shown = self.view()
        self.entries.extend(recoveries(self._shown, shown, self.clock.time(), self._zone))
        self._shown = shown
        return shown

    def choose(self, question: Question) -> Choice:
        """The key for a request."""
        return choose(self.state, self.roster, question, self.policy)

    def choose_after(self, record: Record, question: Question) -> Choice:
        """The key that will follow once this record is in the log."""
        return choose(apply(self.state, record, self.policy), self.roster, question, self.policy)

    def announce(self) -> None:
        """Wake everyone who waits for a change."""
        for listener in self.listeners:
            listener()
        for changed in self._changed:
            changed.set()

    async def changes(self) -> AsyncIterator[None]:
        """Once at first, then after every change; what comes meanwhile is joined to one."""
        changed = asyncio.Event()
        changed.set()
        self._changed.add(changed)
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            self._changed.discard(changed)

    async def watch_time(self) -> None:
        """Announce the moments at which a block ends, since no record will; for ever."""
        while True:
            now = self.clock.time()
            ends = [
                row.verdict.until
                for row in self.view().keys
                if row.verdict.until is not None and row.verdict.until > now
            ]
            await self.wait(min(ends, default=now + LONGEST_SLEEP) - now + 0.01)
            if ends and self.clock.time() >= min(ends):
                self.announce()

    async def keep_small(self) -> None:
        """Compact the log now and then, for ever."""
        while True:
            await self.clock.sleep(COMPACT_EVERY)
            await self.compact()

    async def wait(self, seconds: float) -> None:
        """Until something changes, at most so long."""
        changed = asyncio.Event()
        self._changed.add(changed)
        waiting = {asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self.clock.sleep(seconds))}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._changed.discard(changed)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
