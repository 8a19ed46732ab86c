"""Words that name a key name the one that the keymap has for it now."""

import asyncio
from dataclasses import replace

import pytest

from okr_tui.cloud.dialects import Delta
from okr_tui.services.service import GatewayView, ModelList, Snapshot
from okr_tui.ui.actions import ACTIONS
from okr_tui.ui.keymap import FIXED, keymap, shown_keys
from okr_tui.ui.screens.model import ModelScreen
from okr_tui.ui.screens.text import TextScreen
from tests.ui.chat_driver import ROUTED, answer, ask, ask_and_wait, pane, turns
from tests.ui.colourful import troubled
from tests.ui.driver import Driver, run_app
from tests.ui.examples import key, pool, snapshot
from tests.ui.scripted_service import ScriptedService

FREE = [f"{modifier}f{number}" for modifier in ("", "ctrl+", "alt+", "super+") for number in range(2, 25)]
CHANGED = dict(zip((each.id for each in ACTIONS if each.id not in FIXED), FREE, strict=False))
"""Every key that can be changed is another one."""


def key_of(name: str) -> str:
    """The key of an action, as people write it."""
    return shown_keys([CHANGED[name]])


def changed(shown: Snapshot) -> ScriptedService:
    """A service with all keys changed."""
    entries = tuple(CHANGED.items())
    return ScriptedService(replace(shown, settings=replace(shown.settings, keymap=entries)))


async def press(driver: Driver, *names: str) -> None:
    """Do actions by their changed keys."""
    await driver.press(*(CHANGED[name] for name in names))


def test_every_key_is_another_one() -> None:
    taken = keymap(tuple(CHANGED.items()))
    assert taken.problems == ()
    assert {name for name, _ in taken.changed} == {each.id for each in ACTIONS} - FIXED


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_banner_and_settings() -> None:
    shown = troubled().snapshot
    many = replace(shown, settings=replace(shown.settings, problems=("a", "b", "c")))
    async with run_app(changed(many), (160, 48)) as driver:
        await driver.press("escape")
        banner = " ".join(driver.words("#banner").split())
        edit, show, gateway = map(key_of, ("edit-settings", "show-settings", "switch-gateway"))
        assert f"and 1 more in the settings; {show} shows them, {edit} edits the file" in banner
        await press(driver, "show-settings")
        said = driver.screen()
        assert f"{key_of('make-file-private')} makes it private" in said
        assert f"{key_of('answer-trust')} decides" in said
    one = replace(shown, log=(), clock_ahead=0.0, settings=replace(shown.settings, problems=("a",)))
    async with run_app(changed(one), (160, 48)) as driver:
        banner = " ".join(driver.words("#banner").split())
        assert f"a; {edit} edits the file" in banner
        assert f"; {gateway} tries again" in banner
        assert f"; press {gateway} twice to restart it" in banner


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_lists_that_are_empty() -> None:
    async with run_app(changed(snapshot(entries=(), models=ModelList())), (160, 48)) as driver:
        dashboard = driver.app.dashboard
        assert dashboard.models.table.empty == f"no models; {key_of('refresh-models')} reads the list again"
        await press(driver, "faults")
        assert dashboard.live.feed.empty == f"no faults; {key_of('faults')} shows all traffic"
        await press(driver, "feed-key")
        further, back = key_of("cursor-up"), key_of("back")
        assert dashboard.live.feed.empty == f"no lines match; {further} looks further back, {back} shows all"
    async with run_app(changed(snapshot()), (160, 48)) as driver:
        await press(driver, "filter")
        await driver.type("nosuch")
        assert driver.rows("#model-table")[1].strip() == f"no model matches; {back} shows all"


async def test_what_replaces_the_panes() -> None:
    async with run_app(changed(snapshot(pool=pool(active=None)))) as driver:
        said = [line.split() for line in driver.words("#first").splitlines()]
        for name, does in (("add-key", "add"), ("demo", "try"), ("edit-settings", "edit")):
            assert [key_of(name), does] in [words[:2] for words in said]


