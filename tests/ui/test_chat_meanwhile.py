"""What a person does while an answer comes is not undone by its end."""

import asyncio

import pytest

from okr_tui.chat.conversation import Began, Ended, Gauge
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.bridge import AnswerArrived
from tests.ui.chat_driver import DONE, ROUTED, answer, ask, pane, send, settled, turns
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


async def coming(driver: Driver, service: ScriptedService) -> asyncio.Event:
    """Half an answer is there; the rest comes with the event."""
    gate = asyncio.Event()
    service.answers = [(ROUTED, Delta("half"), gate, Delta(" an answer"), DONE)]
    await ask(driver)
    await driver.until(lambda: turns(driver) and turns(driver)[0].text)
    return gate


async def test_another_model_and_level_stay_chosen(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        gate = await coming(driver, service)
        pane(driver).choose("gpt-oss:120b")
        await driver.press("ctrl+l")
        gate.set()
        await driver.until(lambda: settled(driver))
        assert turns(driver)[0].text == "half an answer"
        assert pane(driver).conversation.options.think == "low"
        await send(driver, "more")
        await driver.until(lambda: len(service.requests) == 2 and settled(driver))
    assert (service.requests[1].model, service.requests[1].think) == ("gpt-oss:120b", "low")


async def test_another_title_stays(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        gate = await coming(driver, service)
        await send(driver, "/rename Suns")
        await driver.until(lambda: pane(driver).conversation.title == "Suns")
        gate.set()
        await driver.until(lambda: settled(driver))
        assert pane(driver).conversation.title == "Suns"
        assert len(pane(driver).conversation.turns) == 2


async def test_what_comes_late_is_not_for_the_conversation_behind_it(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await coming(driver, service)
        side, before = pane(driver).view.number, pane(driver).conversation
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        for event in (Began(before, before.turns[0]), Ended(before, Gauge(0, None))):
            driver.app.post_message(AnswerArrived(side, event, 1.0))
        await driver.pilot.pause()
        assert turns(driver) == []
        assert pane(driver).conversation.id == ""
        assert not pane(driver).running


async def test_a_question_stopped_while_it_is_stored_returns(service: ScriptedService) -> None:
    service.answer = (asyncio.Event(),)
    async with run_app(service) as driver:
        chat = pane(driver)
        show = chat.show_event

        async def stop_first(side: int, event: object, at: float) -> None:
            if isinstance(event, Began):
                chat.stop()
            await show(side, event, at)  # type: ignore[arg-type]

        chat.show_event = stop_first  # type: ignore[method-assign]
        await ask(driver, "hello")
        await driver.until(lambda: turns(driver) and not chat.running)
        await driver.until(lambda: chat.prompt.text == "hello")
        assert driver.words(".offers").startswith("enter sends it again")


async def test_an_answer_that_ends_while_the_program_quits_breaks_nothing(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        gate = await coming(driver, service)
        gate.set()
