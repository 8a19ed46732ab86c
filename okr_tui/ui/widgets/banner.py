"""What concerns the whole pool and will not go away by itself, each on one line."""

import textwrap
from datetime import UTC, tzinfo

from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.words import moment, span
from okr_tui.services.service import Snapshot
from okr_tui.ui.lines import FAULT, WARNING, Line, content
from okr_tui.ui.widgets.settings import notices

PROBLEMS = 2


def banner_lines(snapshot: Snapshot, failure: str | None, now: float, zone: tzinfo) -> list[Line]:
    """The lines, the most serious first."""
    pool = snapshot.pool
    lines: list[Line] = []
    if failure:
        lines.append(((f"✖ the service ended: {failure}; quit and start again", FAULT),))
    if pool.outage:
        again = f", next try in {span(pool.outage.until - now)}" if pool.outage.until else ""
        lines.append(((f"▲ {pool.outage.reason}{again}", FAULT),))
    elif pool.keys and not any(row.verdict.eligible for row in pool.keys):
        back = "no return is known"
        if pool.earliest is not None:
            back = f"the first is back in {span(pool.earliest - now)}, at {moment(pool.earliest, now, zone)}"
        lines.append(((f"▲ every key is blocked; {back}", WARNING),))
    problems = snapshot.settings.problems
    lines += [((f"▲ {problem}", WARNING),) for problem in problems[:PROBLEMS]]
    if len(problems) > PROBLEMS:
        lines.append(((f"▲ and {len(problems) - PROBLEMS} more in the settings; e edits them", WARNING),))
    lines += [((f"▲ {notice}", WARNING),) for notice in notices(snapshot.settings)]
    return lines


class Banner(Static):
    """The lines under the header; without any it takes no room."""

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="banner")
        self.zone = zone
        self._lines: list[Line] = []

    def watch_snapshot(self) -> None:
        """Draw the new state."""
        self._draw()

    def watch_now(self) -> None:
        """Let countdowns go on."""
        self._draw()

    def watch_failure(self) -> None:
        """Say that the service ended."""
        self._draw()

    def on_resize(self) -> None:
        """Cut anew."""
        self._draw()

    def _draw(self) -> None:
        if self.snapshot is None:
            return
        width = self.content_size.width or self.app.size.width - 2
        lines: list[Line] = [
            ((part, style),)
            for ((text, style),) in banner_lines(self.snapshot, self.failure, self.now, self.zone)
            for part in textwrap.wrap(text, width, max_lines=2, placeholder=" …", subsequent_indent="  ")
        ]
        if lines != self._lines:
            self._lines = lines
            parts = [part for line in lines for part in (*line, ("\n", ""))][:-1]
            self.update(content(tuple(parts)))
            self.display = bool(lines)
