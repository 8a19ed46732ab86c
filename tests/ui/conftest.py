"""What every test of the dashboard starts from."""

import asyncio
from typing import Any

import pytest

from tests.ui.scripted_service import ScriptedService
from tests.waiting import let_pass

SOON = 0.02
"""Seconds: more than one of Textual's frames."""
PATIENCE = 0.2
"""Seconds for timers that come again and again."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own terminal, editor and clipboard have no say."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "WSL_INTEROP")
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "TEXTUAL_THEME", *displays):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> ScriptedService:
    """A pool in every state."""
    return ScriptedService()


@pytest.fixture(autouse=True)
def waits_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pilot go on once the event loop has nothing left to run.

    Textual looks at the processor's time instead, every 20 ms: on a loaded machine a process that gets no
    time seems to be idle, and on a free one each key costs 20 ms.
    """
    monkeypatch.setattr("textual.app.wait_for_idle", nothing_to_run)
    monkeypatch.setattr("textual.pilot.wait_for_idle", nothing_to_run)


async def nothing_to_run(*_: float) -> None:
    """Return when the event loop was found without a callback several times, a moment for threads between.

    A timer that is due in a moment counts too: Textual lays out and draws by those.
    """
    loop: Any = asyncio.get_running_loop()
    for moment in (0.0, 0.001, 0.001):
        await let_pass(moment)
    patience, empty = loop.time() + PATIENCE, 0
    while empty < 3:
        soon = any(not each.cancelled() and each.when() < loop.time() + SOON for each in loop._scheduled)
        await let_pass(0.001 if soon else 0)
        empty = 0 if loop._ready or (soon and loop.time() < patience) else empty + 1
