"""What an action is: the one form from which bindings, footer, help and palette are made."""

from dataclasses import dataclass
from typing import Final, Literal

Owner = Literal[
    "app",
    "screen",
    "pool",
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
]
Place = Literal[
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
]

EVERYWHERE: Final[tuple[Place, ...]] = ("keys", "live", "models", "chat")
KEYS, MODELS, LIVE, CHAT, SAVED = "Keys", "Models", "Live", "Chat", "Conversations"
LISTS, VIEW, SETTINGS, GATEWAY, PROGRAM = "Lists", "View", "Settings", "Gateway", "Program"

KEPT: Final = {"ctrl+q": "quit", "f1": "help", "ctrl+c": "copying"}
"""Keys that no keymap takes away, by the action they belong to."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    `keys` are as Textual names them, `shown` as people do. `label` is the footer's word, `tooltip` the help's
    sentence, `group` its heading. `footer` lists the places where the footer offers it; `title` is the
    palette's line, None when it makes no sense there. In `run`, `{key}` stands for the pressed key.
    """

    id: str
    keys: tuple[str, ...]
    shown: str
    label: str
    tooltip: str
    group: str
    owner: Owner = "app"
    footer: tuple[Place, ...] = ()
    title: str | None = None
    run: str = ""

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
