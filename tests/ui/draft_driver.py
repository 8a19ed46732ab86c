"""Helpers that leave drafts and find them again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from okr_tui.ui.chat.dialogs import ConversationList, ConversationsScreen
from tests.ui.chat_driver import answer, pane
from tests.ui.driver import Driver
from tests.ui.scripted_pool import Step
from tests.ui.scripted_service import ScriptedService
from tests.waiting import LIMIT


def service_in(folder: Path, script: Sequence[Step] = answer("yes")) -> ScriptedService:
    """A service whose conversations are kept there, and which always answers the same."""
    service = ScriptedService()
    service.folder, service.answer = folder, script
    return service


async def wait_until_kept(driver: Driver, text: str, name: str = "") -> None:
    """Wait until another program would find this."""
    assert driver.app.conversations is not None
    async with asyncio.timeout(LIMIT):
        while (await driver.app.conversations.draft(name)).text != text:
            await driver.pilot.pause()


async def open_saved_conversation(driver: Driver, words: str) -> None:
    """Find a conversation in the list and open it."""
    await driver.press("ctrl+s")
    await driver.until(lambda: isinstance(driver.app.screen, ConversationsScreen))
    await driver.type(words)
    rows = driver.app.screen.query_one(ConversationList)
    await driver.until(lambda: len(rows.rows) == 1)
    before = pane(driver).conversation.id
    await driver.press("enter")
    await driver.until(lambda: pane(driver).conversation.id != before)
    await driver.pilot.pause()
