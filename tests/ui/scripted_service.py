"""A service made of plain domain values: what it was asked is recorded, what it shows is set by the test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from okr_tui.domain.errors import KeyRefusedError
from okr_tui.domain.feed import Entry, FeedFilter
from okr_tui.domain.feed_pages import Page
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.usage_charts import Period
from okr_tui.services.service import (
    KeepIn,
    Snapshot,
    UsageReport,
)
from okr_tui.settings.table import ChatSettings
from okr_tui.ui.app import OkrApp
from tests.ui.examples import ANSWER, NOW, snapshot
from tests.ui.scripted_pool import ChatRequest, Step, conversations
from tests.waiting import let_pass

if TYPE_CHECKING:
    from okr_tui.ui.bridge import Opened, OpenService

PAGE = 10
"""Lines of one page."""


class ScriptedService:
    """Implements `Service`. `calls` says what was asked; `answer`, or each of `answers`, is streamed."""

    def __init__(self, first: Snapshot | None = None) -> None:
        self._snapshot = first or snapshot()
        self._changed = asyncio.Event()
        self.calls: list[tuple[object, ...]] = []
        self.secrets: list[str] = []
        self.tried: list[str] = []
        self.refused: set[str] = set()
        self.tried_words = "tested, plan pro"
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests: list[ChatRequest] = []
        self.answer: Sequence[Step] = ANSWER
        self.answers: list[Sequence[Step]] = []
        self.chat_settings = ChatSettings()
        self.folder: Path | None = None
        self.error: Exception | None = None
        self.closed = False
        self.log: list[Entry] = []
        self.pages: list[tuple[int | None, int | None]] = []
        self.walked = KeyHistory()
        self.histories: list[str] = []
        self.report = UsageReport(NOW, NOW - 86400, {}, {}, {}, {}, ())

    @property
    def snapshot(self) -> Snapshot:
        """The present state."""
        return self._snapshot

    def show(self, following: Snapshot) -> None:
        """Set a new state."""
        self._snapshot = following
        self._changed.set()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The present state and each that is set."""
        while True:
            yield self._snapshot
            await self._changed.wait()
            self._changed.clear()

    async def usage(self, period: Period) -> UsageReport:
        """The sums that the test set."""
        self.calls.append(("usage", period.name))
        if self.error:
            raise self.error
        return self.report

    def _called(self, *call: object) -> str:
        self.calls.append(call)
        if self.error:
            raise self.error
        return f"Done: {call[0]}"

    def _changed_pool(self, *call: object) -> str:
        said = self._called(*call)
        self.show(replace(self._snapshot, undoable=(str(call[0]), *self._snapshot.undoable)))
        return said

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """The page of the lines in `log` that were asked for, ten at most."""
        self.pages.append((before, after))
        if after is not None:
            reported = [line for line in self.log if (line.sequence or 0) > after][:PAGE]
        else:
            reported = [line for line in self.log if before is None or (line.sequence or 0) < before][-PAGE:]
        lines = tuple(line for line in reported if wanted.matches(line))
        ends = not reported or reported[0 if after is None else -1] == self.log[0 if after is None else -1]
        edges = (reported[0].sequence, reported[-1].sequence) if reported else (None, None)
        return Page(lines, *edges, len(reported), ends)

    async def key_history(self, fingerprint: str) -> KeyHistory:
        """Record the call."""
        self.histories.append(fingerprint)
        return self.walked

    async def use_key(self, index: int) -> str:
        """Record the call."""
        return self._changed_pool("use_key", index)

    async def rotate(self) -> str:
        """Record the call."""
        return self._changed_pool("rotate")

    async def refresh_models(self) -> str:
        """Record the call."""
        return self._called("refresh_models")

    async def test_key(self, index: int) -> str:
        """Record the call."""
        return self._called("test_key", index)

    async def reset_key(self, index: int) -> str:
        """Record the call."""
        return self._changed_pool("reset_key", index)

    async def set_enabled(self, *indexes: int, enabled: bool) -> str:
        """Record the call."""
        return self._changed_pool("set_enabled", *indexes, enabled)

    async def try_key(self, secret: SecretStr, label: str | None) -> str:  # noqa: ARG002
        """Refuse a key that is in `refused`, else say what was set."""
        self.tried.append(secret.get_secret_value())
        await self.gate.wait()
        if secret.get_secret_value() in self.refused:
            raise KeyRefusedError("the cloud refuses this key: 401 Unauthorized")
        return self.tried_words

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Record the call once the gate is open; the text itself is kept apart."""
        self.secrets.append(secret.get_secret_value())
        await self.gate.wait()
        return self._called("add_key", label, keep)

    async def remove_key(self, index: int) -> str:
        """Record the call; the key stays, but could be brought back."""
        return self._changed_pool("remove_key", index)

    async def undo(self) -> str:
        """Record the call."""
        said = self._called("undo")
        self.show(replace(self._snapshot, undoable=self._snapshot.undoable[1:]))
        return said

    async def label_key(self, index: int, label: str | None) -> str:
        """Record the call."""
        return self._changed_pool("label_key", index, label)

    async def set_favourite(self, model: str, *, wanted: bool) -> str:
        """Record the call."""
        return self._changed_pool("set_favourite", model, wanted)

    async def change_setting(self, name: str, text: str | None) -> str:
        """Record the call."""
        return self._called("change_setting", name, text)

    async def trust_project(self, *, trusted: bool) -> str:
        """Record the call."""
        return self._called("trust_project", trusted)

    async def make_file_private(self) -> str:
        """Record the call."""
        return self._called("make_file_private")

    async def switch_gateway(self) -> str:
        """Record the call once the gate is open."""
        await self.gate.wait()
        return self._called("switch_gateway")


def opener(service: ScriptedService) -> "OpenService":
    """What `OkrApp` is given to open this service."""

    @asynccontextmanager
    async def opened() -> AsyncIterator["Opened"]:
        try:
            async with conversations(service) as saved:
                yield service, saved
        finally:
            await let_pass(0.01)
            service.closed = True

    return opened


def make_app(service: ScriptedService, theme: str | None = "okr-dark") -> OkrApp:
    """The application on a scripted service, at a fixed time in UTC."""
    app = OkrApp(opener(service), theme=theme, zone=UTC, clock=lambda: NOW)
    app.animation_level = "none"
    return app
