"""What every test of the dashboard starts from."""

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any

import aiosqlite
import pytest
from textual._styles_cache import StylesCache
from textual.app import App
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

from tests.ui.scripted_service import ScriptedService
from tests.waiting import let_pass

SOON = 0.02
"""Seconds: more than one of Textual's frames."""
TURNS = 150
"""Turns of the loop, a millisecond each, for timers that come again and again."""
FRAMES = 10
"""Frames that a pause lasts at most: an animation never rests."""
HANG = 10.0
"""Seconds for work in threads, some of which never ends."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own terminal, editor and clipboard have no say."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "WSL_INTEROP")
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "TEXTUAL_THEME", *displays):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def style_sheets_parsed_once() -> Iterator[None]:
    """Share the parsed rules of equal style sheets between applications: it is a fifth of their start."""
    parsed: dict[frozenset[tuple[str, str]], Any] = {}
    begin, set_variables = Stylesheet.__init__, Stylesheet.set_variables

    def share(sheet: Stylesheet, variables: dict[str, str]) -> None:
        sheet._parse_cache = parsed.setdefault(frozenset(variables.items()), {})

    def begin_shared(sheet: Stylesheet, *, variables: dict[str, str] | None = None) -> None:
        begin(sheet, variables=variables)
        share(sheet, variables or {})

    def set_shared(sheet: Stylesheet, variables: dict[str, str]) -> None:
        sheet._parse_cache = LRUCache(1)  # it is emptied, and the shared one should not be
        set_variables(sheet, variables)
        share(sheet, variables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "__init__", begin_shared)
        patch.setattr(Stylesheet, "set_variables", set_shared)
        yield


@pytest.fixture(scope="session", autouse=True)
def pauses_last_until_the_screen_rests() -> Iterator[None]:
    """Let `Pilot.pause` wait for what is still to be laid out, drawn or called after that.

    Textual's own draws one frame, and returns while what that frame calls for is under way on a busy machine.
    """
    pause = Pilot.pause

    async def rest(pilot: Pilot[Any], delay: float | None = None) -> None:
        await pause(pilot, delay)
        for _ in range(FRAMES):
            if _rests(pilot.app):
                return
            await pause(pilot)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pilot, "pause", rest)
        yield


def _rests(app: App[Any]) -> bool:
    screen = app.screen
    if screen._callbacks or screen._layout_required or screen._repaint_required:
        return False
    widgets = [app, *screen.walk_children(with_self=True)]
    return not any(each._next_callbacks or not each._message_queue.empty() for each in widgets)


@pytest.fixture(autouse=True)
def drawn_lines_go_with_their_application() -> Iterator[None]:
    """Empty the cache that keeps every drawn line of the last 1024 widgets, for the collector to look at."""
    yield
    StylesCache.get_inner_outer.cache_clear()


@pytest.fixture
def service() -> ScriptedService:
    """A pool in every state."""
    return ScriptedService()


@pytest.fixture(autouse=True)
def waits_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pilot go on once the event loop has nothing left to run, and no thread works for it.

    Textual looks at the processor's time instead, every 20 ms: on a loaded machine a process that gets no
    time seems to be idle, and on a free one each key costs 20 ms.
    """
    working: set[object] = set()
    in_executor = BaseEventLoop.run_in_executor

    def run_in_executor(loop: BaseEventLoop, *call: Any) -> asyncio.Future[Any]:
        future = in_executor(loop, *call)
        working.add(future)
        future.add_done_callback(working.discard)
        return future

    def counted(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wait(*positional: Any, **named: Any) -> Any:
            request = object()
            working.add(request)
            try:
                return await call(*positional, **named)
            finally:
                working.discard(request)

        return wait

    async def wait_for_idle(*_: float) -> None:
        await nothing_to_run(working)

    monkeypatch.setattr(BaseEventLoop, "run_in_executor", run_in_executor)
    for name in ("_connect", "_execute"):
        monkeypatch.setattr(aiosqlite.Connection, name, counted(getattr(aiosqlite.Connection, name)))
    monkeypatch.setattr("textual.app.wait_for_idle", wait_for_idle)
    monkeypatch.setattr("textual.pilot.wait_for_idle", wait_for_idle)


async def nothing_to_run(working: Collection[object]) -> None:
    """Return when the event loop was found without a callback several times, a moment for threads between.

    A timer that is due in a moment counts too: Textual lays out and draws by those. How long it is waited for
    is counted in turns of the loop: in each of them every timer that is due fires, however late it is.
    """
    loop: Any = asyncio.get_running_loop()
    for moment in (0.0, 0.001, 0.001):
        await let_pass(moment)
    patience, hang, empty = TURNS, loop.time() + HANG, 0
    while empty < 3:
        busy = bool(working) and loop.time() < hang
        soon = any(not each.cancelled() and each.when() < loop.time() + SOON for each in loop._scheduled)
        await let_pass(0.001 if soon or busy else 0)
        patience = TURNS if busy else patience - 1
        empty = 0 if loop._ready or busy or (soon and patience > 0) else empty + 1
