"""The person's own keys: what is taken, what is refused and why, and where the new keys show."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.services.service import SettingLine
from okr_tui.ui.actions import ACTIONS
from okr_tui.ui.keymap import keymap, parsed, shown_keys
from okr_tui.ui.screens.text import TextScreen
from okr_tui.ui.widgets.footer import FootLine
from tests.ui.driver import Driver, run_app
from tests.ui.examples import GLOBAL, settings, snapshot
from tests.ui.scripted_service import ScriptedService
from tests.waiting import until


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("z", "z", "z"),
        ("R", "R", "R"),
        ("shift+r", "R", "R"),
        ("?", "question_mark", "?"),
        ("<", "less_than_sign", "<"),
        ("comma", "comma", ","),
        ("ctrl+t", "ctrl+t", "^t"),
        ("alt+up", "alt+up", "alt+↑"),
        (" f5 ", "f5", "F5"),
        ("escape", "escape", "esc"),
        ("pagedown", "pagedown", "pgdn"),
    ],
)
def test_a_key_is_known_by_its_name_or_its_letter(text: str, name: str, shown: str) -> None:
    assert parsed(text) == name
    assert shown_keys([name]) == shown


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (("rotat", "z"), "there is no such action; rotate is one"),
        (("[b]", "z"), "there is no such action"),
        (("rotate", ""), "a key is missing"),
        (("rotate", "z,"), "a key is missing"),
        (("rotate", "nokey"), "there is no key nokey"),
        (("rotate", "hyper+z"), "there is no key hyper+z"),
        (("rotate", "ctrl+T"), "there is no key ctrl+T; with ctrl, letters are lower case"),
        (("rotate", "ctrl+i"), "terminals send ctrl+i as tab"),
        (("rotate", "ctrl+q"), "^q is reserved for quit"),
        (("rotate", "F1".lower()), "F1 is reserved for help"),
        (("rotate", "ctrl+c"), "^c is reserved for copying"),
        (("use-key", "a"), "its keys are fixed"),
        (("rotate", "t"), "t already means test-key"),
        (("rotate", "enter"), "enter already means choose-model"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_rest_is_applied(entry: tuple[str, str], reason: str) -> None:
    taken = keymap([entry, ("test-key", "f9")])
    assert taken.problems == ((entry[0], reason),) or entry == ("rotate", "t")
    assert dict(taken.changed)["test-key"] == ("f9",)


def test_a_key_that_is_taken_is_free_once_its_owner_has_another() -> None:
    assert keymap([("rotate", "t")]).problems == (("rotate", "t already means test-key"),)
    swapped = keymap([("rotate", "t"), ("test-key", "r")])
    assert swapped.problems == ()
    assert dict(swapped.changed) == {"rotate": ("t",), "test-key": ("r",)}


def test_panes_that_are_never_in_force_together_may_share_a_key() -> None:
    assert keymap([("sort", "l")]).problems == ()


def test_the_keys_of_the_keys_pane_apply_together() -> None:
    assert keymap([("rotate", "s")]).problems == (("rotate", "s already means sort-keys"),)
    assert keymap([("mark-key", "t")]).problems == (("mark-key", "t already means test-key"),)


def test_no_keymap_locks_anyone_in() -> None:
    actions = {action.id: action.keys for action in keymap([("quit", "z"), ("help", "f9")]).actions}
    assert actions["quit"] == ("z", "ctrl+q")
    assert actions["help"] == ("f9", "f1")


@given(
    st.lists(st.tuples(st.sampled_from([action.id for action in ACTIONS]), st.sampled_from("abcrtxouzRS/,")))
)
def test_a_keymap_never_gives_a_key_two_meanings(entries: list[tuple[str, str]]) -> None:
    unique = list(dict(entries).items())
    taken = keymap(unique)
    assert {name for name, _ in taken.problems} | {name for name, _ in taken.changed} == dict(unique).keys()
    assert keymap([(name, ",".join(keys)) for name, keys in taken.changed]).problems == ()


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_the_keymap(name: str, text: str) -> None:
    keymap([(name, text), ("rotate", text)])


def mapped(*entries: tuple[str, str]) -> ScriptedService:
    """A service whose settings hold a keymap."""
    lines = tuple(SettingLine(f"keymap.{name}", keys, f"{GLOBAL}:20") for name, keys in entries)
    return ScriptedService(snapshot(settings=settings(keymap=entries, lines=lines)))


async def rotated(driver: Driver, service: ScriptedService, key: str) -> bool:
    """Whether a key rotates."""
    service.calls.clear()
    await driver.press(key)
    return ("rotate",) in service.calls


async def test_changed_keys_act_and_show_everywhere() -> None:
    service = mapped(("rotate", "z,f5"), ("quit", "f9"), ("zzz", "y"), ("refresh-models", "z"))
    async with run_app(service) as driver:
        await driver.until(lambda: "z F5 rotate" in driver.words("#footer"))
        assert await rotated(driver, service, "z")
        assert await rotated(driver, service, "f5")
        assert not await rotated(driver, service, "r")
        assert driver.app.snapshot is not None
        problems = driver.app.snapshot.settings.problems
        assert problems == (
            f"{GLOBAL}:20: keymap.zzz is ignored: there is no such action",
            f"{GLOBAL}:20: keymap.refresh-models is ignored: z already means rotate",
        )
        shown = {command.help for command in driver.app.get_system_commands(driver.app.screen)}
        assert "prefer the next key that is not blocked (z F5)" in shown
        await driver.press("f1")
        assert isinstance(driver.app.screen, TextScreen)
        assert "  z F5       prefer the next key that is not blocked" in driver.app.screen.text.plain
        await driver.press("escape", "q")
        assert driver.app.is_running
        await driver.press("f9")
        await until(lambda: service.closed)


async def test_a_keymap_changes_and_goes_without_a_restart(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        before = driver.words("#footer")
        service.show(mapped(("rotate", "z")).snapshot)
        await driver.until(lambda: "z rotate" in driver.words("#footer"))
        assert not await rotated(driver, service, "r")
        assert await rotated(driver, service, "z")
        service.show(replace(snapshot(), at=snapshot().at + 1))
        await driver.until(lambda: driver.words("#footer") == before)
        assert await rotated(driver, service, "r")
        assert not await rotated(driver, service, "z")


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("keys", [["c"], ["a"], ["question_mark"], ["comma"]])
async def test_ctrl_q_quits_while_typing_and_over_a_dialog(keys: list[str]) -> None:
    service = mapped(("quit", "z"))
    async with run_app(service) as driver:
        await driver.press(*keys, "z")
        assert driver.app.is_running is (keys != ["comma"])
        await driver.press("ctrl+q")
        await until(lambda: service.closed)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("keys", [[], ["tab"], ["c"], ["slash"], ["a"], ["question_mark"], ["comma"]])
async def test_ctrl_c_explains_and_twice_quits(service: ScriptedService, keys: list[str]) -> None:
    async with run_app(service) as driver:
        await driver.press(*keys, "ctrl+c")
        await driver.toast("Press ctrl+c again to quit; q also quits, or ctrl+q while typing")
        assert driver.app.is_running
        await driver.press("ctrl+c")
        await until(lambda: service.closed)


async def test_ctrl_c_twice_is_meant_only_at_once(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        moment = driver.app.clock()
        driver.app.clock = lambda: moment
        await driver.press("ctrl+c")
        moment += 5
        await driver.press("ctrl+c")
        assert driver.app.is_running


@pytest.mark.slow(reason="walks far through the dashboard by keys")
async def test_every_item_of_the_footer_can_be_clicked(service: ScriptedService) -> None:
    async with run_app(service, (80, 24)) as driver:
        footer = driver.app.dashboard.query_one(FootLine)

        async def click(words: str) -> None:
            at = driver.words("#footer").index(words)
            await driver.pilot.click(footer, offset=(at + 2, 0))
            await driver.pilot.pause()

        await click("r rotate")
        await driver.toast("Done: rotate")
        await driver.press("tab", "tab")
        await click("s sort")
        assert driver.app.dashboard.models.table.order == "model"
        await click("enter chat")
        assert driver.app.dashboard.chat.model is not None
