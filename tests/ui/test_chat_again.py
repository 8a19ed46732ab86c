"""The last question once more: with one key, on another account; answers that go on where they stopped."""

import asyncio

import pytest

from okr_tui.chat.conversation import Conversation
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.domain.keys import Key
from okr_tui.ui.chat.messages import AnswerRequested
from tests.ui.chat_driver import DONE, ROUTED, answer, ask, ask_and_wait, pane, send, settled, turns, words
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_pool import Step
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

BROKEN: tuple[Step, ...] = (ROUTED, Delta("half an "), PoolBlockedError("the stream broke"))
WITHOUT_END: tuple[Step, ...] = (ROUTED, Delta("half an "))


def fingerprint(place: int) -> str:
    """Of the key at a place of the scripted pool."""
    return Key.of(f"key number {place}", "global").fingerprint


async def stored(driver: Driver) -> Conversation:
    """The conversation in sight, as it is stored."""
    assert driver.app.conversations is not None
    return await driver.app.conversations.get(pane(driver).conversation.id)


async def cut_off(driver: Driver, text: str = "half an ") -> None:
    """Ask, until the answer was cut off."""
    await ask_and_wait(driver)
    await driver.until(lambda: pane(driver).view.can_continue)
    assert turns(driver)[-1].text == text


@pytest.mark.parametrize("typed", ["/again 2", "/again #2"])
async def test_again_with_one_key_asks_that_key_alone(service: ScriptedService, typed: str) -> None:
    service.answers = [answer("first"), answer("second")]
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        before = pane(driver).conversation.id
        await send(driver, typed)
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "second")
        assert pane(driver).prompt.text == ""
        assert [turn.text for turn in turns(driver)] == ["second"]
        requests = [message for message in driver.messages if isinstance(message, AnswerRequested)]
        assert [request.only for request in requests if request.how == "again"][-1:] == [2]
        branch = await stored(driver)
        assert (branch.branched_from, len(branch.turns)) == (before, 2)
        assert driver.app.conversations is not None
        origin = await driver.app.conversations.get(before)
        assert [turn.message.content for turn in origin.turns][1:] == ["first"]
    count = len(service.snapshot.pool.keys)
    others = {fingerprint(place) for place in range(1, count + 1)} - {fingerprint(2)}
    assert service.requests[1].avoid == others
    assert service.requests[1].messages == service.requests[0].messages


async def test_again_alone_leaves_the_key_to_the_pool(service: ScriptedService) -> None:
    service.answers = [answer("first"), answer("second")]
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        await send(driver, "/again")
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "second")
    assert service.requests[1].avoid == frozenset()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/again 99", "there is no key #99; the pool has 6"),
        ("/again 0", "there is no key #0; the pool has 6"),
        ("/again two", "/again takes a key's number, or nothing"),
    ],
)
async def test_again_with_no_such_key_asks_nothing(service: ScriptedService, typed: str, said: str) -> None:
    service.answer = answer("first")
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        await send(driver, typed)
        await driver.toast(said, "error")
        assert pane(driver).prompt.text == typed
    assert len(service.requests) == 1


async def test_again_before_any_question_says_so(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("c")
        await send(driver, "/again 1")
        await driver.toast("There is no question to ask again", "warning")
    assert service.requests == []


async def test_again_after_a_failure_takes_the_question_along(service: ScriptedService) -> None:
    service.answers = [(PoolBlockedError("every key is blocked"),), answer("yes")]
    async with run_app(service) as driver:
        await ask_and_wait(driver, "hello there")
        assert pane(driver).prompt.text == "hello there"
        await driver.press("ctrl+r")
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "yes")
        assert pane(driver).prompt.text == ""
        assert len((await stored(driver)).turns) == 2


