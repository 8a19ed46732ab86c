"""Every action of the dashboard, declared once: bindings, footer, help and palette derive from this table."""

from collections.abc import Sequence
from typing import Final, Literal

from textual.binding import Binding

from okr_tui.domain.values import dataclass

Owner = Literal[
    "app",
    "screen",
    "pool",
    "keys",
    "list",
    "prompt",
    "filter",
    "settings",
    "dialog",
    "models",
    "live",
    "key",
    "chat",
    "turns",
    "saved",
    "broken",
    "usage",
]
FooterContext = Literal[
    "keys",
    "live",
    "models",
    "chat",
    "prompt",
    "cut",
    "compare",
    "saved",
    "filter",
    "first",
    "broken",
    "settings",
    "key",
    "usage",
]

EVERYWHERE: Final[tuple[FooterContext, ...]] = ("keys", "live", "models", "chat")
KEYS, MODELS, LIVE, CHAT, SAVED = "Keys", "Models", "Live", "Chat", "Conversations"
LISTS, VIEW, SETTINGS, GATEWAY, PROGRAM = "Lists", "View", "Settings", "Gateway", "Program"
USAGE = "Usage"

KEPT: Final = {"ctrl+q": "quit", "f1": "help", "ctrl+c": "copying"}
"""Keys that no keymap takes away, by the action they belong to."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    `keys` are as Textual names them, `shown` as people do. `label` is the footer's word, `tooltip` the help's
    sentence, `group` its heading. `footer` lists the contexts in which the footer offers it; `title` is the
    palette's line, None when it makes no sense there. In `run`, `{key}` is the pressed key. `needs`
    says what there has to be: the open service, or also a key in the pool.
    """

    id: str
    keys: tuple[str, ...]
    shown: str
    label: str
    tooltip: str
    group: str
    owner: Owner = "app"
    footer: tuple[FooterContext, ...] = ()
    title: str | None = None
    run: str = ""
    needs: Literal["", "service", "key"] = ""

    @property
    def command(self) -> str:
        """The Textual action, without an argument."""
        return self.run or self.id.replace("-", "_")

    @property
    def name(self) -> str:
        """The Textual action's bare name, as `check_action` is asked for it."""
        return self.command.partition("(")[0].removeprefix("app.").removeprefix("screen.")

    @property
    def target(self) -> str:
        """The Textual action with the namespace that finds it from anywhere."""
        name = self.command.format(key=self.keys[0])
        prefix = {"app": "app.", "screen": "screen."}.get(self.owner, "")
        return prefix + (name if name.endswith(")") else f"{name}()")


