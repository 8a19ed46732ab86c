"""The log read back: pages of the feed, and what one key did over the last hours."""

import asyncio
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Final

from okr_tui.domain.feed import Entry, FeedFilter, history
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.history import HOURS, KeyHistory, extended
from okr_tui.domain.state import AccountState, KeyState, PoolState
from okr_tui.services.live_pool import LivePool
from okr_tui.store.base import LogEntry

PAGE: Final = 200
"""Records read at once, and about as many lines as an answer has."""
LEAD: Final = 100
"""Records before a stretch that are folded for it, so that its lines know what came before."""
SCAN: Final = 4000
"""Records looked at for one answer when few are wanted."""
HISTORY_MOST: Final = 20_000
"""Records read for the first history of a key."""


class LogReader:
    """Reads parts of the shared log, never the whole of it."""

    def __init__(self, pool: LivePool, zone: tzinfo = UTC) -> None:
        self._pool = pool
        self._zone = zone
        self._fingerprint = ""
        self._history = KeyHistory()
        self._read_to = 0
        self._reading = asyncio.Lock()

    async def older(self, wanted: FeedFilter, before: int | None) -> Page:
        """Return matching lines before a place of the log: about PAGE, or those of SCAN records."""
        found: list[Entry] = []
        first = last = None
        seen = scanned = 0
        while len(found) < PAGE and scanned < SCAN:
            logged = await self._pool.store.read_back(before, PAGE + LEAD)
            lead, told = logged[:-PAGE], logged[-PAGE:]
            lines = self._lines(lead, told)
            found[:0] = [line for line in lines if wanted.matches(line)]
            seen, scanned = seen + len(lines), scanned + len(told)
            if told:
                first, last = told[0].sequence, told[-1].sequence if last is None else last
                before = first
            if not lead:
                return Page(tuple(found), first, last, seen, ends=True)
        return Page(tuple(found), first, last, seen, ends=False)

    async def newer(self, wanted: FeedFilter, after: int) -> Page:
        """Return matching lines after a place of the log: about PAGE, or those of SCAN records."""
        found: list[Entry] = []
        first = last = None
        seen = scanned = 0
        lead = await self._pool.store.read_back(after + 1, LEAD)
        while len(found) < PAGE and scanned < SCAN:
            told = await self._pool.store.read(after, PAGE)
            if not told:
                return Page(tuple(found), first, last, seen, ends=True)
            lines = self._lines(lead, told)
            found += [line for line in lines if wanted.matches(line)]
            seen, scanned = seen + len(lines), scanned + len(told)
            first, last = told[0].sequence if first is None else first, told[-1].sequence
            after, lead = last, told[-LEAD:]
        return Page(tuple(found), first, last, seen, ends=False)

    async def key_history(self, fingerprint: str) -> KeyHistory:
        """Return what a key did over the last hours; a next call for it reads only new records."""
        async with self._reading:  # a second caller continues from what the first has read
            return await self._key_history(fingerprint)

    async def _key_history(self, fingerprint: str) -> KeyHistory:
        if fingerprint != self._fingerprint:
            logged = await self._recent()
            self._fingerprint, self._history, self._read_to = fingerprint, KeyHistory(), 0
        else:
            logged = await self._pool.store.read(self._read_to)
        state, now = self._pool.state, self._pool.clock.time()
        account = state.account_of(fingerprint)
        same = frozenset(each for each in (fingerprint, *state.keys) if state.account_of(each) == account)
        fresh = [item for item in logged if item.sequence > self._read_to]
        self._read_to = fresh[-1].sequence if fresh else self._read_to
        self._history = extended(self._history, [item.record for item in fresh], fingerprint, same, now)
        return self._history

    async def _recent(self) -> list[LogEntry]:
        """Return the records of the last hours, oldest first, at most HISTORY_MOST."""
        since = self._pool.clock.time() - HOURS * 3600
        pages: list[LogEntry] = []
        before: int | None = None
        while len(pages) < HISTORY_MOST and (logged := await self._pool.store.read_back(before, 2 * PAGE)):
            pages[:0] = logged
            before = logged[0].sequence
            if logged[0].record.at < since:
                break
        return pages

    def _lines(self, lead: list[LogEntry], told: list[LogEntry]) -> list[Entry]:
        stretch = ((item.sequence, item.record) for item in (*lead, *told))
        begin = told[0].sequence if told else 0
        pool = self._pool
        lines: list[Entry] = []
        reached = False
        told_of = history(stretch, _known(pool.state), pool.config, pool.policy, zone=self._zone)
        for line in (line for _, found in told_of for line in found):
            reached = reached or (line.sequence is not None and line.sequence >= begin)
            if reached:
                lines.append(line)
        return lines


def _known(state: PoolState) -> PoolState:
    """Return which account each key belongs to, without any block: where the fold of a stretch begins."""
    return replace(
        PoolState(),
        keys={name: KeyState(account=key.account, proven=key.proven) for name, key in state.keys.items()},
        accounts={name: AccountState(plan=account.plan) for name, account in state.accounts.items()},
    )
