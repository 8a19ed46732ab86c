"""Turns of a conversation: selected, copied, edited, branched; and tools within them."""

import pytest

from okr_tui.chat.messages import Finished
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.settings.table import ChatSettings
from okr_tui.ui.chat import dialogs
from okr_tui.ui.chat.dialogs import ConfirmTool, PickCode
from okr_tui.ui.chat.turn import ToolLine
from tests.ui.chat_driver import DONE, ROUTED, answer, ask, ask_and_wait, pane, settled, turns
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

CODE = "```python\na = 1\n```\n\nand\n\n```sh\nls\n```\n"
CALLED = Finished("stop", 10, 5, 100, 300, (), DONE.fingerprint, 1)
SEARCH = (ROUTED, Delta(tool_calls=(ToolCall("web_search", {"query": "tides [b]"}),)), CALLED)


async def three(driver: Driver) -> None:
    """Three answered questions, the transcript with the focus."""
    for text in ("one", "two", "three"):
        await ask_and_wait(driver, text)
    pane(driver).transcript.focus()
    await driver.pilot.pause()


async def test_up_and_down_select_a_turn(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await three(driver)
        marked = [turn.has_class("-selected") for turn in turns(driver)]
        assert marked == [False, False, True]
        await driver.press("up")
        assert [turn.has_class("-selected") for turn in turns(driver)] == [False, True, False]
        assert "enter w edit" in driver.words("#footer")


async def test_a_question_is_edited_in_a_branch(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await three(driver)
        before = pane(driver).conversation.id
        pane(driver).prompt.put("a draft")
        await driver.press("up", "enter")
        assert pane(driver).prompt.text == "two"
        assert "in a branch" in driver.words("#chat-note")
        await driver.type(" again")
        await driver.press("enter")
        await driver.until(lambda: settled(driver) and pane(driver).conversation.id != before)
        assert [turn.state.question for turn in turns(driver)] == ["one", "two again"]
        assert pane(driver).prompt.text == "a draft"
        assert driver.app.conversations is not None
        assert len((await driver.app.conversations.get(before)).turns) == 6


async def test_escape_leaves_an_edit_and_the_draft_comes_back(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await three(driver)
        pane(driver).prompt.put("a draft")
        await driver.press("w", "escape")
        assert pane(driver).prompt.text == "a draft"
        assert pane(driver).composer.editing is None


async def test_a_branch_continues_after_the_selected_turn(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await three(driver)
        before = pane(driver).conversation.id
        await driver.press("up", "b")
        await driver.until(lambda: pane(driver).conversation.id != before)
        await driver.until(lambda: len(turns(driver)) == 2)
        assert [turn.text for turn in turns(driver)] == ["yes", "yes"]


async def test_an_answer_and_its_code_are_copied(service: ScriptedService) -> None:
    service.answer = answer(CODE)
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        pane(driver).transcript.focus()
        await driver.press("y")
        await driver.until(lambda: driver.app.clipboard == CODE)
        await driver.press("Y")
        assert isinstance(driver.app.screen, PickCode)
        await driver.press("down", "enter")
        await driver.until(lambda: driver.app.clipboard == "ls")


async def test_a_tool_runs_and_its_result_is_folded(service: ScriptedService) -> None:
    service.chat_settings = ChatSettings(tools=True)
    service.answers = [SEARCH, answer("found it")]
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        line = driver.app.dashboard.query_one(ToolLine)
        assert '▸ ⚙ web_search "tides [b]" … ' in str(line.query_one(".call").render())
        assert str(line.query_one(".call").render()).endswith("2 results")
        assert [turn.text for turn in turns(driver)] == ["found it"]
        chat_of_tool = service.calls[0][2]
        assert chat_of_tool == pane(driver).conversation.id
    assert [message.role for message in service.requests[1].messages] == ["user", "assistant", "tool"]


async def confirming(driver: Driver) -> ConfirmTool:
    """The dialog, once it listens."""
    await driver.until(lambda: isinstance(driver.app.screen, ConfirmTool))
    screen = driver.app.screen
    assert isinstance(screen, ConfirmTool)
    screen.listen()
    return screen


async def test_a_tool_waits_for_a_word(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogs, "DEAF", 3600.0)
    service.chat_settings = ChatSettings(tools=True, confirm={"web_search": "ask"})
    service.answers = [SEARCH, answer("without")]
    async with run_app(service) as driver:
        await ask(driver)
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmTool))
        shown = driver.screen()
        assert "web_search" in shown
        assert '"query": "tides [b]"' in shown
        await driver.press("y")
        assert isinstance(driver.app.screen, ConfirmTool), "keys typed for the prompt are no answer"
        await confirming(driver)
        await driver.press("n")
        await driver.until(lambda: settled(driver))
        assert service.calls == []
        assert turns(driver)[0].text == "without"


async def test_always_asks_no_more(service: ScriptedService) -> None:
    service.chat_settings = ChatSettings(tools=True, confirm={"web_search": "ask"})
    service.answers = [SEARCH, SEARCH, answer("done")]
    async with run_app(service) as driver:
        await ask(driver)
        await confirming(driver)
        await driver.press("down", "enter")
        await driver.until(lambda: settled(driver))
        assert len(service.calls) == 2


async def test_a_stopped_answer_takes_its_dialog_along(service: ScriptedService) -> None:
    service.chat_settings = ChatSettings(tools=True, confirm={"web_search": "ask"})
    service.answers = [SEARCH, answer("done")]
    async with run_app(service) as driver:
        await ask(driver)
        await confirming(driver)
        pane(driver).stop()
        await driver.until(lambda: driver.app.screen is driver.app.dashboard)
        assert service.calls == []
