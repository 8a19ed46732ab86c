"""The client of the cloud in force, replaced while in use: the old one is closed when its last user ends."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from okr_tui.cloud.network import Network
from okr_tui.domain.scrubber import Scrubber
from okr_tui.services.configuration import EffectiveSettings

if TYPE_CHECKING:
    import httpx

    from okr_tui.cloud.client import Cloud

UseCloud = Callable[[], "AbstractContextManager[Cloud]"]
"""Gives the client in force; it stays open until the block is left."""
MakeTransport = Callable[[Network], "httpx.AsyncBaseTransport"]
"""Makes a way to the network by its rules. Each client has one of its own, which it closes."""


class CloudInUse:
    """A client while a block uses it. A generator would cost every request ten times as much."""

    __slots__ = ("_cloud", "_current")

    def __init__(self, current: "CurrentCloud", cloud: "Cloud") -> None:
        self._current = current
        self._cloud = cloud

    def __enter__(self) -> "Cloud":
        self._current.begin(self._cloud)
        return self._cloud

    def __exit__(self, *_: object) -> None:
        self._current.end(self._cloud)


class CurrentCloud:
    """Holds one client, rebuilt when the address, the policy or the transport changes.

    It is made, and httpx loaded, at its first use: most commands ask the cloud nothing.
    """

    def __init__(
        self,
        settings: EffectiveSettings,
        make_transport: MakeTransport | None,
        on_headers: Callable[[Mapping[str, str]], None],
        network: Network,
        scrubber: Scrubber,
    ) -> None:
        self._settings = settings
        self._make_transport = make_transport
        self._on_headers = on_headers
        self._network = network
        self._scrubber = scrubber
        self._users: Counter[Cloud] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._cloud: Cloud | None = None

    @property
    def url(self) -> str:
        """The address of the cloud in force."""
        return self._settings.settings.cloud_url.value

    def use(self) -> "CloudInUse":
        """Give the client in force, which stays open until the block is left."""
        if self._cloud is None:
            self._cloud = self._made()
        return CloudInUse(self, self._cloud)

    def begin(self, cloud: "Cloud") -> None:
        """Keep a client open for one more user."""
        self._users[cloud] += 1

    def end(self, cloud: "Cloud") -> None:
        """Close a client after its last user, unless it is the one in force."""
        self._users[cloud] -= 1
        self._close_unused(cloud)

    def client_at(self, url: str) -> "Cloud":
        """Make another client by the same rules, for an address that no key goes to; it is the caller's."""
        return self._made(url)

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Rebuild the client if anything it is built from changed."""
        self._settings = new
        if (old.settings.cloud_url.value, old.policy) != (new.settings.cloud_url.value, new.policy):
            self._replace()

    def use_transport(self, make_transport: MakeTransport) -> None:
        """Send requests from now on through another kind of transport, unless they already are."""
        if make_transport != self._make_transport:
            self._make_transport = make_transport
            self._replace()

    async def aclose(self) -> None:
        """Close every client, those still in use too; raise what the last failing one raised."""
        async with AsyncExitStack() as stack:
            for cloud in {*self._users, *filter(None, [self._cloud])}:
                stack.push_async_exit(cloud)
            for task in self._closing:
                stack.push_async_callback(asyncio.wait, [task])

    def _replace(self) -> None:
        old, self._cloud = self._cloud, None
        if old:
            self._close_unused(old)

    def _close_unused(self, cloud: "Cloud") -> None:
        if self._users[cloud] > 0:
            return
        del self._users[cloud]
        if cloud is not self._cloud:
            task = asyncio.create_task(cloud.__aexit__(None, None, None))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _made(self, url: str | None = None) -> "Cloud":
        from okr_tui.cloud.client import Cloud

        make, settings = self._make_transport, self._settings
        return Cloud(
            url or settings.settings.cloud_url.value,
            settings.policy,
            transport=make(self._network) if make else None,
            network=self._network,
            on_headers=(lambda _: None) if url else self._on_headers,
            scrubber=self._scrubber,
        )
