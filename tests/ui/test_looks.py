"""A few steady pictures of the whole screen."""

import asyncio
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from okr_tui.services.service import GatewayView
from okr_tui.ui.chat.turn import TurnView
from okr_tui.ui.screens.dashboard import Dashboard
from tests.ui.examples import SETTINGS_FILE, settings, snapshot
from tests.ui.scripted_service import ScriptedService, make_app
from tests.waiting import LIMIT

pytestmark = pytest.mark.slow(reason="draws whole pictures")

SnapCompare = Callable[..., bool]
SIZES = [(80, 24), (120, 36), (160, 45)]


async def settle(pilot: Pilot[str]) -> None:
    """Wait until the first snapshot is drawn."""
    await reached(pilot, lambda dashboard: dashboard.snapshot is not None)


async def reached(pilot: Pilot[str], condition: Callable[[Dashboard], bool]) -> None:
    """Wait until the dashboard is in a state, and until all of it is drawn."""
    dashboard = pilot.app.screen_stack[0]
    assert isinstance(dashboard, Dashboard)
    async with asyncio.timeout(LIMIT):
        while not condition(dashboard):
            await pilot.pause()
    await pilot.pause()


def answered(dashboard: Dashboard) -> bool:
    """Whether the whole answer is drawn."""
    return any(turn.state.ended and turn.settled for turn in dashboard.query(TurnView))


@pytest.mark.parametrize("size", SIZES)
def test_dashboard(service: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(make_app(service), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES[:2])
def test_gateway(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    gateway = GatewayView("http://127.0.0.1:11435", elsewhere=size == SIZES[0])
    service = ScriptedService(snapshot(gateway=gateway))
    assert snap_compare(make_app(service), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES)
def test_conversation(service: ScriptedService, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def talk(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("tab", "tab", "enter", *"why", "enter")
        await reached(pilot, answered)

    assert snap_compare(make_app(service), terminal_size=size, run_before=talk)


def test_light(service: ScriptedService, snap_compare: SnapCompare) -> None:
    assert snap_compare(make_app(service, "okr-light"), terminal_size=(120, 36), run_before=settle)


def test_help(service: ScriptedService, snap_compare: SnapCompare) -> None:
    async def ask(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("question_mark")

    assert snap_compare(make_app(service), terminal_size=(80, 24), run_before=ask)


@pytest.mark.parametrize("size", SIZES[:2])
def test_settings(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("comma")
        await pilot.pause()

    problem = "~/.pi/agent/settings.json:12:5: sort is ignored: there is no setting of that name"
    shown = settings(problems=(problem,), open_to_others=SETTINGS_FILE)
    service = ScriptedService(snapshot(settings=shown))
    assert snap_compare(make_app(service), terminal_size=size, run_before=look)


def test_add_key(service: ScriptedService, snap_compare: SnapCompare) -> None:
    async def add(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("a", *"a-secret", "tab", *"work")
        await pilot.pause()

    assert snap_compare(make_app(service), terminal_size=(80, 24), run_before=add)
