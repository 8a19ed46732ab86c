"""The controllers alone: a stub of the application, a service made of values, no terminal."""

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.app import SuspendNotSupported
from textual.command import CommandPalette

from okr_tui.chat.conversation import Conversation, Draft
from okr_tui.chat.slash import carry_out, status_text
from okr_tui.domain.errors import ChatError, NoKeyError, OkrError
from okr_tui.domain.models import Model
from okr_tui.services.service import ModelList, ModelRow, SettingLine, Snapshot
from okr_tui.ui.chat.dialogs import ExportConversation, RenameConversation
from okr_tui.ui.chat.messages import CommandEntered, ConversationConfigured, DraftChanged, PicturePasted
from okr_tui.ui.chat.pane import ChatPane
from okr_tui.ui.controllers.application import available
from okr_tui.ui.controllers.chat import ChatController
from okr_tui.ui.controllers.conversations import KEEP_WITHIN, ConversationsController, DraftController
from okr_tui.ui.controllers.pool import PoolController
from okr_tui.ui.controllers.settings import SettingsController
from okr_tui.ui.controllers.slash import SlashController
from okr_tui.ui.screens.dialogs import AddKey, RemoveKey
from okr_tui.ui.screens.model import FavouriteRequested, ModelScreen
from okr_tui.ui.screens.settings import AskTrust, ChangeSetting, SettingsScreen
from okr_tui.ui.screens.text import TextScreen
from tests.ui.examples import KEYS, SETTINGS_FILE, TRUST, model, pool, settings, snapshot
from tests.ui.scripted_service import ScriptedService
from tests.ui.stub_application import StubApplication


