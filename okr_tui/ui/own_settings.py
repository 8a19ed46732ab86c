"""What only the screen can check of its settings: the theme's name and the keymap."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from okr_tui.services.service import SettingsView

LONGEST = 40


def with_problems(settings: SettingsView, problems: Iterable[str]) -> SettingsView:
    """The settings with more to be told about them."""
    return replace(settings, problems=(*settings.problems, *problems))


def place(settings: SettingsView, name: str) -> str:
    """Where a setting stands, in words; "settings" when that is not known."""
    return next((line.origin for line in settings.lines if line.name == name), "settings")


def keymap_problems(settings: SettingsView, refused: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each entry of the keymap that was not taken."""
    for name, reason in refused:
        yield f"{place(settings, f'keymap.{name}')}: keymap.{name[:LONGEST]} is ignored: {reason}"


def theme_problems(settings: SettingsView, names: Sequence[str]) -> Iterator[str]:
    """A line when there is no theme of that name, with those there are."""
    name = settings.theme
    if name is not None and name not in names:
        known = ", ".join(names)
        yield f"{place(settings, 'theme')}: theme {name[:LONGEST]} is ignored: there are {known}"
