"""What can be done with keys, models and the live feed."""

from typing import Final

from okr_tui.ui.action import KEYS, LIVE, MODELS, Action

# Two lines for each action can be read as a table.
# fmt: off
POOL_ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "use-key", tuple("123456789"), "1-9", "use key", "prefer the key of that number and remember it",
        KEYS, footer=("keys", "key"), run="use_key({key})",
    ),
    Action(
        "rotate", ("r",), "r", "rotate", "prefer the next key that is not blocked",
        KEYS, footer=("keys",), title="keys: rotate to the next key",
    ),
    Action(
        "key-details", ("i",), "enter i", "details", "all about the selected key and its last requests",
        KEYS, owner="pool", footer=("keys",), run="app.key_details", title="keys: all about the selected key",
    ),
    Action(
        "other-key", ("right",), "→", "next key", "in a key's details: the next key",
        KEYS, owner="key", run="other_key(1)",
    ),
    Action(
        "other-key-back", ("left",), "←", "previous key", "in a key's details: the key before",
        KEYS, owner="key", run="other_key(-1)",
    ),
    Action(
        "test-key", ("t",), "t", "test", "read quota and identity of the selected key, at no cost",
        KEYS, footer=("keys", "key"), title="keys: test the selected key",
    ),
    Action(
        "reset-key", ("x",), "x", "reset", "forget every block of the selected key and its account",
        KEYS, footer=("key",), title="keys: reset the selected key",
    ),
    Action(
        "toggle-key", ("o",), "o", "on/off", "take the selected key out of the pool or put it back",
        KEYS, footer=("key",), title="keys: switch the selected key on or off",
    ),
    Action(
        "restore-key", ("u",), "u", "undo", "bring back the key that was removed last",
        KEYS, footer=("keys", "first", "settings"), title="keys: bring back the key removed last",
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
        "label-key", ("l",), "l", "label", "give the selected key a label, or none",
        KEYS, owner="pool", footer=("key",), run="app.label_key", title="keys: label the selected key",
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
        MODELS, owner="models", footer=("models",), run="screen.model_info", title="models: the details",
    ),
    Action(
        "favourite", ("b", "asterisk"), "b *", "favourite", "make the selected model a favourite, or none",
        MODELS, owner="models", footer=("models",), run="screen.favourite", title="models: favourite or not",
    ),
    Action(
        "sort", ("s",), "s", "sort", "sort by the next column, after the last by none",
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
        MODELS, title="models: refresh",
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
        "filter-feed", ("slash",), "/", "filter", "only lines with these words: 429 #3 gpt, !ok",
        LIVE, owner="live", footer=("live",), run="screen.filter_feed",
    ),
    Action(
        "faults", ("f",), "f", "faults", "faults only, or all traffic again",
        LIVE, owner="screen", footer=("live",), title="live: faults only or all traffic",
    ),
    Action(
        "feed-key", ("F",), "F", "one key", "only lines of the first key, the next, at last of all",
        LIVE, owner="screen", title="live: only the next key's lines",
    ),
    Action(
        "pause", ("space",), "space", "pause", "hold Live still, and go on collecting",
        LIVE, owner="live", footer=("live",),
    ),
    Action(
        "follow", ("G",), "end G", "newest", "to the newest line, and follow what comes",
        LIVE, owner="live", run="cursor_last",
    ),
)
# fmt: on