class TestPool:
    """Keys, models and the gateway."""

    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("rotate", ("rotate",)),
            ("test", ("test_key", 2)),
            ("reset", ("reset_key", 2)),
            ("toggle", ("set_enabled", 2, False)),
            ("undo", ("undo",)),
            ("switch_gateway", ("switch_gateway",)),
        ],
    )
    async def test_an_action_is_one_command_and_its_result_a_toast(
        self, service: ScriptedService, name: str, call: tuple[object, ...]
    ) -> None:
        app = StubApplication(service)
        getattr(PoolController(app, lambda: KEYS[1]), name)()
        await app.settle()
        assert service.calls == [call]
        again = "; u undoes it" if name in ("rotate", "reset", "toggle") else ""
        assert app.toasts == [("information", f"Done: {call[0]}{again}")]

    @pytest.mark.parametrize("name", ["rotate", "test", "reset", "toggle", "add", "remove", "label", "undo"])
    async def test_nothing_happens_while_the_service_is_not_open(self, name: str) -> None:
        app = StubApplication(None)
        getattr(PoolController(app, lambda: KEYS[0]), name)()
        await app.settle()
        assert (app.toasts, app.screens) == ([], [])

    async def test_a_key_that_went_away_while_its_dialog_waited_is_not_removed(
        self, service: ScriptedService
    ) -> None:
        app = StubApplication(service)
        PoolController(app, lambda: KEYS[1]).remove()
        app.snapshot = snapshot(pool=pool(KEYS[0]))
        with pytest.raises(NoKeyError):
            await app.pushed(RemoveKey).answer()
        assert service.calls == []

    async def test_a_key_that_moved_is_found(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        PoolController(app, lambda: KEYS[2]).remove()
        done = await app.pushed(RemoveKey).answer()
        assert service.calls == [("remove_key", KEYS[2].index)]
        assert done == "Done: remove_key; u undoes it"

    async def test_dialogs_and_favourites(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        controller = PoolController(app, lambda: None)
        controller.add()
        assert app.pushed(AddKey).service is service
        controller.set_favourite(FavouriteRequested("kimi-k3", wanted=True))
        await app.settle()
        assert service.calls == [("set_favourite", "kimi-k3", True)]

    async def test_the_palette_runs_what_it_names(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        commands = {each.title: each for each in PoolController(app, lambda: None).palette()}
        commands["ollama-use-key 3"].callback()
        await app.settle()
        assert service.calls == [("use_key", 3)]
        commands["ollama-info kimi-k3"].callback()
        assert app.pushed(ModelScreen).model == "kimi-k3"
        commands["ollama-info MODEL"].callback()
        assert app.pushed(CommandPalette)

    @pytest.mark.parametrize("name", ["status", "keys", "models"])
    async def test_palette_and_chat_answer_the_original_commands_alike(self, name: Any) -> None:
        gone = Model("old", status="gone") if name else None
        assert gone is not None
        models = ModelList((ModelRow(model("new", 1, 1000), (1,)), ModelRow(gone, ())))
        service = ScriptedService(snapshot(models=models))
        app = StubApplication(service)
        app.snapshot = service.snapshot
        PoolController(app, lambda: None).show_text(name)
        outcome = await carry_out(cast(Any, service), f"/ollama-{name}")
        shown = app.pushed(TextScreen).text.plain
        assert shown.replace("; g starts it", "") == outcome.text  # type: ignore[union-attr]
        assert ("Models: 1" in shown) == (name == "status")


class Themes:
    """What settings change of the application."""

    themes: Sequence[str] = ("okr-dark", "nord")

    def __init__(self) -> None:
        self.used: list[str | None] = []

    def use_theme(self, name: str | None) -> None:
        """Note the theme."""
        self.used.append(name)

    def use_keymap(self, entries: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Refuse everything."""
        return [(name, "no") for name, _ in entries]


async def no_edit(path: Path) -> None:
    """Refuse to edit."""
    raise FileNotFoundError(f"no editor for {path.name}")


class TestSettings:
    """Values, themes, the file and trust."""

    def test_what_is_wrong_is_added_to_the_settings(self) -> None:
        controller = SettingsController(StubApplication(), Themes(), no_edit)
        checked = controller.checked(settings(keymap=(("rotate", "z"),), theme="neon"))
        keymap, theme = checked.problems
        assert keymap.endswith("keymap.rotate is ignored: no")
        assert theme.endswith("theme neon is ignored: there are okr-dark, nord")

    async def test_a_keymap_entry_is_checked_before_it_is_written(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        line = SettingLine("keymap.rotate", "r", "default", editable=True)
        SettingsController(app, Themes(), no_edit).change(SettingsScreen.ChangeRequested(line))
        send = app.pushed(ChangeSetting).send
        with pytest.raises(OkrError, match="already means"):
            await send("x")
        assert service.calls == []
        await send("z")
        assert service.calls == [("change_setting", "keymap.rotate", "z")]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (SettingLine("a", "1", "default"), "a: e opens the file to change it"),
            (SettingLine("a", "1", "x", editable=True, locked="X_A"), "a cannot be changed here: X_A"),
        ],
    )
    def test_why_a_value_cannot_be_changed(
        self, service: ScriptedService, line: SettingLine, words: str
    ) -> None:
        app = StubApplication(service)
        SettingsController(app, Themes(), no_edit).change(SettingsScreen.ChangeRequested(line))
        assert [text for _, text in app.toasts] == [words]
        assert app.screens == []

    async def test_an_editor_that_fails_names_the_file(self) -> None:
        app = StubApplication()
        SettingsController(app, Themes(), no_edit).edit_file()
        await app.settle()
        assert app.toasts == [
            ("error", f"The editor failed: no editor for settings.json. The file is {SETTINGS_FILE}")
        ]

    async def test_without_a_terminal_the_file_is_named(self) -> None:
        async def suspended(path: Path) -> None:
            raise SuspendNotSupported(path.name)

        app = StubApplication()
        SettingsController(app, Themes(), suspended).edit_file()
        await app.settle()
        assert app.toasts == [
            ("information", f"This terminal cannot start an editor. The file is {SETTINGS_FILE}")
        ]

    async def test_trust_is_asked_once_and_alone(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        app.snapshot = snapshot(settings=settings(trust=TRUST))
        controller = SettingsController(app, Themes(), no_edit)
        controller.ask_once(alone=False)
        assert app.screens == []
        controller.ask_once(alone=True)
        controller.ask_once(alone=True)
        assert len(app.screens) == 1
        await app.pushed(AskTrust).send(True)
        assert service.calls == [("trust_project", True)]

    async def test_an_answer_about_another_file_is_not_taken(self, service: ScriptedService) -> None:
        app = StubApplication(service)
        app.snapshot = snapshot(settings=settings(trust=TRUST))
        SettingsController(app, Themes(), no_edit).answer_trust()
        app.snapshot = snapshot()
        with pytest.raises(OkrError, match="changed in the meantime"):
            await app.pushed(AskTrust).send(True)
        assert service.calls == []


class StubConversations:
    """Conversations by identifier, and what was asked of them."""

    notice = None

    def __init__(self, *stored: Conversation) -> None:
        self.stored = {each.id: each for each in stored}
        self.drafts: dict[str, Draft] = {}
        self.calls: list[tuple[object, ...]] = []

    async def get(self, identifier: str) -> Conversation:
        """Return a conversation."""
        return self.stored[identifier]

    async def configure(self, identifier: str, *, model: str | None, options: object) -> Conversation:
        """Note the call."""
        self.calls.append(("configure", identifier, model, options))
        return self.stored[identifier]

    async def rename(self, identifier: str, title: str) -> Conversation:
        """Note the call."""
        self.calls.append(("rename", identifier, title))
        return Conversation(identifier, title=title)

    async def delete(self, identifier: str) -> str:
        """Note the call."""
        self.calls.append(("delete", identifier))
        return "Deleted"

    async def restore(self, identifier: str) -> Conversation:
        """Note the call."""
        self.calls.append(("restore", identifier))
        return Conversation(identifier, title="back")

    async def draft(self, identifier: str) -> Draft:
        """Return a draft."""
        return self.drafts.get(identifier, Draft())

    async def keep_draft(self, identifier: str, draft: Draft) -> None:
        """Keep a draft."""
        self.drafts[identifier] = draft

    async def export(self, identifier: str, form: str) -> str:
        """Return what was asked for."""
        return f"{identifier} as {form}"


class StubPane:
    """As much of the chat pane as the controllers under test use."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.calls: list[tuple[object, ...]] = []
        self.model: str | None = conversation.model
        self.models = [model("gpt-oss:20b", 20.9, 1000, "thinking")]
        self.notice = ""
        self.composer = SimpleNamespace(
            conversation_id="",
            command="",
            pictures=(),
            post_draft=self._note("post_draft"),
            restore_new=self._note("restore_new"),
        )
        self.prompt = SimpleNamespace(
            text="", put_in=self._note("put_in"), put=self._note("put"), let_go=self._note("let_go")
        )

    def __getattr__(self, name: str) -> Any:
        return self._note(name)

    def _note(self, name: str) -> Any:
        def note(*arguments: object) -> None:
            self.calls.append((name, *arguments))

        return note

    async def start_over(self) -> None:
        """Note the call."""
        self.calls.append(("start_over",))

    async def show_notice(self, text: str, style: str = "") -> None:  # noqa: ARG002
        """Note the call."""
        self.calls.append(("show_notice", text))


class ChatFixture:
    """The chat's controllers around a stub of everything else."""

    def __init__(self, service: object = None, **changes: Any) -> None:
        self.conversation = Conversation("one", model="gpt-oss:20b", title="Sky", **changes)
        self.stored = StubConversations(self.conversation)
        self.app = StubApplication(service, self.stored)
        self.pane = StubPane(self.conversation)

        def pane() -> ChatPane:
            return cast(ChatPane, self.pane)

        self.chat = ChatController(self.app, pane)
        self.drafts = DraftController(self.app, pane, self.chat.show_notice)
        self.focused: list[bool] = []
        self.conversations_controller = ConversationsController(
            self.app, self.chat, self.drafts, lambda: self.focused.append(True)
        )
        self.slash = SlashController(self.app, self.chat, self.drafts, self.conversations_controller)

    async def type(self, text: str) -> None:
        """Run a slash command."""
        self.slash.run(CommandEntered(text))
        await self.app.settle()


class TestChat:
    """Answers and turns."""

    async def test_a_change_of_the_model_is_stored(self) -> None:
        parts = ChatFixture()
        parts.chat.configure(ConversationConfigured(parts.conversation))
        await parts.app.settle()
        assert parts.stored.calls == []
        changed = Conversation("one", model="kimi-k3")
        parts.chat.configure(ConversationConfigured(changed))
        await parts.app.settle()
        assert parts.stored.calls == [("configure", "one", "kimi-k3", changed.options)]

    async def test_a_model_that_does_not_think_has_no_levels(self) -> None:
        parts = ChatFixture()
        parts.pane.models = [model("gpt-oss:20b", 20.9, 1000)]
        parts.chat.next_think_level()
        assert parts.app.toasts == [("warning", "gpt-oss:20b does not think")]

    async def test_the_next_level_is_set(self) -> None:
        parts = ChatFixture()
        parts.chat.next_think_level()
        ((name, conversation),) = parts.pane.calls
        assert name == "configure"
        assert isinstance(conversation, Conversation)
        assert conversation.options.think == "low"

    async def test_without_a_service_nothing_is_stored_and_that_is_shown(self) -> None:
        parts = ChatFixture()
        parts.app.conversations = None
        parts.chat.configure(ConversationConfigured(parts.conversation))
        await parts.app.settle()
        assert [str(each) for each in parts.app.failures] == ["the service is still being opened; try again"]


class TestDrafts:
    """What is typed and not sent."""

    async def test_typing_is_kept_once_after_a_moment(self) -> None:
        parts = ChatFixture()
        parts.drafts.prompt_ready()
        await parts.app.settle()
        parts.drafts.note(DraftChanged("one", Draft("a")))
        parts.drafts.note(DraftChanged("one", Draft("ab")))
        (timer,) = parts.app.timers
        assert timer.delay == KEEP_WITHIN
        assert parts.drafts.waiting
        timer.fire()
        await parts.app.settle()
        assert parts.stored.drafts == {"one": Draft("ab")}
        assert not parts.drafts.waiting

    async def test_nothing_is_kept_before_the_old_draft_is_back(self) -> None:
        parts = ChatFixture()
        parts.stored.drafts[""] = Draft("before")
        parts.drafts.note(DraftChanged("", Draft()))
        await parts.app.settle()
        assert parts.stored.drafts == {"": Draft("before")}
        parts.drafts.prompt_ready()
        await parts.app.settle()
        assert ("restore_new", Draft("before")) in parts.pane.calls

    async def test_what_was_pasted_stays_as_text_when_it_is_not_a_picture(self, tmp_path: Path) -> None:
        parts = ChatFixture()
        parts.pane.models = [model("gpt-oss:20b", 20.9, 1000, "vision")]
        parts.drafts.attach_named(PicturePasted(tmp_path / "none.png", "none.png"))
        await parts.app.settle()
        assert parts.pane.calls == [("put_in", "none.png")]
        assert len(parts.app.failures) == 1


class TestConversations:
    """Stored conversations."""

    async def test_what_was_deleted_comes_back_once(self) -> None:
        parts = ChatFixture()
        assert await parts.conversations_controller.delete("two") == "Deleted; /undo brings it back"
        assert parts.pane.calls == []
        assert await parts.conversations_controller.undo_delete() == "Brought back back"
        with pytest.raises(ChatError):
            await parts.conversations_controller.undo_delete()
        assert parts.stored.calls == [("delete", "two"), ("restore", "two")]

    async def test_the_shown_one_is_left_when_it_is_deleted(self) -> None:
        parts = ChatFixture()
        await parts.conversations_controller.delete("one")
        assert parts.pane.calls == [("start_over",)]

    async def test_export_asks_where_to(self) -> None:
        parts = ChatFixture()
        parts.conversations_controller.export("one", "Sky", "json")
        assert await parts.app.pushed(ExportConversation).read("json") == "one as json"


class TestSlash:
    """Commands that need the screen."""

    async def test_a_title_is_asked_for_or_given(self, service: ScriptedService) -> None:
        parts = ChatFixture(service)
        await parts.type("/rename Blue")
        assert parts.stored.calls == [("rename", "one", "Blue")]
        await parts.type("/rename")
        assert parts.app.pushed(RenameConversation).before == "Sky"

    async def test_an_option_is_set_and_all_are_shown(self, service: ScriptedService) -> None:
        parts = ChatFixture(service)
        await parts.type("/set temperature 0.2")
        name, conversation = parts.pane.calls[0]
        assert name == "configure"
        assert isinstance(conversation, Conversation)
        assert conversation.options.temperature == 0.2

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("/compare #1 #9", "there is no key #9; the pool has 6"),
            ("/again x", "/again takes a key's number, or nothing"),
            ("/model none", "there is no model 'none' in the list"),
            ("/undo", "no conversation was deleted"),
            ("/image", "/image needs the path of a picture"),
        ],
    )
    async def test_a_refusal_leaves_the_text_in_the_prompt(
        self, service: ScriptedService, text: str, words: str
    ) -> None:
        parts = ChatFixture(service)
        await parts.type(text)
        assert words in str(parts.app.failures[0])
        assert not any(name == "let_go" for name, *_ in parts.pane.calls)
        assert parts.pane.composer.command == ""


class TestAvailability:
    """Which actions mean something."""

    EMPTY: Snapshot = snapshot(pool=pool(active=None))

    @pytest.mark.parametrize(
        ("action", "shown", "service", "over_settings", "expected"),
        [
            ("rotate", snapshot(), True, False, True),
            ("rotate", snapshot(), False, False, None),
            ("rotate", None, False, False, None),
            ("rotate", EMPTY, True, False, False),
            ("rotate", snapshot(), True, True, False),
            ("demo", EMPTY, True, False, True),
            ("demo", snapshot(), True, False, False),
            ("demo", None, True, False, False),
            ("undo", snapshot(), True, False, False),
            ("undo", snapshot(undoable=("a",)), True, True, True),
            ("undo", snapshot(undoable=("a",)), False, False, None),
            ("answer_trust", snapshot(settings=settings(trust=TRUST)), True, False, True),
            ("make_file_private", snapshot(), True, False, False),
            ("show_settings", None, True, False, False),
            ("show_settings", snapshot(), True, False, True),
            ("help", None, False, True, True),
        ],
    )
    def test_an_action_applies_or_waits_or_is_hidden(
        self, action: str, shown: Snapshot | None, service: bool, over_settings: bool, expected: bool | None
    ) -> None:
        assert available(action, shown, service=service, over_settings=over_settings) is expected


def test_the_gateway_in_the_status() -> None:
    assert "Gateway: not running; g starts it" in status_text(snapshot(), UTC, "g starts it")
