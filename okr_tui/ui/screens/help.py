"""The help: every action under its heading; it opens where the focus is and can be searched."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from okr_tui.ui.actions import ACTIONS, CHAT, KEYS, LIVE, MODELS, SETTINGS, Action, groups
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import QUIET, STAR
from okr_tui.ui.screens.text import TextScreen

HEADINGS: Final = {
    "keys": KEYS,
    "key-facts": KEYS,
    "key-feed": KEYS,
    "feed": LIVE,
    "feed-words": LIVE,
    "model-table": MODELS,
    "filter": MODELS,
    "turns": CHAT,
    "prompt": CHAT,
    "settings": SETTINGS,
}
"""By the widget with the focus, the heading at which the help opens."""
HEADING: Final = "bold $text-primary"
MARKS: Final = (
    ("▶", "$text-primary", "the key that the next request takes"),
    ("▷", "$text-primary", "the key you prefer, while another one is used"),
    ("+", "$text-primary", "a key that is marked"),
    ("▇▁▁▁", "$text-success", "how much of a quota window is used"),
    (STAR, "$text-primary", "a favourite model, which pi cycles through too"),
    ("†", "$text-warning", "a model that is gone, or is being replaced"),
    ("keys", "", "in Models: which keys may use it, whatever their quota"),
    ("◌", "$text-primary", "in Live: a request that is running"),
    ("△", "$text-muted", "in Live: it went wrong and healed by itself"),
    ("▲", "$text-warning", "in Live: a switch, a spent window, an outage"),
    ("✖", "$text-error", "in Live: it needs you, or an error reached a caller"),
    ("~", "", "before a time: an estimate, as the cloud has not said it"),
)


def sections(actions: Sequence[Action] = ACTIONS, words: str = "") -> dict[str, Content]:
    """Return the lines under each heading that hold all of these words; headings without any are left out."""
    wanted = words.lower().split()
    lines = {
        heading: [
            (each.shown, "bold $text-accent", each.tooltip, f"{each.id} {each.label}") for each in members
        ]
        for heading, members in groups(actions).items()
    }
    found: dict[str, Content] = {}
    marks = [(*mark, "") for mark in MARKS]
    for heading, members in {**lines, "Marks": marks}.items():
        shown = [
            Content.assemble((f"  {sign:<10}", style), f" {text}")
            for sign, style, text, names in members
            if all(word in f"{heading} {sign} {text} {names}".lower() for word in wanted)
        ]
        if shown:
            found[heading] = Content("\n").join([Content.styled(heading, HEADING), *shown])
    return found


def help_text(actions: Sequence[Action] = ACTIONS) -> Content:
    """Return the whole help."""
    return Content("\n\n").join(sections(actions).values())


class HelpScreen(TextScreen):
    """Shows the help from the heading that fits the focus on; `/` searches it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", show=False),
        Binding("escape", "back", "back", show=False, priority=True),
    ]

    def __init__(self, actions: Sequence[Action], focused: str | None, key_of: KeyOf) -> None:
        super().__init__("okr-tui help", help_text(actions))
        self._actions = actions
        self._first = HEADINGS.get(focused or "")
        self._key_of = key_of

    def compose(self) -> ComposeResult:
        """Heading, the field to search with, the sections, the ways out."""
        with Vertical(classes="box", id="help"):
            yield Static(Content(self.heading), classes="box-heading")
            yield Input(placeholder="words to look for", id="help-words", compact=True)
            with VerticalScroll(id="help-lines"):
                for heading, text in sections(self._actions).items():
                    yield Static(text, name=heading, classes="help-section")
                yield Static(Content.styled("no line has these words", QUIET), id="help-none")
            yield Static(Content(self.foot()), classes="box-foot")

    def foot(self) -> str:
        """Return the line of keys under the text."""
        return f"/ searches · {self._key_of('command-palette')} finds and runs commands · esc closes"

    def on_mount(self) -> None:
        """Begin where the focus is."""
        self.query_one("#help-lines").focus()
        if self._first is not None:
            self.call_after_refresh(self._show_first)

    def _show_first(self) -> None:
        for section in self.query(".help-section"):
            if section.name == self._first:
                self.query_one("#help-lines", VerticalScroll).scroll_to_widget(
                    section, top=True, animate=False, immediate=True
                )

    def action_search(self) -> None:
        """Type words to look for."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def action_back(self) -> None:
        """Leave the search, else the help."""
        field = self.query_one(Input)
        if field.display:
            field.value = ""
            field.display = False
            self.query_one("#help-lines").focus()
        else:
            self.dismiss()

    @on(Input.Submitted)
    def _searched(self) -> None:
        self.query_one("#help-lines").focus()

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        found = sections(self._actions, event.value)
        for section in self.query(".help-section").results(Static):
            text = found.get(section.name or "")
            section.display = text is not None
            if text is not None:
                section.update(text)
        self.query_one("#help-none").display = not found
        self.query_one("#help-lines", VerticalScroll).scroll_home(animate=False)
