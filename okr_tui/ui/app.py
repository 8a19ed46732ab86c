"""The application: it opens the service, holds the newest snapshot and sends commands."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.reactive import var
from textual.screen import Screen
from textual.worker import Worker, WorkerCancelled, WorkerFailed, WorkerState

from okr_tui.domain.errors import OkrError
from okr_tui.services.service import Snapshot
from okr_tui.ui import bridge
from okr_tui.ui.actions import bindings
from okr_tui.ui.controllers.pool import Commands
from okr_tui.ui.controllers.slash import SlashCommands
from okr_tui.ui.editor import EditFile, edit_file
from okr_tui.ui.palette import palette
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.themes import DEFAULT, THEMES


def said(error: BaseException | None) -> str:
    """A failure in one line; what is not ours is named as what it is."""
    if isinstance(error, OkrError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"


def counts_down(snapshot: Snapshot) -> bool:
    """Whether a text on the screen changes with time alone."""
    pool = snapshot.pool
    ages = snapshot.models.error is not None or any(row.read_at for row in pool.keys)
    return ages or pool.outage is not None or any(row.verdict.until for row in pool.keys)


class OkrApp(SlashCommands):
    """The dashboard. It returns "demo" when the person wants to look around without a key."""

    CSS_PATH = "okr.tcss"
    TITLE = "okr-tui"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]

    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)

    def __init__(
        self,
        open_service: bridge.OpenService,
        *,
        theme: str | None = None,
        zone: tzinfo | None = None,
        demo: bool = False,
        edit_file: EditFile = edit_file,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(zone or datetime.now(UTC).astimezone().tzinfo or UTC, clock)
        self.edit_file = edit_file
        self._open_service = open_service
        self._demo = demo
        self._own_theme = theme is not None
        self._serving: Worker[None] | None = None
        for each in THEMES:
            self.register_theme(each)
        self.theme = DEFAULT
        self._wanted_theme = theme

    def get_default_screen(self) -> Screen[None]:
        """The dashboard, fed with the newest snapshot."""
        dashboard = Dashboard(self.zone, self.clock, demo=self._demo)
        return dashboard.data_bind(Commands.snapshot, OkrApp.now, OkrApp.failure)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers."""
        return palette(self, screen)

    def on_mount(self) -> None:
        """Show the screen at once; the service is opened beside it."""
        self._use_theme(self._wanted_theme)
        self.now = self.clock()
        self._ticking = self.set_interval(1, self._tick, pause=True)
        self._serve()

    def _serve(self) -> None:
        self._serving = self.run_worker(
            bridge.serve(self._open_service, self.post_message, self.keep_drafts),
            group="service",
            exit_on_error=False,
        )

    def action_open_again(self) -> None:
        """Open the service once more, after it could not be."""
        if self.failure is not None and self.snapshot is None:
            self.failure = None
            self._serve()

    async def on_unmount(self) -> None:
        """Let the service close in peace; only a failure while closing is news."""
        serving = self._serving
        if serving is None or serving.state is WorkerState.ERROR:
            return
        await self.end_answers()
        serving.cancel()
        try:
            await serving.wait()
        except WorkerCancelled:
            return
        except WorkerFailed as failed:
            raise failed.error from None

    def _tick(self) -> None:
        self.now = self.clock()

    def _use_theme(self, name: str | None) -> None:
        self.theme = name if name in self.available_themes else DEFAULT

    @on(bridge.ServiceOpened)
    def _service_opened(self, event: bridge.ServiceOpened) -> None:
        self.service, self.conversations = event.service, event.conversations
        self.bring_draft_back()

    @on(bridge.SnapshotArrived)
    def _snapshot_arrived(self, event: bridge.SnapshotArrived) -> None:
        snapshot = replace(event.snapshot, settings=self.checked(event.snapshot.settings))
        theme = snapshot.settings.theme
        if not self._own_theme and theme != self._wanted_theme:
            self._wanted_theme = theme
            self._use_theme(theme)
        first = self.snapshot is None
        with self.batch_update():
            self.now = self.clock()
            self.snapshot = snapshot
        if first and snapshot.gateway.autostart and snapshot.gateway.url is None:
            # Its code takes a moment to read; the keys are to be on the screen before.
            self.call_after_refresh(self.action_switch_gateway)
        self.ask_for_trust()
        if counts_down(snapshot):
            self._ticking.resume()
        else:
            self._ticking.pause()

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        """Every worker's end comes by here, so no failure goes unseen."""
        worker, state = event.worker, event.state
        if self.answer_ended(worker, said(worker.error)):
            return
        if worker is self._serving and state in (WorkerState.ERROR, WorkerState.SUCCESS):
            self.service = self.conversations = None
            self.failure = said(worker.error) if worker.error else "it closed by itself"
        elif state is WorkerState.ERROR and worker.group == "command":
            self.notify(said(worker.error), title="Not done", severity="error", timeout=10, markup=False)
