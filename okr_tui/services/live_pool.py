"""The pool as this process knows it: its fold of the shared log, kept up to date, and the feed's lines."""

import asyncio
import contextlib
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Final

from okr_tui.domain.alerts import concerning
from okr_tui.domain.choice import PoolConfig, Selection, SelectionRequest, choose
from okr_tui.domain.errors import StoreError
from okr_tui.domain.feed import Entry, entries, history
from okr_tui.domain.fold import apply, fold
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import (
    Alert,
    Attempt,
    BalanceRead,
    Command,
    FellBack,
    IdentityRead,
    Record,
    SettingsRead,
)
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import PoolView, view
from okr_tui.domain.words import moment
from okr_tui.services.background import Clock, Timer, Timers
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.log_writer import MARK_EVERY, SHORT, Checkpoints, LogWriter, Unsent
from okr_tui.services.service import LATEST, LOG_PROGRESS
from okr_tui.store.base import LogEntry, ReplacedLogError, Store, UnreachableLogError
from okr_tui.store.usage import BEHIND, Detail, Summing, UsageReading, pages, read_usage, sum_up

ENTRIES: Final = MARK_EVERY
PAGE: Final = 2000
"""Records that are folded at once: a fiftieth of a second."""
TELLING: Final = 0.5
"""Seconds after which the progress of reading the log is shown, again and again: each time is a repaint."""
LONG: Final = 20_000
"""Records whose reading takes so long that it is shown at once."""
COMPACT_EVERY: Final = 900.0
SUM_EVERY: Final = 60.0
"""Seconds between two looks whether there is enough to be added to the sums of usage."""
LONGEST_SLEEP: Final = 3600.0
CATCH_UP_AFTER: Final = 0.02
REST: Final = 0.06
"""Seconds after a write of ours until the log is read again: from then on it shows whether it has changed."""
JOINED: Final = 0.05
LOOKED_AT_EASILY: Final = 50
"""Keys that may be looked at as often as there is news."""
LONGEST_INTERVAL: Final = 2.0
ALERTS: Final = 20
"""Alerts that are kept for screens to show."""
READINGS: Final = (BalanceRead, IdentityRead, SettingsRead)
LEARNED: Final = (Attempt, BalanceRead, IdentityRead)
SIGNED: Final = (Command, FellBack, *LEARNED)
"""Records that say who wrote them."""
ALONE: Final = "this process has worked alone since"
UNCOUNTED: Final = "requests running on other machines are not counted"


