"""The composition root: settings, store, cloud and services, opened together and closed together."""

import contextlib
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, tzinfo

import httpx

from okr_tui.cloud.client import Cloud
from okr_tui.domain.clocks import ahead_of, is_far
from okr_tui.domain.records import Client, SettingsRead
from okr_tui.services.background import Background, to_its_end
from okr_tui.services.clock import Clock, SystemClock
from okr_tui.services.commands import Commands
from okr_tui.services.configuration import Configuration
from okr_tui.services.dispatch import Dispatch
from okr_tui.services.gateway import GatewaySwitch, Hosting
from okr_tui.services.inventory import Inventory
from okr_tui.services.key_settings import KeySettings
from okr_tui.services.log_reader import LogReader
from okr_tui.services.meter import Meter
from okr_tui.services.pool import Pool
from okr_tui.services.service import Snapshot
from okr_tui.services.setting_edits import SettingEdits
from okr_tui.settings import watch
from okr_tui.settings.layers import Sources
from okr_tui.store.base import Store
from okr_tui.store.locate import open_store


class Keyring(Commands):
    """The service. `async with Keyring.open(...)` gives one that is running."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        client: Client,
        clock: Clock,
        zone: tzinfo,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self._store = store
        self._client = client
        self.transport = transport
        self.pool = Pool(store, configuration.roster, configuration.policy, clock, zone)
        self._reader = LogReader(self.pool, zone)
        self._clock_ahead = 0.0
        self._clouds = [self._new_cloud()]
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.meter = Meter(self.pool, lambda: self.cloud, owner, shown=client == "dashboard")
        self.inventory = Inventory(self.pool, lambda: self.cloud)
        self.dispatch = Dispatch(self.pool, lambda: self.cloud, self.meter.faulted)
        self._background = Background(self.pool)
        self._key_settings = KeySettings(configuration, self.reload)
        self._setting_edits = SettingEdits(configuration, self.reload)
        self.gateway = GatewaySwitch(
            lambda: self.pool.announce(), lambda: self.configuration.settings.gateway
        )

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> AsyncGenerator["Keyring", None]:
        """Open everything. `watching` keeps settings, log, quota and models fresh in the background.

        Raises StoreError when the log cannot be opened; settings that are wrong become problems instead.
        """
        configuration = await Configuration.read(sources)
        store = await open_store(configuration.settings.store.value)
        keyring = cls(
            configuration,
            store,
            client=client,
            clock=clock or SystemClock(),
            zone=zone,
            transport=transport,
        )
        try:
            await keyring.pool.open()
            await keyring.pool.compact()
            await keyring.inventory.load()
            if watching:
                keyring._start()
            yield keyring
        finally:
            # A screen that goes away cancels more than once; half closed, the process would never end.
            await to_its_end(keyring._close())

    @property
    def cloud(self) -> Cloud:
        """The client of the cloud that the settings name now."""
        return self._clouds[-1]

    @property
    def snapshot(self) -> Snapshot:
        """See Service."""
        pool = self.pool.look()
        return Snapshot(
            at=self.clock.time(),
            pool=pool,
            models=self.inventory.listed(pool.keys, self.configuration.settings.enabled_models.value),
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

    def use_transport(self, transport: httpx.AsyncBaseTransport) -> None:
        """Send what comes from now on through another transport; what is under way ends on the one before."""
        self.transport = transport
        self._clouds.append(self._new_cloud())

    async def reload(self) -> None:
        """Read the settings again; what is broken keeps its last good content."""
        if not await self.configuration.reload():
            return
        settings = self.configuration.settings
        if settings.cloud_url.value != self.cloud.url:
            self._clouds.append(self._new_cloud())
        self.pool.change_roster(self.configuration.roster, self.configuration.policy)
        read = SettingsRead(
            at=self.clock.time(),
            client=self._client,
            keys=len(settings.keys),
            cloud_url=settings.cloud_url.value,
            problems=self.configuration.problems,
        )
        await self.pool.catch_up()
        if self.pool.settings_read is None or not read.says_the_same(self.pool.settings_read):
            await self.pool.append(read)

    def _new_cloud(self) -> Cloud:
        url = self.configuration.settings.cloud_url.value
        return Cloud(url, self.configuration.policy, transport=self.transport, heard=self._compare_clocks)

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        """Notice that this machine's clock is wrong: every time that the cloud names would be too."""
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
            self.meter.run,
            self.inventory.keep_fresh,
        )

    async def _watch_settings(self) -> None:
        async for _ in watch.changes(self.configuration.settings.files):
            await self.reload()

    async def _close(self) -> None:
        await self.gateway.close()
        await self._background.close()
        await self.inventory.close()
        for cloud in self._clouds:
            await cloud.__aexit__(None, None, None)
        try:
            await self.meter.close()
        finally:
            await self.pool.settled()
            await self._store.close()
