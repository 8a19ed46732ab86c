"""The keys that apply where the focus is: at most seven, and none cut."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import var
from textual.style import Style
from textual.widgets import Static

from okr_tui.services.service import Snapshot
from okr_tui.ui.action import Action, Place
from okr_tui.ui.actions import ACTIONS, offered
from okr_tui.ui.keyed import KeyedApp
from okr_tui.ui.lines import QUIET

MOST = 7
LASTING = frozenset({"help", "command-palette", "close-settings", "close-key", "quit", "leave-saved"})
"""What leads to everything else, and what leads out, stays longest."""


def shown_key(action: Action, place: Place) -> str:
    """The key as people write it; where `?` would be typed, help is F1."""
    return "F1" if action.id == "help" and place in ("prompt", "filter") else action.shown


def chosen(actions: Sequence[Action], place: Place, width: int) -> list[tuple[str, Action]]:
    """What fits, in the table's order."""
    items = [(shown_key(action, place), action) for action in actions]
    while len(items) > MOST or (items and _length(items) > width):
        spare = [place for place, (_, action) in enumerate(items) if action.id not in LASTING]
        del items[spare[-1] if spare else 0]
    return items


def _length(items: Sequence[tuple[str, Action]]) -> int:
    return sum(cell_len(key) + cell_len(action.label) + 3 for key, action in items) - 2


class FootLine(Static):
    """Draws the keys; each can be clicked."""

    place: var[Place] = var[Place]("keys")
    answering: var[bool] = var(False)
    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, place: Place = "keys") -> None:
        super().__init__(id="footer")
        self._drawn: list[tuple[str, str, Action]] = []
        self.set_reactive(FootLine.place, place)
        self.auto_links = False

    def on_mount(self) -> None:
        """Follow the keymap."""
        if isinstance(self.app, KeyedApp):
            self.watch(self.app, "actions", self.draw, init=False)

    def watch_place(self) -> None:
        """Draw the keys of the new place."""
        self.draw()

    def watch_answering(self) -> None:
        """While an answer runs, escape stops it."""
        self.draw()

    def watch_snapshot(self) -> None:
        """Offer what the new state makes possible."""
        self.draw()

    def on_resize(self) -> None:
        """Choose what fits."""
        self.draw()

    def draw(self) -> None:
        """Offer what applies now; what stands in front of the dashboard changes it too."""
        table = self.app.actions if isinstance(self.app, KeyedApp) else ACTIONS
        actions = [
            each for each in offered(self.place, table) if self.app.check_action(each.name, ()) is not False
        ]
        items = [
            (key, "stop" if action.id == "back" and self.answering else action.label, action)
            for key, action in chosen(actions, self.place, self.content_size.width)
        ]
        if items == self._drawn:
            return
        self._drawn = items
        parts: list[Content] = []
        for key, label, action in items:
            text = Content.assemble((key, "bold $text-accent"), (f" {label}", QUIET))
            if action.id != "use-key":
                reaches = action.target.startswith(("app.", "screen."))
                click = action.target if reaches else f"app.simulate_key('{action.keys[0]}')"
                text = text.stylize(Style.from_meta({"@click": click}))
            parts.append(text)
        self.update(Content("  ").join(parts), layout=False)
