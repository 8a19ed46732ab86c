"""Alerts on the screen: toasts, the terminal's own notification and bell, and its title."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from okr_tui.services.service import AlertNotice, Snapshot
from okr_tui.ui.controllers.application import LONG, Application
from okr_tui.ui.notifications import (
    BELL,
    KEEP_TITLE,
    RESTORE_TITLE,
    has_title,
    notification,
    title,
    title_sequence,
    way,
)

FRESH: Final = 60.0
"""Seconds after which an alert is no news to a screen that has just begun to look."""
MOST: Final = 3
"""Toasts at once; more cover the screen, and Live has them all."""
SEVERITIES: Final[Mapping[str, Literal["information", "warning", "error"]]] = {
    "fault": "error",
    "warning": "warning",
}


class AlertsController:
    """Tells of each alert once. `write` sends a sequence to the terminal."""

    def __init__(
        self, app: Application, write: Callable[[str], None], environment: Mapping[str, str]
    ) -> None:
        self._app = app
        self._write = write
        self._environment = environment
        self._shown: deque[str] = deque(maxlen=200)
        self._title: str | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Tell what is new in a snapshot."""
        self._show_title(snapshot)
        new = [each for each in snapshot.alerts if each.identity not in self._shown]
        self._shown += [each.identity for each in new]
        fresh = _without_lower([each for each in new if snapshot.at - each.at <= FRESH])
        if not fresh:
            return
        if snapshot.rules.toasts:
            self._toast(fresh)
        by = way(snapshot.rules.terminal, self._environment)
        sequence = "" if by == "bell" else "".join(notification(by, each.text) for each in fresh[:MOST])
        if by == "bell" or snapshot.rules.bell:
            sequence += BELL
        if sequence:
            self._write(sequence)

    def _toast(self, fresh: Sequence[AlertNotice]) -> None:
        for each in fresh[:MOST]:
            severity = SEVERITIES.get(each.tone, "information")
            self._app.notify(each.text, severity=severity, timeout=LONG, markup=False)
        if len(fresh) > MOST:
            more = f"and {len(fresh) - MOST} more alerts; Live shows them all"
            self._app.notify(more, timeout=LONG, markup=False)

    def _show_title(self, snapshot: Snapshot) -> None:
        if not snapshot.rules.title or not has_title(self._environment):
            self.close()
            return
        text = title(snapshot.pool)
        if text != self._title:
            before = KEEP_TITLE if self._title is None else ""
            self._title = text
            self._write(before + title_sequence(text))

    def close(self) -> None:
        """Give the terminal its own title back."""
        if self._title is not None:
            self._title = None
            self._write(RESTORE_TITLE)


def _without_lower(notices: Sequence[AlertNotice]) -> list[AlertNotice]:
    """Leave out that a window passed the lower mark where it passed the higher one as well."""
    full = {(each.subject, each.window) for each in notices if each.event == "window-95"}
    return [each for each in notices if each.event != "window-80" or (each.subject, each.window) not in full]
