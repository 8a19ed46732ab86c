"""What a person can change in the settings, and the screens that ask for it."""

import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from subprocess import CalledProcessError

from textual import on
from textual.app import SuspendNotSupported
from textual.command import CommandPalette

from okr_tui.domain.errors import NoKeyError, SettingsError
from okr_tui.domain.policy import STRATEGIES
from okr_tui.domain.view import KeyView
from okr_tui.services.service import SettingsView, TrustQuestion
from okr_tui.ui.controllers.pool import ON_A_KEY, Commands
from okr_tui.ui.keymap import keymap_problems, theme_problems, with_problems
from okr_tui.ui.palette import ThemePicker
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.screens.keys import AddKey, LabelKey, RemoveKey
from okr_tui.ui.screens.settings import ChangeSetting, SettingsScreen
from okr_tui.ui.screens.trust import AskTrust
from okr_tui.ui.themes import theme_names

NOT_OVER_SETTINGS = ON_A_KEY | {"refresh_models", "demo", "show_settings"}


class SettingsCommands(Commands):
    """The actions that write settings; each needs what the newest snapshot says is there to change."""

    def __init__(self, zone: tzinfo = UTC, clock: Callable[[], float] = time.time) -> None:
        super().__init__(zone, clock)
        self._shown_questions: set[TrustQuestion] = set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out what there is nothing for, and what means the dashboard while the settings hide it."""
        settings = self.snapshot.settings if self.snapshot else None
        if action in NOT_OVER_SETTINGS and any(
            isinstance(each, SettingsScreen) for each in self.screen_stack
        ):
            return False
        match action:
            case "show_settings":
                applies = settings is not None
            case "restore_key":
                applies = bool(settings and settings.removable)
            case "close_file":
                applies = bool(settings and settings.open_to_others)
            case "answer_trust":
                applies = bool(settings and settings.trust)
            case _:
                applies = True
        return super().check_action(action, parameters) if applies else False

    def checked(self, settings: SettingsView) -> SettingsView:
        """Take over the keymap; answers the settings with what is wrong in it, and in the theme's name."""
        refused = self.use_keymap(settings.keymap)
        themes = theme_problems(settings, theme_names(self.available_themes))
        return with_problems(settings, (*keymap_problems(settings, refused), *themes))

    def action_change_theme(self) -> None:
        """Ask for a theme."""
        self.push_screen(CommandPalette(providers=[ThemePicker], placeholder="Which theme?"))

    def choose_theme(self, name: str) -> None:
        """Use a theme now and from now on."""
        self.theme = name
        if self.service:
            self._command(self.service.change_setting("theme", name))

    @on(SettingsScreen.ChangeAsked)
    def _change_asked(self, event: SettingsScreen.ChangeAsked) -> None:
        service, line = self.service, event.line
        if service is None:
            return
        if not line.editable:
            self.notify(
                f"{line.name}: {self.key_of('edit-settings')} opens the file to change it", markup=False
            )
        elif line.locked:
            self.notify(
                f"{line.name} cannot be changed here: {line.locked}", severity="warning", markup=False
            )
        else:
            options = {"strategy": STRATEGIES, "theme": tuple(theme_names(self.available_themes))}

            async def change(text: str | None) -> str:
                if line.name.startswith("keymap."):
                    self.check_keymap_entry(line.name.removeprefix("keymap."), text)
                return await service.change_setting(line.name, text)

            self.push_screen(ChangeSetting(line, options.get(line.name, ()), change))

    def action_show_settings(self) -> None:
        """Every value and where it comes from."""
        self.push_screen(SettingsScreen())

    def action_edit_settings(self) -> None:
        """Open the settings file; the service notices what was changed."""
        if self.snapshot is not None:
            # A worker, since the snapshots that come while the editor is open have to be taken over.
            path = self.snapshot.settings.global_file
            self.run_worker(self._edit(path), group="editor", exit_on_error=False)

    async def _edit(self, path: Path) -> None:
        try:
            await self.edit_file(self, path)
        except SuspendNotSupported:
            self.notify(f"This terminal cannot start an editor. The file is {path}", markup=False)
        except (OSError, ValueError, CalledProcessError) as error:
            self.notify(f"The editor failed: {error}. The file is {path}", severity="error", markup=False)

    def action_add_key(self) -> None:
        """Ask for a key's text."""
        if self.service:
            self.push_screen(AddKey(self.service.add_key))

    def action_remove_key(self) -> None:
        """Ask whether the selected key shall go."""
        service, row = self.service, self._selected_key()
        if service and row and self.snapshot:

            async def remove() -> str:
                before = service.snapshot.settings.removable
                done = await service.remove_key(self._place_of(row))
                if service.snapshot.settings.removable == before:
                    return done
                return f"{done}; {self.key_of('restore-key')} undoes it"

            self.push_screen(RemoveKey(row, self._origin_of(row), remove))

    def action_label_key(self) -> None:
        """Ask for the selected key's label."""
        service, row = self.service, self._selected_key()
        if service and row:

            async def label(text: str | None) -> str:
                return await service.label_key(self._place_of(row), text)

            self.push_screen(LabelKey(row, label))

    def action_restore_key(self) -> None:
        """Bring back the key that was removed last."""
        if self.service:
            self._command(self.service.restore_key())

    def action_close_file(self) -> None:
        """Make the settings file the person's own."""
        if self.service:
            self._command(self.service.close_file())

    def action_answer_trust(self) -> None:
        """Ask whether to trust the project's settings file."""
        service, question = self.service, self._trust_question
        if service and question:

            async def trust(trusted: bool) -> str:
                if self._trust_question != question:
                    raise SettingsError(f"{question.project_file} changed meanwhile; look at it again")
                return await service.trust_project(trusted=trusted)

            self._shown_questions.add(question)
            self.push_screen(AskTrust(question, trust))

    def ask_for_trust(self) -> None:
        """Ask once by itself, and only over the dashboard: never under a hand that answers another dialog."""
        question = self._trust_question
        if question and question not in self._shown_questions and isinstance(self.screen, Dashboard):
            self.action_answer_trust()

    @property
    def _trust_question(self) -> TrustQuestion | None:
        return self.snapshot.settings.trust if self.snapshot else None

    def _place_of(self, chosen: KeyView) -> int:
        """Where a key stands now: while a dialog waited, another program may have moved it."""
        for row in self.snapshot.pool.keys if self.snapshot else ():
            if row.fingerprint == chosen.fingerprint:
                return row.index
        raise NoKeyError(f"{chosen.masked} is not in the pool any more")

    def _origin_of(self, row: KeyView) -> str:
        if row.origin == "global" and self.snapshot:
            return str(self.snapshot.settings.global_file)
        return "the environment" if row.origin == "environment" else f"the {row.origin} settings"
