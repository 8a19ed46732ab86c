"""Two conversations side by side."""

import asyncio

import pytest

from okr_tui.cloud.dialects import Delta
from tests.ui.chat_driver import ROUTED, answer, ask_and_wait, pane, send, settled, turns
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


async def compare(driver: Driver, argument: str = "kimi-k2.6") -> None:
    """Ask the first model and another one."""
    await driver.press("tab", "tab", "enter")
    await send(driver, f"/compare {argument}")
    await driver.until(lambda: pane(driver).views.rivals)


async def both(driver: Driver) -> None:
    """Ask, until both have answered."""
    await send(driver, "why")
    await driver.until(lambda: len(turns(driver)) == 2)
    await driver.until(lambda: settled(driver))


async def test_both_are_asked_and_one_is_kept(service: ScriptedService) -> None:
    service.answers = [answer("first"), answer("second")]
    async with run_app(service) as driver:
        await compare(driver)
        assert "goes to both" in driver.words("#chat-note")
        await both(driver)
        assert [asked.model for asked in service.requests] == ["gpt-oss:20b", "kimi-k2.6"]
        assert sorted(turn.text for turn in turns(driver)) == ["first", "second"]
        assert "F2 keep first" in driver.words("#footer")
        before = pane(driver).views.all[1].conversation.id
        await driver.press("f3")
        await driver.until(lambda: len(pane(driver).views.all) == 1)
        await driver.until(lambda: len(turns(driver)) == 1)
        assert pane(driver).conversation.id == before
        assert pane(driver).model == "kimi-k2.6"


async def test_two_keys_of_one_model(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await compare(driver, "#1 #2")
        await both(driver)
        one, other = (asked.avoid for asked in service.requests)
        assert (len(one), len(other)) == (5, 5)
        assert one != other


async def test_escape_stops_both_and_then_goes_back(service: ScriptedService) -> None:
    service.answer = answer("before")
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter")
        await ask_and_wait(driver, "one")
        origin = pane(driver).conversation.id
        await send(driver, "/compare kimi-k2.6")
        await driver.until(lambda: pane(driver).views.rivals)
        service.answer = (ROUTED, Delta("half"), asyncio.Event())
        await send(driver, "two")
        await driver.until(lambda: [turn.text for turn in turns(driver)].count("half") == 2)
        await driver.press("escape")
        await driver.until(lambda: not pane(driver).running)
        assert len(pane(driver).views.all) == 2
        await driver.press("escape")
        await driver.until(lambda: len(pane(driver).views.all) == 1 and len(turns(driver)) == 1)
        assert pane(driver).conversation.id == origin


@pytest.mark.parametrize(("width", "columns"), [(120, False), (200, True)])
async def test_they_are_side_by_side_where_there_is_room(
    service: ScriptedService, width: int, columns: bool
) -> None:
    service.answer = answer("yes")
    async with run_app(service, (width, 40)) as driver:
        await compare(driver)
        await both(driver)
        if columns:
            await driver.press("tab", "m")
        first, second = (talk.region for talk in pane(driver).views.all)
        assert (first.y == second.y) is columns


async def test_an_unknown_model_is_a_line_and_the_text_stays(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter")
        await send(driver, "/compare nobody")
        await driver.toast("there is no model 'nobody' in the list", "error")
        assert pane(driver).prompt.text == "/compare nobody"
        assert not pane(driver).views.rivals


async def test_the_question_for_both_is_asked_once(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await compare(driver)
        await driver.type("why")
        pane(driver).prompt.action_send()
        pane(driver).prompt.action_send()
        await driver.until(lambda: len(turns(driver)) == 2 and settled(driver))
        await driver.pilot.pause()
        assert len(pane(driver).views.all) == 2
    assert len(service.requests) == 2


async def test_both_can_be_asked_after_they_could_not(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await compare(driver)
        saved = driver.app.conversations
        driver.app.conversations = None
        await send(driver, "why")
        await driver.toast("still being opened", "error")
        driver.app.conversations = saved
        assert pane(driver).prompt.text == "why"
        assert not pane(driver).running
        await driver.press("enter")
        await driver.until(lambda: len(turns(driver)) == 2 and settled(driver))


async def test_the_side_that_is_kept_shows_what_came_of_it(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with run_app(service) as driver:
        await compare(driver)
        await send(driver, "why")
        await driver.until(lambda: [turn.text for turn in turns(driver)].count("half") == 2)
        before = pane(driver).views.all[1].conversation.id
        await driver.press("f3")
        await driver.until(lambda: len(pane(driver).views.all) == 1 and pane(driver).view.can_continue)
        assert pane(driver).conversation.id == before
        assert [turn.text for turn in turns(driver)] == ["half"]
        service.answer = answer(" and whole")
        await driver.press("ctrl+g")
        await driver.until(lambda: settled(driver) and not pane(driver).view.can_continue)
        assert [turn.text for turn in turns(driver)] == ["half and whole"]
