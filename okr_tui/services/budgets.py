"""Budgets: how many tokens clients and models used today, kept up to date for the gateway and for alerts."""

from collections.abc import Collection, Mapping
from datetime import tzinfo
from typing import Final

from okr_tui.domain.errors import BudgetError, StoreError
from okr_tui.domain.records import Attempt, Record
from okr_tui.domain.usage import (
    Budget,
    BudgetState,
    Usage,
    addition,
    budget_states,
    midnight,
    next_midnight,
)
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.live_pool import LivePool

READ_EVERY: Final = 300.0
"""Seconds between two readings of the sums; in between, what arrives is added."""


class Budgets:
    """Counts the tokens of the day against the budgets of the settings. Days are those of a zone."""

    def __init__(self, pool: LivePool, budgets: Mapping[str, Budget], zone: tzinfo) -> None:
        self._pool = pool
        self._budgets = budgets
        self._zone = zone
        self._of_callers: Mapping[str, Budget] = {}
        self._all = tuple(budgets.values())
        self._usage: Usage = {}
        self._day_ends = 0.0
        self._read_at = 0.0
        self._through = 0
        pool.observers.append(self._observe)

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Take up other budgets."""
        del old
        self._budgets = new.settings.budgets.value
        self._all = (*self._budgets.values(), *self._of_callers.values())
        self._read_at = self._day_ends = 0.0  # without budgets nothing was counted

    def limit_callers(self, budgets: Mapping[str, Budget]) -> None:
        """Take up what callers of the gateway may use by their tokens, on top of the settings' budgets."""
        self._of_callers = budgets
        self._all = (*self._budgets.values(), *budgets.values())
        self._read_at = self._day_ends = 0.0

    async def states(self) -> tuple[BudgetState, ...]:
        """Return how much of each budget is used; of a log that is away, as far as this process knows."""
        if not self._all:
            return ()
        now = self._pool.clock.time()
        if now >= self._day_ends:
            self._usage, self._day_ends, self._read_at = {}, next_midnight(now, self._zone), 0.0
        if not self._read_at <= now < self._read_at + READ_EVERY and not self._pool.away:
            await self._read(now)
        return budget_states(self._all, self._usage, now, self._zone)

    async def check(self, *names: str | None) -> None:
        """Raise BudgetError where a hard budget of one of these callers and models is used up."""
        if not self._all:
            return
        await self.states()  # reads what other processes used, where that is due
        if state := self._used_up(names):
            most = state.budget.tokens_per_day
            text = f"{state.budget.name} has used its budget of {most:,} tokens a day"
            raise BudgetError(text, state.resets_at)

    def allow(self, name: str) -> bool:
        """Return whether no hard budget of a caller or model is used up, as far as this process knows."""
        return self._used_up((name,)) is None

    def _used_up(self, names: Collection[str | None]) -> BudgetState | None:
        hard = [each for each in self._all if each.hard and each.name in names]
        if not hard:
            return None
        states = budget_states(hard, self._usage, self._pool.clock.time(), self._zone)
        return next((state for state in states if state.exceeded), None)

    async def _read(self, now: float) -> None:
        self._read_at = now
        try:
            reading, came = await self._pool.read_usage(midnight(now, self._zone))
        except StoreError as error:
            self._read_at = 0.0
            self._pool.lose(error)
            return
        self._usage, self._through = dict(reading.usage), reading.through
        for record in came:
            self._add(record)

    def _observe(self, record: Record, sequence: int | None) -> None:
        if self._all and (sequence is None or sequence > self._through):
            self._add(record)

    def _add(self, record: Record) -> None:
        if not isinstance(record, Attempt) or record.at >= self._day_ends:
            return
        if part := addition(record):
            cell, added = part
            known = self._usage.get(cell)
            self._usage[cell] = known.plus(added) if known else added
