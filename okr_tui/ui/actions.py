"""Every action of the dashboard, declared once: bindings, footer, help and palette derive from this table."""

from typing import Final

from textual.binding import Binding

from okr_tui.ui.action import Action, Owner, Place

EVERYWHERE: Final[tuple[Place, ...]] = ("keys", "live", "models", "chat")
KEYS, MODELS, LIVE, CHAT = "Keys", "Models", "Live", "Chat"
LISTS, VIEW, SETTINGS, PROGRAM = "Lists", "View", "Settings", "Program"

# Two lines for each action can be read as a table.
# fmt: off
ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "use-key", tuple("123456789"), "1-9", "use key", "prefer the key of that number and remember it",
        KEYS, footer=EVERYWHERE[:1], run="use_key({key})",
    ),
    Action(
        "rotate", ("r",), "r", "rotate", "prefer the next key that is not blocked",
        KEYS, footer=("keys", "live", "chat"), title="keys: rotate to the next key",
    ),
    Action(
        "test-key", ("t",), "t", "test", "read quota and identity of the selected key, at no cost",
        KEYS, footer=("keys",), title="keys: test the selected key",
    ),
    Action(
        "reset-key", ("x",), "x", "reset", "forget every block of the selected key and its account",
        KEYS, title="keys: reset the selected key",
    ),
    Action(
        "toggle-key", ("o",), "o", "on/off", "take the selected key out of the pool or put it back",
        KEYS, title="keys: switch the selected key on or off",
    ),
    Action(
        "add-key", ("a",), "a", "add key", "add a key to the settings",
        KEYS, footer=("keys", "first", "settings"), title="keys: add a key",
    ),
    Action(
        "remove-key", ("d", "delete"), "d del", "remove", "take the selected key out of the settings",
        KEYS, owner="pool", run="app.remove_key", title="keys: remove the selected key",
    ),
    Action(
        "restore-key", ("u",), "u", "undo", "bring back the key that was removed last",
        KEYS, footer=("keys", "first", "settings"), title="keys: bring back the key removed last",
    ),
    Action(
        "label-key", ("l",), "l", "label", "give the selected key a label, or none",
        KEYS, owner="pool", run="app.label_key", title="keys: label the selected key",
    ),
    Action(
        "choose-model", ("enter",), "enter", "chat", "chat with the selected model",
        MODELS, owner="list", footer=("models",), run="choose",
    ),
    Action(
        "filter", ("slash",), "/", "filter", "show only models that contain these words",
        MODELS, owner="screen", footer=("models",), title="models: filter",
    ),
    Action(
        "refresh-models", ("R",), "R", "refresh", "read the model list again",
        MODELS, footer=("models", "live"), title="models: refresh",
    ),
    Action(
        "copy-model", ("y",), "y", "copy", "copy the selected model's name",
        MODELS, owner="screen", footer=("models",), title="models: copy the selected name",
    ),
    Action(
        "keep-filter", ("enter", "down"), "enter", "list", "go from the filter to the list",
        MODELS, owner="filter", footer=("filter",),
    ),
    Action(
        "faults", ("f",), "f", "faults only", "faults only, or all traffic again",
        LIVE, owner="screen", footer=("live",), title="live: faults only or all traffic",
    ),
    Action(
        "send", ("enter",), "enter", "send", "send the prompt",
        CHAT, owner="prompt", footer=("prompt",),
    ),
    Action(
        "new-line", ("shift+enter", "ctrl+j"), "^j", "new line", "a new line in the prompt",
        CHAT, owner="prompt", footer=("prompt",),
    ),
    Action(
        "prompt", ("c",), "c", "chat", "go to the prompt",
        CHAT, owner="screen", footer=("chat", "live"), title="chat: go to the prompt",
    ),
    Action(
        "new-chat", ("ctrl+n",), "^n", "new", "start a new conversation",
        CHAT, owner="screen", footer=("chat", "prompt"), title="chat: new conversation",
    ),
    Action(
        "thinking", ("ctrl+t",), "^t", "thoughts", "show or fold what models thought",
        CHAT, owner="screen", footer=("chat",), title="chat: show or fold thoughts",
    ),
    Action(
        "back", ("escape",), "esc", "back", "stop an answer, leave filter, prompt or large pane",
        VIEW, owner="screen", footer=("prompt", "filter"),
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
        "cursor-first", ("home", "g"), "home g", "first", "the first line",
        LISTS, owner="list",
    ),
    Action(
        "cursor-last", ("end", "G"), "end G", "last", "the last line",
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
        VIEW, owner="screen", run="next_pane(1)", footer=("prompt",),
    ),
    Action(
        "previous-pane", ("shift+tab",), "shift+tab", "previous pane", "the previous pane",
        VIEW, owner="screen", run="next_pane(-1)",
    ),
    Action(
        "maximise", ("m",), "m", "maximise", "the focused pane large, or all panes again",
        VIEW, owner="screen", footer=("live", "chat"), title="view: maximise the pane or restore",
    ),
    Action(
        "show-settings", ("comma",), ",", "settings", "every value, and where it comes from",
        SETTINGS, footer=("keys", "models"), title="settings: show",
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
        "help", ("question_mark", "f1"), "?", "help", "this help (F1 also while typing)",
        PROGRAM, footer=(*EVERYWHERE, "first", "broken", "settings"), title="program: help",
    ),
    Action(
        "command-palette", ("ctrl+p", "colon"), "^p", "palette", "search every command (also :)",
        PROGRAM, footer=(*EVERYWHERE, "prompt", "first", "settings"),
    ),
    Action(
        "quit", ("q", "ctrl+q"), "q", "quit", "quit (ctrl+q also while typing)",
        PROGRAM, footer=("first", "broken"), title="program: quit",
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
            id=action.id if len(action.keys) == 1 else f"{action.id}.{key}",
        )
        for action in ACTIONS
        if action.owner == owner
        for key in action.keys
    ]


def offered(place: Place) -> list[Action]:
    """What the footer offers in a place, in the table's order."""
    return [action for action in ACTIONS if place in action.footer]


def groups() -> dict[str, list[Action]]:
    """The actions under their headings."""
    found: dict[str, list[Action]] = {}
    for action in ACTIONS:
        found.setdefault(action.group, []).append(action)
    return found
