"""Every conversation has a draft of its own: left behind when another is shown, taken along into a branch."""

import asyncio
from pathlib import Path

import pytest

from okr_tui.chat.conversation import Draft
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.ui.controllers import conversations
from tests.ui.chat_driver import ROUTED, ask, ask_and_wait, pane, send, settled, turns
from tests.ui.draft_driver import open_saved_conversation, service_in, wait_until_kept
from tests.ui.driver import run_app

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a second."""
    monkeypatch.setattr(conversations, "KEEP_WITHIN", 0.05)


async def test_every_conversation_has_its_own(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await driver.type("and the moon")
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        assert pane(driver).prompt.text == ""
        await driver.type("something new")
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == "and the moon"
        await driver.type("?")
        await wait_until_kept(driver, "and the moon?", tides)
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        assert pane(driver).prompt.text == "something new"
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).prompt.text == "something new")
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == "and the moon?"


async def test_a_new_conversation_sent_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        await driver.press("ctrl+n")
        await driver.type("about stars")
        await open_saved_conversation(driver, "tides")
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        await driver.press("enter")
        await driver.until(lambda: turns(driver) and settled(driver))
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        assert pane(driver).prompt.text == ""


async def test_commands_are_not_drafts_once_carried_out(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await send(driver, "/new")
        await driver.until(lambda: not turns(driver))
        await driver.until(lambda: pane(driver).prompt.text == "")
        await wait_until_kept(driver, "", tides)
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == ""
        await send(driver, "/delete")
        await driver.toast("Deleted about tides")
        await driver.until(lambda: not turns(driver))
        await send(driver, "/undo")
        await driver.toast("Brought back about tides")
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == ""
        await send(driver, "/nothing here")
        await driver.until(lambda: "There is no command /nothing" in driver.screen())
        await wait_until_kept(driver, "/nothing here", tides)


async def test_an_edit_comes_back_as_one(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await driver.type("and then")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("w")
        await driver.pilot.pause()
        assert driver.app.conversations is not None
        await wait_until_kept(driver, "and then", tides)
        await driver.type("?")
        await wait_until_kept(driver, "about tides?", tides)
    async with run_app(service_in(tmp_path)) as driver:
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == "about tides?"
        assert "in a branch" in driver.words("#chat-note")
        await driver.press("enter")
        await driver.until(lambda: settled(driver) and pane(driver).conversation.id != tides)
        assert turns(driver)[0].state.question == "about tides?"
        assert pane(driver).prompt.text == "and then"
        await wait_until_kept(driver, "and then", pane(driver).conversation.id)
        await wait_until_kept(driver, "", tides)


async def test_an_edit_of_what_is_gone_is_a_question(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await driver.press("ctrl+n")
        assert driver.app.conversations is not None
        await driver.app.conversations.keep_draft(tides, Draft("edited", 9, "held"))
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == "edited\nheld"
        assert pane(driver).composer.editing is None


async def test_a_branch_takes_the_prompt_along(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await driver.type("and then")
        pane(driver).transcript.focus()
        await driver.pilot.pause()
        await driver.press("b")
        await driver.until(lambda: pane(driver).conversation.id != tides)
        await driver.pilot.pause()
        assert pane(driver).prompt.text == "and then"
        await wait_until_kept(driver, "and then", pane(driver).conversation.id)
        await wait_until_kept(driver, "", tides)


async def test_of_two_sides_the_kept_one_takes_the_prompt_along(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("tab", "tab", "enter")
        await send(driver, "/compare kimi-k2.6")
        await driver.until(lambda: pane(driver).views.rivals)
        await send(driver, "why")
        await driver.until(lambda: len(turns(driver)) == 2 and settled(driver))
        await driver.type("and then")
        await wait_until_kept(driver, "and then")
        await driver.press("f3")
        await driver.until(lambda: len(pane(driver).views.all) == 1)
        await wait_until_kept(driver, "and then", pane(driver).conversation.id)
        await wait_until_kept(driver, "")
        assert pane(driver).prompt.text == "and then"


async def test_one_that_is_opened_while_it_is_answered_shows_what_came(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path, [ROUTED, Delta("half"), asyncio.Event()])) as driver:
        await ask(driver, "about tides")
        await driver.until(lambda: turns(driver) and turns(driver)[0].text == "half")
        shown = pane(driver).conversation.id
        driver.app.conversations_controller.open(shown)
        await driver.until(lambda: not pane(driver).running and pane(driver).view.can_continue)
        assert [turn.text for turn in turns(driver)] == ["half"]


async def test_a_question_without_any_answer_is_back_in_the_prompt(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path, [PoolBlockedError("every key is blocked")])) as driver:
        await ask_and_wait(driver, "about tides")
        pane(driver).prompt.clear()
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        await driver.type("about stars")
        await open_saved_conversation(driver, "tides")
        assert pane(driver).prompt.text == "about tides"
        await driver.until(lambda: driver.words(".offers").startswith("enter sends it again"))
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        assert pane(driver).prompt.text == "about stars"
