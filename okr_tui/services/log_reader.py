"""The log read back: pages of the feed, and what one key did over the last hours."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Final

from okr_tui.domain.feed import Entry, FeedFilter, history
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.forecast import empty_at
from okr_tui.domain.history import HOURS, KeyHistory, extended, quota_parts
from okr_tui.domain.quota import Sample
from okr_tui.domain.records import BalanceRead
from okr_tui.domain.state import AccountState, KeyState, PoolState
from okr_tui.domain.usage import CLOUD_USAGE, read_readings
from okr_tui.domain.usage_charts import Period, QuotaHistory, begin
from okr_tui.domain.words import WINDOW_WORDS
from okr_tui.services.live_pool import LivePool
from okr_tui.services.service import UsageReport
from okr_tui.store.base import LogEntry
from okr_tui.store.usage import first_moment, read_usage

if TYPE_CHECKING:
    from okr_tui.store.usage import Detail

PAGE: Final = 200
"""Records read at once, and about as many lines as an answer has."""
LEAD: Final = 100
"""Records before a stretch that are folded for it, so that its lines know what came before."""
SCAN: Final = 4000
"""Records looked at for one answer when few are wanted."""
READINGS_SECONDS: Final = 7 * 86400.0
"""How far back readings of quota are looked for: each page of the log costs time."""
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
        """Return matching lines before a position in the log: about PAGE, or those of SCAN records."""
        found: list[Entry] = []
        first = last = None
        seen = scanned = 0
        while len(found) < PAGE and scanned < SCAN:
            logged = await self._pool.store.read_back(before, PAGE + LEAD)
            lead, page = logged[:-PAGE], logged[-PAGE:]
            lines = self._lines(lead, page)
            found[:0] = [line for line in lines if wanted.matches(line)]
            seen, scanned = seen + len(lines), scanned + len(page)
            if page:
                first, last = page[0].sequence, page[-1].sequence if last is None else last
                before = first
            if not lead:
                return Page(tuple(found), first, last, seen, ends=True)
        return Page(tuple(found), first, last, seen, ends=False)

    async def newer(self, wanted: FeedFilter, after: int) -> Page:
        """Return matching lines after a position in the log: about PAGE, or those of SCAN records."""
        found: list[Entry] = []
        first = last = None
        seen = scanned = 0
        lead = await self._pool.store.read_back(after + 1, LEAD)
        while len(found) < PAGE and scanned < SCAN:
            page = await self._pool.store.read(after, PAGE)
            if not page:
                return Page(tuple(found), first, last, seen, ends=True)
            lines = self._lines(lead, page)
            found += [line for line in lines if wanted.matches(line)]
            seen, scanned = seen + len(lines), scanned + len(page)
            first, last = page[0].sequence if first is None else first, page[-1].sequence
            after, lead = last, page[-LEAD:]
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

    async def usage(self, period: Period) -> UsageReport:
        """Return what was spent in a period that ends now, and what the readings of quota say."""
        store, now = self._pool.store, self._pool.clock.time()
        first = await first_moment(store)
        if first is None:  # so far all of it is in the log itself
            early = await read_usage(store, 0, now)
            first = min((float(cell.start) for cell in early.usage), default=now)
        since = begin(period, now, first, self._zone)
        detail: Detail = "all" if period.unit in ("hour", "day") else "series"
        reading = await read_usage(store, since, now, detail)
        samples, read_since = await self._samples(max(since, now - READINGS_SECONDS))
        return UsageReport(
            at=now,
            since=since,
            usage=reading.usage,
            accounts=reading.accounts,
            names=self._names(),
            cloud=read_readings(*(await store.load_all(CLOUD_USAGE)).values()),
            quotas=tuple(self._quotas(samples)),
            first=first,
            read_since=read_since,
        )

    async def _samples(self, since: float) -> tuple[dict[tuple[str, str], list[Sample]], float]:
        """Return readings since a moment by account and window, oldest first, and how far back they go."""
        found: dict[tuple[str, str], list[Sample]] = {}
        before: int | None = None
        seen = 0
        oldest = self._pool.clock.time()
        while seen < HISTORY_MOST and oldest > since:
            logged = await self._pool.store.read_back(before, 10 * PAGE)
            if not logged:
                oldest = since
                break
            before, seen = logged[0].sequence, seen + len(logged)
            for item in reversed(logged):
                record = item.record
                oldest = min(oldest, record.at)
                if isinstance(record, BalanceRead) and record.at >= since:
                    account = self._pool.state.account_of(record.fingerprint)
                    for name, used in quota_parts(record.balance):
                        found.setdefault((account, name), []).append(Sample(record.at, used))
        for newest_first in found.values():
            newest_first.reverse()
        return found, max(since, oldest)

    def _quotas(self, samples: Mapping[tuple[str, str], Sequence[Sample]]) -> Iterator[QuotaHistory]:
        """Yield the readings of the windows of accounts in the pool, with their resets and forecasts."""
        state, names = self._pool.state, self._names()
        for (account, window), found in samples.items():
            balance = state.account(account).balance
            if account not in names or balance is None:
                continue
            resets_at = balance.resets_at(window)
            empty = empty_at(found, least=self._pool.policy.forecast_least)
            name = f"{names[account]} {WINDOW_WORDS.get(window, window)}"
            yield QuotaHistory(name, tuple(found), resets_at, empty)

    def _names(self) -> dict[str, str]:
        """Return keys by fingerprint, and accounts by their first key, in words: "#1 amber"."""
        names: dict[str, str] = {}
        for index, key in enumerate(self._pool.config.keys, 1):
            words = f"#{index} {key.label or key.masked}"
            names.setdefault(self._pool.state.account_of(key.fingerprint), words)
            names[key.fingerprint] = words
        return names

    def _lines(self, lead: list[LogEntry], page: list[LogEntry]) -> list[Entry]:
        stretch = ((item.sequence, item.record) for item in (*lead, *page))
        begin = page[0].sequence if page else 0
        pool = self._pool
        lines: list[Entry] = []
        reached = False
        found_lines = history(stretch, _known(pool.state), pool.config, pool.policy, zone=self._zone)
        for line in (line for _, found in found_lines for line in found):
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
