"""Helpers that ask in the chat and wait for what comes of it."""

from okr_tui.chat.messages import Finished, Routed
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.pane import ChatPane
from okr_tui.ui.chat.turn import TurnView
from tests.ui.driver import Driver
from tests.ui.examples import KEYS
from tests.ui.scripted_pool import Step

ROUTED = Routed(KEYS[0].fingerprint, 1)
DONE = Finished("stop", 10, 20, 100, 500, (), KEYS[0].fingerprint, 1)


def answer(text: str, done: Finished = DONE) -> tuple[Step, ...]:
    """An answer in one piece."""
    return (ROUTED, Delta(text), done)


def pane(driver: Driver) -> ChatPane:
    """The chat."""
    return driver.app.dashboard.chat


async def ask(driver: Driver, text: str = "why is the sky blue") -> None:
    """Choose the first model if none is chosen, then ask."""
    chat = pane(driver)
    if chat.model is None:
        await driver.press("tab", "tab", "enter")
    await send(driver, text)


async def send(driver: Driver, text: str) -> None:
    """Type into the prompt and press enter."""
    pane(driver).prompt.focus()
    await driver.type(text)
    await driver.press("enter")


def turns(driver: Driver) -> list[TurnView]:
    """Every turn that is drawn."""
    return list(pane(driver).query(TurnView))


def settled(driver: Driver) -> bool:
    """Whether no answer comes and at least one ended."""
    chat = pane(driver)
    known = all(talk.conversation.turns for talk in chat.views.all)
    return not chat.running and bool(chat.query(".turn.-ended")) and known


async def ask_and_wait(driver: Driver, text: str = "why is the sky blue") -> None:
    """Ask, and wait for the end."""
    before = len(turns(driver))
    await ask(driver, text)
    await driver.until(lambda: len(turns(driver)) > before)
    await driver.until(lambda: settled(driver))


def words(turn: TurnView, selector: str) -> str:
    """What a part of a turn says, while it is shown."""
    widget = turn.query_one(selector)
    return str(widget.render()) if widget.display else ""
