"""The user's own keys on top of the table of actions, with a line for each entry that cannot be used.

ctrl+q always quits and F1 always helps, so no keymap can lock the user in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from textual.binding import Binding
from textual.keys import key_to_character

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import mask_key_words
from okr_tui.domain.values import dataclass
from okr_tui.services.service import SettingsView
from okr_tui.ui.actions import ACTIONS, KEPT, Action

KeyOf = Callable[[str], str]
"""Returns the key of an action, as people write it."""

FIXED: Final = frozenset({"use-key", "send", "accept", "leave"})
"""Their keys are what they are everywhere, or what they mean depends on which was pressed."""
SHARED: Final = frozenset({"app", "screen", "list", "chat"})
PANES: Final = frozenset({"keys", "pool", "models", "live", "turns"})
"""Owners whose keys apply together with the shared ones, but not with each other's."""
KEYS_PANE: Final = frozenset({"keys", "pool"})
"""Of those, the two that one pane has."""
MODIFIERS: Final = ("ctrl", "shift", "alt", "super")
NAMED: Final = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "enter": "enter",
    "escape": "esc",
    "tab": "tab",
    "space": "space",
    "backspace": "bksp",
    "delete": "del",
    "insert": "ins",
    "home": "home",
    "end": "end",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "slash": "/",
    "backslash": "\\",
    "at": "@",
    "minus": "-",
    "plus": "+",
    "underscore": "_",
    **{f"f{number}": f"F{number}" for number in range(1, 25)},
}
SAME: Final = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace"}
"""What terminals send for these keys."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """The table with the person's keys, the changed keys by action, and what was not taken, by action."""

    actions: tuple[Action, ...] = ACTIONS
    changed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def keymap(entries: Sequence[tuple[str, str]], actions: Sequence[Action] = ACTIONS) -> Keymap:
    """Return the table with these entries ("rotate", "z,f5") applied; invalid ones change nothing."""
    known = {action.id: action for action in actions}
    wanted: dict[str, tuple[str, ...]] = {}
    problems: list[tuple[str, str]] = []
    for name, text in entries:
        try:
            wanted[name] = _keys(name, text, known)
        except ValueError as error:
            problems.append((name, str(error)))
    while clash := next(_clashes(wanted, actions), None):
        problems.append(clash)
        del wanted[clash[0]]
    free = ((name, tuple(key for key in keys if key not in KEPT)) for name, keys in wanted.items())
    return Keymap(tuple(_with(action, wanted) for action in actions), tuple(free), tuple(problems))


class ActiveKeymap:
    """The table of actions with the person's own keys, as it is in force now.

    One object for the whole application: what shows keys holds it and asks again whenever it draws.
    """

    def __init__(self) -> None:
        self.actions: tuple[Action, ...] = ACTIONS

    def apply(self, entries: Sequence[tuple[str, str]]) -> Keymap:
        """Put the person's entries in force; the result says which were refused and why."""
        taken = keymap(entries)
        self.actions = taken.actions
        return taken

    def check(self, name: str, text: str | None) -> None:
        """Raise SettingsError with the reason when an action cannot have these keys."""
        others = {action.id: ",".join(action.keys) for action in self.actions if action not in ACTIONS}
        tried = keymap(tuple({**others, name: text}.items()) if text else ())
        if reason := dict(tried.problems).get(name):
            raise SettingsError(f"keymap.{name}: {reason}")

    def key_of(self, name: str) -> str:
        """Return the key of an action, as people write it."""
        return shown_keys(next(action for action in self.actions if action.id == name).keys[:1])


def shown_keys(keys: Sequence[str]) -> str:
    """Return keys as people write them: "^t", "?", "esc"."""
    return " ".join(map(_shown, keys))


