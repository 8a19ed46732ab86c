"""Records on their way into the log: sent together, kept while the log is away, and sent once for all."""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import field
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.domain.state import PoolState
from okr_tui.domain.values import dataclass
from okr_tui.store.base import AppendToken, LogEntry, Store
from okr_tui.store.typed_json import StoredJson
from okr_tui.store.unsent import UnsentFile
from okr_tui.store.usage import summed_through

GATHER: Final = 0.05
"""Seconds a record may wait for others: writes are expensive, and make other processes read."""
SHORT: Final = 0.2
"""Seconds a request waits for the log at most."""
TELLING: Final = 1.0
"""Seconds from which on a slow log is worth a line."""
AT_ONCE: Final = 500
MOST: Final = 10_000
"""Records that are kept while the log is away; the oldest go first."""
FIRST_PAUSE: Final = 0.05
CLOSING: Final = 2.0
"""Seconds that the end of a process waits for the log."""
LONGEST_PAUSE: Final = 1.0
"""Seconds between two tries to reach a log that is away."""


@dataclass(eq=False, slots=True)
class Unsent:
    """A record that is not known to be in the log. `applied`: this process counts it already."""

    number: int
    record: Record
    settled: asyncio.Future[None] = field(repr=False)
    applied: bool = False


class LogWriter:
    """Sends records to the log in their order, each with a number, so that none is in it twice.

    `written` is called with what an append returned and its records; `apply` with those that have to
    count before they are in the log; `failed` with the error of a try, None after one that was quick.
    """

    def __init__(
        self,
        store: Store,
        *,
        written: Callable[[int, Sequence[Unsent]], Awaitable[None]],
        apply: Callable[[Unsent], None],
        failed: Callable[[StoreError | None], None],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._written = written
        self._apply = apply
        self._failed = failed
        self._look = look
        self.unsent: deque[Unsent] = deque()
        self.dropped = 0
        """Records that were given up, since too many waited."""
        self.back = asyncio.Event()
        """Set, except while the log could not be used lately or was slow: no request waits for it then."""
        self.back.set()
        self._writer = uuid.uuid4().hex
        self._next = 0
        self._hurried = 0
        """Records with a lower number are written without a pause; the timer that gathers is for the rest."""
        self._file = UnsentFile(store.name, self._writer)
        self._running: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._filing = asyncio.Lock()
        self._gathering: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    @property
    def away(self) -> bool:
        """Whether no request waits for the log, as it could not be used lately or was slow."""
        return not self.back.is_set()

    async def add(self, records: Sequence[Record], *, hurried: bool = True) -> None:
        """Have records written; return once they are in the log, or count without it after SHORT seconds."""
        if not hurried:
            for each in self.add_soon(records):
                await each.settled
            return
        added = self._added(records)
        if not self.away:
            self._begin()
            waiting = [each.settled for each in added]
            await asyncio.wait(waiting, timeout=SHORT + GATHER)
            if not all(each.done() for each in waiting):
                self.lose(None)

    def add_soon(self, records: Sequence[Record]) -> Sequence[Unsent]:
        """Have records written together with those that come within GATHER seconds."""
        loop, added = asyncio.get_running_loop(), self._added(records)
        if self.away:
            return added
        if self._gathering is None:
            self._gathering = loop.call_later(GATHER, self._begin)
        if self._patience is None:  # one for all: a timer for each costs as much as the record
            self._patience = loop.call_later(SHORT + GATHER, self._look_for_late, self._next)
        return added

    async def flush(self) -> None:
        """Have what waits written now; return once it is in the log, or counts without it."""
        if self.unsent and not self.away:
            self._begin()
            await asyncio.wait([self.unsent[-1].settled])

    def _added(self, records: Sequence[Record]) -> Sequence[Unsent]:
        """Put records in line; while the log is away, they count at once."""
        loop = asyncio.get_running_loop()
        added = []
        for record in records:
            added.append(Unsent(self._next, record, loop.create_future()))
            self._next += 1
        self.unsent += added
        if self.away:
            self._count(added)
            self._bound()
        return added

    def _look_for_late(self, before: int) -> None:
        """Let no one wait any more if a record numbered lower is not settled yet."""
        self._patience = None
        if self.away or not self.unsent:
            return
        if self.unsent[0].number < before:
            self.lose(None)
        else:
            later = asyncio.get_running_loop().call_later
            self._patience = later(SHORT + GATHER, self._look_for_late, self._next)

    def lose(self, error: StoreError | None) -> None:
        """Let no request wait for the log until a try was quick; `error`: why, None for a slow one."""
        if error:
            self._lost(error)
        else:
            self.back.clear()
            self._count(self.unsent)
        self._begin()

    def wrote(self, item: LogEntry) -> bool:
        """Return whether a record of the log was sent from here."""
        return item.token is not None and item.token.writer == self._writer

    def arrived(self, item: LogEntry) -> Unsent | None:
        """Return the record of ours that was read back from the log, and forget it."""
        if item.token is None or not self.wrote(item):
            return None
        for unsent in self.unsent:
            if unsent.number == item.token.number:
                self.confirm(unsent)
                return unsent
        return None

    def confirm(self, unsent: Unsent) -> None:
        """Forget a record that is in the log."""
        self.unsent.remove(unsent)
        _settle(unsent)

    async def settled(self) -> bool:
        """Wait until everything is written, or cannot be now; return whether nothing is lost.

        What could not be written is kept on disk, where that is possible, for the next process.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + CLOSING
        while self._busy and not self.away and clock() < until:
            self._begin()
            assert self._running
            await asyncio.wait([self._running], timeout=SHORT)
        await self._stop()
        if self.unsent:
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(SHORT):
                    while self.unsent:
                        await self._send()
        if self.unsent:
            self._count(self.unsent)
        kept = await self._keep()
        async with self._filing:
            if self._keeping:
                self._keeping.cancel()
                await asyncio.wait([self._keeping])
            await asyncio.to_thread(self._file.close, empty=not self.unsent)
        return kept

    @property
    def _busy(self) -> bool:
        return bool(self.unsent or self._running)

    async def adopt(self) -> None:
        """Send what processes that ended could not, from their files. Raises StoreError."""
        adopted = False
        for file in await asyncio.to_thread(UnsentFile.left_behind, self._store.name):
            try:
                for number, records in _in_sequence(file.items):
                    await self._store.append(records, AppendToken(file.writer, number))
            except BaseException:
                await asyncio.to_thread(file.close, empty=False)
                raise
            await asyncio.to_thread(file.close, empty=True)
            adopted = True
        if adopted:
            await self._look()

    async def _stop(self) -> None:
        for timer in filter(None, (self._gathering, self._patience)):
            timer.cancel()
        self._gathering = self._patience = None
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _begin(self) -> None:
        """Have all that waits now written."""
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        self._hurried = self._next
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        clock = asyncio.get_running_loop().time
        try:
            while self.away or (self.unsent and self.unsent[0].number < self._hurried):
                began = clock()
                try:
                    if self.away:
                        await self._return()
                    else:
                        await self._send()
                except Exception as error:
                    text = " ".join(str(error).split())
                    unexpected = f"cannot write the log: unexpected {type(error).__name__}: {text}"
                    self._lost(error if isinstance(error, StoreError) else StoreError(unexpected))
                    await self._keep()
                else:
                    took = clock() - began
                    if not self.away or took < SHORT:
                        await self._found()
                        pause = FIRST_PAUSE
                        continue
                    if took > TELLING:
                        slow = f"the log {self._store.name} takes {took:.1f} s to answer"
                        self._failed(StoreError(slow))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._running = None

    async def _return(self) -> None:
        """Send what was kept to a log that may be back, and read what others wrote."""
        await self._store.ready()
        await self._look()  # the log may be another one, and be taken up first
        while self.unsent:
            await self._send()
        await self.adopt()

    def _lost(self, error: StoreError) -> None:
        self.back.clear()
        self._failed(error)
        self._count(self.unsent)
        self._bound()

    async def _found(self) -> None:
        if self.away:
            self.back.set()
            self._hurried = self._next  # what came meanwhile waits for no timer
            self.dropped = 0
            self._failed(None)
            async with self._filing:
                if not self.unsent:
                    self._file.close(empty=True)

    async def _keep(self) -> bool:
        """Write down what waits, for the next process; return whether all of it is on disk."""
        async with self._filing:
            items = [(each.number, each.record) for each in self.unsent]
            return not items or await asyncio.to_thread(self._file.keep, items)

    async def _keep_while_away(self) -> None:
        """Write down what waits as it comes: what a process learned is not to be lost when it is killed."""
        while self.away:
            await asyncio.sleep(SHORT)
            await self._keep()
        self._keeping = None

    async def _send(self) -> None:
        """Send the records that wait, as many as go at once."""
        together = list(self.unsent)[:AT_ONCE]
        if not together:
            return
        records = [each.record for each in together]
        last = await self._store.append(records, AppendToken(self._writer, together[0].number))
        await self._written(last, together)
        for each in together:
            if each in self.unsent:  # the log has dropped it already
                self.confirm(each)

    def _count(self, unsent: Sequence[Unsent] | deque[Unsent]) -> None:
        for each in unsent:
            if not each.applied:
                each.applied = True
                self._apply(each)
            _settle(each)
        if self.away and self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_while_away())

    def _bound(self) -> None:
        while len(self.unsent) > MOST:
            self.unsent.popleft()
            self.dropped += 1


def _in_sequence(items: Sequence[tuple[int, Record]]) -> Iterator[tuple[int, list[Record]]]:
    """Yield records that go at once, with the number of the first: their numbers follow each other."""
    start = 0
    for index, (number, _) in enumerate(items, 1):
        if index == len(items) or index - start == AT_ONCE or items[index][0] != number + 1:
            yield items[start][0], [record for _, record in items[start:index]]
            start = index


def _settle(unsent: Unsent) -> None:
    if not unsent.settled.done():
        unsent.settled.set_result(None)


MARK_EVERY: Final = 500
"""Records between two states that are remembered."""
SNAPSHOT: Final = "snapshot"
COMPACT_AFTER: Final = 2000
LOG_SECONDS: Final = 30 * 86400
LOG_BYTES: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptState:
    """The state after the log's record of that sequence."""

    sequence: int
    state: PoolState


SNAPSHOTS: Final[StoredJson[KeptState]] = StoredJson(KeptState)


class Checkpoints:
    """Remembers the last states that were passed, one in MARK_EVERY records, and the one that was kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept = 0
        self._untrimmed = 0
        """The position of the state that was kept last, until the log is trimmed; else 0."""
        self._passed = deque([KeptState(0, PoolState())], maxlen=2)

    async def load(self) -> KeptState:
        """Return the state that was kept, that of an empty log without one or with one of another version."""
        kept = await self._stored() or KeptState(0, PoolState())
        self._kept = kept.sequence
        self._passed = deque([KeptState(0, PoolState()), kept], maxlen=2)
        return kept

    async def leave(self, state: PoolState) -> None:
        """Keep a state as that of the empty log, for a log that starts over; the first process does."""
        kept = SNAPSHOTS.write(KeptState(0, state))
        if await self._stored() is None and not await self._store.read(0, 1):
            await self._store.save_if(SNAPSHOT, None, {SNAPSHOT: kept})

    async def _stored(self) -> KeptState | None:
        text = await self._store.load(SNAPSHOT)
        try:
            return None if text is None else SNAPSHOTS.read(text)
        except ValueError:
            return None

    def passed(self, sequence: int, state: PoolState) -> None:
        """Remember the state after a record."""
        if sequence - self._passed[-1].sequence >= MARK_EVERY:
            self._passed.append(KeptState(sequence, state))

    async def keep(self) -> None:
        """Keep a state once the log has grown.

        It is an older one, so that the next start still has records to show as lines.
        """
        oldest = self._passed[0]
        if oldest.sequence - self._kept < COMPACT_AFTER:
            return
        stored = await self._stored()
        if stored and stored.sequence > oldest.sequence:
            # Another process was first, and records between the two may be gone.
            self._kept = stored.sequence
            return
        await self._store.save(SNAPSHOT, SNAPSHOTS.write(oldest))
        self._kept = self._untrimmed = oldest.sequence

    async def trim(self, now: float) -> None:
        """Drop records that are older than 30 days or beyond 50 MiB, after a state was kept.

        `now` is epoch seconds. What is not in that state, or in the sums of usage, stays.
        """
        through, self._untrimmed = self._untrimmed, 0
        if through:
            through = min(through, await summed_through(self._store))
            await self._store.trim(through, now - LOG_SECONDS, LOG_BYTES)
