"""The composition root: settings, store, cloud and services, opened together and closed together."""

import contextlib
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from datetime import UTC, tzinfo

import httpx
from pydantic import SecretStr

from okr_tui.cloud.client import Cloud
from okr_tui.domain.chat import ChatEvent, Message
from okr_tui.domain.choice import Question
from okr_tui.domain.errors import NoKeyError, OkrError, SettingsError
from okr_tui.domain.keys import Key
from okr_tui.domain.records import Client, Disabled, Enabled, Reset, SettingsRead, Use
from okr_tui.domain.words import sentence
from okr_tui.services.background import Background
from okr_tui.services.chat import answer
from okr_tui.services.clock import Clock, SystemClock
from okr_tui.services.configuration import Configuration
from okr_tui.services.dispatch import Dispatch
from okr_tui.services.inventory import Inventory
from okr_tui.services.key_settings import KeySettings
from okr_tui.services.meter import Meter
from okr_tui.services.pool import Pool
from okr_tui.services.service import KeepIn, Snapshot
from okr_tui.settings import watch
from okr_tui.settings.layers import Sources
from okr_tui.store.base import Store
from okr_tui.store.locate import open_store


class Keyring:
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
        self._transport = transport
        self.pool = Pool(store, configuration.roster, configuration.policy, clock, zone)
        self._clouds = [self._new_cloud()]
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.meter = Meter(self.pool, lambda: self.cloud, owner, shown=client == "dashboard")
        self.inventory = Inventory(self.pool, lambda: self.cloud)
        self.dispatch = Dispatch(self.pool, lambda: self.cloud, self.meter.faulted)
        self._background = Background(self.pool)
        self._key_settings = KeySettings(configuration, self.reload)

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
            await keyring._close()

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
            models=self.inventory.listed(pool.keys),
            settings=self.configuration.view(self.problems, self._key_settings.removable),
            entries=tuple(self.pool.entries),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with settings, policy and store, a line each."""
        of_the_log = (self._store.notice, self._background.trouble)
        return (*self.configuration.problems, *(line for line in of_the_log if line))

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """See Service. Raises what ended a background task."""
        async for _ in self.pool.changes():
            if self._background.failure:
                raise self._background.failure
            yield self.snapshot

    async def use_key(self, index: int) -> str:
        """See Service."""
        self.key(index)
        return f"Active Ollama cloud key → {await self._prefer(index)}"

    async def rotate(self) -> str:
        """See Service."""
        roster = self.pool.roster
        if not roster.keys:
            raise NoKeyError("no key to rotate to: none is configured")
        if len(roster.keys) == 1:
            return "nothing to rotate to: the pool has one key"
        here = roster.index(roster.preferred) or 1
        choice = self.pool.choose(Question(self.clock.time(), in_flight=self.pool.in_flight))
        order = [(here - 1 + offset) % len(roster.keys) for offset in range(1, len(roster.keys))]
        free = next((place for place in order if choice.verdicts[place].eligible), None)
        if free is None:
            raise SettingsError("nothing to rotate to: every other key is blocked; choose one by its number")
        return f"Rotated Ollama cloud key → {await self._prefer(free + 1)}"

    async def _prefer(self, index: int) -> str:
        said = await self.configuration.prefer(index - 1)
        await self.reload()
        key = self.key(index)
        await self.pool.append(Use(at=self.clock.time(), fingerprint=key.fingerprint))
        return f"#{index} {key.masked}\n{said}"

    async def refresh_models(self) -> str:
        """See Service."""
        await self.inventory.refresh()
        if self.inventory.error:
            raise OkrError(f"models not refreshed: {self.inventory.error}; the last list is kept")
        count = sum(model.status == "listed" for model in self.inventory.models)
        return f"Loaded {count} cloud Ollama models"

    async def test_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        fault = await self.meter.identity(key) or await self.meter.balance(key)
        if fault:
            self.meter.faulted(key, fault)
            status = f"{fault.status} " if fault.status else ""
            raise OkrError(f"#{index} {key.masked}: {status}{fault.text}")
        row = self.pool.view().keys[index - 1]
        return (
            f"#{index} {key.masked}: {sentence(row.verdict, self.clock.time())}, plan {row.plan or 'unknown'}"
        )

    async def reset_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        await self.pool.append(Reset(at=self.clock.time(), fingerprint=key.fingerprint))
        return f"#{index} {key.masked}: older faults forgotten"

    async def set_enabled(self, index: int, *, enabled: bool) -> str:
        """See Service."""
        key = self.key(index)
        fact = Enabled if enabled else Disabled
        await self.pool.append(fact(at=self.clock.time(), fingerprint=key.fingerprint))
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

    def chat(
        self, model: str, messages: Sequence[Message], *, conversation: str, think: str | None = None
    ) -> AsyncGenerator[ChatEvent, None]:
        """See Service."""
        return answer(
            self.dispatch,
            self.clock,
            self._client,
            model,
            messages,
            conversation=conversation,
            think=think,
        )

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
            keys=len(settings.keys),
            cloud_url=settings.cloud_url.value,
            problems=self.problems,
        )
        await self.pool.catch_up()
        if self.pool.settings_read is None or not read.says_the_same(self.pool.settings_read):
            await self.pool.append(read)

    def key(self, index: int) -> Key:
        """The key at a 1-based place; raises an OkrError when there is none."""
        keys = self.pool.roster.keys
        if not keys:
            raise NoKeyError("no key is configured: add one to settings.json or set OLLAMA_API_KEYS")
        if not 1 <= index <= len(keys):
            raise OkrError(f"Invalid key index: {index}; the pool has {len(keys)}")
        return keys[index - 1]

    def _new_cloud(self) -> Cloud:
        url = self.configuration.settings.cloud_url.value
        return Cloud(url, self.configuration.policy, transport=self._transport)

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
        await self._background.close()
        await self.inventory.close()
        for cloud in self._clouds:
            await cloud.__aexit__(None, None, None)
        try:
            await self.meter.close()
        finally:
            await self._store.close()