# Two lines for each action can be read as a table.
# fmt: off
CHAT_ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "send", ("enter",), "enter", "send", "send the prompt, or run the command typed there",
        CHAT, owner="prompt", footer=("prompt", "cut", "compare"),
    ),
    Action(
        "new-line", ("shift+enter", "ctrl+j"), "^j", "new line", "a new line in the prompt",
        CHAT, owner="prompt", footer=("prompt",),
    ),
    Action(
        "continue-answer", ("ctrl+g",), "^g", "continue", "continue an answer that was cut off",
        CHAT, owner="chat", footer=("cut",), run="app.continue_answer", title="chat: continue the answer",
    ),
    Action(
        "again-elsewhere", ("ctrl+r",), "^r", "other key", "ask the last question again on another key",
        CHAT, owner="chat", footer=("cut",), run="app.again_elsewhere", title="chat: on another key",
    ),
    Action(
        "keep-first", ("f2",), "F2", "keep first", "of two answers: keep only the first",
        CHAT, owner="chat", footer=("compare",), run="app.keep_side(0)", title="chat: go on with the first",
    ),
    Action(
        "keep-second", ("f3",), "F3", "keep second", "of two answers: keep only the second",
        CHAT, owner="chat", footer=("compare",), run="app.keep_side(1)", title="chat: go on with the second",
    ),
    Action(
        "edit-turn", ("w",), "enter w", "edit", "rephrase the selected question, in a branch",
        CHAT, owner="turns", footer=("chat",), run="app.edit_turn", title="chat: edit the selected question",
    ),
    Action(
        "copy-turn", ("y",), "y", "copy", "copy the selected answer",
        CHAT, owner="turns", footer=("chat",), run="app.copy_turn", title="chat: copy the selected answer",
    ),
    Action(
        "copy-code", ("Y",), "Y", "copy code", "copy a code block of the selected answer",
        CHAT, owner="turns", run="app.copy_code", title="chat: copy a code block",
    ),
    Action(
        "copy-conversation", ("C",), "C", "copy all", "copy the whole conversation as Markdown",
        CHAT, owner="turns", run="app.copy_conversation", title="chat: copy the conversation",
    ),
    Action(
        "open-link", ("o",), "o", "link", "open a link of the selected answer, after showing it",
        CHAT, owner="turns", run="app.open_link", title="chat: open a link of the selected answer",
    ),
    Action(
        "find-turn", ("slash",), "/", "find", "find words in the conversation; enter finds the next",
        CHAT, owner="turns", footer=("chat",), run="app.find_turn", title="chat: find in the conversation",
    ),
    Action(
        "branch-turn", ("b",), "b", "branch", "start a new conversation from the selected turn",
        CHAT, owner="turns", footer=("chat",), run="app.branch_turn",
        title="chat: branch after the selected turn",
    ),
    Action(
        "prompt", ("c",), "c", "chat", "go to the prompt",
        CHAT, owner="screen", footer=("chat",), title="chat: go to the prompt",
    ),
    Action(
        "new-chat", ("ctrl+n",), "^n", "new", "start a new conversation",
        CHAT, owner="screen", footer=("prompt",), title="chat: new conversation",
    ),
    Action(
        "conversations", ("ctrl+s",), "^s", "saved", "find, open and change earlier conversations",
        CHAT, owner="screen", footer=("prompt", "cut"), run="app.conversations",
        title="chat: earlier conversations",
    ),
    Action(
        "think-level", ("ctrl+l",), "^l", "think", "think more or less: the model's next level",
        CHAT, owner="chat", run="app.think_level", title="chat: next think level",
    ),
    Action(
        "thinking", ("ctrl+t",), "^t", "thoughts", "show or fold the models' thoughts",
        CHAT, owner="screen", title="chat: show or fold thoughts",
    ),
    Action(
        "open-saved", ("enter",), "enter", "open", "open the selected conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "rename-saved", ("ctrl+r",), "^r", "rename", "give the selected conversation another title",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "delete-saved", ("ctrl+d",), "^d", "delete", "delete the selected conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "undo-saved", ("ctrl+u",), "^u", "undo", "bring back the conversation that was deleted last",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "export-saved", ("ctrl+e",), "^e", "export", "write the selected conversation to a file",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "new-saved", ("ctrl+n",), "^n", "new", "leave the list and start a new conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "leave-saved", ("escape",), "esc", "back", "leave the list of conversations",
        SAVED, owner="saved", footer=("saved",),
    ),
)
# fmt: on