async def test_the_row_of_tabs() -> None:
    async with run_app(changed(snapshot()), (80, 24)) as driver:
        assert driver.words("#tabs").endswith(f"{key_of('next-pane')} ⇥")


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_details_of_a_key() -> None:
    shown = snapshot(pool=pool(key(1, balance=None), key(2)))
    async with run_app(changed(shown)) as driver:
        await press(driver, "key-details")
        said = driver.screen()
        assert f"no quota read yet; {key_of('test-key')} reads it" in said
        assert f"1 of 2, {key_of('other-key-back')} {key_of('other-key')} other keys" in said


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_details_of_a_model_take_the_keys_of_the_list() -> None:
    service = changed(snapshot())
    async with run_app(service) as driver:
        await press(driver, "next-pane", "next-pane", "model-info")
        assert isinstance(driver.app.screen, ModelScreen)
        chat, favour, copy = map(key_of, ("choose-model", "favourite", "copy-model"))
        assert f"{chat} chats · {favour} toggles favourite · {copy} copies the name" in driver.screen()
        await driver.press("b", "y")
        await press(driver, "favourite", "copy-model")
        await driver.toast("Copied gpt-oss:20b")
        await driver.until(lambda: service.calls)
        assert service.calls == [("set_favourite", "gpt-oss:20b", True)]
        await press(driver, "model-info")
        assert len(driver.app.screen_stack) == 1
        await press(driver, "model-info", "choose-model")
        assert driver.app.dashboard.chat.model == "gpt-oss:20b"


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_help_closes_by_the_key_that_opened_it() -> None:
    async with run_app(changed(snapshot())) as driver:
        for name in (CHANGED["help"], "f1"):
            await driver.press(name)
            assert isinstance(driver.app.screen, TextScreen)
            said = driver.app.screen.text.plain
            assert f"{key_of('command-palette'):<10} search every command\n" in said
            await driver.press(name)
            assert len(driver.app.screen_stack) == 1


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_the_chat() -> None:
    service = changed(snapshot())
    service.answer = answer("yes")
    async with run_app(service, (120, 40)) as driver:
        back = key_of("back")
        empty = driver.words("#chat-empty")
        assert f"{key_of('choose-model')} on a line of Models" in empty
        assert f"{key_of('conversations')} earlier conversations" in empty
        await pane(driver).compare((("gpt-oss:20b", None), ("kimi-k2.6", None)))
        assert "Ask gpt-oss:20b and kimi-k2.6 something." in driver.words("#chat-empty")
        await pane(driver).compare(())
        pane(driver).prompt.focus()
        await driver.press("a", "enter")
        await driver.toast(
            f"Choose a model for your question: {key_of('choose-model')} takes the selected line", "warning"
        )
        pane(driver).choose("gpt-oss:20b")
        await ask_and_wait(driver, "b")
        pane(driver).edit(turns(driver)[0])
        assert driver.words("#chat-note").endswith(f"in a branch · {back} cancels")
        await press(driver, "back")
        await pane(driver).compare((("gpt-oss:20b", None), ("kimi-k2.6", None)))
        assert driver.words("#chat-note").endswith(f"goes to both · {back} cancels")
        await driver.press("c", "enter")
        await driver.until(lambda: len(pane(driver).views.all) == 2)
        keep = f"{key_of('keep-first')} or {key_of('keep-second')}"
        await driver.until(lambda: f"{keep} keeps one · {back} goes back" in driver.words("#chat-note"))


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_leaving_while_an_answer_comes() -> None:
    service = changed(snapshot())
    service.answer = (ROUTED, Delta("half"), asyncio.Event())
    async with run_app(service) as driver:
        pane(driver).choose("gpt-oss:20b")
        await ask(driver, "a")
        await driver.until(lambda: pane(driver).running)
        await driver.press("ctrl+q")
        await driver.toast(f"Press it again to quit anyway; {key_of('back')} stops the answer.")


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_removed_key_and_the_gateway_in_words() -> None:
    async with run_app(changed(snapshot(gateway=GatewayView()))) as driver:
        await press(driver, "remove-key")
        await driver.press("enter")
        await driver.toast(f"Done: remove_key; {key_of('undo')} undoes it")
        driver.app.pool.show_text("status")
        await driver.pilot.pause()
        assert f"not running; {key_of('switch-gateway')} starts it" in driver.screen()


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_a_new_keymap_changes_what_is_shown_already() -> None:
    service = troubled()
    before = service.snapshot
    async with run_app(service, (80, 48)) as driver:
        await driver.press("escape")
        assert "e edits the file" in driver.words("#banner")
        assert driver.words("#tabs").endswith("tab ⇥")
        service.show(replace(changed(before).snapshot, at=before.at + 1))
        await driver.until(lambda: f"{key_of('edit-settings')} edits" in driver.words("#banner"))
        assert driver.words("#tabs").endswith(f"{key_of('next-pane')} ⇥")
