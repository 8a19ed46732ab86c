"""A wandering finger changes nothing: letters of the pool act in the pool, and `u` takes changes back."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from textual import events

from okr_tui.domain.errors import PoolBlockedError
from okr_tui.services.service import ModelList
from okr_tui.ui.screens.dialogs import FirstFavourite
from tests.ui.chat_driver import ask
from tests.ui.driver import Driver, run_app
from tests.ui.examples import MODELS, NOW, pool, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

CHANGING = ("1", "2", "9", "r", "x", "o", "d", "delete", "l", "u")
"""What changes the pool, or asks for that."""


async def paste(driver: Driver, text: str) -> None:
    """Paste as a terminal does."""
    driver.app.post_message(events.Paste(text))
    await driver.pilot.pause()
    await driver.pilot.pause()


@pytest.mark.parametrize("index", ["#feed", "#model-table", "#turns"])
async def test_letters_of_the_pool_do_nothing_elsewhere(service: ScriptedService, index: str) -> None:
    service.show(snapshot(undoable=("removing #3",)))
    async with run_app(service) as driver:
        if index == "#turns":
            await ask(driver, "Why?")
            await driver.until(lambda: not driver.app.pane.running)
        driver.app.dashboard.go(index)
        await driver.pilot.pause()
        letters = [letter for letter in CHANGING if index != "#model-table" or letter != "u"]
        await driver.press(*letters)
        assert driver.app.screen is driver.app.dashboard
    assert service.calls == []


async def test_words_typed_after_leaving_the_prompt_change_nothing(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await ask(driver, "Why?")
        await driver.until(lambda: not driver.app.pane.running)
        await driver.press("escape", "escape")
        assert not driver.app.pane.prompt.has_focus
        await driver.press(*"for2x1odul")
    assert service.calls == []


@pytest.mark.parametrize(
    ("keys", "call"),
    [
        (("2",), "use_key"),
        (("r",), "rotate"),
        (("o",), "set_enabled"),
        (("x",), "reset_key"),
        (("d", "enter"), "remove_key"),
        (("l", "enter"), "label_key"),
        (("i", "o"), "set_enabled"),
        (("i", "x"), "reset_key"),
        (("tab", "tab", "b"), "set_favourite"),
    ],
)
async def test_u_takes_back_each_change_where_it_was_made(
    service: ScriptedService, keys: tuple[str, ...], call: str
) -> None:
    async with run_app(service) as driver:
        await driver.press(*keys)
        await driver.toast(f"Done: {call}; u undoes it")
        await driver.until(lambda: driver.app.snapshot and driver.app.snapshot.undoable)
        await driver.press("u")
        await driver.toast("Done: undo")
    assert [each[0] for each in service.calls] == [call, "undo"]


async def test_the_last_key_that_was_removed_comes_back_on_the_first_screen() -> None:
    service = ScriptedService(snapshot(pool=pool(active=None), undoable=("removing #1",)))
    async with run_app(service) as driver:
        await driver.until(lambda: "u undo" in driver.words("#footer"))
        await driver.press("u")
        await driver.toast("Done: undo")
    assert service.calls == [("undo",)]


async def test_the_first_favourite_is_asked_about_since_pi_then_offers_no_others() -> None:
    rows = tuple(replace(row, favourite=False) for row in MODELS)
    service = ScriptedService(snapshot(models=ModelList(rows, refreshed_at=NOW)))
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "b")
        assert isinstance(driver.app.screen, FirstFavourite)
        await driver.press("escape")
        assert service.calls == []
        await driver.press("b", "enter")
        await driver.toast("Done: set_favourite; u undoes it")
    assert service.calls == [("set_favourite", rows[0].model.id, True)]


@pytest.mark.parametrize("failing", [False, True])
async def test_an_escape_meant_for_an_answer_that_just_ended_keeps_the_prompt(
    service: ScriptedService, failing: bool
) -> None:
    if failing:
        service.answer = (PoolBlockedError("every key is blocked"),)
    async with run_app(service) as driver:
        await ask(driver, "Why?")
        await driver.until(lambda: driver.app.pane.transcript.last and not driver.app.pane.running)
        prompt = driver.app.pane.prompt
        await driver.press("escape")
        assert prompt.has_focus
        await driver.press("escape")
        assert not prompt.has_focus


async def test_after_typing_or_stopping_an_escape_leaves_the_prompt(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await ask(driver, "Why?")
        await driver.until(lambda: driver.app.pane.transcript.last and not driver.app.pane.running)
        prompt = driver.app.pane.prompt
        await driver.press("a", "backspace", "escape")
        assert not prompt.has_focus
        service.answer = (asyncio.Event(),)
        driver.app.dashboard.go("#prompt")
        await driver.type("And?")
        await driver.press("enter")
        await driver.until(lambda: driver.app.pane.view.running)
        await driver.press("escape")
        await driver.until(lambda: not driver.app.pane.running)
        await driver.press("escape")
        assert not prompt.has_focus


@pytest.mark.parametrize("index", ["#keys", "#feed", "#model-table"])
@pytest.mark.parametrize("size", [(120, 40), (60, 16)])
async def test_a_paste_elsewhere_goes_to_the_prompt(
    service: ScriptedService, index: str, size: tuple[int, int]
) -> None:
    async with run_app(service, size) as driver:
        driver.app.dashboard.go(index)
        await driver.pilot.pause()
        await paste(driver, "for you\nand q")
        prompt = driver.app.pane.prompt
        await driver.until(lambda: prompt.text == "for you\nand q")
        assert prompt.has_focus
    assert service.calls == []


@pytest.mark.parametrize("keys", [("i",), ("comma",), ("question_mark",), ("d",)])
async def test_a_paste_that_nothing_takes_is_refused_aloud(
    service: ScriptedService, keys: tuple[str, ...]
) -> None:
    async with run_app(service) as driver:
        await driver.press(*keys)
        await paste(driver, "for you")
        await driver.toast("Nothing on this screen takes a paste", "warning")
        assert driver.app.pane.prompt.text == ""
    assert service.calls == []


async def test_a_pasted_key_is_not_put_into_the_prompt(service: ScriptedService) -> None:
    secret = "0d9c1e-never-shown-4f2a7788aabb0011"
    async with run_app(service) as driver:
        await paste(driver, f"{secret}\n")
        await driver.toast("That looks like a key: a adds one", "warning")
        assert driver.app.pane.prompt.text == ""
        assert all(secret not in said for _, said in driver.toasts)
        await driver.press("a")
        await paste(driver, secret)
        await driver.press("enter")
        await driver.toast("Done: add_key")
    assert service.secrets == [secret]


@pytest.mark.parametrize("error", [PoolBlockedError("every key is blocked"), None])
async def test_a_failed_question_does_not_glue_itself_to_the_next(
    service: ScriptedService, error: Any
) -> None:
    service.answer = (error,) if error else ()
    async with run_app(service) as driver:
        if error is None:
            driver.app.conversations = None
        await ask(driver, "first")
        prompt = driver.app.pane.prompt
        await driver.until(lambda: not driver.app.pane.running and prompt.text == "first")
        await driver.pilot.pause()
        await driver.type("second")
        assert prompt.text == "second"


async def test_a_failed_question_is_sent_again_or_edited(service: ScriptedService) -> None:
    service.answer = (PoolBlockedError("every key is blocked"),)
    async with run_app(service) as driver:
        await ask(driver, "first")
        prompt = driver.app.pane.prompt
        await driver.until(lambda: not driver.app.pane.running and prompt.text == "first")
        await driver.press("end")
        await driver.type("ly")
        assert prompt.text == "firstly"
        await driver.press("enter")
        await driver.until(lambda: len(service.requests) == 2)
        assert service.requests[1].messages[-1].content == "firstly"
