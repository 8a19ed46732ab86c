"""The palette offers first what fits the focus, then what was used last; keys and models go by name."""

import pytest
from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.widgets import OptionList

from okr_tui.ui.palette import RECENT, ranked
from okr_tui.ui.screens.key_details import KeyDetails
from tests.ui.driver import Driver, found, palette_options, run_app
from tests.ui.examples import KEYS
from tests.ui.scripted_service import ScriptedService


def commands(*titles: str) -> list[SystemCommand]:
    return [SystemCommand(title, "words", lambda: None) for title in titles]


TITLES = ("chat: new", "keys: rotate", "ollama-keys", "models: filter", "key #1 amber", "model kimi-k3")


@pytest.mark.parametrize(
    ("focused", "first"),
    [
        ("keys", ["keys: rotate", "key #1 amber"]),
        ("model-table", ["models: filter", "model kimi-k3"]),
        ("prompt", ["chat: new"]),
        ("feed", ["chat: new"]),
        (None, ["chat: new"]),
    ],
)
def test_what_fits_the_focus_comes_first(focused: str | None, first: list[str]) -> None:
    titles = [each.command.title for each in ranked(commands(*TITLES), focused, ())]
    assert titles[: len(first)] == first
    assert titles[-1] == "ollama-keys"
    assert sorted(titles) == sorted(TITLES)


def test_what_was_used_last_comes_next() -> None:
    recent = ["ollama-keys", "chat: new"]
    titles = [each.command.title for each in ranked(commands(*TITLES), "keys", recent)]
    assert titles[:4] == ["keys: rotate", "key #1 amber", "ollama-keys", "chat: new"]


async def choose(driver: Driver, text: str) -> None:
    """Type into the palette and take the first of what it finds."""
    await driver.press("ctrl+p")
    await palette_options(driver)
    await driver.type(text)
    await found(driver, text)
    await driver.press("enter")
    await driver.until(lambda: not isinstance(driver.app.screen, CommandPalette))


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_keys_and_models_are_found_by_name_also_from_the_prompt(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("c")
        await choose(driver, "birch")
        await driver.until(lambda: isinstance(driver.app.screen, KeyDetails))
        assert driver.app.screen.fingerprint == KEYS[2].fingerprint  # type: ignore[attr-defined]
        await driver.press("escape")
        await choose(driver, "model kimi-k3")
        await driver.until(lambda: driver.app.pane.model == "kimi-k3")
        assert driver.app.pane.prompt.has_focus
        assert driver.app.recent == ["model kimi-k3", f"key #3 {KEYS[2].masked} birch"]
        await driver.press("ctrl+p")
        shown = await palette_options(driver)
        assert shown[0].startswith("chat: ")
        assert any(line.startswith("model kimi-k3") for line in shown[:16])
    assert len(driver.app.recent) <= RECENT


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_description_finds_its_command(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("ctrl+p")
        await palette_options(driver)
        await driver.type("at no cost")
        shown = driver.app.screen.query_one(OptionList)
        await driver.until(
            lambda: (
                shown.option_count
                and str(shown.get_option_at_index(0).prompt).startswith("keys: test the selected key")
            )
        )
        await driver.press("enter")
        await driver.toast("Done: test_key")
    assert service.calls == [("test_key", 1)]
