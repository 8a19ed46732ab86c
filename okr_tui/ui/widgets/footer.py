"""The keys that apply where the focus is: at most seven, and none cut."""

from collections.abc import Sequence
from dataclasses import replace

from textual.content import Content
from textual.reactive import var
from textual.style import Style
from textual.widgets import Static

from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import Action, FooterContext, offered
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.lines import QUIET, cell_width

MOST = 7
LASTING = frozenset(
    {
        "help",
        "command-palette",
        "maximise",
        "back",
        "close-settings",
        "close-usage",
        "close-key",
        "quit",
        "leave-saved",
    }
)
"""Actions that lead to everything else, or out, are dropped last."""


def shown_key(action: Action, context: FooterContext) -> str:
    """Return the key as people write it; where `?` would be typed, help is F1."""
    return "F1" if action.id == "help" and context in ("prompt", "cut", "filter") else action.shown


def chosen(actions: Sequence[Action], context: FooterContext, width: int) -> list[tuple[str, Action]]:
    """Return the actions that fit, with their keys, in the table's order."""
    items = [(shown_key(action, context), action) for action in actions]
    while len(items) > MOST or (items and _length(items) > width):
        spare = [index for index, (_, action) in enumerate(items) if action.id not in LASTING]
        del items[spare[-1] if spare else 0]
    return items


def _length(items: Sequence[tuple[str, Action]]) -> int:
    return sum(cell_width(key) + cell_width(action.label) + 3 for key, action in items) - 2


class FootLine(Static):
    """Draws the keys; each can be clicked."""

    context: var[FooterContext] = var[FooterContext]("keys")
    back: var[str] = var("back")
    """What escape does, in a word."""
    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, keymap: ActiveKeymap, context: FooterContext = "keys") -> None:
        super().__init__(id="footer")
        self._keymap = keymap
        self._drawn: list[tuple[str, Action]] = []
        self.set_reactive(FootLine.context, context)
        self.auto_links = False

    def on_mount(self) -> None:
        """Follow the keymap."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.draw())
        self.watch(self.screen, "maximized", self.draw, init=False)

    def draw(self) -> None:
        """Offer the actions that apply now; a screen on top of the dashboard changes them too."""
        words = {"back": self.back, "maximise": "restore"}
        actions = [
            replace(each, label=words.get(each.id, each.label))
            for each in offered(self.context, self._keymap.actions)
            if self._applies(each)
        ]
        items = chosen(actions, self.context, self.content_size.width)
        if items == self._drawn:
            return
        self._drawn = items
        parts: list[Content] = []
        for key, action in items:
            text = Content.assemble((key, "bold $text-accent"), (f" {action.label}", QUIET))
            if action.id != "use-key":
                reaches = action.target.startswith(("app.", "screen."))
                click = action.target if reaches else f"app.simulate_key('{action.keys[0]}')"
                text = text.stylize(Style.from_meta({"@click": click}))
            parts.append(text)
        self.update(Content("  ").join(parts), layout=False)

    watch_context = watch_back = watch_snapshot = on_resize = draw

    def _applies(self, action: Action) -> bool:
        """Return whether an action does anything now; "restore" needs a maximised pane."""
        if action.id == "maximise" and self.screen.maximized is None:
            return False
        return self.app.check_action(action.name, ()) is not False
