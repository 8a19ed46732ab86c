"""Lines of Live and conversations are copied, words are found, links are opened after they were seen."""

from functools import partial

import pytest

from okr_tui.chat.conversation import is_plain, links_of
from okr_tui.ui.chat.dialogs import FindWords, OpenLink
from okr_tui.ui.chat.messages import LinkChosen
from tests.ui.chat_driver import answer, ask_and_wait, pane
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

LINKS = "See <https://example.org/a>, [this](https://docs.ollama.com/cloud) and https://example.org/a."


def test_each_address_of_a_text_is_found_once() -> None:
    assert links_of(LINKS) == ("https://example.org/a", "https://docs.ollama.com/cloud")
    assert links_of("no address, javascript:alert(1) or file:///etc/passwd") == ()


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("https://ollama.com/settings/keys", True),
        ("http://127.0.0.1:11434", True),
        ("https://ollama.com@evil.example/", False),
        ("https://\u043ellama.com", False),
        ("https://ollama.com/\u202etxt", False),
        ("https://", False),
        ("https://[", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
    ],
)
def test_an_address_that_may_mislead_is_not_plain(address: str, plain: bool) -> None:
    assert is_plain(address) is plain


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_line_of_live_is_copied_from_the_list_and_from_its_page(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        driver.app.dashboard.go("#feed")
        await driver.pilot.pause()
        await driver.press("y")
        await driver.toast("Copied the line of Live")
        whole = driver.app.clipboard
        assert "model kimi-k9 not found" in whole
        assert "gateway · kimi-k9 · 404" in whole
        await driver.press("enter", "y")
        await driver.toast("Copied the text")
        assert driver.app.clipboard == whole


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_whole_conversation_is_copied(service: ScriptedService) -> None:
    service.answers = [answer("first words"), answer("second words")]
    async with run_app(service) as driver:
        await ask_and_wait(driver, "one")
        await ask_and_wait(driver, "two")
        driver.app.dashboard.go("#turns")
        await driver.press("C")
        await driver.toast("Copied the conversation")
        copied = driver.app.clipboard
        positions = [copied.index(words) for words in ("one", "first words", "two", "second words")]
        assert positions == sorted(positions)


def selected(driver: Driver, position: int) -> bool:
    """Whether the turn at a place is selected."""
    transcript = pane(driver).transcript
    return transcript.selected is not None and transcript.selected.state is transcript.states[position]


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_words_are_found_upwards_and_round_again(service: ScriptedService) -> None:
    texts = ["the sky", "a Prism", "nothing", "prism again"]
    service.answers = [answer(text) for text in texts]
    async with run_app(service, (80, 24)) as driver:
        for number in range(4):
            await ask_and_wait(driver, f"question {number}")
        driver.app.dashboard.go("#turns")
        await driver.pilot.pause()
        await driver.press("shift+tab", "tab", "slash")
        assert isinstance(driver.app.screen, FindWords)
        await driver.type("prism")
        said = []
        for expected in (1, 3):
            await driver.press("enter")
            await driver.until(partial(selected, driver, expected))
            said.append(str(driver.app.screen.query_one("#refusal").render()))
        assert said == ["turn 1 of 2 with these words", "turn 2 of 2 with these words"]
        await driver.type("zzz")
        await driver.press("enter")
        await driver.until(lambda: "no turn has 'prismzzz'" in driver.screen())
        await driver.press("escape")
        assert len(driver.app.screen_stack) == 1


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_link_is_seen_before_it_is_opened(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [answer(LINKS)]
    opened: list[str] = []
    async with run_app(service) as driver:
        monkeypatch.setattr(driver.app, "open_url", opened.append)
        await ask_and_wait(driver, "where?")
        driver.app.dashboard.go("#turns")
        await driver.pilot.pause()
        await driver.press("o")
        assert isinstance(driver.app.screen, OpenLink)
        assert opened == []
        await driver.press("down", "enter")
        await driver.toast("Opened https://docs.ollama.com/cloud")
        assert opened == ["https://docs.ollama.com/cloud"]
        driver.app.post_message(LinkChosen("https://ollama.com@evil.example/"))
        await driver.toast("Not opened, as it may not lead where it seems to", "warning")
        assert len(opened) == 1
