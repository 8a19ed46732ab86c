"""The settings as lines: what is wrong, every value with its origin, the files looked at."""

from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap

from okr_tui.services.service import SettingLine, SettingsView
from okr_tui.ui.lines import FAULT, QUIET, STRONG, WARNING, Line, fit, one_line

BESIDE = 100
"""From this width on a value's origin stands beside it; below, under it."""
NAME, VALUE = 28, 40
GAP = 2


def notices(settings: SettingsView) -> Iterator[str]:
    """What a person should decide on, each with the key that does it."""
    if settings.open_to_others:
        yield f"{settings.open_to_others.name} can be read by other users; p makes it yours alone"
    if settings.trust:
        yield f"{settings.trust.project_file} asks to be trusted; T decides"


def settings_lines(settings: SettingsView, width: int) -> list[Line]:
    """Everything, in at most `width` cells."""
    lines: list[Line] = []
    for style, words in (
        *((FAULT, problem) for problem in settings.problems),
        *((WARNING, notice) for notice in notices(settings)),
        *((QUIET, f"{mask} was removed; u brings it back") for mask in settings.removable[:1]),
    ):
        mark = "○" if style == QUIET else "▲"
        lines += [((part, style),) for part in folded(f"{mark} {words}", width)]
    if lines:
        lines.append(())
    name_width = min(NAME, max((len(line.name) for line in settings.lines), default=0))
    value_width = min(VALUE, max((len(line.value) for line in settings.lines), default=0))
    for setting in settings.lines:
        lines += _value_lines(setting, name_width, value_width, width)
    lines += [(), (("Files looked at", STRONG),)]
    for file in settings.files:
        lines += [((part, QUIET),) for part in folded(str(file), width)]
    return lines


def _value_lines(setting: SettingLine, name_width: int, value_width: int, width: int) -> list[Line]:
    """The value, with its origin and the origins it hides beside it or under it."""
    left, style = name_width + GAP, QUIET if setting.origin.startswith("default") else STRONG
    origins = [setting.origin, *(f"instead of {place}" for place in setting.shadowed)]
    value, room = one_line(setting.value) or "-", width - left
    under: list[str] = []
    if width >= BESIDE:
        room -= value_width + GAP
        values, beside = folded(value, value_width), [part for each in origins for part in folded(each, room)]
    else:
        value_width = len(value) if len(value) + GAP + len(origins[0]) <= room else room
        beside = [] if value_width == room else [origins.pop(0)]
        values, under = folded(value, room), [part for each in origins for part in folded(each, room)]
    rows = zip_longest(folded(setting.name, name_width), values, beside, fillvalue="")
    lines: list[Line] = [
        ((fit(name, left), ""), (fit(value, value_width), style), (" " * GAP + origin, QUIET))
        for name, value, origin in rows
    ]
    return lines + [((" " * left + part, QUIET),) for part in under]


def folded(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` letters, where paths stay whole as long as they fit."""
    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
