"""The composition root: settings, store, cloud and services, opened together and closed together."""

import asyncio
import contextlib
import math
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, tzinfo
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from okr_tui.cloud.network import Network
from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.choice import SelectionRequest
from okr_tui.domain.errors import (
    ADD_A_KEY,
    NO_KEY,
    CloudError,
    KeyRefusedError,
    NoKeyError,
    OkrError,
    PoolBlockedError,
    SettingsError,
    StoreError,
)
from okr_tui.domain.explain import explain, explain_failure
from okr_tui.domain.faults import Rule
from okr_tui.domain.feed import FeedFilter
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.models import ModelNames
from okr_tui.domain.records import (
    Client,
    Disabled,
    Enabled,
    IdentityRead,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.schedule import ahead_of, clock_problem, is_far
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.status_line import STATUS, PoolStatus
from okr_tui.domain.traffic import NO_TRAFFIC, RunningRequest
from okr_tui.domain.usage_charts import Period
from okr_tui.domain.view import view
from okr_tui.domain.words import WINDOW_WORDS, sentence, span
from okr_tui.services.alerts import Alerts
from okr_tui.services.background import Background, Clock, SystemClock, run_uncancelled
from okr_tui.services.budgets import Budgets
from okr_tui.services.configuration import Configuration, SettingsSubscriber
from okr_tui.services.current_cloud import CurrentCloud, MakeTransport
from okr_tui.services.gateway_switch import GatewaySwitch, Hosting
from okr_tui.services.hooks import Hooks
from okr_tui.services.key_settings import KeySettings, SettingEdits
from okr_tui.services.live_pool import LivePool
from okr_tui.services.log_reader import LogReader
from okr_tui.services.model_catalog import ModelCatalog
from okr_tui.services.overview import Basis, Choice, Overview, keep, unchanged_until
from okr_tui.services.quota_poller import QuotaPoller
from okr_tui.services.service import LATEST, KeepIn, Snapshot, UsageReport
from okr_tui.services.traffic_monitor import TrafficMonitor
from okr_tui.services.undo import UndoHistory
from okr_tui.settings.layers import Sources
from okr_tui.store.base import Store
from okr_tui.store.factory import locate_store
from okr_tui.store.kept_files import STATUS_FILES, status_file

if TYPE_CHECKING:
    from okr_tui.services.dispatcher import Dispatcher
    from okr_tui.services.fallback import Fallback

LINES: Final = {"cli": 2 * LATEST, "gateway": 0}
"""How many lines of Live are kept where no screen shows them: a verb looks at the times of the last, and to
make one costs a request something."""
WRITE_EVERY: Final = 2.0
"""Seconds between two writes; status bars look every five or so."""


def pool_status(pool: LivePool, rules: AlertRules) -> PoolStatus:
    """Return what a status bar shows. Requests under way are left out: they come and go too fast for it."""
    now = pool.clock.time()
    shown = view(pool.state, pool.config, pool.policy, now)
    return PoolStatus.of(shown, now, WINDOW_WORDS, rules.low_percent, rules.empty_within)


class StatusWriter:
    """Writes the pool's status whenever it has changed. Several processes that know the same write once.

    A log that several people share has none of it, as each has keys and labels of their own: there it is in
    the file `own_name` of this machine.
    """

    def __init__(self, pool: LivePool, rules: Callable[[], AlertRules], own_name: str | None) -> None:
        self._pool = pool
        self._rules = rules
        self._own_name = own_name
        self.knows = False
        """Whether the pool has read the log, so that it has something to say."""
        self._written: PoolStatus | None = None

    async def run(self) -> None:
        """Write what changes, forever."""
        async for _ in self._pool.changes():
            await self.write()
            await asyncio.sleep(WRITE_EVERY)

    async def close(self) -> None:
        """Write what the process knows at its end; a log out of reach keeps what was known before."""
        if self.knows and not self._pool.away:
            with contextlib.suppress(StoreError):  # the pool has reported it
                await self.write()

    async def write(self) -> None:
        """Write the status unless it is there already. Raises StoreError."""
        status = pool_status(self._pool, self._rules())
        if self._own_name:
            STATUS_FILES.write(self._own_name, status.write())
            return
        if self._written and status.says_the_same(self._written):
            return
        kept = PoolStatus.read(await self._pool.store.load(STATUS))
        if kept is None or not status.says_the_same(kept):
            await self._pool.store.save(STATUS, status.write())
        self._written = status


TRY_WITHIN: Final = 10.0
"""Seconds for the answer about a key that is to be added."""
COMPARE_EVERY: Final = 1.0
"""Seconds between two looks at the cloud's clock, which its answers tell in whole seconds."""
TEN_A_MINUTE: Final = "the cloud allows ten readings a minute, so okr-tui makes one every ten seconds"


class PoolService:
    """The pool of keys at work: the parts of the service and every command on them.

    `async with PoolService.open(...)` gives one that runs.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        client: Client,
        clock: Clock,
        zone: tzinfo,
        make_transport: MakeTransport | None,
        scrubber: Scrubber,
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self._store = store
        self.client: Client = client
        self.keeps_overview = False
        """Whether the overview is kept for the next run when the service closes."""
        self._applied = configuration.effective
        lines = LINES.get(client)
        self.pool = LivePool(store, configuration.config, configuration.policy, clock, zone, lines)
        address, shared = configuration.settings.store.value, configuration.shares_log
        own_name = status_file(address or "", configuration.settings.global_file) if shared else None
        self._status_writer = StatusWriter(self.pool, lambda: configuration.settings.alerts, own_name)
        self._reader = LogReader(self.pool, zone)
        self._clock_ahead = 0.0
        self._compared_at = -math.inf
        self.network = Network(configuration.environment)
        self.scrubber = scrubber
        self._hide_keys()
        self.cloud = CurrentCloud(self._applied, make_transport, self._compare_clocks, self.network, scrubber)
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.quota_poller = QuotaPoller(self.pool, self.cloud.use, owner, shown=client == "dashboard")
        self.catalog = ModelCatalog(self.pool, self.cloud.use, self.cloud.url)
        self._model_names: tuple[ModelNames, object, object] = ModelNames(), None, None
        self._traffic: TrafficMonitor | None = None
        if client == "dashboard":  # to count costs each request something, and only a screen shows it
            self._traffic = TrafficMonitor(self.pool, lambda: self._running, zone)
        self._background = Background(clock, self.pool.announce)
        self._key_settings = KeySettings(configuration, self.reload)
        self._setting_edits = SettingEdits(configuration, self.reload)
        self._undo = UndoHistory(self.pool.announce)
        self._tried: dict[str, IdentityRead] = {}
        self.gateway = GatewaySwitch(self.pool.announce, configuration.settings.gateway)
        self.budgets = Budgets(self.pool, configuration.settings.budgets.value, zone)
        self._hooks = Hooks(clock, self.network, scrubber, configuration.environment, self.pool.announce)
        self.alerts = Alerts(self.pool, self.gateway, self.budgets, self._hooks, configuration.settings, zone)
        self._subscribers: list[SettingsSubscriber] = [
            self.cloud,
            self.pool,
            self.quota_poller,
            self.catalog,
            self.gateway,
            self.budgets,
            self.alerts,
        ]

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        sources: Sources,
        *,
        client: Client = "dashboard",
        watching: bool = True,
        clock: Clock | None = None,
        zone: tzinfo = UTC,
        make_transport: MakeTransport | None = None,
        scrubber: Scrubber | None = None,
    ) -> AsyncGenerator["PoolService", None]:
        """Open the service and close all of it at the end of the block, whatever part of that fails.

        `watching` keeps settings, log, quota and models fresh in the background. `make_transport` replaces
        the way to the network. `scrubber` learns the keys of the pool. Raises StoreError when the log's
        address is none; a log that cannot be reached and wrong settings become problems instead.
        """
        configuration = await Configuration.read(sources)
        stack = contextlib.AsyncExitStack()
        try:
            store = locate_store(configuration.settings.store.value)
            stack.push_async_callback(store.close)
            service = cls(
                configuration,
                store,
                client=client,
                clock=clock or SystemClock(),
                zone=zone,
                make_transport=make_transport,
                scrubber=scrubber or Scrubber(),
            )
            # Closed in the reverse order; one that fails does not keep the others open.
            for close in (
                service._status_writer.close,
                service._keep_overview,
                service._hooks.close,
                service.pool.settled,
                service._close_dispatcher,
                service.quota_poller.close,
                service.cloud.aclose,
                service.catalog.close,
                service._background.close,
                service.gateway.close,
            ):
                stack.push_async_callback(close)
            await service.pool.open()
            service._status_writer.knows = True
            await service.pool.compact(trim=not watching)  # a long log takes seconds, and no one is to wait
            await service.catalog.load()
            if watching:
                service._start()
            yield service
        finally:
            # A screen that goes away cancels more than once; half closed, the process would never end.
            await run_uncancelled(stack.aclose())

    @cached_property
    def dispatcher(self) -> "Dispatcher":
        """What sends requests. It is made, and what sends is loaded, with the first one."""
        from okr_tui.services.dispatcher import Dispatcher

        return Dispatcher(self.pool, self.cloud.use, self.quota_poller.faulted)

    @cached_property
    def fallback(self) -> "Fallback":
        """What sends requests as the dispatcher does, or to what answers instead."""
        from okr_tui.services.fallback import Fallback

        return Fallback(
            self.pool,
            self.cloud,
            self.dispatcher,
            lambda: self.model_names,
            lambda: self.configuration.settings.models,
        )

    @property
    def _running(self) -> tuple[RunningRequest, ...]:
        """The requests that have not ended, oldest first."""
        return self.dispatcher.running if "dispatcher" in self.__dict__ else ()

    async def _close_dispatcher(self) -> None:
        if "dispatcher" in self.__dict__:
            await self.dispatcher.close()

    @property
    def snapshot(self) -> Snapshot:
        """Return everything that a user interface shows, as it is now."""
        pool = self.pool.view()
        return Snapshot(
            at=self.clock.time(),
            pool=pool,
            models=self.catalog.listed(pool.keys, self.configuration.settings.enabled_models.value),
            settings=self.configuration.view(self.configuration.problems),
            entries=tuple(self.pool.entries),
            gateway=self.gateway.view,
            log=(*self.network_problems, *self._log_problems),
            clock_ahead=self._clock_ahead,
            undoable=self._undo.words,
            alerts=self.alerts.notices,
            rules=self.alerts.rules,
            running=self._running,
            rates=self._traffic.rates if self._traffic else NO_TRAFFIC,
            usage=self._traffic.usage if self._traffic else None,
        )

    @property
    def model_names(self) -> ModelNames:
        """Return the names under which models are known: those listed, and the user's own."""
        models, aliases = self.catalog.models, self.configuration.settings.models.aliases
        known, of_models, of_aliases = self._model_names
        if of_models is not models or of_aliases is not aliases:
            listed = frozenset(model.id for model in models if model.status == "listed")
            known = ModelNames(listed, aliases)
            self._model_names = known, models, aliases
        return known

    @property
    def overview(self) -> Overview:
        """Return what the verbs show that ask the cloud nothing, as it is now."""
        return Overview.of(self.snapshot, self._store.name, self.choice())

    def choice(self, model: str | None = None) -> Choice:
        """Return which key the next request takes, one to a model or to any, and why."""
        pool = self.pool
        request = SelectionRequest(self.clock.time(), model, in_flight=pool.flights)
        return Choice.of(explain(pool.state, pool.config, request, pool.policy))

    def choice_after_failure(self, index: int, model: str | None = None) -> Choice:
        """Return which key it would take if the key at a 1-based index were found spent now.

        Raises NoKeyError without such a key.
        """
        pool, key = self.pool, self.key(index)
        request = SelectionRequest(self.clock.time(), model, in_flight=pool.flights)
        return Choice.of(explain_failure(pool.state, pool.config, request, pool.policy, key))

    async def _keep_overview(self) -> None:
        """Keep the overview for the next run, unless it has problems, or a log that other ways lead to."""
        inputs, identity = self.configuration.inputs, self._store.identity
        if (
            self.keeps_overview
            and inputs
            and identity
            and self._store.name.startswith("sqlite:")
            and not (self.problems or self.catalog.error)
        ):
            overview = self.overview
            basis = Basis(inputs.digest, repr(identity), self.pool.sequence)
            until = unchanged_until(self.pool.state, self.pool.policy, overview)
            await asyncio.to_thread(keep, overview, inputs, basis, until)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with settings, network, log, background work and clock, a line each."""
        clock = clock_problem(self._clock_ahead, (), self.clock.time())
        own = (*self.configuration.problems, *self.network_problems, *self._log_problems)
        return (*own, clock) if clock else own

    @property
    def hook_problems(self) -> tuple[str, ...]:
        """What went wrong with hooks, a line each."""
        return self._hooks.problems

    @property
    def network_problems(self) -> tuple[str, ...]:
        """What in the environment keeps requests from the cloud, a line each."""
        return self.network.problems_before(self.cloud.url)

    @property
    def _log_problems(self) -> tuple[str, ...]:
        problem = self.pool.problem
        lines = [line for line in (self._store.notice, problem) if line]
        lines += [line for line in self._background.problems if problem is None or line not in problem]
        lines += self._hooks.problems
        return tuple(map(self.scrubber.mask_keys, lines))

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the present state, then a new one after each change; quick changes are joined."""
        async for _ in self.pool.changes():
            yield self.snapshot

    async def host(self, hosting: Hosting) -> None:
        """Let `switch_gateway` start a gateway, and follow which gateways run in other processes."""
        self.gateway.hosting = hosting
        await self.gateway.look()
        self._background.start("watching for other gateways", self.gateway.watch)

    def subscribe(self, part: SettingsSubscriber) -> Callable[[], None]:
        """Call `part.apply(old, new)` after each change of the settings; return what ends that."""
        self._subscribers.append(part)
        return lambda: self._subscribers.remove(part)

    async def reload(self) -> None:
        """Read the settings again; what is broken keeps its last good content."""
        if not await self.configuration.reload():
            return
        settings = self.configuration.settings
        self._hide_keys()
        old, self._applied = self._applied, self.configuration.effective
        for part in tuple(self._subscribers):
            part.apply(old, self._applied)
        read = SettingsRead(
            at=self.clock.time(),
            client=self.client,
            keys=len(settings.keys),
            cloud_url=settings.cloud_url.value,
            problems=self.configuration.problems,
        )
        await self.pool.catch_up()
        if self.pool.settings_read is None or not read.says_the_same(self.pool.settings_read):
            await self.pool.append(read)

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """Return a page of the feed's lines that match, older than `before` or newer than `after`."""
        if after is not None:
            return await self._reader.newer(wanted, after)
        return await self._reader.older(wanted, before)

    async def key_history(self, fingerprint: str) -> KeyHistory:
        """Return what the key of a fingerprint did over the last hours."""
        return await self._reader.key_history(fingerprint)

    async def usage(self, period: Period) -> UsageReport:
        """Return what was spent in a period that ends now, and the readings of quota."""
        return await self._reader.usage(period)

    async def use_key(self, index: int) -> str:
        """Prefer the key at a 1-based index, write the choice to the settings and log it."""
        self.usable_key(index)
        return f"Active Ollama cloud key → {await self._prefer(index)}"

    async def rotate(self) -> str:
        """Prefer the next key that is not known to be blocked.

        Raises NoKeyError without keys, PoolBlockedError when every key is blocked, SettingsError when every
        other key is.
        """
        config = self.pool.config
        if not config.keys:
            raise NoKeyError(f"no key to rotate to, none is configured: {ADD_A_KEY}")
        if len(config.keys) == 1:
            return "nothing to rotate to: the pool has one key"
        here = config.index(config.preferred) or 1
        selection = self.pool.choose(SelectionRequest(self.clock.time(), in_flight=self.pool.flights))
        verdicts = selection.verdicts
        order = [(here - 1 + offset) % len(config.keys) for offset in range(1, len(config.keys))]
        free = next((index for index in order if verdicts[index].eligible), None)
        if free is None:
            if not verdicts[here - 1].eligible:
                states = frozenset(verdict.state.value for verdict in verdicts)
                raise PoolBlockedError(
                    "nothing to rotate to: every key is blocked", selection.earliest, states
                )
            raise SettingsError("nothing to rotate to: every other key is blocked; choose one by its number")
        return f"Rotated Ollama cloud key → {await self._prefer(free + 1)}"

    async def _prefer(self, index: int) -> str:
        """Prefer the key at a 1-based index, and remember which one was preferred before."""
        before, key = self.pool.config.preferred, self.key(index)
        message = await self._write_preferred(index)
        if before is not None and before != key.fingerprint:

            async def back() -> str:
                return f"Active Ollama cloud key → {await self._write_preferred(self._index_of(before))}"

            self._undo.note(f"preferring #{index} {key.masked}", back)
        return message

    async def _write_preferred(self, index: int) -> str:
        message = await self.configuration.prefer(index - 1)
        await self.reload()
        key = self.key(index)
        await self.pool.append(Use(at=self.clock.time(), client=self.client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}\n{message}"

    async def refresh_models(self) -> str:
        """Read the model list again. Raises OkrError when that fails; the last list is kept."""
        await self.catalog.refresh()
        if self.catalog.error:
            kept = "the last list is kept" if self.catalog.models else "no list was read before, try again"
            raise OkrError(f"models not refreshed: {self.catalog.error}; {kept}")
        count = sum(model.status == "listed" for model in self.catalog.models)
        left_out = self.snapshot.models.skipped_words
        parts = [f"Loaded {count} cloud Ollama models", left_out, self.catalog.lacking]
        return "; ".join(part for part in parts if part)

    async def test_key(self, index: int) -> str:
        """Read identity and balance of a key now, at no cost. Raises OkrError when one cannot be read.

        An account that was read a moment ago is not read again: the last reading is the answer.
        """
        key = self.usable_key(index)
        fresh, fault = await self.quota_poller.look(key)
        if fault:
            if fresh:
                self.quota_poller.faulted(key, fault)
            again = "" if fresh else f", a moment ago; {TEN_A_MINUTE}"
            raise OkrError(f"#{index} {key.masked}: {fault.sentence}{again}")
        row = self.pool.view().keys[index - 1]
        now = self.clock.time()
        message = f"#{index} {key.masked}: {sentence(row.verdict, now)}, plan {row.plan or 'unknown'}"
        if fresh:
            return message
        if row.read_at is None:
            raise OkrError(f"#{index} {key.masked}: was read a moment ago without an answer; {TEN_A_MINUTE}")
        return f"{message}, as read {span(now - row.read_at)} ago; {TEN_A_MINUTE}"

    async def reset_key(self, index: int) -> str:
        """Forget every block of a key and its account."""
        key = self.usable_key(index)
        await self._record(Reset, key)

        async def back() -> str:
            await self._record(ResetUndone, key)
            return f"{self._name_of(key)}: its older faults count again"

        self._undo.note(f"resetting #{index} {key.masked}", back)
        return f"#{index} {key.masked}: older faults forgotten"

    async def set_enabled(self, *indexes: int, enabled: bool) -> str:
        """Put keys into use or take them out of use, as one change."""
        keys = [self.usable_key(index) for index in indexes]
        changed = [key for key in keys if self.pool.state.key(key.fingerprint).disabled == enabled]
        for key in keys:
            await self._record(Enabled if enabled else Disabled, key)
        if len(keys) == 1:
            names = f"#{indexes[0]} {keys[0].masked}"
        else:
            names = " ".join(f"#{index}" for index in indexes)
        if changed:

            async def back() -> str:
                found = [self._name_of(key) for key in changed]
                for key in changed:
                    await self._record(Disabled if enabled else Enabled, key)
                return f"{', '.join(found)}: switched {_on_or_off(not enabled)} again"

            self._undo.note(f"switching {names} {_on_or_off(enabled)}", back)
        return f"{names}: switched {_on_or_off(enabled)}"

    async def _record(self, fact: type[Reset | ResetUndone | Enabled | Disabled], key: Key) -> None:
        """Log what a person decided about a key."""
        await self.pool.append(fact(at=self.clock.time(), client=self.client, fingerprint=key.fingerprint))

    def _index_of(self, fingerprint: str) -> int:
        """Return the present 1-based index of a key. Raises NoKeyError when it left the pool."""
        index = self.pool.config.index(fingerprint)
        if index is None:
            raise NoKeyError("the key is no longer in the pool; nothing was undone")
        return index

    def _name_of(self, key: Key) -> str:
        """Return the present name of a key. Raises NoKeyError when it left the pool."""
        return f"#{self._index_of(key.fingerprint)} {key.masked}"

    async def try_key(self, secret: SecretStr, label: str | None) -> str:
        """Ask the cloud, at no cost, about a key that is to be added; return what it says of it, in words.

        Raises KeyRefusedError when the cloud refuses it, SettingsError for a text that cannot be added.
        """
        key = self._key_settings.new_key(secret, label)
        try:
            async with asyncio.timeout(TRY_WITHIN):
                found = await self.quota_poller.try_out(key)
        except TimeoutError:
            return f"not tested: no answer within {TRY_WITHIN:.0f} s, so it is unverified"
        except CloudError as error:
            message = f"{error.fault.status or ''} {error.fault.text}".strip()
            if error.fault.traits.rule is Rule.DOUBT:
                raise KeyRefusedError(f"the cloud refuses this key: {message}") from None
            return f"not tested: {message}, so it is unverified"
        self._tried[key.fingerprint] = found
        return f"tested, plan {found.plan or 'unknown'}"

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Add a key to the global settings: its text, or a reference to it in the system's secret store."""
        key = self._key_settings.new_key(secret, label)
        message = await self._key_settings.add(secret, label, keep)
        if found := self._tried.pop(key.fingerprint, None):
            await self.pool.note(found)
        return message

    async def take_key(self, reference: SecretStr) -> str:
        """Add a key by a reference, resolved once to see that it is a key."""
        return await self._key_settings.take(reference)

    async def remove_key(self, index: int, *, forget: bool = False) -> str:
        """Take a key out of the global settings.

        `forget` deletes its text from the system's secret store too, which cannot be undone.
        """
        key = self.key(index)
        message, removed = await self._key_settings.remove(key, forget=forget)
        if removed:
            self._undo.note(f"removing #{index} {key.masked}", partial(self._key_settings.restore, removed))
        return message

    async def undo(self) -> str:
        """Take back the last change of the pool that this process made. Raises OkrError if it cannot."""
        return await self._undo.undo()

    async def label_key(self, index: int, label: str | None) -> str:
        """Give a key another label; None takes its label away."""
        key = self.key(index)
        message = await self._key_settings.label(key, label)
        if (label or "").strip() != (key.label or ""):
            back = partial(self._key_settings.label, key, key.label)
            self._undo.note(f"labelling #{index} {key.masked}", back)
        return message

    async def set_favourite(self, model: str, *, wanted: bool) -> str:
        """Add a model to the favourites in pi's `enabledModels`, or take it out."""
        message, changed = await self._setting_edits.set_favourite(model, wanted=wanted)
        if changed:
            words = f"adding {model} to" if wanted else f"removing {model} from"
            self._undo.note(
                f"{words} the favourites", partial(self._setting_edits.restore_favourites, changed)
            )
        return message

    async def change_setting(self, name: str, text: str | None) -> str:
        """Write one value where it takes effect; None goes back to the default."""
        return await self._setting_edits.change(name, text)

    async def trust_project(self, *, trusted: bool) -> str:
        """Remember whether the project's settings file is trusted as it is now."""
        return await self._reloaded(self.configuration.trust(trusted=trusted))

    async def make_file_private(self) -> str:
        """Make the settings file with keys that others can read readable by its owner only."""
        return await self._reloaded(self.configuration.make_file_private())

    async def _reloaded(self, done: Awaitable[str]) -> str:
        message = await done
        await self.reload()
        return message

    async def switch_gateway(self) -> str:
        """Start the gateway in this process, or stop it."""
        return await self.gateway.switch()

    def key(self, index: int) -> Key:
        """Return the key at a 1-based index. Raises NoKeyError without keys, OkrError for no such index."""
        keys = self.pool.config.keys
        if not keys:
            raise NoKeyError(NO_KEY)
        if not 1 <= index <= len(keys):
            raise OkrError(f"Invalid key index: {index}; the pool has {len(keys)}")
        return keys[index - 1]

    def usable_key(self, index: int) -> Key:
        """Return the key at a 1-based index as `key` does; raise SettingsError for one not to be used yet."""
        key = self.key(index)
        if not key.trusted:
            project = self.configuration.settings.project_file
            raise SettingsError(
                f"#{index} {key.masked} comes from {project}, which is not trusted; "
                f"if you know that project, run okr-tui trust in {project.parent.parent}"
            )
        if key.missing:
            raise SettingsError(f"#{index} {key.masked} gives no key: {key.missing}")
        return key

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """Note a wrong clock of this machine, since every time that the cloud names would be shown wrong."""
        clock = self.clock
        if 0 <= clock.monotonic() - self._compared_at < COMPARE_EVERY:
            return
        self._compared_at = clock.monotonic()
        ahead = clock.hear(headers) if isinstance(clock, SystemClock) else ahead_of(headers, clock.time())
        is_notable = is_far(ahead, self.configuration.settings.alerts.clock_seconds)
        far = ahead if ahead is not None and is_notable else 0.0
        if abs(far - self._clock_ahead) > 1:  # a second is lost on the way
            self._clock_ahead = far
            self.pool.announce()

    def _hide_keys(self) -> None:
        """Hide all keys of the pool in what the cloud and others say; those that leave it stay hidden."""
        self.scrubber.add(*(key.secret.get_secret_value() for key in self.configuration.config.keys))

    def _start(self) -> None:
        start = self._background.start
        start("following the log", self.pool.follow)
        start("watching the settings files", self._watch_settings)
        start("watching for the end of blocks", self.pool.watch_time)
        start("compacting the log", self.pool.keep_small)
        start("summing up usage", self.pool.keep_summed)
        start("writing the status for status bars", self._status_writer.run)
        start("reading quota", self.quota_poller.run)
        start("watching for alerts", self.alerts.follow_changes)
        start("watching for alerts that fall due", self.alerts.follow_time)
        start("refreshing the model list", self.catalog.keep_fresh)
        if self._traffic:
            start("counting traffic", self._traffic.count)
            start("reading usage", self._traffic.read)

    async def _watch_settings(self) -> None:
        from okr_tui.settings import watch

        async for _ in watch.changes(self.configuration.settings.files):
            await self.reload()


def _on_or_off(enabled: bool) -> str:
    return "on" if enabled else "off"
