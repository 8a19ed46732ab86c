"""The gateway in the dashboard: one key starts and stops it, and the screen says where it answers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest

from okr_tui.domain.errors import OkrError
from okr_tui.services.service import GatewayView
from okr_tui.ui.lines import content
from okr_tui.ui.widgets.header import header_line
from okr_tui.ui.widgets.rows import RowList
from tests.ui.driver import run_app
from tests.ui.examples import NOW, settings, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

URL = "http://127.0.0.1:11435"
HERE = GatewayView(URL)
ELSEWHERE = GatewayView(URL, elsewhere=True)
TAKEN = "cannot listen on 127.0.0.1 port 11435: another program listens there; choose another port"


async def test_it_is_started_from_any_list(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("greater_than_sign", "g")
        await driver.toast("Done: switch_gateway")
        assert driver.app.dashboard.query_one("#keys", RowList).cursor == 5
        assert "gateway" not in driver.words("#header")
        service.show(snapshot(gateway=HERE))
        await driver.until(lambda: driver.words("#header").endswith("gateway :11435"))
    assert service.calls == [("switch_gateway",)]


async def test_the_screen_continues_while_answers_under_way_get_time_to_end(service: ScriptedService) -> None:
    service.show(snapshot(gateway=HERE))
    service.gate.clear()
    async with run_app(service) as driver:
        await driver.press("g")
        service.show(snapshot(gateway=replace(HERE, ending=True)))
        await driver.until(lambda: driver.words("#header").endswith("gateway :11435 ending"))
        await driver.press("j")
        assert driver.app.dashboard.keys.selected
        assert driver.app.dashboard.keys.selected.index == 2
        service.gate.set()
        await driver.toast("Done: switch_gateway")
        service.show(snapshot())
        await driver.until(lambda: "gateway" not in driver.words("#header"))


async def test_a_taken_port_is_a_state_with_a_way_out(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        service.error = OkrError(TAKEN)
        service.show(snapshot(gateway=GatewayView(error=TAKEN)))
        await driver.press("g")
        await driver.toast(TAKEN, "error")
        await driver.until(lambda: "▲ gateway" in driver.words("#header"))
        said = " ".join(driver.words("#banner").split())
        assert f"gateway: {TAKEN}; g tries again" in said


@pytest.mark.parametrize(
    ("gateway", "calls"),
    [
        (GatewayView(autostart=True), [("switch_gateway",)]),
        (replace(ELSEWHERE, autostart=True), []),
        (GatewayView(), []),
    ],
)
async def test_the_settings_can_ask_for_it_at_the_start(
    service: ScriptedService, gateway: GatewayView, calls: list[tuple[object, ...]]
) -> None:
    service.show(snapshot(gateway=gateway))
    async with run_app(service) as driver:
        if calls:
            await driver.toast("Done: switch_gateway")
        service.show(snapshot(gateway=gateway, at=NOW + 1))
        await driver.until(lambda: driver.app.snapshot and driver.app.snapshot.at > NOW)
        await driver.pilot.pause()
    assert service.calls == calls


async def test_changed_settings_are_shown_to_wait(service: ScriptedService) -> None:
    service.show(snapshot(gateway=replace(HERE, outdated=True)))
    async with run_app(service) as driver:
        assert "apply at its next start" in driver.words("#banner")


async def test_the_address_can_be_copied(service: ScriptedService) -> None:
    def titles() -> dict[str, Callable[[], object]]:
        commands = driver.app.get_system_commands(driver.app.screen)
        return {command.title: command.callback for command in commands}

    async with run_app(service) as driver:
        assert "gateway: start or stop" in titles()
        assert "gateway: copy the address" not in titles()
        service.show(snapshot(gateway=HERE))
        await driver.until(lambda: "gateway: copy the address" in titles())
        titles()["gateway: copy the address"]()
        await driver.toast("okr-tui connect CLIENT")
        assert driver.app.clipboard == URL


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("gateway", [HERE, ELSEWHERE, replace(HERE, ending=True)])
@pytest.mark.parametrize("problems", [(), ("one",)])
def test_where_it_is_fits_every_width(width: int, gateway: GatewayView, problems: tuple[str, ...]) -> None:
    shown = snapshot(gateway=gateway, settings=settings(problems=problems))
    line = str(content(header_line(shown, NOW, UTC, width, demo=False)))
    assert len(line) == width
    assert ":11435" in line
    if gateway.elsewhere:
        assert line.endswith("elsewhere")
