"""Every action of the dashboard, declared once: bindings, footer, help and palette derive from this table."""

from collections.abc import Sequence
from typing import Final

from textual.binding import Binding

from okr_tui.ui.action import (
    EVERYWHERE,
    GATEWAY,
    KEPT,
    KEYS,
    LISTS,
    PROGRAM,
    SETTINGS,
    VIEW,
    Action,
    Owner,
    Place,
)
from okr_tui.ui.chat_actions import CHAT_ACTIONS
from okr_tui.ui.pool_actions import POOL_ACTIONS

# Two lines for each action can be read as a table.
# fmt: off
ACTIONS: Final[tuple[Action, ...]] = (
    *POOL_ACTIONS,
    *CHAT_ACTIONS,
    Action(
        "back", ("escape",), "esc", "back", "stop an answer, leave filter, prompt or large pane",
        VIEW, owner="screen", footer=("prompt", "filter", "cut", "compare"),
    ),
    Action(
        "cursor-up", ("up", "k"), "↑ k", "up", "one line up",
        LISTS, owner="list",
    ),
    Action(
        "cursor-down", ("down", "j"), "↓ j", "down", "one line down",
        LISTS, owner="list",
    ),
    Action(
        "cursor-first", ("home", "less_than_sign"), "home <", "first", "the first line",
        LISTS, owner="list",
    ),
    Action(
        "cursor-last", ("end", "greater_than_sign"), "end >", "last", "the last line",
        LISTS, owner="list",
    ),
    Action(
        "page-up", ("pageup",), "pgup", "page up", "one page up",
        LISTS, owner="list", run="cursor_page(-1)",
    ),
    Action(
        "page-down", ("pagedown",), "pgdn", "page down", "one page down",
        LISTS, owner="list", run="cursor_page(1)",
    ),
    Action(
        "next-pane", ("tab",), "tab", "next pane", "the next pane",
        VIEW, owner="screen", run="next_pane(1)",
    ),
    Action(
        "previous-pane", ("shift+tab",), "shift+tab", "previous pane", "the previous pane",
        VIEW, owner="screen", run="next_pane(-1)",
    ),
    Action(
        "maximise", ("m",), "m", "maximise", "the focused pane large, or all panes again",
        VIEW, owner="screen", footer=EVERYWHERE, title="view: maximise the pane or restore",
    ),
    Action(
        "show-settings", ("comma",), ",", "settings", "every value, and where it comes from",
        SETTINGS, title="settings: show",
    ),
    Action(
        "change-setting", ("enter",), "enter", "change", "change the selected setting, or use its default",
        SETTINGS, owner="settings", footer=("settings",),
    ),
    Action(
        "edit-settings", ("e",), "e", "edit", "open the settings file in $EDITOR",
        SETTINGS, footer=("first", "settings"), title="settings: edit the file",
    ),
    Action(
        "close-file", ("p",), "p", "private", "make the settings file readable to you alone",
        SETTINGS, footer=("settings",), title="settings: make the file readable to you alone",
    ),
    Action(
        "answer-trust", ("T",), "T", "trust", "trust the project's settings file or not",
        SETTINGS, footer=("settings",), title="settings: trust the project's file or not",
    ),
    Action(
        "switch-gateway", ("g",), "g", "gateway", "start the gateway in this process, or stop it",
        GATEWAY, footer=("live",), title="gateway: start or stop",
    ),
    Action(
        "accept", ("enter",), "enter", "accept", "do what a dialog asks about",
        VIEW, owner="dialog",
    ),
    Action(
        "leave", ("escape",), "esc", "leave", "leave a dialog without an answer",
        VIEW, owner="dialog",
    ),
    Action(
        "demo", ("d",), "d", "demo", "look around on a simulated cloud (without keys only)",
        PROGRAM, footer=("first",),
    ),
    Action(
        "open-again", ("enter", "r"), "enter r", "try again", "open keys and log again, after that failed",
        PROGRAM, owner="broken", footer=("broken",), run="app.open_again",
    ),
    Action(
        "help", ("question_mark", "f1"), "?", "help", "this help (F1 also while typing)",
        PROGRAM, footer=(*EVERYWHERE, "first", "broken", "settings", "key"), title="program: help",
    ),
    Action(
        "command-palette", ("ctrl+p", "colon"), "^p", "palette", "search every command (also :)",
        PROGRAM, footer=(*EVERYWHERE, "prompt", "cut", "compare", "first", "settings"),
    ),
    Action(
        "quit", ("q", "ctrl+q"), "q", "quit", "quit (ctrl+q also while typing)",
        PROGRAM, footer=("first", "broken"), title="program: quit",
    ),
    Action(
        "close-key", ("escape", "q"), "esc", "back", "back from a key's details to the dashboard",
        KEYS, owner="key", footer=("key",), run="close",
    ),
    Action(
        "close-settings", ("escape", "q", "comma"), "esc", "close", "back from the settings to the dashboard",
        SETTINGS, owner="settings", footer=("settings",), run="close",
    ),
)
# fmt: on


def bindings(owner: Owner) -> list[Binding]:
    """The bindings that one kind of owner declares."""
    return [
        Binding(
            key,
            action.command.format(key=key),
            action.label,
            show=False,
            tooltip=action.tooltip,
            id=_binding_id(action, key),
            priority=key == "ctrl+q",
        )
        for action in ACTIONS
        if action.owner == owner
        for key in action.keys
    ]


def borrowed(name: str, command: str) -> list[Binding]:
    """The keys of an action for what stands in its place on another screen; the keymap changes both."""
    action = next(action for action in ACTIONS if action.id == name)
    return [Binding(key, command, show=False, id=_binding_id(action, key)) for key in action.keys]


def _binding_id(action: Action, key: str) -> str:
    # A keymap gives all keys of an id away; these are kept, the one that quits from everywhere.
    return f"{action.id}.{key}" if action.id == "use-key" or key in KEPT else action.id


def offered(place: Place, actions: Sequence[Action] = ACTIONS) -> list[Action]:
    """What the footer offers in a place, in the table's order."""
    return [action for action in actions if place in action.footer]


def groups(actions: Sequence[Action] = ACTIONS) -> dict[str, list[Action]]:
    """The actions under their headings."""
    found: dict[str, list[Action]] = {}
    for action in actions:
        found.setdefault(action.group, []).append(action)
    return found
