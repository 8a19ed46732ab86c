"""The demo's caption: what has just happened, and which key to press."""

from typing import Final

from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.feed import Entry
from okr_tui.domain.records import Attempt, Disabled, Reset, Use
from okr_tui.services.service import Snapshot
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import NOTICE, QUIET, content, fit

NEWS: Final = 20.0
"""Seconds for which something that happened is news."""
TIP: Final = 12.0
"""Seconds for which a tip stays."""
LOOKED_AT: Final = 40
"""Lines of the log among which news is looked for."""


def caption(snapshot: Snapshot, now: float, key_of: KeyOf) -> str:
    """Return what is going on and what to press, in one line."""
    pool = snapshot.pool
    if pool.outage:
        return "The cloud does not answer, so no key is blamed; one request a time looks whether it is back"
    if pool.keys and not pool.waits_for_slot and not any(row.verdict.eligible for row in pool.keys):
        details = key_of("key-details")
        return f"Every key is blocked: clients get 429 and when to come again; {details} in Keys says why"
    for entry in reversed(snapshot.entries[-LOOKED_AT:]):
        if now - entry.at > NEWS:
            break
        if words := _news(entry, snapshot, key_of):
            return words
    return _tips(key_of)[int(now // TIP) % len(_tips(key_of))]


def _news(entry: Entry, snapshot: Snapshot, key_of: KeyOf) -> str:
    record = entry.record
    undo = key_of("undo")
    if isinstance(record, Disabled | Reset | Use) and snapshot.undoable:
        return f"Every process knows at once; {undo} in Keys takes it back"
    if not isinstance(record, Attempt) or record.fault is None:
        return ""
    places = {row.fingerprint: f"#{row.index}" for row in snapshot.pool.keys}
    mine, other = places.get(record.fingerprint), places.get(record.next_fingerprint or "")
    if mine is None:
        return ""
    details = key_of("key-details")
    if record.fault.kind is FaultKind.SPENT:
        who = f"{other} answered instead, and no client noticed" if other else "it pauses until then"
        return f"{mine} reached its limit: {who}; {details} on {mine} in Keys says when it is back"
    if record.fault.kind is FaultKind.UNAUTHORIZED:
        return f"{mine} was revoked: others answer. {key_of('remove-key')} in Keys removes it, {undo} undoes"
    return ""


def _tips(key_of: KeyOf) -> tuple[str, ...]:
    return (
        "Simulated programs ask all the time: Live shows which key answers, and who takes over",
        f"{key_of('choose-model')} on a line of Models begins a chat with that model",
        f"{key_of('toggle-key')} in Keys switches a key off: watch the others take over; "
        f"{key_of('undo')} undoes it",
        f"{key_of('help')} shows every key, {key_of('command-palette')} finds every command",
    )


class Caption(Static):
    """One line under the header."""

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="caption")
        self._key_of = key_of
        self._words = ""

    def watch_snapshot(self) -> None:
        """Tell what is new."""
        self._draw()

    def watch_now(self) -> None:
        """Go on to the next tip."""
        self._draw()

    def on_resize(self) -> None:
        """Cut the line for the new width."""
        self._draw()

    def _draw(self) -> None:
        if self.snapshot is None:
            return
        words = fit(caption(self.snapshot, self.now, self._key_of), max(0, self.content_size.width - 2))
        if words != self._words:
            self._words = words
            self.update(content((("▸ ", NOTICE), (words, QUIET))), layout=False)
