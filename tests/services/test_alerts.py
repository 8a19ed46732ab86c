"""Alerts at work: recorded once by one of all processes, told to screens, and passed to hooks."""

import json
import shlex
from pathlib import Path
from typing import Any

from okr_tui.domain.records import Alert
from okr_tui.services.pool_service import PoolService
from tests.harness import Harness, ask, logged, wait_for
from tests.services.processes import announcing


def set_ours(harness: Harness, **settings: object) -> None:
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"] |= settings
    harness.settings_file.write_text(json.dumps(document))


def appending(path: Path) -> str:
    return f"cat >> {shlex.quote(str(path))}"


def reported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def alerts(service: PoolService) -> list[str]:
    return [alert.event for alert in await logged(service.pool, Alert)]


async def test_a_command_runs_the_hook_of_what_it_found_out_before_it_ends(harness: Harness) -> None:
    file = harness.home / "reported"
    set_ours(harness, hooks={"spent": appending(file)})
    async with harness.open() as service:
        await harness.fault("session", path="/api/chat", account="amber")
        await ask(service)
        await service.alerts.finish(5)
    [document] = reported(file)
    assert (document["event"], document["key"], document["window"]) == ("spent", 1, "session")
    assert document["fingerprint"]


async def test_a_command_that_only_looks_runs_no_hook(harness: Harness) -> None:
    file = harness.home / "reported"
    async with harness.open() as service:
        await harness.fault("session", path="/api/chat", account="amber")
        await ask(service)
    set_ours(harness, hooks={"*": appending(file)})
    async with harness.open() as service:
        await service.alerts.finish(5)
        assert await alerts(service) == []
    assert reported(file) == []


async def test_of_several_processes_one_runs_the_hook(harness: Harness) -> None:
    file = harness.home / "reported"
    set_ours(harness, hooks={"spent": appending(file)})
    async with (
        harness.open(watching=True) as first,
        harness.open(watching=True) as second,
        harness.open() as third,
    ):
        for service in (first, second):
            await wait_for(service, lambda s: all(row.read_at for row in s.pool.keys))
        await harness.fault("session", path="/api/chat", account="amber")
        await ask(third)
        await third.alerts.finish(5)
        for service in (first, second):
            await wait_for(service, lambda s: any(each.event == "spent" for each in s.alerts))
            await service.alerts.finish(5)
        assert (await alerts(first)).count("spent") >= 1
    assert [each["event"] for each in reported(file)] == ["spent"]


async def test_all_screens_show_an_alert_whoever_raised_it_and_once(harness: Harness) -> None:
    async with harness.open(watching=True) as first, harness.open(watching=True) as second:
        for service in (first, second):
            await wait_for(service, lambda s: all(row.read_at for row in s.pool.keys))
        await harness.fault("session", path="/api/chat", account="amber")
        await ask(first)
        for service in (first, second):
            snapshot = await wait_for(service, lambda s: any(each.event == "spent" for each in s.alerts))
            assert [each.text.partition(",")[0] for each in snapshot.alerts if each.event == "spent"] == [
                "#1 amber 1: 5h spent"
            ]


async def test_a_mark_has_a_line_in_live(harness: Harness) -> None:
    await harness.change("amber", session=85)
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda s: any(each.event == "window-80" for each in s.alerts))
    assert any("5h 85% used, reset" in line.text for line in snapshot.entries)


async def test_an_event_that_is_not_wanted_is_recorded_and_not_shown(harness: Harness) -> None:
    await harness.change("amber", session=97)
    set_ours(harness, alerts={"events": ["window-95"]})
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda s: bool(s.alerts))
        assert "window-80" in await alerts(service)
    assert {each.event for each in snapshot.alerts} == {"window-95"}


async def test_in_quiet_hours_alerts_go_to_live_only(harness: Harness) -> None:
    file = harness.home / "reported"
    await harness.change("amber", session=85)
    set_ours(harness, alerts={"quietHours": "00:00-23:59"}, hooks={"*": appending(file)})
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda s: any("85% used" in line.text for line in s.entries))
    assert snapshot.alerts == ()
    assert reported(file) == []


async def test_other_hooks_and_marks_take_effect_at_once(harness: Harness) -> None:
    file = harness.home / "reported"
    await harness.change("amber", session=50)
    async with harness.open(watching=True) as service:
        await wait_for(service, lambda s: all(row.read_at for row in s.pool.keys))
        set_ours(harness, alerts={"lowPercent": 40}, hooks={"window-80": appending(file)})
        await wait_for(service, lambda s: any(each.event == "window-80" for each in s.alerts))
        await service.alerts.finish(5)
    assert 50 in [each["percent"] for each in reported(file)]


async def test_a_hook_that_fails_is_a_problem_that_is_shown(harness: Harness) -> None:
    await harness.change("amber", session=85)
    set_ours(harness, hooks={"window-80": "exit 3"})
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda s: any("hook" in line for line in s.log))
    assert "the hook for window-80 failed: it ended with exit code 3" in snapshot.log


async def test_a_gateway_that_was_killed_is_reported(harness: Harness, tmp_path: Path) -> None:
    from contextlib import nullcontext
    from typing import cast

    from okr_tui.services.gateway_switch import Hosting

    state = tmp_path / "state"
    async with harness.open(watching=True) as service:
        with announcing(state) as process:
            hosting = Hosting(state, cast(Any, nullcontext), "")
            await service.host(hosting)
            await wait_for(service, lambda s: s.gateway.elsewhere)
            process.kill()
            process.wait()
            snapshot = await wait_for(service, lambda s: any(e.event == "gateway-down" for e in s.alerts))
    assert any("http://127.0.0.1:4711 has stopped unexpectedly" in each.text for each in snapshot.alerts)
