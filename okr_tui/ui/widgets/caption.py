"""The demo's caption: what has just happened, and which key to press."""

from typing import Final

from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.faults import ClientCause
from okr_tui.domain.feed import Entry
from okr_tui.domain.records import Attempt, Disabled, Reset, Use
from okr_tui.services.service import Snapshot
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import NOTICE, QUIET, content, fit

NEWS: Final = 20.0
"""Seconds for which something that happened is news."""
TIP: Final = 12.0
"""Seconds for which a tip stays."""
Words = tuple[str, str]
"""A caption, long and short."""
LOOKED_AT: Final = 40
"""Lines of the log among which news is looked for."""


def caption(snapshot: Snapshot, now: float, key_of: KeyOf) -> Words:
    """Return what is going on and what to press, in one line: at length, and for narrow terminals."""
    pool, details = snapshot.pool, key_of("key-details")
    if pool.outage:
        return (
            "The cloud does not answer, so no key is blamed; one request at a time tests whether it is back",
            "The cloud is away, so no key is blamed for it",
        )
    if pool.keys and not pool.waits_for_slot and not any(row.verdict.eligible for row in pool.keys):
        return (
            f"Every key is blocked: clients learn when to try again; {details} in Keys says why",
            f"Every key is blocked: {details} in Keys says why",
        )
    for entry in reversed(snapshot.entries[-LOOKED_AT:]):
        if now - entry.at > NEWS:
            break
        if words := _news(entry, snapshot, key_of):
            return words
    tips = _tips(key_of)
    return tips[int(now // TIP) % len(tips)]


def _news(entry: Entry, snapshot: Snapshot, key_of: KeyOf) -> Words | None:
    record, undo = entry.record, key_of("undo")
    if isinstance(record, Disabled | Reset | Use) and snapshot.undoable:
        return f"Every process knows at once; {undo} in Keys undoes it", f"{undo} in Keys undoes it"
    if not isinstance(record, Attempt) or record.fault is None:
        return None
    numbers = {row.fingerprint: f"#{row.index}" for row in snapshot.pool.keys}
    mine, other = numbers.get(record.fingerprint), numbers.get(record.next_fingerprint or "")
    if mine is None:
        return None
    details, remove = key_of("key-details"), key_of("remove-key")
    if record.fault.traits.cause is ClientCause.QUOTA:
        who = f"{other} took over" if other else "it pauses until then"
        return (
            f"{mine} reached its limit: {who}; {details} on {mine} in Keys says when it is back",
            f"{mine} is spent, {f'{other} took over' if other else 'it pauses'}; {details} shows its return",
        )
    if record.fault.traits.cause is ClientCause.NO_VALID_KEY:
        return (
            f"{mine} was revoked: others answer. {remove} in Keys removes it, {undo} undoes",
            f"{mine} was revoked, others answer; {remove} removes it",
        )
    return None


def _tips(key_of: KeyOf) -> tuple[Words, ...]:
    chat, toggle, undo = map(key_of, ("choose-model", "toggle-key", "undo"))
    help_key, palette = map(key_of, ("help", "command-palette"))
    return (
        (
            "Simulated programs ask all the time: Live shows which key answers, and who takes over",
            "Live shows which key answers, and who takes over",
        ),
        (
            f"{chat} on a line of Models begins a chat with that model",
            f"{chat} on a line of Models begins a chat",
        ),
        (
            f"{toggle} in Keys switches a key off: watch the others take over; {undo} undoes it",
            f"{toggle} in Keys switches a key off, {undo} undoes it",
        ),
        (
            f"{help_key} shows every key, {palette} finds every command",
            f"{help_key} shows every key, {palette} every command",
        ),
    )


class Caption(Static):
    """One line under the header."""

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="caption")
        self._key_of = key_of
        self._words = ""

    def draw(self) -> None:
        """Draw the news or the tip, cut for the width, where it is new."""
        if self.snapshot is None:
            return
        room = max(0, self.content_size.width - 2)
        long, short = caption(self.snapshot, self.now, self._key_of)
        words = fit(long if len(long) <= room else short, room)
        if words != self._words:
            self._words = words
            self.update(content((("▸ ", NOTICE), (words, QUIET))), layout=False)

    watch_snapshot = watch_now = on_resize = draw
