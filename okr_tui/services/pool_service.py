"""The composition root: settings, store, cloud and services, opened together and closed together."""

import contextlib
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, tzinfo

from okr_tui.domain.choice import SelectionRequest
from okr_tui.domain.clocks import ahead_of, is_far
from okr_tui.domain.errors import ADD_A_KEY, NO_KEY, NoKeyError, OkrError, SettingsError
from okr_tui.domain.feed import FeedFilter, Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import Key, SecretStr
from okr_tui.domain.records import Client, Disabled, Enabled, Reset, SettingsRead, Use
from okr_tui.domain.words import sentence
from okr_tui.services.background import Background, run_uncancelled
from okr_tui.services.clock import Clock, SystemClock
from okr_tui.services.configuration import Configuration, SettingsSubscriber
from okr_tui.services.current_cloud import CurrentCloud, MakeTransport
from okr_tui.services.dispatcher import Dispatcher
from okr_tui.services.gateway_switch import GatewaySwitch, Hosting
from okr_tui.services.key_settings import KeySettings, SettingEdits
from okr_tui.services.live_pool import Pool
from okr_tui.services.log_reader import LogReader
from okr_tui.services.model_catalog import ModelCatalog
from okr_tui.services.quota_poller import QuotaPoller
from okr_tui.services.service import KeepIn, Snapshot
from okr_tui.settings import watch
from okr_tui.settings.layers import Sources
from okr_tui.store.base import Store
from okr_tui.store.factory import open_store


