"""A line of the feed in full: every field of its record, in words."""

from datetime import tzinfo

from textual.content import Content

from okr_tui.domain.feed import Group, entry_fields
from okr_tui.domain.view import PoolView
from okr_tui.ui.lines import QUIET, STRONG, TONES, one_line
from okr_tui.ui.screens.text import TextScreen

NAME = 12
LISTED = 12


def record_screen(group: Group, pool: PoolView, now: float, zone: tzinfo) -> TextScreen:
    """The screen for a line; a run is shown by its newest record and the times of the others."""

    def key(fingerprint: str) -> str:
        for row in pool.keys:
            if row.fingerprint == fingerprint:
                return f"#{row.index} {row.masked}{f' {one_line(row.label)}' if row.label else ''}"
        return f"a removed key ({fingerprint})"

    entry = group.newest
    glyph, style = TONES[entry.tone]
    parts: list[Content] = []
    for place, (name, value) in enumerate(entry_fields(entry, key, now, zone)):
        mark = (f"{glyph} {one_line(value)}", style) if place == 0 else (one_line(value), "")
        parts.append(Content.assemble((f"{name:<{NAME}}", QUIET), mark))
    if len(group.entries) > 1:
        heading = f"\n{len(group.entries)} lines alike, the newest above; before it"
        parts.append(Content.styled(heading, STRONG))
        for earlier in group.entries[-2 : -2 - LISTED : -1]:
            fields = dict(entry_fields(earlier, key, now, zone))
            parts.append(Content.assemble((f"{fields['when']}  ", QUIET), earlier.text))
        if (more := len(group.entries) - 1 - LISTED) > 0:
            parts.append(Content.styled(f"and {more} more", QUIET))
    return TextScreen("One line of the log", Content("\n").join(parts))
