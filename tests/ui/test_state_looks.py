"""A picture of each state in which not all is well, at the usual sizes."""

from dataclasses import replace
from datetime import UTC

import pytest
from textual.pilot import Pilot

from okr_tui.domain.health import State, Verdict
from okr_tui.services.service import GatewayView, ModelList, Snapshot
from okr_tui.ui.app import OkrApp
from tests.ui.examples import ENTRIES, INVALID, KEYS, NOW, SPENT, key, pool, settings, snapshot
from tests.ui.scripted_service import ScriptedService, make_app
from tests.ui.test_looks import SnapCompare, reached, settle
from tests.ui.test_states import unopened

pytestmark = pytest.mark.slow(reason="draws whole pictures")

SIZES = [(80, 24), (120, 36)]
OUTAGE = Verdict(State.OUTAGE, eligible=False, reason="the cloud does not answer", until=NOW + 20)
LOG = "cannot write the log ~/.local/state/okr-tui/log.db: database or disk is full"
MODELS = snapshot().models
SHOWN = {
    "no keys": snapshot(pool=pool(active=None)),
    "no models": snapshot(models=ModelList(error="GET /api/tags: HTTP 503")),
    "all spent": snapshot(
        pool=pool(key(1, SPENT), key(2, INVALID), key(3, SPENT), active=None, earliest=NOW + 252)
    ),
    "cloud down": snapshot(
        pool=pool(*KEYS, outage=OUTAGE),
        models=replace(MODELS, error="GET /api/tags: no connection", refreshed_at=NOW - 7200),
    ),
    "settings broken": snapshot(settings=settings(problems=("settings.json:4:7: expected a comma or }",))),
    "port taken": snapshot(
        gateway=GatewayView(error="cannot listen on 127.0.0.1:11435: another program listens there")
    ),
    "log full": snapshot(
        log=(f"{LOG}; this process has worked alone since 08:00, records waiting for the log: 3",)
    ),
    "clock wrong": snapshot(clock_ahead=430.0),
    "lines from the future": snapshot(entries=(*ENTRIES, replace(ENTRIES[-1], at=NOW + 3600))),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
def test_state(shown: Snapshot, snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = make_app(ScriptedService(shown))
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_log_not_opened(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = OkrApp(
        unopened("database is locked; end the program that holds it"),
        theme="okr-dark",
        zone=UTC,
        clock=lambda: NOW,
    )

    async def failed(pilot: Pilot[str]) -> None:
        await reached(pilot, lambda dashboard: dashboard.has_class("-broken"))

    assert snap_compare(app, terminal_size=size, run_before=failed)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_nothing_found(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def search(pilot: Pilot[str]) -> None:
        await settle(pilot)
        await pilot.press("tab", "slash", *"nosuch", "escape", "slash", *"nosuch", "tab")
        await pilot.press("slash", *"nothing")
        await pilot.pause()

    assert snap_compare(make_app(ScriptedService()), terminal_size=size, run_before=search)
