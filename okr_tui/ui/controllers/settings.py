"""What a person can change in the settings, and the screens that ask for it."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Protocol

from textual.app import SuspendNotSupported, SystemCommand

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.policy import STRATEGIES
from okr_tui.services.service import SettingsView, TrustQuestion
from okr_tui.ui.controllers.application import Application, send
from okr_tui.ui.keymap import keymap_problems, theme_problems, with_problems

if TYPE_CHECKING:
    from okr_tui.ui.screens.settings import SettingsScreen


class Appearance(Protocol):
    """What settings change of the application itself."""

    @property
    def themes(self) -> Sequence[str]:
        """The names of all themes, the program's own first."""

    def use_theme(self, name: str | None) -> None:
        """Use a theme; the default one if there is none of that name."""

    def use_keymap(self, entries: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Apply the user's keys; return the rejected entries by action, with the reason."""


class SettingsController:
    """Changes settings. `edit` opens a file in the user's editor."""

    def __init__(
        self, app: Application, appearance: Appearance, edit: Callable[[Path], Awaitable[None]]
    ) -> None:
        self.app = app
        self.appearance = appearance
        self.edit = edit
        self._asked: set[TrustQuestion] = set()
        self._screen: SettingsScreen | None = None

    def checked(self, settings: SettingsView) -> SettingsView:
        """Apply the keymap; return the settings with its problems and the theme's added."""
        refused = self.appearance.use_keymap(settings.keymap)
        themes = theme_problems(settings, self.appearance.themes)
        return with_problems(settings, (*keymap_problems(settings, refused), *themes))

    def pick_theme(self) -> None:
        """Ask for a theme; each is shown while the cursor is on it."""
        if service := self.app.service:
            from okr_tui.ui.screens.dialogs import PickTheme

            snapshot = self.app.snapshot
            now = snapshot.settings.theme if snapshot else None

            async def save(name: str | None) -> str:
                return await service.change_setting("theme", name)

            show = self.appearance.use_theme
            self.app.push_screen(PickTheme(tuple(self.appearance.themes), now, show, save))

    def palette(self) -> Iterator[SystemCommand]:
        """Yield what the palette offers beyond the table of actions."""
        yield SystemCommand("theme: choose", "other colours, remembered in the settings", self.pick_theme)

    def show(self) -> None:
        """Show every value and where it comes from."""
        from okr_tui.ui.screens.settings import SettingsScreen

        self._screen = SettingsScreen(self.app.keymap)
        self.app.push_screen(self._screen)

    @property
    def shown(self) -> bool:
        """Whether the settings are open, perhaps behind a dialog."""
        return self._screen in self.app.screen_stack

    def change(self, event: "SettingsScreen.ChangeRequested") -> None:
        """Ask for a new value, or say why it cannot be changed."""
        service, line = self.app.service, event.line
        if service is None:
            return
        if not line.editable:
            key = self.app.keymap.key_of("edit-settings")
            self.app.notify(f"{line.name}: {key} opens the file to change it", markup=False)
            return
        if line.locked:
            words = f"{line.name} cannot be changed here: {line.locked}"
            self.app.notify(words, severity="warning", markup=False)
            return

        async def change(text: str | None) -> str:
            if line.name.startswith("keymap."):
                self.app.keymap.check(line.name.removeprefix("keymap."), text)
            return await service.change_setting(line.name, text)

        from okr_tui.ui.screens.settings import ChangeSetting

        options = {"strategy": STRATEGIES, "theme": tuple(self.appearance.themes)}
        self.app.push_screen(ChangeSetting(line, options.get(line.name, ()), change))

    def edit_file(self) -> None:
        """Open the settings file; the service notices what was changed."""
        if self.app.snapshot is not None:
            # In the background, because snapshots must still be handled while the editor is open.
            self.app.start(self._edit(self.app.snapshot.settings.global_file), group="editor")

    async def _edit(self, path: Path) -> None:
        try:
            await self.edit(path)
        except SuspendNotSupported:
            self.app.notify(f"This terminal cannot start an editor. The file is {path}", markup=False)
        except (OSError, ValueError, CalledProcessError) as error:
            words = f"The editor failed: {error}. The file is {path}"
            self.app.notify(words, severity="error", markup=False)

    def make_file_private(self) -> None:
        """Make the settings file readable by its owner only."""
        if service := self.app.service:
            send(self.app, service.make_file_private())

    def answer_trust(self) -> None:
        """Ask whether to trust the project's settings file."""
        service, question = self.app.service, self._question
        if service and question:
            from okr_tui.ui.screens.settings import AskTrust

            async def trust(trusted: bool) -> str:
                if self._question != question:
                    raise SettingsError(f"{question.project_file} changed in the meantime; check it again")
                return await service.trust_project(trusted=trusted)

            self._asked.add(question)
            self.app.push_screen(AskTrust(question, trust))

    def ask_once(self, *, alone: bool) -> None:
        """Ask about trust once, and only while no other screen covers the dashboard (`alone`).

        A dialog that pops up while the user is answering another one would be answered by mistake.
        """
        if alone and self._question and self._question not in self._asked:
            self.answer_trust()

    @property
    def _question(self) -> TrustQuestion | None:
        return self.app.snapshot.settings.trust if self.app.snapshot else None
