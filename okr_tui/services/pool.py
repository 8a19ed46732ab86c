"""This process's fold of the shared log, kept up to date, with the feed's lines beside it."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, tzinfo
from typing import Final

from okr_tui.domain.choice import Choice, Question, Roster, choose
from okr_tui.domain.feed import Entry, entry, recoveries
from okr_tui.domain.policy import Policy
from okr_tui.domain.pool import apply
from okr_tui.domain.records import Record
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import PoolView, view
from okr_tui.services.clock import Clock
from okr_tui.store.base import Logged, Store

ENTRIES: Final = 500


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
        self._sequence = 0
        self._changed: set[asyncio.Event] = set()
        self._shown = PoolView()

    async def open(self) -> None:
        """Fold the whole log. The feed's lines are made for its last records only."""
        logged = await self.store.read()
        for item in logged[:-ENTRIES]:
            self._sequence = item.sequence
            self.state = apply(self.state, item.record, self.policy)
        self._take(logged[-ENTRIES:])
        self._shown = self.view()

    async def follow(self) -> None:
        """Apply what any process appends, for ever."""
        async for logged in self.store.tail(self._sequence):
            self._take(logged)

    async def append(self, *records: Record) -> None:
        """Put records in the log and see them, and all that came before them, in the state."""
        await self.store.append(records)
        self._take(await self.store.read(self._sequence))

    def _take(self, logged: Sequence[Logged]) -> None:
        for item in logged:
            if item.sequence <= self._sequence:
                continue
            self._sequence = item.sequence
            self.state = apply(self.state, item.record, self.policy)
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
