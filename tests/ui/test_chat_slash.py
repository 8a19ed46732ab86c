"""Slash commands in the prompt, and pictures that go along."""

import base64
from pathlib import Path

import pytest
from textual import events

from okr_tui.ui.chat.composer import Completion
from tests.ui.chat_driver import answer, ask_and_wait, pane, send, settled, turns
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

PNG = b"\x89PNG\r\n\x1a\n and so on"


async def begun(driver: Driver, downs: int = 0) -> None:
    """Choose a model; the prompt has the focus."""
    await driver.press("tab", "tab", *["down"] * downs, "enter")


def listed(driver: Driver) -> str:
    """The completions in sight."""
    shown = driver.app.dashboard.query_one(Completion)
    return str(shown.render()) if shown.display else ""


async def test_a_slash_lists_what_there_is_and_tab_completes(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await begun(driver)
        await driver.type("/")
        assert listed(driver).startswith("▸ /help")
        assert "/ollama" not in listed(driver)
        await driver.type("thi")
        assert listed(driver).startswith("▸ /think LEVEL")
        await driver.press("tab")
        assert pane(driver).prompt.text == "/think "
        await driver.press("down", "down", "enter")
        assert pane(driver).prompt.text == "/think medium"
        await driver.press("enter")
        await driver.until(lambda: pane(driver).prompt.text == "")
        assert pane(driver).conversation.options.think == "medium"
        assert listed(driver) == ""


async def test_escape_sends_the_list_away(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await begun(driver)
        await driver.type("/co")
        await driver.press("escape")
        await driver.pilot.pause()
        assert listed(driver) == ""
        assert pane(driver).prompt.text == "/co"


async def test_what_a_command_says_is_not_a_part_of_the_conversation(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await begun(driver)
        await send(driver, "/ollama-keys")
        await driver.until(lambda: "Ollama Cloud Key Pool" in driver.screen())
        await driver.until(lambda: pane(driver).prompt.text == "")
        await ask_and_wait(driver, "hello")
    assert [message.content for message in service.requests[0].messages] == ["hello"]


async def test_an_unknown_command_is_a_line_and_the_text_stays(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await begun(driver)
        await send(driver, "/nothing here")
        await driver.until(lambda: "There is no command /nothing" in driver.screen())
        assert pane(driver).prompt.text == "/nothing here"
        assert service.requests == []


@pytest.mark.parametrize(
    ("typed", "sent"), [("/etc/hosts says what", "/etc/hosts says what"), ("//new", "/new")]
)
async def test_paths_and_doubled_slashes_are_questions(
    service: ScriptedService, typed: str, sent: str
) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await begun(driver)
        await send(driver, typed)
        await driver.until(lambda: turns(driver) and settled(driver))
        assert pane(driver).prompt.text == ""
    assert service.requests[0].messages[-1].content == sent


async def test_options_are_set_shown_and_sent(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service) as driver:
        await begun(driver)
        await send(driver, "/set temperature 0.2")
        await driver.until(lambda: "temperature 0.2" in str(pane(driver).border_subtitle))
        await send(driver, "/system be brief")
        await driver.until(lambda: "system prompt" in str(pane(driver).border_subtitle))
        await send(driver, "/set temperature 9")
        await driver.toast("temperature must be a number from 0 to 2", "error")
        assert pane(driver).prompt.text == "/set temperature 9"
        pane(driver).prompt.clear()
        await send(driver, "why")
        await driver.until(lambda: service.requests and settled(driver))
        assert service.requests[0].sampling == {"temperature": 0.2}
        assert service.requests[0].messages[0].content == "be brief"


async def test_a_picture_goes_along_once(service: ScriptedService, tmp_path: Path) -> None:
    service.answer = answer("a sky")
    picture = tmp_path / "sky.png"
    picture.write_bytes(PNG)
    async with run_app(service) as driver:
        await begun(driver, downs=2)
        pane(driver).prompt.post_message(events.Paste(str(picture)))
        await driver.until(lambda: "▣ sky.png" in driver.screen())
        assert pane(driver).prompt.text == ""
        await driver.press("backspace")
        assert pane(driver).composer.pictures == ()
        await send(driver, f"/image {picture}")
        await driver.until(lambda: pane(driver).composer.pictures)
        await send(driver, "what is this")
        await driver.until(lambda: turns(driver) and settled(driver))
        assert pane(driver).composer.pictures == ()
        assert "▣ 1 image" in driver.words(".question")
    assert service.requests[0].messages[0].images == (base64.b64encode(PNG).decode(),)


async def test_a_model_without_eyes_refuses_a_picture(service: ScriptedService, tmp_path: Path) -> None:
    picture = tmp_path / "sky.png"
    picture.write_bytes(PNG)
    async with run_app(service) as driver:
        await begun(driver)
        pane(driver).prompt.post_message(events.Paste(str(picture)))
        await driver.toast("gpt-oss:20b takes no images: choose a model with vision", "error")
        assert pane(driver).prompt.text == str(picture)
        assert pane(driver).composer.pictures == ()


async def test_help_opens_at_its_top_and_escape_closes_it(service: ScriptedService) -> None:
    service.answer = answer("yes")
    async with run_app(service, (80, 24)) as driver:
        await begun(driver)
        await ask_and_wait(driver, "why")
        await send(driver, "/help")
        await driver.until(lambda: pane(driver).transcript.notice)
        await driver.until(lambda: "/help" in driver.screen())
        turns_pane, notice = pane(driver).transcript, pane(driver).transcript.notice
        assert notice is not None
        assert notice.size.height > turns_pane.size.height
        await driver.until(lambda: notice.region.y == turns_pane.region.y)
        await driver.until(lambda: "esc close" in driver.words("#footer"))
        await driver.press("escape")
        await driver.until(lambda: pane(driver).transcript.notice is None)
        assert pane(driver).prompt.has_focus


async def test_notices_do_not_pile_up(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await begun(driver)
        for text in ("/help", "/set temperature=0", "/set top_p=0.5"):
            await send(driver, text)
            await driver.until(lambda: pane(driver).prompt.text == "")
        assert len(pane(driver).query(".notice")) == 1
        options = pane(driver).conversation.options
    assert (options.temperature, options.top_p) == (0, 0.5)