class LivePool:
    """Holds the state that the log gives. Every record goes through `append`; every reader sees `state`.

    lines: of how many of the last records lines are made; ENTRIES without.
    """

    def __init__(
        self,
        store: Store,
        config: PoolConfig,
        policy: Policy,
        clock: Clock,
        zone: tzinfo = UTC,
        lines: int | None = None,
    ) -> None:
        self.store = store
        self.config = config
        self.policy = policy
        self.clock = clock
        self.state = PoolState()
        self._shown = ENTRIES if lines is None else lines
        """How many lines of Live are made and kept."""
        self.entries: deque[Entry] = deque(maxlen=self._shown)
        self.recent_times: deque[float] = deque(maxlen=LATEST)
        """When the last records of the log were made that are no readings, in epoch seconds."""
        self.alerts: deque[Alert] = deque(maxlen=ALERTS)
        """The last alerts that were raised or ended while this process ran, each once."""
        self.in_flight: Counter[str] = Counter()
        """The requests of this process that are under way, by account."""
        self.elsewhere: dict[str, int] = {}
        """Those of other machines, where they were counted a moment ago."""
        self.slots_problem: str | None = None
        """Why those are not counted, though the log itself can be used."""
        self.has_learned = False
        """Whether this process itself put something about keys or accounts into the log."""
        self.observers: list[Callable[[Record, int | None], None]] = []
        """Called once with each record that arrives, and its position; None before it is in the log."""
        self._zone = zone
        self.settings_read: SettingsRead | None = None
        self._sequence = 0
        self._caught_up = -math.inf
        self._change_token: object | None = None
        """The change token of the log before it was last read to its end."""
        self._reading = asyncio.Lock()
        self.timers = Timers()
        """For whatever a request waits for."""
        self._catching: asyncio.Task[None] | None = None
        self._resting: Timer | None = None
        self._tells_changes = False
        """Whether the log can show that it has not changed, without being read."""
        self._caught = asyncio.Event()
        """Set once the reading under way has ended, or has taken too long."""
        self._checkpoints = Checkpoints(store)
        self._summing: Summing | None = None
        """What was read of a long log, and is not in the sums of usage yet."""
        self.listeners: list[Callable[[], None]] = []
        self._changed: set[asyncio.Event] = set()
        self._learned: set[asyncio.Event] = set()
        self._writer = LogWriter(
            store, written=self._written, apply=self._count, failed=self._write_ended, look=self._read
        )
        self._log_state = PoolState()
        """The fold of the log as far as it was read: `state` without what is not in the log yet."""
        self._identity: object = None
        self._away: tuple[float, str] | None = None
        """Since when the log cannot be used, in epoch seconds, and why."""
        self._unsent_lines: dict[Unsent, tuple[Entry, ...]] = {}

    @property
    def sequence(self) -> int:
        """Return the position in the log of the last record that the state includes."""
        return self._sequence

    @property
    def flights(self) -> Mapping[str, int]:
        """Return the requests under way by account, here and as far as is known elsewhere."""
        if not self.elsewhere and not any(map(self._is_renamed, self.in_flight)):
            return self.in_flight
        found = Counter(self.elsewhere)
        for name, count in self.in_flight.items():
            found[self.state.account_of(name)] += count
        return found

    def _is_renamed(self, account: str) -> bool:
        """Return whether an account had the name of its key when a request began."""
        return account in self.state.keys and self.state.keys[account].account is not None

    @property
    def away(self) -> bool:
        """Whether no request waits for the log, as it could not be used lately or was slow."""
        return self._writer.away

    def lose(self, error: StoreError | None) -> None:
        """Go on alone until the log answers again; `error`: why, None for one that was slow."""
        self._writer.lose(error)

    @property
    def loses_choices(self) -> bool:
        """Whether what a person chose is not in the log; what requests learned is learned again."""
        return any(isinstance(unsent.record, Command) for unsent in self._writer.unsent)

    @property
    def problem(self) -> str | None:
        """Return why the log cannot be used, and since when, in one line; None while it can."""
        if self._away is None:
            return self.slots_problem and f"{UNCOUNTED}: {self.slots_problem}"
        since, why = self._away
        waiting, dropped = len(self._writer.unsent), self._writer.dropped
        kept = f", records waiting for the log: {waiting}" if waiting else ""
        lost = f", lost: {dropped}" if dropped else ""
        uncounted = f"; {UNCOUNTED}" if self.store.slots else ""
        return f"{why}; {ALONE} {moment(since, self.clock.time(), self._zone)}{kept}{lost}{uncounted}"

    async def open(self) -> None:
        """Fold the log from the last kept state on, and make the feed's lines for its last records.

        A log that cannot be reached is joined later; until then this process knows nothing of it. Raises
        StoreError when only another address of the log helps.
        """
        try:
            await self.store.ready()
            try:
                await self._start()
            except ReplacedLogError:  # damaged, and set aside: a fresh one is begun
                await self._start()
            await self._writer.adopt()
        except UnreachableLogError as error:
            self._writer.lose(error)

    async def _start(self) -> None:
        """Take up the log from the last kept state on: at the start, and when it is another one.

        A log that was emptied gets the state that was known, so that no process forgets it.
        """
        if self._log_state != PoolState():
            await self._checkpoints.leave(self._log_state)
        kept = await self._checkpoints.load()
        identity = self.store.identity
        state, sequence, settings_read = kept.state, kept.sequence, self.settings_read
        recent: list[LogEntry] = []
        most = max(LATEST, self._shown)
        own: list[LogEntry] = []
        async for page in self._pages(sequence):
            own += filter(self._writer.wrote, page if self._writer.unsent else ())
            recent += page
            older, recent = recent[:-most], recent[-most:]
            # In steps, so that a state may be kept at each.
            for start in range(0, len(older), MARK_EVERY):
                step = older[start : start + MARK_EVERY]
                state = fold((item.record for item in step), self.policy, state)
                sequence = step[-1].sequence
                self._checkpoints.passed(sequence, state)
                settings_read = _settings_read(step) or settings_read
        if identity not in (None, self.store.identity):  # another call found another log meanwhile
            await self._start()
            return
        # From here on without a pause: what others append meanwhile follows the last record read.
        self._log_state, self._sequence, self._identity = state, sequence, self.store.identity
        self.settings_read = settings_read
        for item in own:  # only now, as whoever waits for it reads the state next
            self._writer.arrived(item)
        replayed = history(
            ((item.sequence, item.record) for item in recent),
            self._log_state,
            self.config,
            self.policy,
            self._zone,
        )
        lines: list[Entry] = []
        for item, (state, found) in zip(recent, replayed, strict=True):
            self._writer.arrived(item)
            self._step(item, state)
            lines += found
        if lines:
            self.entries = deque(
                (*lines, *(line for unsent in self._unsent_lines.values() for line in unsent)),
                maxlen=self._shown,
            )
        self.state = self._log_state
        for unsent in self._writer.unsent:
            if unsent.applied:
                self.state = apply(self.state, unsent.record, self.policy)
        self._announce_news()

    async def _pages(self, first: int) -> AsyncIterator[list[LogEntry]]:
        """Yield the records after a position, so many at once that others get their turn between them.

        Many records go into the sums of usage on their way, so that they are read only once.
        """
        clock = asyncio.get_running_loop().time
        newest = await self.store.read_back(None, 1)
        last = newest[0].sequence if newest else first
        shown_at = clock() if last - first < LONG else -math.inf
        after = first
        self._summing, summing = None, True
        async for page in pages(self.store, first, PAGE):
            yield page
            if summing and (self._summing or len(page) > BEHIND):
                summing = await self._sum_up(page, after)
            after = page[-1].sequence
            if clock() - shown_at > TELLING:
                shown_at = clock()
                of = max(last, after) - first
                LOG_PROGRESS.get()(f"reading the log: {after - first:,} of {of:,} records")

    async def _sum_up(self, page: Sequence[LogEntry], after: int) -> bool:
        """Add the page after a position to the sums of usage; return whether the next one may follow."""
        try:
            if self._summing is None:
                self._summing = await Summing.begin(self.store, self.clock.time())
            if self._summing.through >= after:
                await self._summing.add(page)
                return True
        except UnreachableLogError:
            pass  # a log that cannot be written is only read
        self._summing = None
        return False

    async def compact(self, *, trim: bool = True) -> None:
        """Sum up usage, keep a state once the log has grown, and drop records too old or too many.

        A log that cannot be written stays as it is. Without `trim` the last of it is left to `keep_small`.
        """
        if self._writer.away:
            return
        with contextlib.suppress(UnreachableLogError):
            await self.sum_usage()
            await self._checkpoints.keep()
            await self._writer.adopt()
            if trim:
                await self._checkpoints.trim(self.clock.time())

    def _step(self, item: LogEntry, state: PoolState) -> None:
        """Go on to the state after a record of the log."""
        self._sequence = item.sequence
        self._log_state = state
        if not isinstance(item.record, READINGS):
            self.recent_times.append(item.record.at)
        if isinstance(item.record, SettingsRead):
            self.settings_read = item.record
        self._checkpoints.passed(item.sequence, self._log_state)

    async def follow(self) -> None:
        """Apply what any process appends, until cancelled."""
        while True:
            try:
                async for logged in self.store.tail(lambda: self._sequence):
                    if self.store.identity == self._identity:
                        self._take(logged)
                    else:
                        await self._read()
            except UnreachableLogError as error:
                self._writer.lose(error)
            await self._writer.back.wait()

    async def catch_up(self) -> None:
        """Read what other processes have just appended, so that no request uses a key they found blocked.

        A log that cannot be read stops no request: this process continues with what it knows.
        """
        if asyncio.get_running_loop().time() - self._caught_up < CATCH_UP_AFTER:
            return
        if self._change_token is not None and self.store.change_token() == self._change_token:
            return
        if self._writer.away:
            return
        self._begin_look()
        # All continue together: a lock would let one pass at a time.
        await self._caught.wait()

    def _begin_look(self) -> None:
        if self._catching is None:
            self._caught = asyncio.Event()
            self._catching = asyncio.create_task(self._look(self._caught))

    def _look_at_rest(self) -> None:
        """Read the log once nothing is written any more, so that the next request need not."""
        if not self._writer.away and self.store.change_token() != self._change_token:
            self._begin_look()

    async def _look(self, caught: asyncio.Event) -> None:
        def give_up() -> None:
            self._writer.lose(None)
            caught.set()

        timer, began = self.timers.start(SHORT, give_up), asyncio.get_running_loop().time()
        try:
            await self._writer.flush()  # a write, too, tells whether others wrote
            if self._caught_up < began:
                await self._read()
        except StoreError as error:
            self._writer.lose(error)
        finally:
            timer.cancel()
            self._catching = None
            caught.set()

    async def _read(self) -> None:
        async with self._reading:  # so that each continues where the one before ended
            began, token = asyncio.get_running_loop().time(), self.store.change_token()
            try:
                logged = await self.store.read(self._sequence)
            except ReplacedLogError:
                self._identity = None
                raise
            if self.store.identity == self._identity:
                self._take(logged)
            else:
                await self._start()
            self._caught_up, self._change_token = began, token
            self._tells_changes = self._tells_changes or token is not None

    async def append(self, *records: Record) -> None:
        """Append records to the log, and apply them and all records before them to the state.

        Records that arrive while the log is busy are written together. Cancelling the caller does not take
        its records back. While the log is away they apply to this process only, `problem` says so, and they
        are sent once it is back.
        """
        self._note_learned(records)
        await self._writer.add(self._signed(records))

    async def note(self, record: Record, *, hurried: bool = True) -> None:
        """Append what a request learned; it is never held up by a log that is away.

        A record that is not `hurried` waits a moment for others, so that more are written together.
        """
        self._note_learned((record,))
        await self._writer.add(self._signed((record,)), hurried=hurried)

    def note_soon(self, record: Record) -> None:
        """Append what a request learned, together with others in a moment; nothing waits for it."""
        self._note_learned((record,))
        self._writer.add_soon(self._signed((record,)))

    def _signed(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return records with the name of this person, where several share the log."""
        person = self.config.person
        if person is None:
            return records
        return [
            replace(record, who=person) if isinstance(record, SIGNED) and record.who is None else record
            for record in records
        ]

    def _note_learned(self, records: Sequence[Record]) -> None:
        self.has_learned = self.has_learned or any(isinstance(record, LEARNED) for record in records)

    async def settled(self) -> None:
        """Wait until no record is on its way into the log. Raises StoreError if some are lost."""
        if self._resting:
            self._resting.cancel()
        if self._catching:
            await asyncio.wait([self._catching], timeout=SHORT)
        if not await self._writer.settled():
            why = self.problem or f"the log {self.store.name} did not answer in time"
            raise StoreError(f"{why}; what was not written could not be kept either, and is lost")

    async def _written(self, last: int, sent: Sequence[Unsent]) -> None:
        """Take up records that are in the log now, `last` being the position of the last of them."""
        began = asyncio.get_running_loop().time()
        if self._sequence + len(sent) == last and self.store.identity in (self._identity, None):
            self._caught_up = began  # no other process wrote before
            if self._tells_changes:
                if self._resting:
                    self._resting.cancel()
                self._resting = self.timers.start(REST, self._look_at_rest)
            for sequence, unsent in enumerate(sent, self._sequence + 1):
                self._writer.confirm(unsent)
                self._pass(LogEntry(sequence, unsent.record), unsent)
            self._announce_news()
            return
        await self._read()

    def _count(self, unsent: Unsent) -> None:
        """Apply a record that is not in the log yet."""
        before, self.state = self.state, apply(self.state, unsent.record, self.policy)
        if self._shown:
            lines = entries(unsent.record, before, self.state, self.config, self.policy, self._zone)
            self.entries.extend(lines)
            self._unsent_lines[unsent] = lines
        self._observe(unsent.record, None)
        self._announce_news()

    def _write_ended(self, error: StoreError | None) -> None:
        if error is None:
            self._away = None
        else:
            self._away = (self._away[0] if self._away else self.clock.time(), str(error))
        self.announce()

    def _take(self, logged: Sequence[LogEntry]) -> None:
        for item in logged:
            if item.sequence > self._sequence:
                self._pass(item, self._writer.arrived(item))
        if logged:
            self._announce_news()

    def _pass(self, item: LogEntry, own: Unsent | None) -> None:
        """Apply a record of the log, `own` if it was sent from here: then it may count already."""
        before = self.state
        self._step(item, apply(self._log_state, item.record, self.policy))
        if not any(unsent.applied for unsent in self._writer.unsent):
            self.state = self._log_state
        elif own is None or not own.applied:
            self.state = apply(self.state, item.record, self.policy)
        self._notify(item, own, before)
        if own is None or not own.applied:
            self._observe(item.record, item.sequence)

    def _notify(self, item: LogEntry, own: Unsent | None, before: PoolState) -> None:
        """Add the lines of a record of the log to the feed; `before` is the state before it."""
        if not self._shown:
            return
        shown = self._unsent_lines.pop(own, None) if own else None
        if shown is None:
            self.entries.extend(
                entries(item.record, before, self.state, self.config, self.policy, self._zone, item.sequence)
            )
            return
        for line in shown:  # they come again, with their position; they are among the last, and alike in many
            backwards = range(-1, -len(self.entries) - 1, -1)
            if found := next((at for at in backwards if self.entries[at] is line), None):
                del self.entries[found]
        self.entries.extend(replace(line, sequence=item.sequence) for line in shown)

    def _observe(self, record: Record, sequence: int | None) -> None:
        if (
            isinstance(record, Alert)
            and self.state.alerts.get(record.name) == record
            and (found := concerning(record, self.state, self.config))
        ):
            self.alerts.append(found)
        for observer in self.observers:
            observer(record, sequence)

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Take up other keys, another preference or policy, and wake every waiter for a change."""
        del old
        self.config = new.config
        self.policy = new.policy
        self._announce_news()

    def view(self) -> PoolView:
        """Return the pool as it is shown now."""
        return view(self.state, self.config, self.policy, self.clock.time(), self.flights)

    def choose(self, request: SelectionRequest) -> Selection:
        """Choose the key for a request."""
        return choose(self.state, self.config, request, self.policy)

    def choose_after(self, record: Record, request: SelectionRequest) -> Selection:
        """Choose the key that a request would get once this record is in the log."""
        return choose(apply(self.state, record, self.policy), self.config, request, self.policy)

    def announce(self) -> None:
        """Wake every waiter for a change."""
        for listener in self.listeners:
            listener()
        for changed in self._changed:
            changed.set()

    def _announce_news(self) -> None:
        """Wake also those who wait for news from the log or the settings, not for requests in flight."""
        for learned in self._learned:
            learned.set()
        self.announce()

    async def changes(self) -> AsyncIterator[None]:
        """Yield at once, then after every change; changes during one step are joined."""
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
        """Announce the moments at which a block ends, since no record does; until cancelled."""
        while True:
            now = self.clock.time()
            verdicts = self.choose(SelectionRequest(now, in_flight=self.flights)).verdicts
            ends = [each.until for each in verdicts if each.until is not None and each.until > now]
            await self.wait(min(ends, default=now + LONGEST_SLEEP) - now + 0.01)
            if ends and self.clock.time() >= min(ends):
                self.announce()

    async def keep_small(self) -> None:
        """Compact the log at once and every COMPACT_EVERY seconds, until cancelled."""
        while True:
            await self.compact()
            await self.clock.sleep(COMPACT_EVERY)

    async def sum_usage(self) -> None:
        """Add the newest records to the sums of usage, once they are many."""
        summing, self._summing = self._summing, None
        if summing:
            await summing.save()
        await sum_up(self.store, self.clock.time(), self._sequence)

    async def read_usage(self, since: float, detail: Detail = "all") -> tuple[UsageReading, list[Record]]:
        """Return the sums of usage since a moment, and the records that came meanwhile and are not in them.

        `detail` as for `store.usage.read_usage`. Raises StoreError.
        """
        came: list[tuple[Record, int | None]] = []

        def keep(record: Record, sequence: int | None) -> None:
            came.append((record, sequence))

        self.observers.append(keep)
        try:
            reading = await read_usage(self.store, since, self.clock.time(), detail)
        finally:
            self.observers.remove(keep)
        return reading, [
            record for record, sequence in came if sequence is None or sequence > reading.through
        ]

    async def keep_summed(self) -> None:
        """Sum up usage every SUM_EVERY seconds, until cancelled: readers read what is not summed up yet."""
        while True:
            await self.clock.sleep(SUM_EVERY)
            await self.sum_usage()

    def interval(self, seconds: float) -> float:
        """Return the seconds between two looks at every key, more where there are many keys."""
        return min(seconds * max(1.0, len(self.config.keys) / LOOKED_AT_EASILY), LONGEST_INTERVAL)

    async def wait(self, seconds: float) -> None:
        """Wait at most that long for news from the log or the settings; quick news is joined."""
        learned = asyncio.Event()
        self._learned.add(learned)
        waiting = {asyncio.ensure_future(learned.wait()), asyncio.ensure_future(self.clock.sleep(seconds))}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if learned.is_set():
                await asyncio.sleep(self.interval(JOINED))
        finally:
            self._learned.discard(learned)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def _settings_read(items: Sequence[LogEntry]) -> SettingsRead | None:
    """Return the last record of settings among some records."""
    return next((item.record for item in reversed(items) if isinstance(item.record, SettingsRead)), None)
