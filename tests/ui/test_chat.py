"""Asking, following, stopping and failing."""

import asyncio

import pytest
from textual.widgets import Markdown

from okr_tui.domain.chat import Delta, Finished, Routed
from okr_tui.domain.errors import PoolBlockedError
from okr_tui.ui.widgets import chat as chat_module
from okr_tui.ui.widgets.turn import Turn

from .driving import Driver, driven
from .examples import ANSWER, KEYS
from .scripted import ScriptedService

ROUTED = Routed(KEYS[0].fingerprint, 1)
DONE = Finished("stop", 10, 20, 100, 500, (), KEYS[0].fingerprint, 1)


async def ask(driver: Driver, text: str = "why is the sky blue") -> None:
    """Choose the first model if none is chosen, then ask."""
    if driver.app.dashboard.chat.model is None:
        await driver.press("tab", "tab", "enter")
    await driver.type(text)
    await driver.press("enter")


def settled(driver: Driver) -> bool:
    """Whether no answer runs and at least one ended."""
    chat = driver.app.dashboard.chat
    return chat.running is None and bool(chat.query(".turn.-ended"))


async def test_enter_on_a_model_leads_to_its_prompt(service: ScriptedService) -> None:
    async with driven(service) as driver:
        await driver.press("tab", "tab", "down", "enter")
        chat = driver.app.dashboard.chat
        assert chat.model == "gpt-oss:120b"
        assert driver.app.focused is chat.prompt


async def test_an_answer_is_drawn_whole(service: ScriptedService) -> None:
    async with driven(service) as driver:
        await ask(driver)
        await driver.until(lambda: settled(driver))
        markdown = driver.app.dashboard.query_one(Markdown)
        await driver.until(lambda: markdown.source.endswith("```\n"))
        assert driver.words(".hops") == "#3 5h spent → #1"
        assert driver.words(".foot") == "61 tok/s · 0.3 s · via #1 · 1 hop"
        assert "▸ thought" in driver.words(".who")
        history = driver.app.dashboard.chat.history
    assert [message.role for message in history] == ["user", "assistant"]
    assert history[1].thinking == "The person asks about the sky. Scattering, then."
    assert not history[1].incomplete
    assert service.questions[0][:2] == ("gpt-oss:20b", (history[0],))


async def test_the_conversation_goes_along(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("yes"), DONE)
    async with driven(service) as driver:
        for text in ("one", "two"):
            await ask(driver, text)
            await driver.until(lambda: settled(driver))
        await driver.press("ctrl+n")
        await ask(driver, "three")
        await driver.until(lambda: settled(driver))
    sent = [[message.content for message in messages] for _, messages, _ in service.questions]
    assert sent == [["one"], ["one", "yes", "two"], ["three"]]
    first, second, third = (conversation for _, _, conversation in service.questions)
    assert first == second != third


async def test_escape_stops_and_keeps_the_text(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half an "), Delta("answer"), asyncio.Event())
    async with driven(service) as driver:
        await ask(driver)
        chat = driver.app.dashboard.chat
        await driver.until(lambda: chat.running and chat.running.text == "half an answer")
        assert "esc stop" in driver.words("#footer")
        await driver.press("escape")
        await driver.until(lambda: settled(driver))
        await driver.until(lambda: driver.app.dashboard.query_one(Markdown).source == "half an answer")
        assert driver.words(".foot") == "stopped"
        assert chat.history[-1].incomplete
        assert chat.prompt.text == ""
        assert driver.app.focused is chat.prompt
        await driver.press("escape")
        assert driver.app.focused is not chat.prompt


async def test_a_failure_before_the_answer_returns_the_prompt(service: ScriptedService) -> None:
    service.answer = (PoolBlockedError("every key is blocked [until 10:00]; wait or add one"),)
    async with driven(service) as driver:
        await ask(driver, "hello there")
        await driver.until(lambda: settled(driver))
        chat = driver.app.dashboard.chat
        assert driver.words(".foot") == "✖ every key is blocked [until 10:00]; wait or add one"
        assert chat.prompt.text == "hello there"
        assert chat.history == []


async def test_a_failure_within_the_answer_keeps_what_came(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("so far"), PoolBlockedError("the stream broke"))
    async with driven(service) as driver:
        await ask(driver)
        await driver.until(lambda: settled(driver))
        chat = driver.app.dashboard.chat
        assert driver.words(".foot") == "✖ cut off: the stream broke"
        assert chat.history[-1].content == "so far"
        assert chat.history[-1].incomplete
        assert chat.prompt.text == ""


async def test_an_unexpected_failure_is_shown(service: ScriptedService) -> None:
    service.answer = (ROUTED, ValueError("odd"))  # type: ignore[assignment]
    async with driven(service) as driver:
        await ask(driver)
        await driver.until(lambda: settled(driver))
        assert driver.words(".foot") == "✖ unexpected ValueError: odd"


async def test_a_question_needs_a_model(service: ScriptedService) -> None:
    async with driven(service) as driver:
        await driver.press("c")
        await driver.type("hi")
        await driver.press("enter")
        await driver.toast("Choose a model first", "warning")
        assert driver.app.dashboard.chat.prompt.text == "hi"


async def test_a_prompt_has_several_lines(service: ScriptedService) -> None:
    async with driven(service) as driver:
        await driver.press("c", "a", "ctrl+j", "b")
        assert driver.app.dashboard.chat.prompt.text == "a\nb"


async def test_thoughts_unfold(service: ScriptedService) -> None:
    async with driven(service) as driver:
        await ask(driver)
        await driver.until(lambda: settled(driver))
        await driver.press("ctrl+t")
        assert driver.words(".thoughts").startswith("The person asks")
        assert "▾ thought" in driver.words(".who")


async def test_markup_in_questions_and_answers_is_text(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta(thinking="[/b]"), Delta("a[/b]"), DONE)
    async with driven(service) as driver:
        await ask(driver, "x[beta]")
        await driver.until(lambda: settled(driver))
        assert driver.words(".question") == "you  x[beta]"


async def test_a_new_conversation_stops_the_running_answer(service: ScriptedService) -> None:
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with driven(service) as driver:
        await ask(driver)
        chat = driver.app.dashboard.chat
        await driver.until(lambda: chat.running and chat.running.text)
        await driver.press("ctrl+n")
        assert chat.running is None
        assert chat.history == []
        service.answer = ANSWER
        await ask(driver, "again")
        await driver.until(lambda: settled(driver))
        assert len(chat.history) == 2


async def test_old_turns_leave_the_screen_but_not_the_history(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "SHOWN_TURNS", 3)
    service.answer = (ROUTED, Delta("yes"), DONE)
    async with driven(service) as driver:
        chat = driver.app.dashboard.chat
        await driver.press("tab", "tab", "enter")
        for _ in range(5):
            await driver.press("a", "enter")
            await driver.until(lambda: chat.running is None)
        assert len(chat.query(Turn)) == 3
        assert len(chat.history) == 10
