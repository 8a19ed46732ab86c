"""The list of conversations, and their titles, files and ends."""

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from okr_tui.ui.chat.dialogs import (
    ConversationList,
    ConversationsScreen,
    ExportConversation,
    RenameConversation,
)
from tests.ui.chat_driver import answer, ask_and_wait, pane, send, turns
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


async def two(driver: Driver) -> list[str]:
    """Two stored conversations; answers their identifiers."""
    names = []
    for text in ("about tides", "about stars"):
        await ask_and_wait(driver, text)
        names.append(pane(driver).conversation.id)
        await driver.press("ctrl+n")
        await driver.until(lambda: not turns(driver))
    return names


async def opened(driver: Driver, count: int) -> ConversationList:
    """The list, once it shows so many."""
    await driver.press("ctrl+s")
    await driver.until(lambda: isinstance(driver.app.screen, ConversationsScreen))
    await shown(driver, count)
    return driver.app.screen.query_one(ConversationList)


async def shown(driver: Driver, count: int) -> None:
    """Wait until the list has so many."""
    await driver.until(lambda: len(driver.app.screen.query_one(ConversationList).rows) == count)


def service_of(text: str = "yes") -> ScriptedService:
    """A service that always answers the same."""
    service = ScriptedService()
    service.answer = answer(text)
    return service


async def test_one_is_found_and_opened() -> None:
    async with run_app(service_of()) as driver:
        tides, _ = await two(driver)
        rows = await opened(driver, 2)
        assert [row.conversation.title for row in rows.rows] == ["about stars", "about tides"]
        await driver.type("tide")
        await shown(driver, 1)
        await driver.press("enter")
        await driver.until(lambda: pane(driver).conversation.id == tides)
        await driver.until(lambda: len(turns(driver)) == 1)
        assert driver.app.focused is pane(driver).prompt
        assert turns(driver)[0].text == "yes"


async def test_the_one_used_last_is_one_key_and_enter_away() -> None:
    async with run_app(service_of()) as driver:
        _, stars = await two(driver)
        await opened(driver, 2)
        await driver.press("enter")
        await driver.until(lambda: pane(driver).conversation.id == stars)


async def test_a_title_is_changed() -> None:
    async with run_app(service_of()) as driver:
        await two(driver)
        await opened(driver, 2)
        await driver.press("enter")
        await driver.until(lambda: turns(driver))
        await opened(driver, 2)
        await driver.press("ctrl+r")
        await driver.until(lambda: isinstance(driver.app.screen, RenameConversation))
        driver.app.screen.query_one(Input).value = "suns [b]"
        await driver.press("enter")
        await driver.toast("Renamed to suns [b]")
        await driver.until(lambda: isinstance(driver.app.screen, ConversationsScreen))
        await driver.until(lambda: "suns [b]" in driver.screen())
        assert pane(driver).conversation.title == "suns [b]"


async def test_deleted_and_brought_back() -> None:
    async with run_app(service_of()) as driver:
        await two(driver)
        await opened(driver, 2)
        await driver.press("enter")
        await driver.until(lambda: turns(driver))
        await opened(driver, 2)
        await driver.press("ctrl+d")
        await shown(driver, 1)
        await driver.toast("Deleted about stars")
        assert pane(driver).conversation.id == ""
        await driver.press("ctrl+u")
        await shown(driver, 2)
        await driver.press("ctrl+u")
        await driver.toast("no conversation was deleted", "error")


async def test_a_file_is_written_and_never_over_another_unasked(tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    async with run_app(service_of()) as driver:
        await ask_and_wait(driver, "about tides")
        path.write_text("mine")
        await send(driver, f"/export markdown {path}")
        await driver.until(lambda: isinstance(driver.app.screen, ExportConversation))
        await driver.press("enter")
        await driver.until(lambda: "press enter again to overwrite it" in driver.screen())
        assert path.read_text() == "mine"
        await driver.press("enter")
        await driver.toast("Wrote")
        assert path.read_text().startswith("# about tides")
        await send(driver, f"/export json {tmp_path / 'talk.json'}")
        await driver.until(lambda: isinstance(driver.app.screen, ExportConversation))
        await driver.press("enter")
        await driver.until(lambda: (tmp_path / "talk.json").exists())
    assert json.loads((tmp_path / "talk.json").read_text())["title"] == "about tides"


async def test_the_list_is_centred_over_the_dashboard() -> None:
    async with run_app(service_of(), (120, 40)) as driver:
        await driver.press("ctrl+s")
        await driver.until(lambda: isinstance(driver.app.screen, ConversationsScreen))
        box = driver.app.screen.query_one("#saved-box").region
        screen = driver.app.screen.region
        assert abs(box.x - (screen.right - box.right)) <= 1
        assert abs(box.y - (screen.bottom - box.bottom)) <= 1