# Two lines for each action can be read as a table.
# fmt: off
POOL_ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "use-key", tuple("123456789"), "1-9", "use key", "prefer the key with that number and remember it",
        KEYS, owner="pool", footer=("keys", "key"), run="app.use_key({key})", needs="key",
    ),
    Action(
        "use-selected", ("0",), "0", "prefer", "prefer the selected key; 1 then 2 means key 12",
        KEYS, owner="pool", run="app.use_selected", title="keys: prefer the selected key", needs="key",
    ),
    Action(
        "filter-keys", ("slash",), "/", "filter", "show only keys with these words: pro, faulty, !off, #3",
        KEYS, owner="keys", run="screen.filter_keys", title="keys: filter", needs="key",
    ),
    Action(
        "sort-keys", ("s",), "s", "sort", "sort the keys by the next column, or by number again",
        KEYS, owner="keys", run="screen.sort_keys", title="keys: sort by a column", needs="key",
    ),
    Action(
        "sort-keys-reverse", ("S",), "S", "reverse", "sort the keys the other way round",
        KEYS, owner="keys", run="screen.sort_keys_reverse", title="keys: sort the other way round",
        needs="key",
    ),
    Action(
        "mark-key", ("space",), "space", "mark", "mark the key: on/off then applies to all marked keys",
        KEYS, owner="keys", run="screen.mark_key", title="keys: mark the selected key", needs="key",
    ),
    Action(
        "rotate", ("r",), "r", "rotate", "prefer the next key that is not blocked",
        KEYS, owner="pool", footer=("keys",), run="app.rotate", title="keys: rotate to the next key",
        needs="key",
    ),
    Action(
        "key-details", ("i",), "enter i", "details", "everything about the selected key and its requests",
        KEYS, owner="pool", footer=("keys",), run="app.key_details", title="keys: all about the selected key",
        needs="key",
    ),
    Action(
        "other-key", ("right",), "→", "next key", "in a key's details: the next key",
        KEYS, owner="key", run="other_key(1)",
    ),
    Action(
        "other-key-back", ("left",), "←", "previous key", "in a key's details: the previous key",
        KEYS, owner="key", run="other_key(-1)",
    ),
    Action(
        "test-key", ("t",), "t", "test", "read quota and identity of the selected key, at no cost",
        KEYS, footer=("keys", "key"), title="keys: test the selected key", needs="key",
    ),
    Action(
        "reset-key", ("x",), "x", "reset", "forget every block of the selected key and its account",
        KEYS, owner="pool", footer=("key",), run="app.reset_key", title="keys: reset the selected key",
        needs="key",
    ),
    Action(
        "toggle-key", ("o",), "o", "on/off", "switch the selected or marked keys off, or on again",
        KEYS, owner="pool", footer=("key",), run="app.toggle_key",
        title="keys: switch the selected key on or off", needs="key",
    ),
    Action(
        "undo", ("u",), "u", "undo", "undo the last change of keys or favourites",
        KEYS, owner="pool", footer=("keys", "key", "first", "settings"), run="app.undo",
        title="keys: undo the last change", needs="service",
    ),
    Action(
        "add-key", ("a",), "a", "add key", "add a key to the settings",
        KEYS, footer=("keys", "first", "settings"), title="keys: add a key", needs="service",
    ),
    Action(
        "remove-key", ("d", "delete"), "d del", "remove", "remove the selected key from the settings",
        KEYS, owner="pool", run="app.remove_key", title="keys: remove the selected key", needs="key",
    ),
    Action(
        "label-key", ("l",), "l", "label", "label the selected key, or remove its label",
        KEYS, owner="pool", footer=("key",), run="app.label_key", title="keys: label the selected key",
        needs="key",
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
        "model-info", ("i",), "i", "info", "everything about the selected model",
        MODELS, owner="models", footer=("models",), run="screen.model_info", title="models: details",
    ),
    Action(
        "favourite", ("b", "asterisk"), "b *", "favourite", "add the model to the favourites, or remove it",
        MODELS, owner="models", footer=("models",), run="screen.favourite", title="models: toggle favourite",
    ),
    Action(
        "sort", ("s",), "s", "sort", "sort by the next column; after the last, not at all",
        MODELS, owner="models", footer=("models",), run="screen.sort", title="models: sort by a column",
    ),
    Action(
        "sort-reverse", ("S",), "S", "reverse", "sort the other way round",
        MODELS, owner="models", run="screen.sort_reverse", title="models: sort the other way round",
    ),
    Action(
        "next-favourite", ("n", "ctrl+o"), "n ^o", "next model", "chat with the next favourite model",
        MODELS, owner="screen", title="models: chat with the next favourite",
    ),
    Action(
        "refresh-models", ("R",), "R", "refresh", "read the model list again",
        MODELS, title="models: refresh", needs="service",
    ),
    Action(
        "copy-model", ("y",), "y", "copy", "copy the selected model's name",
        MODELS, owner="models", run="screen.copy_model", title="models: copy the selected name",
    ),
    Action(
        "keep-filter", ("enter", "down"), "enter", "list", "go from the filter to the list",
        MODELS, owner="filter", footer=("filter",),
    ),
    Action(
        "line-details", ("i",), "enter i", "open", "everything about a line of Live, with the response",
        LIVE, owner="live", footer=("live",), run="choose",
    ),
    Action(
        "copy-line", ("y",), "y", "copy", "copy everything about the selected line of Live",
        LIVE, owner="live",
    ),
    Action(
        "filter-feed", ("slash",), "/", "filter", "only lines with these words: 429 #3 gpt, !ok",
        LIVE, owner="live", footer=("live",), run="screen.filter_feed",
    ),
    Action(
        "faults", ("f",), "f", "faults", "faults only, or all traffic again",
        LIVE, owner="screen", footer=("live",), title="live: faults only or all traffic",
    ),
    Action(
        "feed-key", ("F",), "F", "one key", "only the first key's lines, then the next's, then all",
        LIVE, owner="screen", title="live: only the next key's lines",
    ),
    Action(
        "pause", ("space",), "space", "pause", "pause Live; new lines are still collected",
        LIVE, owner="live", footer=("live",),
    ),
    Action(
        "follow", ("G",), "end G", "newest", "go to the newest line and follow new ones",
        LIVE, owner="live", run="cursor_last",
    ),
)
# fmt: on


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
        "maximise", ("m",), "m", "maximise", "maximise the focused pane, or restore all panes",
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
        "make-file-private", ("p",), "p", "private", "make the settings file readable to you alone",
        SETTINGS, footer=("settings",), title="settings: make the file readable to you alone",
        needs="service",
    ),
    Action(
        "answer-trust", ("T",), "T", "trust", "trust the project's settings file or not",
        SETTINGS, footer=("settings",), title="settings: trust the project's file or not", needs="service",
    ),
    Action(
        "show-usage", ("U",), "U", "usage", "where the quota goes: charts and their tables",
        USAGE, title="usage: charts and tables", needs="service",
    ),
    Action(
        "usage-next", ("tab",), "tab", "next chart", "tokens, quota left, requests, speed",
        USAGE, owner="usage", footer=("usage",), run="chart(1)",
    ),
    Action(
        "usage-previous", ("shift+tab",), "shift+tab", "previous chart", "the previous chart",
        USAGE, owner="usage", run="chart(-1)",
    ),
    Action(
        "usage-period", ("p",), "p", "period", "a longer period; after the longest, the shortest",
        USAGE, owner="usage", footer=("usage",), run="period(1)",
    ),
    Action(
        "usage-nearer", ("P",), "P", "nearer", "look less far back",
        USAGE, owner="usage", run="period(-1)",
    ),
    Action(
        "usage-stack", ("b",), "b", "stack by", "tokens by model, account, key or client",
        USAGE, owner="usage", footer=("usage",), run="stack",
    ),
    Action(
        "usage-series", ("f",), "f", "one series", "draw only the first series, then the next, then all",
        USAGE, owner="usage", footer=("usage",), run="series",
    ),
    Action(
        "usage-export", ("e",), "e", "export", "write the table as CSV and JSON",
        USAGE, owner="usage", footer=("usage",), run="export",
    ),
    Action(
        "close-usage", ("escape", "q", "U"), "esc", "back", "back from usage to the dashboard",
        USAGE, owner="usage", footer=("usage",), run="close",
    ),
    Action(
        "switch-gateway", ("g",), "g", "gateway", "start the gateway in this process, or stop it",
        GATEWAY, footer=("live",), title="gateway: start or stop", needs="service",
    ),
    Action(
        "accept", ("enter",), "enter", "accept", "confirm a dialog",
        VIEW, owner="dialog",
    ),
    Action(
        "leave", ("escape",), "esc", "leave", "cancel a dialog",
        VIEW, owner="dialog",
    ),
    Action(
        "demo", ("d",), "d", "demo", "try a simulated cloud (only while there are no keys)",
        PROGRAM, footer=("first",),
    ),
    Action(
        "open-again", ("enter", "r"), "enter r", "try again", "try to open keys and log again",
        PROGRAM, owner="broken", footer=("broken",), run="app.open_again",
    ),
    Action(
        "help", ("question_mark", "f1"), "?", "help", "this help (F1 also while typing)",
        PROGRAM, footer=(*EVERYWHERE, "prompt", "cut", "first", "broken", "settings", "key"),
        title="program: help",
    ),
    Action(
        "command-palette", ("ctrl+p", "colon"), "^p", "palette", "search every command (also :)",
        PROGRAM, footer=(*EVERYWHERE, "prompt", "cut", "compare", "first", "settings"),
    ),
    Action(
        "suspend", ("ctrl+z",), "^z", "suspend", "suspend to the shell, also while typing",
        PROGRAM, run="suspend_process", title="program: suspend",
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
    """Return the bindings that one kind of owner declares."""
    return [
        Binding(
            key,
            action.command.format(key=key),
            action.label,
            show=False,
            tooltip=action.tooltip,
            id=_binding_id(action, key),
            priority=key in ("ctrl+q", "ctrl+z"),
        )
        for action in ACTIONS
        if action.owner == owner
        for key in action.keys
    ]


COPY_OR_QUIT: Final = (
    Binding("ctrl+c", "screen.copy_text", "copy", show=False),
    Binding("ctrl+c", "app.help_quit", "quit", show=False),
)
"""For modal screens, which block the application's keys: with nothing selected, ctrl+c quits."""


def borrowed(name: str, command: str) -> list[Binding]:
    """Return the keys of an action for its counterpart on another screen; the keymap changes both."""
    action = next(action for action in ACTIONS if action.id == name)
    return [Binding(key, command, show=False, id=_binding_id(action, key)) for key in action.keys]


def _binding_id(action: Action, key: str) -> str:
    # A keymap replaces all keys of an id; these must stay, such as the one that quits from anywhere.
    return f"{action.id}.{key}" if action.id == "use-key" or key in KEPT else action.id


def offered(context: FooterContext, actions: Sequence[Action] = ACTIONS) -> list[Action]:
    """Return the actions that the footer offers in a context, in the table's order."""
    return [action for action in actions if context in action.footer]


def groups(actions: Sequence[Action] = ACTIONS) -> dict[str, list[Action]]:
    """Return the actions under their headings."""
    found: dict[str, list[Action]] = {}
    for action in actions:
        found.setdefault(action.group, []).append(action)
    return found
