"""Every setting with where it comes from, and the dialogs that change one or trust a project's file."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input, Static

from okr_tui.domain.text import printable
from okr_tui.domain.values import dataclass
from okr_tui.services.service import SettingLine, SettingsView, Snapshot, TrustQuestion
from okr_tui.ui.actions import bindings, borrowed
from okr_tui.ui.keymap import ActiveKeymap, KeyOf
from okr_tui.ui.lines import FAULT, QUIET, STRONG, WARNING, Line, content, fit, one_line
from okr_tui.ui.screens.dialogs import Choice, Dialog, field
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME as PROGRAM
from okr_tui.ui.widgets.pool_notices import settings_notices
from okr_tui.ui.widgets.rows import RowList

SIDE_BY_SIDE: Final = 100
"""From this width on a value's origin is next to it; below, under it."""
NAME, VALUE = 24, 40
GAP: Final = 2
HEADINGS: Final = {
    "key": "Keys",
    "": "General",
    "alerts": "Alerts",
    "models": "Models",
    "keymap": "Keymap",
    "policy": "Policy",
    "gateway": "Gateway",
    "chat": "Chat",
}
"""Headings of groups; a group is the part of a name before the dot."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A line that is not a value: a problem, a heading, a file."""

    text: str
    style: str = ""


Entry = SettingLine | Remark
BLANK: Final = Remark("")


def group_of(line: SettingLine) -> str:
    """Return the group that a line belongs to."""
    if line.name.startswith("key "):
        return "key"
    group, point, _ = line.name.partition(".")
    return group if point and group in HEADINGS else ""


def shown_name(line: SettingLine) -> str:
    """Return a name under its heading."""
    group = group_of(line)
    return line.name.removeprefix(f"{group}.") if group != "key" else line.name


def entries(settings: SettingsView, key_of: KeyOf) -> list[Entry]:
    """Everything there is to show, in its order."""
    found: list[Entry] = [Remark(f"▲ {problem}", FAULT) for problem in settings.problems]
    found += [Remark(f"▲ {notice}", WARNING) for notice in settings_notices(settings, key_of)]
    for group, heading in HEADINGS.items():
        if members := [line for line in settings.lines if group_of(line) == group]:
            found += [*([BLANK] if found else []), Remark(heading, STRONG), *members]
    return [*found, BLANK, Remark("Files checked", STRONG), *(Remark(str(file)) for file in settings.files)]


def entry_lines(entry: Entry, name_width: int, value_width: int, width: int) -> list[Line]:
    """Return the lines of one entry, each in at most `width` cells."""
    if isinstance(entry, Remark):
        return [((part, entry.style),) for part in folded(entry.text, width)] or [()]
    left, style = name_width + GAP, QUIET if entry.origin.startswith("default") else STRONG
    origins = [entry.origin, *(f"instead of {other}" for other in entry.shadowed)]
    value, room = one_line(entry.value) or "-", width - left
    under: list[str] = []
    if width >= SIDE_BY_SIDE:
        room -= value_width + GAP
        values, sources = (
            folded(value, value_width),
            [part for each in origins for part in folded(each, room)],
        )
    else:
        value_width = len(value) if len(value) + GAP + len(origins[0]) <= room else room
        sources = [] if value_width == room else [origins.pop(0)]
        values, under = folded(value, room), [part for each in origins for part in folded(each, room)]
    rows = zip_longest(folded(shown_name(entry), name_width), values, sources, fillvalue="")
    lines: list[Line] = [
        (
            (fit(name, left), ""),
            (fit(value, value_width), style),
            (" " * GAP + origin if origin else "", QUIET),
        )
        for name, value, origin in rows
    ]
    return lines + [((" " * left + part, QUIET),) for part in under]