@pytest.mark.parametrize("script", [BROKEN, WITHOUT_END])
async def test_an_answer_without_end_continues_until_it_has_one(
    service: ScriptedService, script: tuple[Step, ...]
) -> None:
    again: tuple[Step, ...] = (ROUTED, Delta("answer "), *script[2:])
    service.answers = [script, again, answer("at last")]
    async with run_app(service) as driver:
        await cut_off(driver)
        name = pane(driver).conversation.id
        assert (await stored(driver)).turns[-1].message.incomplete
        assert "^g continue" in words(turns(driver)[0], ".offers")
        assert "^g continue" in driver.words("#footer")
        await driver.press("ctrl+g")
        await driver.until(lambda: len(service.requests) == 2 and settled(driver))
        await driver.until(lambda: pane(driver).view.can_continue)
        assert [turn.text for turn in turns(driver)] == ["half an answer "]
        assert (await stored(driver)).turns[-1].message.incomplete
        await send(driver, "/continue")
        await driver.until(lambda: len(service.requests) == 3 and settled(driver))
        assert [turn.text for turn in turns(driver)] == ["half an answer at last"]
        assert not pane(driver).view.can_continue
        assert words(turns(driver)[0], ".offers") == ""
        whole = await stored(driver)
        assert whole.id == name
        assert [turn.message.content for turn in whole.turns][1:] == ["half an answer at last"]
        assert whole.incomplete is None
        await driver.press("ctrl+g")
        await driver.toast("The last answer is complete", "warning")
    sent = [[message.role for message in asked.messages] for asked in service.requests]
    assert sent == [["user"], ["user", "assistant"], ["user", "assistant"]]
    assert service.requests[2].messages[-1].content == "half an answer "


@pytest.mark.parametrize("script", [BROKEN, WITHOUT_END])
@pytest.mark.parametrize("how", ["key", "command"])
async def test_an_answer_without_end_is_asked_again_on_another_key(
    service: ScriptedService, script: tuple[Step, ...], how: str
) -> None:
    service.answers = [script, answer("all of it")]
    async with run_app(service) as driver:
        await cut_off(driver)
        before = pane(driver).conversation.id
        await (driver.press("ctrl+r") if how == "key" else send(driver, "/other"))
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "all of it")
        assert len(turns(driver)) == 1
        assert pane(driver).conversation.id != before
        assert driver.app.conversations is not None
        assert (await driver.app.conversations.get(before)).incomplete is not None
        assert (await stored(driver)).incomplete is None
    assert ROUTED.fingerprint in service.requests[1].avoid
    assert [message.role for message in service.requests[1].messages] == ["user"]


async def test_an_answer_without_end_says_that_it_has_none(service: ScriptedService) -> None:
    service.answer = WITHOUT_END
    async with run_app(service) as driver:
        await cut_off(driver)
        shown = words(turns(driver)[0], ".foot")
        name = pane(driver).conversation.id
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
        driver.app.conversations_controller.open(name)
        await driver.until(lambda: turns(driver))
        await driver.until(lambda: words(turns(driver)[0], ".foot"))
        assert words(turns(driver)[0], ".foot") == shown == "stopped early"


async def test_one_that_continues_and_is_stopped_keeps_both_parts(service: ScriptedService) -> None:
    service.answers = [BROKEN, (ROUTED, Delta("answer"), asyncio.Event()), answer(" at last", DONE)]
    async with run_app(service) as driver:
        await cut_off(driver)
        await driver.press("ctrl+g")
        await driver.until(lambda: turns(driver)[0].text == "half an answer")
        await driver.press("escape")
        await driver.until(lambda: settled(driver) and pane(driver).view.can_continue)
        assert (await stored(driver)).turns[-1].message.content == "half an answer"
        assert pane(driver).prompt.text == ""
        await driver.press("ctrl+g")
        await driver.until(lambda: turns(driver)[0].text == "half an answer at last" and settled(driver))
        assert len((await stored(driver)).turns) == 2


async def test_nothing_is_asked_twice_while_an_answer_comes(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with run_app(service) as driver:
        await ask(driver)
        await driver.until(lambda: turns(driver) and turns(driver)[0].text)
        await driver.press("ctrl+r", "ctrl+g")
        await send(driver, "/again 2")
        await driver.toast("An answer is still coming", "warning")
        await driver.until(lambda: pane(driver).prompt.text == "")
        assert len(service.requests) == 1
        assert len(turns(driver)) == 1
