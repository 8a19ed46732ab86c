"""Asking, following, stopping and failing: nothing that was typed is ever lost."""

import asyncio
from pathlib import Path

import pytest

from okr_tui.chat.conversation import Conversation
from okr_tui.chat.service import ConversationService
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.ui.chat.answer import AnswerView
from tests.ui.chat_driver import DONE, ROUTED, answer, ask, ask_and_wait, pane, send, settled, turns, words
from tests.ui.driver import Driver, run_app
from tests.ui.examples import snapshot
from tests.ui.scripted_service import ScriptedService


def saved(driver: Driver) -> ConversationService:
    """The conversations."""
    assert driver.app.conversations is not None
    return driver.app.conversations


async def stored(driver: Driver) -> Conversation:
    """The conversation in sight, as it is stored."""
    return await saved(driver).get(pane(driver).conversation.id)


async def test_enter_on_a_model_leads_to_its_prompt(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "down", "enter")
        chat = pane(driver)
        assert chat.model == "gpt-oss:120b"
        assert driver.app.focused is chat.prompt


async def test_an_answer_is_drawn_whole_and_stored(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        drawn = driver.app.dashboard.query_one(AnswerView)
        await driver.until(lambda: drawn.settled)
        assert drawn.source.endswith("```\n")
        assert "• Blue is scattered most" in driver.screen()
        assert driver.words(".hops") == "#3 5h spent → #1"
        assert driver.words(".foot") == "61 tok/s · first 0.3 s · 2.3 s · via #1 · 1 hop"
        assert "▸ thought" in driver.words(".who")
        question, reply = (turn.message for turn in (await stored(driver)).turns)
    assert (question.role, reply.role) == ("user", "assistant")
    assert reply.thinking == "The person asks about the sky. Scattering, then."
    assert not reply.incomplete
    assert (service.requests[0].model, service.requests[0].messages) == ("gpt-oss:20b", (question,))


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_conversation_goes_along_until_a_new_one(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        for text in ("one", "two"):
            await ask_and_wait(driver, text)
        await driver.press("ctrl+n")
        await ask_and_wait(driver, "three")
    sent = [[message.content for message in asked.messages] for asked in service.requests]
    assert sent == [["one"], ["one", "yes", "two"], ["three"]]
    first, second, third = (asked.conversation for asked in service.requests)
    assert first == second != third


async def test_escape_stops_and_keeps_the_text(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half an "), Delta("answer"), asyncio.Event())
    async with run_app(service) as driver:
        await ask(driver)
        chat = pane(driver)
        await driver.until(
            lambda: chat.running and turns(driver) and turns(driver)[0].text.endswith("answer")
        )
        assert "esc stop" in driver.words("#footer")
        await driver.press("escape")
        await driver.until(lambda: settled(driver))
        await driver.until(lambda: chat.view.can_continue)
        assert "half an answer" in driver.screen()
        assert driver.words(".foot") == "stopped"
        assert driver.words(".offers") == "^g continue · ^r again on another key"
        assert "^g continue  ^r other key" in driver.words("#footer")
        assert (await stored(driver)).turns[-1].message.incomplete
        assert chat.prompt.text == ""
        assert driver.app.focused is chat.prompt
        service.answer = answer(" goes on")
        await driver.press("ctrl+g")
        await driver.until(lambda: settled(driver) and not chat.view.can_continue)
        assert [turn.text for turn in turns(driver)] == ["half an answer goes on"]
        assert driver.words(".offers") == ""
        assert len((await stored(driver)).turns) == 2


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_escape_before_any_word_returns_the_prompt_at_once(service: ScriptedService) -> None:
    service.answer = (asyncio.Event(),)
    async with run_app(service) as driver:
        await ask(driver, "hello there")
        await driver.until(lambda: turns(driver))
        await driver.press("escape")
        assert pane(driver).prompt.text == "hello there"
        await driver.until(lambda: settled(driver))
        service.answer = answer("hi")
        await driver.press("enter")
        await driver.until(lambda: settled(driver) and turns(driver)[-1].text == "hi")
        assert len(turns(driver)) == 1


async def test_a_failure_before_the_answer_returns_the_prompt(service: ScriptedService) -> None:
    service.answer = (PoolBlockedError("every key is blocked [until 10:00]; wait or add one"),)
    async with run_app(service) as driver:
        await ask_and_wait(driver, "hello there")
        chat = pane(driver)
        assert driver.words(".foot") == "✖ every key is blocked [until 10:00]; wait or add one"
        assert chat.prompt.text == "hello there"
        await driver.until(lambda: chat.view.can_ask_again)
        assert driver.words(".offers") == "enter sends it again · ^r again on another key"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_failure_within_the_answer_keeps_what_came(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("so far"), PoolBlockedError("the stream broke"))
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        chat = pane(driver)
        assert driver.words(".foot") == "✖ cut off: the stream broke"
        assert chat.prompt.text == ""
        await driver.until(lambda: chat.view.can_continue)
        assert "^g continue" in words(turns(driver)[0], ".offers")
        service.answer = answer("all of it")
        await driver.press("ctrl+r")
        await driver.until(lambda: settled(driver) and turns(driver)[0].text == "all of it")
        assert len(turns(driver)) == 1
    assert ROUTED.fingerprint in service.requests[-1].avoid


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_key_spent_before_the_answer_is_one_line(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        assert words(turns(driver)[0], ".hops") == "#3 5h spent → #1"
        assert pane(driver).prompt.text == ""


async def test_an_unexpected_failure_is_shown(service: ScriptedService) -> None:
    service.answer = (ROUTED, ValueError("odd"))  # type: ignore[assignment]
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        assert driver.words(".foot") == "✖ unexpected ValueError: odd"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_question_needs_a_model(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("c")
        await driver.type("hi")
        await driver.press("enter")
        await driver.toast("Choose a model for your question", "warning")
        focused = driver.app.focused
        assert focused is not None
        assert focused.id == "model-table"
        assert pane(driver).prompt.text == "hi"
        await driver.press("enter", "enter")
        await driver.until(lambda: turns(driver))
        assert [asked.messages[-1].content for asked in service.requests] == ["hi"]


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_leaving_while_an_answer_comes_keeps_what_came(
    service: ScriptedService, tmp_path: Path
) -> None:
    service.folder = tmp_path
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with run_app(service) as driver:
        await ask(driver)
        await driver.until(lambda: turns(driver) and turns(driver)[0].text)
    async with run_app(ScriptedService()) as _:
        pass
    again = ScriptedService()
    again.folder = tmp_path
    async with run_app(again) as driver:
        (found,) = await saved(driver).recent()
        last = (await saved(driver).get(found.conversation.id)).turns[-1]
    assert (last.message.content, last.message.incomplete) == ("half", True)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_what_is_typed_survives_panes_and_new_settings(service: ScriptedService) -> None:
    async with run_app(service, (80, 24)) as driver:
        await driver.press("c", "a", "ctrl+j", "b", "tab", "tab")
        service.show(snapshot())
        await driver.press("c")
        assert pane(driver).prompt.text == "a\nb"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_earlier_questions_come_back(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        for text in ("one", "two"):
            await ask_and_wait(driver, text)
        await driver.type("draft")
        prompt = pane(driver).prompt
        await driver.press("up")
        assert prompt.text == "two"
        await driver.press("up", "up")
        assert prompt.text == "one"
        await driver.press("down", "down")
        assert prompt.text == "draft"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_long_paste_is_bounded(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("c")
        from textual import events

        pane(driver).prompt.post_message(events.Paste("a" * 100_007))
        await driver.toast("The paste was too long: 7 characters were left out", "warning")
        assert len(pane(driver).prompt.text) == 100_000


async def test_thoughts_unfold(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        await driver.press("ctrl+t")
        assert driver.words(".thoughts").startswith("The person asks")
        assert "▾ thought" in driver.words(".who")


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_markup_in_questions_and_answers_is_text(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta(thinking="[/b]"), Delta("a[/b]"), DONE)
    async with run_app(service) as driver:
        await ask_and_wait(driver, "x[beta]")
        assert driver.words(".question") == "you  x[beta]"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_new_conversation_stops_the_running_answer(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with run_app(service) as driver:
        await ask(driver)
        await driver.until(lambda: turns(driver) and turns(driver)[0].text)
        await driver.press("ctrl+n")
        await driver.until(lambda: not pane(driver).running)
        assert turns(driver) == []
        service.answer = answer("other")
        await ask_and_wait(driver, "again")
        assert [turn.text for turn in turns(driver)] == ["other"]


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("used", [10, 110_000, 127_000])
async def test_the_context_is_measured(service: ScriptedService, used: int) -> None:
    from dataclasses import replace

    service.answer = answer("yes", replace(DONE, input_tokens=used))
    async with run_app(service) as driver:
        await ask_and_wait(driver)
        said = str(pane(driver).border_subtitle)
        note = driver.words("#chat-note") if used > 10 else ""
    reported = {
        10: ("ctx 0 % of 131K", ""),
        110_000: ("▲ ctx 84 % of 131K, filling up", "▲ context 84% full, 110K of 131K tokens"),
        127_000: ("✖ ctx 97 % of 131K, nearly full", "▲ context nearly full"),
    }
    assert reported[used][0] in said
    assert note.startswith(reported[used][1])


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_key_cycles_what_the_model_may_think(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter")
        said = []
        for _ in range(4):
            await driver.press("ctrl+l")
            said.append(str(pane(driver).conversation.options.think))
        assert said == ["low", "medium", "high", "None"]
        await driver.press("ctrl+l")
        assert "think low" in str(pane(driver).border_subtitle)
        await ask_and_wait(driver)
        assert (await stored(driver)).options.think == "low"
        await driver.press("ctrl+l")
        await send(driver, "more")
        await driver.until(lambda: len(service.requests) == 2 and settled(driver))
    assert [asked.think for asked in service.requests] == ["low", "medium"]