def folded(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` letters, where paths stay whole as long as they fit."""
    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


class SettingsList(RowList[Entry]):
    """The cursor stops on values only; lines before the first and after the last scroll into view."""

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="settings")
        self._key_of = key_of
        self._widths = (NAME, VALUE)

    def show_settings(self, settings: SettingsView) -> None:
        """Take over the settings."""
        names = [len(shown_name(line)) for line in settings.lines]
        values = [len(one_line(line.value)) for line in settings.lines]
        self._widths = (min(NAME, max(names, default=1)), min(VALUE, max(values, default=1)))
        self.show_rows(entries(settings, self._key_of))
        if not isinstance(self.selected, SettingLine):
            self._move_to(self.cursor)

    def lines_of(self, row: Entry, width: int) -> Sequence[Line]:
        """Name, value, origins."""
        return entry_lines(row, *self._widths, width)

    def key_of(self, row: Entry) -> Hashable:
        """Return the name of a value, which it keeps."""
        return row.name if isinstance(row, SettingLine) else row

    def keep_in_sight(self) -> None:
        """Scroll to the row, and on the first and last of them to what no cursor reaches."""
        stops = self._stops()
        if stops and self.cursor == stops[0]:
            self._place_at(0)
        elif stops and self.cursor == stops[-1]:
            self._place_at(len(self._owners))
        else:
            super().keep_in_sight()

    def _stops(self) -> list[int]:
        return [index for index, row in enumerate(self.rows) if isinstance(row, SettingLine)]

    def _move_to(self, index: int) -> None:
        stops = self._stops()
        ahead = [stop for stop in stops if stop >= index]
        behind = [stop for stop in stops if stop <= index]
        ways = (behind[-1:] + ahead[:1]) if index < self.cursor else (ahead[:1] + behind[-1:])
        if ways:
            self.cursor = ways[0]


class SettingsScreen(Screen[None]):
    """Follows the newest snapshot; what can be done here is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings"), *borrowed("undo", "app.undo")]

    snapshot: var[Snapshot | None] = var(None)

    @dataclass
    class ChangeRequested(Message):
        """One value is to be changed."""

        line: SettingLine

    def __init__(self, keymap: ActiveKeymap) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Title, the list, the keys."""
        yield Static(content((*PROGRAM, ("   settings", QUIET))), id="header")
        yield SettingsList(self._keymap.key_of)
        yield FootLine(self._keymap, "settings").data_bind(SettingsScreen.snapshot)

    def on_mount(self) -> None:
        """Follow the application's snapshot."""
        self.watch(self.app, "snapshot", self._take_over)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        if snapshot is not None:
            self.query_one(SettingsList).show_settings(snapshot.settings)

    @on(RowList.Chosen)
    def action_change_setting(self) -> None:
        """Change the value under the cursor."""
        line = self.query_one(SettingsList).selected
        if isinstance(line, SettingLine):
            self.post_message(self.ChangeRequested(line))

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss()


DEFAULT = ""


class ChangeSetting(Dialog):
    """Asks for a value, or for one of a few; nothing, or the last choice, means the default."""

    HEADING = "Change a setting"
    FOOT = "enter saves · empty means the default · esc cancels"

    def __init__(
        self, line: SettingLine, options: Sequence[str], send: Callable[[str | None], Awaitable[str]]
    ) -> None:
        super().__init__()
        self.line = line
        self.options = options
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the setting, where it comes from now, and the field or the choice."""
        line = self.line
        yield Static(content(((line.name, STRONG),)), classes="key")
        yield field("Now", Static(Content(f"{one_line(line.value) or '-'}  ({line.origin})")))
        if self.options:
            choice = Choice(*((name, name) for name in self.options), (DEFAULT, "back to the default"))
            choice.select(line.value)
            yield field("Then", choice)
        else:
            # A long value is not shown whole, so it is not there to be edited.
            value = "" if line.origin == "default" or line.value.endswith("…") else line.value
            entry = Input(value, placeholder=line.value or "none", id="value", compact=True)
            entry.cursor_blink = False
            yield field("Then", entry)
        for other in line.shadowed:
            yield Static(content(((f"{other} also sets it and would apply without this one", QUIET),)))

    def answer(self) -> Awaitable[str]:
        """Write the value."""
        text = self.query_one(Choice).value if self.options else self.query_one("#value", Input).value
        return self.send(text.strip() or None)


WANTS, LETTERS = 21, 4000
LATER: Final = "later"


def bounded(text: str) -> str:
    """Return a project's own words, short and on one line."""
    return printable(one_line(text), LETTERS)


class AskTrust(Dialog):
    """Deciding later comes first, so that a stray enter decides nothing."""

    HEADING = "Trust this project's settings?"
    FOOT = "enter chooses · tab scrolls · esc decides later"
    AUTO_FOCUS = "#choice"

    def __init__(self, trust: TrustQuestion, send: Callable[[bool], Awaitable[str]]) -> None:
        super().__init__()
        self.trust = trust
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the file, what it wants, and the answers."""
        yield Static(
            Content.styled(bounded(str(self.trust.project_file)), "bold $text-accent"), classes="key"
        )
        wants = [f"· {bounded(want)}" for want in self.trust.wants[:WANTS]]
        if len(self.trust.wants) > WANTS:
            wants.append(f"· and {len(self.trust.wants) - WANTS} more")
        yield Static(Content("It wants:"))
        with VerticalScroll(classes="wants"):
            yield Static(Content("\n".join(wants)))
        yield Choice(
            (LATER, "decide later: ask again at the next start"),
            ("trust", "trust it until its content changes"),
            ("distrust", "do not trust it: its keys stay off, it decides nothing"),
        )

    def answer(self) -> Awaitable[str] | None:
        """Remember the decision."""
        decision = self.query_one(Choice).value
        if decision == LATER:
            self.dismiss()
            return None
        return self.send(decision == "trust")