def parsed(text: str) -> str:
    """Return the name by which Textual knows a key. Raises ValueError with the reason when there is none."""
    text = text.strip()
    if not text:
        raise ValueError("a key is missing")
    if len(text) == 1:
        return _named(text)
    *modifiers, base = text.split("+")
    if modifiers == ["shift"] and len(base) == 1 and base.isalpha():
        return base.upper()
    if len(base) == 1 and base.isalpha() and base != base.lower():
        raise ValueError(f"there is no key {text[:30]}; with ctrl, letters are lower case")
    if not all(modifier in MODIFIERS for modifier in modifiers) or not _exists(base):
        raise ValueError(f"there is no key {text[:30]}")
    if text in SAME:
        raise ValueError(f"terminals send {text} as {SAME[text]}")
    return text


def _keys(name: str, text: str, known: dict[str, Action]) -> tuple[str, ...]:
    if name not in known:
        close = get_close_matches(name, known, 1)
        raise ValueError(f"there is no such action{f'; {close[0]} is one' if close else ''}")
    if name in FIXED:
        raise ValueError("its keys are fixed")
    keys = [parsed(part) for part in (["comma"] if text.strip() == "," else text.split(","))]
    for key in keys:
        if KEPT.get(key, name) != name:
            raise ValueError(f"{_shown(key)} is reserved for {KEPT[key]}")
    kept = [key for key, action in KEPT.items() if action == name]
    return tuple(dict.fromkeys((*keys, *kept)))


def _clashes(wanted: dict[str, tuple[str, ...]], actions: Sequence[Action]) -> Iterator[tuple[str, str]]:
    """Yield the entries that would give a key a second meaning, the last first."""
    table = [_with(action, wanted) for action in actions]
    for name in reversed(wanted):
        mine = next(action for action in table if action.id == name)
        for other in table:
            if other is mine or not _together(mine.owner, other.owner):
                continue
            for key in mine.keys:
                if key in other.keys:
                    yield name, f"{_shown(key)} already means {other.id}"


def _together(one: str, other: str) -> bool:
    both = {one, other}
    return one == other or both == KEYS_PANE or (both <= SHARED | PANES and bool(both & SHARED))


def _with(action: Action, wanted: dict[str, tuple[str, ...]]) -> Action:
    if not (keys := wanted.get(action.id)):
        return action
    # What the sentence says of further keys is true of the table's own.
    tooltip = action.tooltip.partition(" (also ")[0]
    return replace(action, keys=keys, shown=shown_keys(keys[:2]), tooltip=tooltip)


def _exists(base: str) -> bool:
    return base in NAMED or key_to_character(base) is not None


def _named(character: str) -> str:
    """Return a character by the name that Textual gives its key."""
    # A comma would be read as the one between two keys.
    return "comma" if character == "," else next(iter(Binding.make_bindings([(character, "", "")]))).key


def _shown(key: str) -> str:
    *modifiers, base = key.split("+")
    word = NAMED.get(base) or key_to_character(base) or base
    return "^" + word if modifiers == ["ctrl"] else "+".join((*modifiers, word))


SHOWN_OF_NAME: Final = 40
"""Characters of a name from the settings that a problem repeats."""


def with_problems(settings: SettingsView, problems: Iterable[str]) -> SettingsView:
    """Return the settings with more problems."""
    return replace(settings, problems=(*settings.problems, *problems))


def _origin(settings: SettingsView, name: str) -> str:
    """Return where a setting is defined, in words; "settings" when that is not known."""
    return next((line.origin for line in settings.lines if line.name == name), "settings")


def _bounded(name: str) -> str:
    return mask_key_words(name)[:SHOWN_OF_NAME]


def keymap_problems(settings: SettingsView, refused: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each entry of the keymap that was refused."""
    for name, reason in refused:
        yield f"{_origin(settings, f'keymap.{name}')}: keymap.{_bounded(name)} is ignored: {reason}"


def theme_problems(settings: SettingsView, names: Sequence[str]) -> Iterator[str]:
    """Yield a line when there is no theme of that name, with those there are."""
    name = settings.theme
    if name is not None and name not in names:
        near = get_close_matches(name.lower(), names, 1)
        known = f"there are {', '.join(names)}"
        why = f"there is no such theme; did you mean {near[0]}?" if near else known
        yield f"{_origin(settings, 'theme')}: theme {_bounded(name)} is ignored: {why}"
