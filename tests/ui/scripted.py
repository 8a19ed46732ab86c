"""A service made of plain domain values: what it was asked is recorded, what it shows is set by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC

from pydantic import SecretStr

from okr_tui.domain.chat import ChatEvent, Message
from okr_tui.domain.errors import OkrError
from okr_tui.services.service import (
    KeepIn,
    Service,
    Snapshot,
)
from okr_tui.ui.app import OkrApp

from .examples import ANSWER, NOW, snapshot


class ScriptedService:
    """Implements `Service`. `calls` says what was asked; `answer` is streamed by `chat`."""

    def __init__(self, first: Snapshot | None = None) -> None:
        self._snapshot = first or snapshot()
        self._changed = asyncio.Event()
        self.calls: list[tuple[object, ...]] = []
        self.secrets: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.questions: list[tuple[str, tuple[Message, ...], str]] = []
        self.answer: Sequence[ChatEvent | OkrError | asyncio.Event] = ANSWER
        self.error: Exception | None = None
        self.closed = False

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

    def _called(self, *call: object) -> str:
        self.calls.append(call)
        if self.error:
            raise self.error
        return f"Done: {call[0]}"

    async def use_key(self, index: int) -> str:
        """Record the call."""
        return self._called("use_key", index)

    async def rotate(self) -> str:
        """Record the call."""
        return self._called("rotate")

    async def refresh_models(self) -> str:
        """Record the call."""
        return self._called("refresh_models")

    async def test_key(self, index: int) -> str:
        """Record the call."""
        return self._called("test_key", index)

    async def reset_key(self, index: int) -> str:
        """Record the call."""
        return self._called("reset_key", index)

    async def set_enabled(self, index: int, *, enabled: bool) -> str:
        """Record the call."""
        return self._called("set_enabled", index, enabled)

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Record the call once the gate is open; the text itself is kept apart."""
        self.secrets.append(secret.get_secret_value())
        await self.gate.wait()
        return self._called("add_key", label, keep)

    async def remove_key(self, index: int) -> str:
        """Record the call; the key stays, but could be brought back."""
        said = self._called("remove_key", index)
        mask = self._snapshot.pool.keys[index - 1].masked
        self.show(replace(self._snapshot, settings=replace(self._snapshot.settings, removable=(mask,))))
        return said

    async def restore_key(self) -> str:
        """Record the call."""
        return self._called("restore_key")

    async def label_key(self, index: int, label: str | None) -> str:
        """Record the call."""
        return self._called("label_key", index, label)

    async def trust_project(self, *, trusted: bool) -> str:
        """Record the call."""
        return self._called("trust_project", trusted)

    async def close_file(self) -> str:
        """Record the call."""
        return self._called("close_file")

    async def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        conversation: str,
        think: str | None = None,  # noqa: ARG002
    ) -> AsyncIterator[ChatEvent]:
        """Play the script: an error in it is raised, an event is waited for."""
        self.questions.append((model, tuple(messages), conversation))
        for step in self.answer:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step


def opener(service: ScriptedService) -> Callable[[], AbstractAsyncContextManager[Service]]:
    """What `OkrApp` is given to open this service."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Service]:
        try:
            yield service
        finally:
            await asyncio.sleep(0.01)
            service.closed = True

    return opened


def make_app(service: ScriptedService, theme: str = "okr-dark") -> OkrApp:
    """The application on a scripted service, at a fixed time in UTC."""
    app = OkrApp(opener(service), theme=theme, zone=UTC, clock=lambda: NOW)
    app.animation_level = "none"
    return app
