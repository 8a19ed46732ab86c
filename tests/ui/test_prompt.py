"""The prompt loses nothing: not under an earlier question, not behind a sent one, no slash, no picture."""

from pathlib import Path

import pytest

from okr_tui.domain.errors import PoolBlockedError
from tests.ui.chat_driver import answer, ask_and_wait, pane, send, settled, turns
from tests.ui.driver import run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

PNG = b"\x89PNG\r\n\x1a\n and so on"


async def test_a_question_like_a_command_stays_a_question(service: ScriptedService) -> None:
    service.answers = [(PoolBlockedError("every key is blocked"),), answer("yes")]
    async with run_app(service) as driver:
        await ask_and_wait(driver, "//new")
        assert pane(driver).prompt.text == "//new"
        await driver.press("enter")
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "yes")
        await driver.press("up")
        assert pane(driver).prompt.text == "//new"
        await driver.press("down")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("w")
        assert pane(driver).prompt.text == "//new"
    assert [asked.messages[-1].content for asked in service.requests] == ["/new", "/new"]


async def test_what_stood_before_an_earlier_question_comes_back(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "one")
        await driver.type("mine")
        await driver.press("up")
        assert pane(driver).prompt.text == "one"
        await driver.press("enter")
        await driver.until(lambda: len(turns(driver)) == 2 and settled(driver))
        assert pane(driver).prompt.text == "mine"


async def test_an_earlier_question_that_was_changed_is_not_lost(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "one")
        await ask_and_wait(driver, "two")
        await driver.type("mine")
        await driver.press("up")
        await driver.type("!")
        await driver.press("up")
        assert pane(driver).prompt.text == "one"
        await driver.press("down", "down")
        assert pane(driver).prompt.text == "two!\nmine"


async def test_an_edit_is_not_lost_to_another_one(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "one")
        await ask_and_wait(driver, "two")
        await driver.type("mine")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("w")
        await driver.type("!")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("up", "w")
        assert pane(driver).prompt.text == "one"
        await driver.press("escape")
        assert pane(driver).prompt.text == "two!\nmine"


async def test_a_conversation_with_fewer_questions_has_fewer_to_bring_back(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        for text in ("one", "two", "three"):
            await ask_and_wait(driver, text)
        await driver.type("mine")
        await driver.press("up", "up", "up")
        pane(driver).transcript.selected = turns(driver)[0]
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("b")
        await driver.until(lambda: pane(driver).prompt.earlier == ["one"])
        pane(driver).prompt.focus()
        await driver.pilot.pause()
        await driver.press("down", "down", "down")
        assert pane(driver).prompt.text == "mine"


async def test_what_is_typed_behind_an_edit_stays_with_the_draft(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await ask_and_wait(driver, "one")
        await driver.type("draft")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("w")
        await driver.type("!")
        prompt = pane(driver).prompt
        prompt.action_send()
        prompt.insert(" more", prompt.document.end)
        await driver.until(lambda: settled(driver) and turns(driver)[0].state.question == "one!")
        assert prompt.text == "draft\nmore"


@pytest.mark.parametrize("how", ["enter", "ctrl+r"])
async def test_a_picture_returns_with_its_question(
    service: ScriptedService, tmp_path: Path, how: str
) -> None:
    service.answers = [(PoolBlockedError("every key is blocked"),), answer("a sky"), answer("yes")]
    picture = tmp_path / "sky.png"
    picture.write_bytes(PNG)
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "down", "down", "enter")
        await send(driver, f"/image {picture}")
        await driver.until(lambda: pane(driver).composer.pictures)
        await ask_and_wait(driver, "what is this")
        assert pane(driver).prompt.text == "what is this"
        assert "▣ sky.png" in driver.screen()
        await driver.press(how)
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "a sky")
        assert (pane(driver).prompt.text, pane(driver).composer.pictures) == ("", ())
        await ask_and_wait(driver, "and now")
    assert [len(asked.messages[-1].images) for asked in service.requests] == [1, 1, 0]


async def test_what_a_command_said_stays_above_the_first_question(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter")
        await send(driver, "/set temperature 0.2")
        await driver.until(lambda: "temperature 0.2" in driver.screen() and not pane(driver).prompt.text)
        assert pane(driver).query(".notice")
        await ask_and_wait(driver, "hello")
        assert pane(driver).query(".notice")
