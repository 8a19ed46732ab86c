"""Adding, removing, restoring and labelling keys."""

from dataclasses import replace

import pytest
from textual.widgets import Input, Static

from okr_tui.domain.errors import SettingsError
from okr_tui.ui.screens.dialogs import AddKey, Choice, LabelKey, RemoveKey, SecretInput
from tests.ui.driver import Driver, run_app
from tests.ui.examples import KEYS, SETTINGS_FILE, pool, snapshot
from tests.ui.scripted_service import ScriptedService

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

SECRET = "9c1e-never-shown-4f2a"
CHANGED = snapshot(undoable=("removing #3",))


async def test_a_key_is_added_to_the_settings_file(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("a")
        assert isinstance(driver.app.screen, AddKey)
        await driver.type(f" {SECRET} ")
        await driver.press("tab")
        await driver.type("work")
        await driver.press("enter")
        await driver.toast("Done: add_key")
        assert len(driver.app.screen_stack) == 1
    assert service.calls == [("add_key", "work", "file")]
    assert service.secrets == [SECRET]


async def test_a_key_is_kept_in_the_secret_store(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        await driver.press("tab", "tab", "j")
        assert "● the system's secret store" in driver.screen()
        await driver.press("enter")
        await driver.toast("Done: add_key")
    assert service.calls == [("add_key", None, "keyring")]


async def test_escape_adds_nothing(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type("1rq")
        await driver.press("escape")
        assert driver.app.screen is driver.app.dashboard
    assert service.calls == []


async def test_nothing_typed_is_not_sent(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("a", "space", "enter")
        assert "type or paste a key first" in driver.screen()
    assert service.calls == []


async def test_a_refused_key_is_gone_but_its_label_stays(service: ScriptedService) -> None:
    service.error = SettingsError("this key is\n#2 [already]")
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        await driver.press("tab")
        await driver.type("work")
        await driver.press("enter")
        await driver.until(lambda: "✖ this key is #2 [already]" in driver.screen())
        fields = driver.app.screen
        assert fields.query_one(SecretInput).value == ""
        assert fields.query_one(SecretInput).has_focus
        assert fields.query_one("#label", Input).value == "work"
        service.error = None
        await driver.type(SECRET)
        await driver.press("enter")
        await driver.toast("Done: add_key")
    assert service.calls[-1] == ("add_key", "work", "file")


async def test_a_failure_after_leaving_is_a_toast(service: ScriptedService) -> None:
    service.error = SettingsError("the settings file is locked")
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        service.gate.clear()
        await driver.press("enter", "escape")
        assert driver.app.screen is driver.app.dashboard
        service.gate.set()
        await driver.toast("the settings file is locked", "error")


async def test_what_the_test_of_a_key_said_is_shown(service: ScriptedService) -> None:
    service.tried_words = "not tested: no connection, so it is unverified"
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        service.gate.clear()
        await driver.press("enter")
        await driver.until(lambda: "asking the cloud about it" in driver.screen())
        assert service.secrets == []
        service.gate.set()
        await driver.toast("Done: add_key; not tested: no connection, so it is unverified")
    assert service.tried == service.secrets == [SECRET]


async def test_a_key_that_the_cloud_refuses_needs_a_second_yes(service: ScriptedService) -> None:
    service.refused = {SECRET}
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        await driver.press("enter")
        await driver.until(lambda: "✖ the cloud refuses this key: 401" in driver.screen())
        said = str(driver.app.screen.query_one("#refusal", Static).content)
        assert said.endswith("; press enter again to add it anyway, or paste another")
        assert service.calls == []
        assert SECRET not in await reported(driver)
        await driver.press("enter")
        await driver.toast("Done: add_key; the cloud refused it")
    assert (service.tried, service.secrets) == ([SECRET], [SECRET])


async def test_another_key_instead_of_a_refused_one_is_tested_too(service: ScriptedService) -> None:
    service.refused = {SECRET, SECRET * 2}
    async with run_app(service) as driver:
        await driver.press("a")
        await driver.type(SECRET)
        await driver.press("enter")
        await driver.until(lambda: "✖" in driver.screen())
        await driver.type(SECRET * 2)
        await driver.press("enter")
        await driver.until(lambda: len(service.tried) == 2)
        await driver.press("escape", "a", "enter")
        assert "type or paste a key first" in driver.screen()
    assert service.secrets == []


async def reported(driver: Driver) -> str:
    """All that a person or a log could have read of the application by now."""
    app = driver.app
    workers = " ".join(f"{worker!r} {worker.name} {worker.description}" for worker in app.workers)
    toasts = " ".join(text for _, text in driver.toasts)
    return " ".join([driver.screen(), app.export_screenshot(), workers, toasts, app.clipboard])


@pytest.mark.parametrize(
    "failure", [None, SettingsError("refused"), ValueError(f"cannot use {SECRET}")], ids=str
)
async def test_the_key_is_never_seen(service: ScriptedService, failure: Exception | None) -> None:
    service.error = failure
    async with run_app(service) as driver:
        await driver.press("a")
        seen = [await reported(driver)]
        field = driver.app.screen.query_one(SecretInput)
        field.insert_text_at_cursor(SECRET)
        await driver.pilot.pause()
        assert "•" * len(SECRET) in driver.screen()
        seen.append(await reported(driver))
        await driver.press("ctrl+shift+a", "ctrl+c")
        seen.append(await reported(driver))
        await driver.press("ctrl+x", "tab", "shift+tab")
        seen.append(await reported(driver))
        field.insert_text_at_cursor(SECRET)
        await driver.press("enter")
        seen.append(await reported(driver))
        await driver.until(lambda: driver.toasts or "✖" in driver.screen())
        seen.append(await reported(driver))
    assert service.secrets == [SECRET]
    messages = [f"{message!r} {vars(message)}" for message in driver.messages]
    assert all(SECRET not in text for text in [*seen, *messages])


@pytest.mark.parametrize("pressed", ["d", "delete"])
async def test_a_key_is_removed_after_a_look(service: ScriptedService, pressed: str) -> None:
    async with run_app(service) as driver:
        await driver.press("j", "j", pressed)
        assert isinstance(driver.app.screen, RemoveKey)
        assert f"#3  {KEYS[2].masked}  birch" in driver.screen()
        assert f"It is configured in {SETTINGS_FILE}" in driver.screen()
        await driver.press("escape")
        assert service.calls == []
        await driver.press(pressed, "enter")
        await driver.toast("Done: remove_key; u undoes it")
    assert service.calls == [("remove_key", 3)]


async def test_the_key_named_is_the_key_removed(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("j", "j", "d")
        moved = tuple(replace(row, index=row.index - 1) for row in KEYS[1:])
        service.show(snapshot(pool=pool(*moved)))
        await driver.until(lambda: len(driver.app.dashboard.keys.rows) == 5)
        await driver.press("enter")
        await driver.toast("Done: remove_key")
        assert service.calls == [("remove_key", 2)]
        await driver.press("d")
        service.show(snapshot(pool=pool(KEYS[0])))
        await driver.until(lambda: len(driver.app.dashboard.keys.rows) == 1)
        await driver.press("enter")
        await driver.until(lambda: "is no longer in the pool" in driver.screen())
    assert len(service.calls) == 1


async def test_keys_are_removed_in_their_pane_only(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "d", "delete", "l")
        assert driver.app.screen is driver.app.dashboard


async def test_undo_is_there_while_something_can_come_back(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("u")
        assert "u undo" not in driver.words("#footer")
        service.show(CHANGED)
        await driver.until(lambda: "u undo" in driver.words("#footer"))
        await driver.press("u")
        await driver.toast("Done: undo")
        service.show(snapshot())
        await driver.until(lambda: "u undo" not in driver.words("#footer"))
    assert service.calls == [("undo",)]


@pytest.mark.parametrize(
    ("keys", "typed", "call"),
    [
        (["l"], "", ("label_key", 1, "amber")),
        (["l", "end", "backspace"], "yz", ("label_key", 1, "ambeyz")),
        (["j", "j", "j", "l"], " d [b] ", ("label_key", 4, "d [b]")),
        (["l", "ctrl+u"], " ", ("label_key", 1, None)),
    ],
)
async def test_a_key_is_labelled(
    service: ScriptedService, keys: list[str], typed: str, call: tuple[object, ...]
) -> None:
    async with run_app(service) as driver:
        await driver.press(*keys)
        assert isinstance(driver.app.screen, LabelKey)
        await driver.type(typed)
        await driver.press("enter")
        await driver.toast("Done: label_key")
    assert service.calls == [call]


async def test_the_first_key_is_added_on_the_first_screen() -> None:
    service = ScriptedService(snapshot(pool=pool(active=None)))
    async with run_app(service, (80, 24)) as driver:
        await driver.until(lambda: "d demo" in driver.words("#footer"))
        shown = driver.words("#footer")
        assert shown == "a add key  e edit  d demo  ? help  ^p palette  q quit"
        await driver.press("1", "r", "t", "l", "delete", "c", "a")
        assert isinstance(driver.app.screen, AddKey)
        assert driver.app.screen.query_one(Choice).value == "file"
        await driver.type(SECRET)
        await driver.press("enter")
        await driver.toast("Done: add_key")
    assert service.calls == [("add_key", None, "file")]
