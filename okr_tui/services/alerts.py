"""Alerts at work: what is due goes into the log, and the process that raised it runs the hooks."""

import asyncio
import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from okr_tui.domain import alerts
from okr_tui.domain.alerts import AlertRules
from okr_tui.services.budgets import Budgets
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.gateway_switch import GatewaySwitch
from okr_tui.services.hooks import Hooks
from okr_tui.services.live_pool import LivePool
from okr_tui.services.service import AlertNotice
from okr_tui.settings.schema import Settings

LOOK_EVERY: Final = 30.0
"""Seconds between two looks without news: resets and forecasts come with time alone."""
LOOK_GAP: Final = 0.5
"""Seconds from one look to the next at least, however much happens."""


BY_TIME: Final = frozenset({"unused"})
"""Events that time brings, and no request or reading: for processes that stay."""


class Alerts:
    """Raises and ends alerts. `notices` are those that a screen is to show."""

    def __init__(
        self,
        pool: LivePool,
        gateway: GatewaySwitch,
        budgets: Budgets,
        hooks: Hooks,
        settings: Settings,
        zone: tzinfo,
    ) -> None:
        self._pool = pool
        self._gateway = gateway
        self._budgets = budgets
        self._hooks = hooks
        self._zone = zone
        self._raising = asyncio.Lock()
        self._take(settings)

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Take up other rules and hooks."""
        del old
        self._take(new.settings)

    def _take(self, settings: Settings) -> None:
        self.rules: AlertRules = settings.alerts
        self._hooks.rules, self._hooks.lines = settings.alerts, settings.hooks.value

    async def follow_changes(self) -> None:
        """Raise alerts that are due after each change, until cancelled."""
        async for _ in self._pool.changes():
            await self.raise_due()
            await asyncio.sleep(self._pool.interval(LOOK_GAP))

    async def follow_time(self) -> None:
        """Raise alerts that are due with time alone, until cancelled."""
        while True:
            await self._pool.clock.sleep(LOOK_EVERY)
            await self.raise_due()

    async def raise_due(self) -> None:
        """Record what is due, and start the hooks of what this process was the first to record."""
        async with self._raising:
            await self._raise_due(frozenset())

    async def _raise_due(self, left_out: Collection[str]) -> None:
        pool = self._pool
        now = pool.clock.time()
        due = alerts.due(
            pool.state,
            pool.config,
            pool.policy,
            self.rules,
            now,
            slowed="slowed" in self.rules.events or self._hooks.wants("slowed"),
            gateways_lost=self._gateway.lost,
            gateways=self._gateway.running,
            budgets=await self._budgets.states(),
        )
        raised = [replace(each, owner=uuid.uuid4().hex) for each in due if each.event not in left_out]
        if not raised:
            return
        await pool.append(*raised)
        for each in raised:
            event = alerts.reported_as(each)
            first = pool.state.alerts.get(each.name) == each
            if first and event and not self.rules.is_quiet(now, self._zone):
                self._hooks.start(event, alerts.document(each, pool.config, self._zone))

    async def finish(self, seconds: float) -> None:
        """Tell what this process itself found out, and wait up to some seconds for its hooks."""
        if self._pool.has_learned:
            async with self._raising:
                await self._raise_due(BY_TIME)
            await self._hooks.settle(seconds)

    @property
    def notices(self) -> tuple[AlertNotice, ...]:
        """The latest alerts that the settings want shown, oldest first."""
        found = []
        for each in self._pool.alerts:
            event = alerts.reported_as(each)
            if event and alerts.is_shown(each, self.rules) and not self.rules.is_quiet(each.at, self._zone):
                text = alerts.text(each, self._pool.config, self._zone)
                tone = alerts.EVENTS[event].tone
                found.append(AlertNotice(each.owner, each.at, event, tone, text, each.subject, each.window))
        return tuple(found)
