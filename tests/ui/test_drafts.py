"""What is typed and not sent stands in the prompt again, however the program ended."""

import asyncio
from pathlib import Path

import pytest
from textual import events

from okr_tui.chat.conversation import Draft
from okr_tui.ui.chat.messages import DraftChanged
from okr_tui.ui.controllers import conversations
from tests.ui.chat_driver import ask, ask_and_wait, pane, settled, turns
from tests.ui.draft_driver import service_in, wait_until_kept
from tests.ui.driver import run_app

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a second."""
    monkeypatch.setattr(conversations, "KEEP_WITHIN", 0.05)


async def test_it_is_kept_while_the_program_runs_and_is_there_again(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("c")
        await driver.type("half a ")
        await wait_until_kept(driver, "half a ")
        await driver.press("ctrl+j")
        await driver.type("[b]thought")
        await wait_until_kept(driver, "half a \n[b]thought")
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).prompt.text == "half a \n[b]thought")
        assert pane(driver).conversation.id == ""


async def test_the_last_letters_before_leaving_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "KEEP_WITHIN", 60.0)
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("c")
        await driver.type("half a thought")
        pane(driver).prompt.insert("!")
        driver.app.exit()
        await driver.pilot.pause()
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).prompt.text == "half a thought!")


async def test_nothing_is_written_without_a_change(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("c", "a")
        await wait_until_kept(driver, "a")
        await driver.pilot.pause()
        reported = sum(isinstance(message, DraftChanged) for message in driver.messages)
        await driver.press("left", "right", "tab", "c")
        await driver.pilot.pause()
        assert sum(isinstance(message, DraftChanged) for message in driver.messages) == reported
        assert not driver.app.drafts.waiting


async def test_what_was_sent_does_not_come_back(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("tab", "tab", "enter")
        await driver.type("why")
        await wait_until_kept(driver, "why")
        await driver.press("enter")
        await driver.until(lambda: settled(driver))
        await wait_until_kept(driver, "")
        await wait_until_kept(driver, "", pane(driver).conversation.id)
    async with run_app(service_in(tmp_path)) as driver:
        await driver.pilot.pause()
        assert pane(driver).prompt.text == ""


async def test_an_earlier_question_is_a_draft_once_it_is_changed(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await ask_and_wait(driver, "about tides")
        tides = pane(driver).conversation.id
        await driver.type("mine")
        await driver.press("up")
        assert pane(driver).prompt.text == "about tides"
        await wait_until_kept(driver, "mine", tides)
        await driver.type("?")
        await wait_until_kept(driver, "about tides?\nmine", tides)


async def test_pictures_come_back_with_their_draft(tmp_path: Path) -> None:
    picture = tmp_path / "sky.png"
    picture.write_bytes(PNG)
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("c")
        pane(driver).prompt.post_message(events.Paste(str(picture)))
        await driver.until(lambda: pane(driver).composer.pictures)
        await driver.type("what is this")
        await wait_until_kept(driver, "what is this")
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).composer.pictures)
        assert "▣ sky.png" in driver.screen()
    picture.unlink()
    async with run_app(service_in(tmp_path)) as driver:
        await driver.toast("sky.png is not a file", "error")
        assert pane(driver).prompt.text == "what is this"


async def test_a_second_dashboard_begins_with_an_empty_prompt(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as first:
        await first.press("c", "a")
        await wait_until_kept(first, "a")
        async with run_app(service_in(tmp_path)) as second:
            await second.pilot.pause()
            assert pane(second).prompt.text == ""
            await second.press("c", "b")
            await wait_until_kept(second, "b")
        await wait_until_kept(first, "a")
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).prompt.text == "b")


async def test_what_is_typed_before_it_is_found_comes_after_it(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path)) as driver:
        await driver.press("c", "a")
    async with run_app(service_in(tmp_path)) as driver:
        await driver.until(lambda: pane(driver).prompt.text == "a")
        await driver.press("c", "b")
        pane(driver).composer.restore_new(Draft("found"))
        assert pane(driver).prompt.text == "found\nab"
        await wait_until_kept(driver, "found\nab")


async def test_a_question_stopped_before_any_word_is_a_draft_again(tmp_path: Path) -> None:
    async with run_app(service_in(tmp_path, [asyncio.Event()])) as driver:
        await ask(driver, "hello there")
        await driver.until(lambda: turns(driver))
        await driver.press("escape")
        await wait_until_kept(driver, "hello there", pane(driver).conversation.id)
        await wait_until_kept(driver, "")