class Commands:
    """The commands of Service, over parts that are open. PoolService makes the parts."""

    configuration: Configuration
    clock: Clock
    pool: Pool
    quota_poller: QuotaPoller
    catalog: ModelCatalog
    dispatcher: Dispatcher
    gateway: GatewaySwitch
    client: Client
    _key_settings: KeySettings
    _setting_edits: SettingEdits
    _reader: LogReader

    async def reload(self) -> None:
        """Read the settings again; what is broken keeps its last good content."""
        raise NotImplementedError

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """See Service."""
        if after is not None:
            return await self._reader.newer(wanted, after)
        return await self._reader.older(wanted, before)

    async def trail(self, fingerprint: str) -> KeyHistory:
        """See Service."""
        return await self._reader.trail(fingerprint)

    async def use_key(self, index: int) -> str:
        """See Service."""
        self.key(index)
        return f"Active Ollama cloud key → {await self._prefer(index)}"

    async def rotate(self) -> str:
        """See Service."""
        config = self.pool.config
        if not config.keys:
            raise NoKeyError(f"no key to rotate to, none is configured: {ADD_A_KEY}")
        if len(config.keys) == 1:
            return "nothing to rotate to: the pool has one key"
        here = config.index(config.preferred) or 1
        verdicts = self.pool.choose(
            SelectionRequest(self.clock.time(), in_flight=self.pool.in_flight)
        ).verdicts
        order = [(here - 1 + offset) % len(config.keys) for offset in range(1, len(config.keys))]
        free = next((place for place in order if verdicts[place].eligible), None)
        if free is None:
            raise SettingsError("nothing to rotate to: every other key is blocked; choose one by its number")
        return f"Rotated Ollama cloud key → {await self._prefer(free + 1)}"

    async def _prefer(self, index: int) -> str:
        said = await self.configuration.prefer(index - 1)
        await self.reload()
        key = self.key(index)
        await self.pool.append(Use(at=self.clock.time(), client=self.client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}\n{said}"

    async def refresh_models(self) -> str:
        """See Service."""
        await self.catalog.refresh()
        if self.catalog.error:
            kept = "the last list is kept" if self.catalog.models else "no list was read before, try again"
            raise OkrError(f"models not refreshed: {self.catalog.error}; {kept}")
        count = sum(model.status == "listed" for model in self.catalog.models)
        return f"Loaded {count} cloud Ollama models"

    async def test_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        fault = await self.quota_poller.identity(key) or await self.quota_poller.balance(key)
        if fault:
            self.quota_poller.faulted(key, fault)
            status = f"{fault.status} " if fault.status else ""
            raise OkrError(f"#{index} {key.masked}: {status}{fault.text}")
        row = self.pool.view().keys[index - 1]
        return (
            f"#{index} {key.masked}: {sentence(row.verdict, self.clock.time())}, plan {row.plan or 'unknown'}"
        )

    async def reset_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        await self.pool.append(Reset(at=self.clock.time(), client=self.client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}: older faults forgotten"

    async def set_enabled(self, index: int, *, enabled: bool) -> str:
        """See Service."""
        key = self.key(index)
        fact = Enabled if enabled else Disabled
        await self.pool.append(fact(at=self.clock.time(), client=self.client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}: switched {'on' if enabled else 'off'}"

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """See Service."""
        return await self._key_settings.add(secret, label, keep)

    async def take_key(self, reference: SecretStr) -> str:
        """Add a key by a reference, which is resolved to see that it is one."""
        return await self._key_settings.take(reference)

    async def remove_key(self, index: int, *, forget: bool = False) -> str:
        """See Service. `forget` deletes its text from the system keyring too, which cannot be undone."""
        return await self._key_settings.remove(self.key(index), forget=forget)

    async def restore_key(self) -> str:
        """See Service."""
        return await self._key_settings.restore()

    async def label_key(self, index: int, label: str | None) -> str:
        """See Service."""
        return await self._key_settings.label(self.key(index), label)

    async def favour_model(self, model: str, *, wanted: bool) -> str:
        """See Service."""
        return await self._setting_edits.favour(model, wanted=wanted)

    async def change_setting(self, name: str, text: str | None) -> str:
        """See Service."""
        return await self._setting_edits.change(name, text)

    async def trust_project(self, *, trusted: bool) -> str:
        """See Service."""
        return await self._reloaded(self.configuration.trust(trusted=trusted))

    async def close_file(self) -> str:
        """See Service."""
        return await self._reloaded(self.configuration.close_file())

    async def _reloaded(self, done: Awaitable[str]) -> str:
        said = await done
        await self.reload()
        return said

    async def switch_gateway(self) -> str:
        """See Service."""
        return await self.gateway.switch()

    def key(self, index: int) -> Key:
        """The key at a 1-based place; raises an OkrError when there is none."""
        keys = self.pool.config.keys
        if not keys:
            raise NoKeyError(NO_KEY)
        if not 1 <= index <= len(keys):
            raise OkrError(f"Invalid key index: {index}; the pool has {len(keys)}")
        return keys[index - 1]


class PoolService(Commands):
    """The service. `async with PoolService.open(...)` gives one that is running."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        client: Client,
        clock: Clock,
        zone: tzinfo,
        make_transport: MakeTransport | None,
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self._store = store
        self.client: Client = client
        self._applied = configuration.effective
        self.pool = Pool(store, configuration.config, configuration.policy, clock, zone)
        self._reader = LogReader(self.pool, zone)
        self._clock_ahead = 0.0
        self.cloud = CurrentCloud(self._applied, make_transport, self._compare_clocks)
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.quota_poller = QuotaPoller(self.pool, self.cloud.use, owner, shown=client == "dashboard")
        self.catalog = ModelCatalog(self.pool, self.cloud.use, self.cloud.url)
        self.dispatcher = Dispatcher(self.pool, self.cloud.use, self.quota_poller.faulted)
        self._background = Background(clock, self.pool.announce)
        self._key_settings = KeySettings(configuration, self.reload)
        self._setting_edits = SettingEdits(configuration, self.reload)
        self.gateway = GatewaySwitch(self.pool.announce, configuration.settings.gateway)
        self._subscribers: list[SettingsSubscriber] = [
            self.cloud,
            self.pool,
            self.quota_poller,
            self.catalog,
            self.gateway,
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
    ) -> AsyncGenerator["PoolService", None]:
        """Open everything. `watching` keeps settings, log, quota and models fresh in the background.

        Raises StoreError when the log cannot be opened; settings that are wrong become problems instead.
        """
        configuration = await Configuration.read(sources)
        store = await open_store(configuration.settings.store.value)
        service = cls(
            configuration,
            store,
            client=client,
            clock=clock or SystemClock(),
            zone=zone,
            make_transport=make_transport,
        )
        try:
            await service.pool.open()
            await service.pool.compact()
            await service.catalog.load()
            if watching:
                service._start()
            yield service
        finally:
            # A screen that goes away cancels more than once; half closed, the process would never end.
            await run_uncancelled(service._close())

    @property
    def snapshot(self) -> Snapshot:
        """See Service."""
        pool = self.pool.look()
        return Snapshot(
            at=self.clock.time(),
            pool=pool,
            models=self.catalog.listed(pool.keys, self.configuration.settings.enabled_models.value),
            settings=self.configuration.view(self.configuration.problems, self._key_settings.removable),
            entries=tuple(self.pool.entries),
            gateway=self.gateway.view,
            log=self._log_problems,
            clock_ahead=self._clock_ahead,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with settings, policy and store, a line each."""
        return (*self.configuration.problems, *self._log_problems)

    @property
    def _log_problems(self) -> tuple[str, ...]:
        of_the_log = (self._store.notice, self.pool.trouble or self._background.trouble)
        return tuple(line for line in of_the_log if line)

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """See Service. Raises what ended a background task."""
        async for _ in self.pool.changes():
            if self._background.failure:
                raise self._background.failure
            yield self.snapshot

    async def failed(self) -> Exception:
        """What ended a background task, once one has ended: nothing is fresh any more."""
        return await self._background.failed()

    async def host(self, hosting: Hosting) -> None:
        """Make `switch_gateway` possible, and follow which gateways run in other processes."""
        self.gateway.hosting = hosting
        await self.gateway.look()
        self._background.start(self.gateway.watch)

    def subscribe(self, part: SettingsSubscriber) -> Callable[[], None]:
        """Call `part.apply(old, new)` after each change of the settings; return what ends that."""
        self._subscribers.append(part)
        return lambda: self._subscribers.remove(part)

    async def reload(self) -> None:
        """Read the settings again; what is broken keeps its last good content."""
        if not await self.configuration.reload():
            return
        settings = self.configuration.settings
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

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """Note that this machine's clock is wrong: every time that the cloud names would be too."""
        ahead = ahead_of(headers, self.clock.time())
        far = ahead if ahead is not None and is_far(ahead) else 0.0
        if abs(far - self._clock_ahead) > 1:  # a second is lost on the way
            self._clock_ahead = far
            self.pool.announce()

    def _start(self) -> None:
        self._background.start(
            self.pool.follow,
            self._watch_settings,
            self.pool.watch_time,
            self.pool.keep_small,
            self.pool.keep_summed,
            self.quota_poller.run,
            self.catalog.keep_fresh,
        )

    async def _watch_settings(self) -> None:
        async for _ in watch.changes(self.configuration.settings.files):
            await self.reload()

    async def _close(self) -> None:
        await self.gateway.close()
        await self._background.close()
        await self.catalog.close()
        await self.cloud.aclose()
        try:
            await self.quota_poller.close()
        finally:
            await self.pool.settled()
            await self._store.close()
