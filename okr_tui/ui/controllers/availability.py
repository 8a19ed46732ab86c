"""Which actions mean something now, from the newest snapshot and the screens that are open."""

from collections.abc import Callable
from typing import Final

from okr_tui.services.service import SettingsView, Snapshot
from okr_tui.ui.actions import ACTIONS

ON_A_KEY: Final = frozenset(action.name for action in ACTIONS if action.needs == "key")
NEEDS_SERVICE: Final = frozenset(action.name for action in ACTIONS if action.needs)
NOT_OVER_SETTINGS: Final = ON_A_KEY | {"refresh_models", "demo", "show_settings"}
"""What means the dashboard, while the settings hide it."""
NEEDS_SETTINGS: Final[dict[str, Callable[[SettingsView], bool]]] = {
    "show_settings": lambda settings: True,  # noqa: ARG005
    "restore_key": lambda settings: bool(settings.removable),
    "close_file": lambda settings: settings.open_to_others is not None,
    "answer_trust": lambda settings: settings.trust is not None,
}
"""What only means something while the settings say that there is something to do."""


def available(
    action: str, snapshot: Snapshot | None, *, service: bool, over_settings: bool = False
) -> bool | None:
    """Say whether an action of the application can run: None greys it out, False hides it, as in Textual.

    action: its Textual name. service: whether the service is open. over_settings: whether the settings hide
    the dashboard.
    """
    if over_settings and action in NOT_OVER_SETTINGS:
        return False
    if (needed := NEEDS_SETTINGS.get(action)) and not (snapshot and needed(snapshot.settings)):
        return False
    without_keys = snapshot is not None and not snapshot.pool.keys
    if (action == "demo" and not without_keys) or (action in ON_A_KEY and without_keys):
        return False
    return None if action in NEEDS_SERVICE and not service else True
