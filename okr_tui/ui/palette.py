"""The command palette: the original's seven commands, then every action of the table."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.screen import Screen

from okr_tui.ui.actions import Action
from okr_tui.ui.themes import theme_names

if TYPE_CHECKING:
    from okr_tui.ui.controllers.pool import Commands


def applies(action: Action, app: "Commands", screen: Screen[Any]) -> bool:
    """Whether an action means something now, on the screen that the palette was opened over."""
    on_screen = action.owner == "screen" or action.command.startswith("screen.")
    owner = screen if on_screen else app
    return hasattr(owner, f"action_{action.name}") and owner.check_action(action.name, ()) is not False


def palette(app: "Commands", screen: Screen[Any]) -> Iterator[SystemCommand]:
    """Every command; those for single keys and models show once something is typed."""
    yield SystemCommand(
        "ollama-status", "keys, active key, models, address", partial(app.show_text, "status")
    )
    yield SystemCommand("ollama-models", "the cloud's models", partial(app.show_text, "models"))
    yield SystemCommand("ollama-refresh", "read the model list again", app.action_refresh_models)
    yield SystemCommand("ollama-info MODEL", "what is known of one model", app.pick_model)
    yield SystemCommand("ollama-keys", "the pool and each key's health", partial(app.show_text, "keys"))
    yield SystemCommand("ollama-rotate", "prefer the next key that is not blocked", app.action_rotate)
    snapshot = app.snapshot
    for row in snapshot.pool.keys if snapshot else ():
        name = f"ollama-use-key {row.index}"
        yield SystemCommand(
            name, f"prefer {row.masked} and remember it", partial(app.action_use_key, row.index)
        )
    for model in snapshot.models.rows if snapshot else ():
        name = f"ollama-info {model.model.id}"
        yield SystemCommand(
            name, "what is known of this model", partial(app.show_model, model), discover=False
        )
    for action in app.actions:
        if action.title and applies(action, app, screen):
            run = partial(app.run_action, action.target)
            yield SystemCommand(action.title, f"{action.tooltip} ({action.shown})", run)
    if snapshot and snapshot.gateway.url:
        yield SystemCommand("gateway: copy the address", snapshot.gateway.url, app.copy_gateway)
    yield SystemCommand("theme: choose", "other colours, remembered in the settings", app.action_change_theme)


class ModelPicker(Provider):
    """The models to choose from for `ollama-info`; their names are outside text, so they are never markup."""

    async def discover(self) -> Hits:
        """All models."""
        for name, show in self._models():
            yield DiscoveryHit(Content(name), show, text=name)

    async def search(self, query: str) -> Hits:
        """The models whose name matches."""
        matcher = self.matcher(query)
        for name, show in self._models():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), show, text=name)

    def _models(self) -> "Iterator[tuple[str, partial[None]]]":
        from okr_tui.ui.controllers.pool import Commands

        if isinstance(self.app, Commands) and self.app.snapshot:
            for row in self.app.snapshot.models.rows:
                yield row.model.id, partial(self.app.show_model, row)


class ThemePicker(Provider):
    """The themes to choose from."""

    async def discover(self) -> Hits:
        """All themes, the program's own first."""
        for name, choose in self._themes():
            yield DiscoveryHit(name, choose)

    async def search(self, query: str) -> Hits:
        """The themes whose name matches."""
        matcher = self.matcher(query)
        for name, choose in self._themes():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), choose, text=name)

    def _themes(self) -> "Iterator[tuple[str, partial[None]]]":
        from okr_tui.ui.controllers.settings import SettingsCommands

        if isinstance(self.app, SettingsCommands):
            for name in theme_names(self.app.available_themes):
                yield name, partial(self.app.choose_theme, name)
