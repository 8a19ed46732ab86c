"""The gateway inside this process: started and stopped on demand, unless another process runs one."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from okr_tui.domain.errors import OkrError
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.services import gateway_registry
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.gateway_registry import Presence
from okr_tui.services.service import GatewayView
from okr_tui.settings.table import GatewayOptions


class Running(Protocol):
    """A gateway that answers."""

    @property
    def url(self) -> str:
        """Return its address."""

    @property
    def daemon_url(self) -> str | None:
        """Return the address for an `ollama` daemon, None without one."""

    async def failed(self) -> Exception:
        """Wait for the error that ends it, and return it."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """How this process can run a gateway: `open` serves until the block is left, and raises OkrErrors.

    `state` is the folder where gateways are listed; `advice` says in a line how a client uses one.
    """

    state: Path
    open: Callable[[], AbstractAsyncContextManager[Running]]
    advice: str


class GatewaySwitch:
    """Runs at most one gateway in this process; `announce` is called when `view` changed.

    `section` is the settings of the gateway in force.
    """

    def __init__(self, announce: Callable[[], None], section: GatewayOptions) -> None:
        self.hosting: Hosting | None = None
        self._announce = announce
        self._section = section
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._running: Running | None = None
        self._started_with: GatewayOptions | None = None
        self._error: str | None = None
        self._elsewhere: Presence | None = None
        self._others: frozenset[Presence] = frozenset()
        self.lost: frozenset[str] = frozenset()
        """The addresses of gateways that ended unasked while this process looked, and are not back."""

    @property
    def running(self) -> frozenset[str] | None:
        """The addresses of all gateways on this machine; None where this process does not look."""
        if self.hosting is None:
            return None
        own = {self._running.url} if self._running else set()
        return frozenset(own | {other.url for other in self._others})

    @property
    def view(self) -> GatewayView:
        """Return the gateway as it is shown."""
        autostart = self.hosting is not None and self._section.autostart
        if self._running:
            return GatewayView(
                self._running.url,
                self._running.daemon_url,
                ending=self._stop.is_set(),
                outdated=_listening(self._section) != self._started_with,
                error=self._error,
                autostart=autostart,
            )
        if self._elsewhere and self._task is None:
            other = self._elsewhere
            return GatewayView(other.url, other.daemon_url, elsewhere=True, autostart=autostart)
        return GatewayView(error=self._error, autostart=autostart)

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Take over the settings for the next start; a running gateway may now be `outdated`."""
        del old
        self._section = new.settings.gateway

    async def switch(self) -> str:
        """Start the gateway, or stop the one in this process; return what was done.

        Raises OkrError when it cannot be started, or is just being started or stopped.
        """
        if self.hosting is None:
            raise OkrError("this process cannot run a gateway; use `okr-tui serve`")
        if self._task is None:
            return await self._start(self.hosting)
        if self._running is None:
            raise OkrError("the gateway is already starting")
        if self._stop.is_set():
            raise OkrError("the gateway is already stopping")
        self._end()
        await asyncio.wait([self._task])
        return "Gateway stopped"

    async def _start(self, hosting: Hosting) -> str:
        # Set before the first wait, so that no second call starts another.
        self._stop, ready = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(hosting, ready), name="gateway")
        await ready.wait()
        if self._running is None:
            raise OkrError(self._error or "the gateway stopped as soon as it had started")
        lines = [f"Gateway on {self._running.url}"]
        if self._running.daemon_url:
            lines.append(f"for the ollama daemon: {self._running.daemon_url}")
        return "\n".join([*lines, hosting.advice])

    async def _run(self, hosting: Hosting, ready: asyncio.Event) -> None:
        self._error = None
        try:
            await self.look()
            if other := self._elsewhere:
                raise OkrError(f"a gateway is already running in process {other.pid}, at {other.url}")  # noqa: TRY301
            self._started_with = _listening(self._section)
            async with hosting.open() as running:
                self._running = running
                self._announce()
                ready.set()
                await self._ended(running)
        except OkrError as error:
            self._lose(str(error))
        except Exception as error:
            self._lose(clean_line(f"unexpected {type(error).__name__}: {error}"))
        finally:
            self._running = self._task = None
            ready.set()
            self._announce()

    def _lose(self, error: str) -> None:
        self._error = error
        if self._running:
            self.lost |= {self._running.url}

    async def _ended(self, running: Running) -> None:
        """Wait until the gateway is to stop. Raises the error that ended it earlier."""
        failing = asyncio.ensure_future(running.failed())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((failing, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            failing.cancel()
        if failing.done() and not failing.cancelled():
            raise failing.result()

    def _end(self) -> None:
        self._stop.set()
        self._announce()

    def report(self, problem: str) -> None:
        """Show a problem until the gateway is started again."""
        self._error = problem
        self._announce()

    async def watch(self) -> None:
        """Follow which gateways run in other processes, until cancelled."""
        assert self.hosting is not None
        async for _ in gateway_registry.changes(self.hosting.state):
            await self.look()

    async def look(self) -> None:
        """Check whether a gateway runs in another process."""
        if self.hosting is None:
            return
        found = await asyncio.to_thread(gateway_registry.running_gateways, self.hosting.state)
        others = [each for each in found if each.pid != os.getpid()]
        ended, self._others = self._others - set(others), frozenset(others)
        state = self.hosting.state
        crashed = [
            each.url for each in ended if await asyncio.to_thread(gateway_registry.has_crashed, state, each)
        ]
        lost = (self.lost | frozenset(crashed)) - (self.running or frozenset())
        before, self._elsewhere = self._elsewhere, others[0] if others else None
        if (before, self.lost) != (self._elsewhere, lost):
            self.lost = lost
            if self._running is None:
                self._error = None  # it was about the other gateway, or a new attempt may work
            self._announce()

    async def close(self) -> None:
        """End the gateway of this process; answers under way are cut off with an error."""
        if self._task is not None:
            self._end()
            await asyncio.wait([self._task])


def _listening(options: GatewayOptions) -> GatewayOptions:
    """Return what of the settings takes effect at a start only."""
    return replace(options, autostart=False)
