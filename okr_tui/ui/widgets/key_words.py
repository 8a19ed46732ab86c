"""What is said of a key in few cells: bars, countdowns, notes."""

from typing import Final

from okr_tui.domain.faults import Fault
from okr_tui.domain.health import WINDOW_WORDS, State
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.view import KeyView
from okr_tui.domain.words import GLYPHS, span
from okr_tui.ui.lines import FAULT, GOOD, QUIET, WARNING, Line

RESET: Final = 6
"""The cells of the time until a window resets."""
RETRIED: Final = frozenset({State.INVALID, State.SUSPENDED, State.SHAKY, State.OUTAGE})


def bar(used: float, cells: int = 4) -> str:
    """How full a window is; a little use is never shown as none."""
    full = min(cells, max(round(used * cells / 100), 1 if used > 0 else 0))
    return "▇" * full + "▁" * (cells - full)


def fullness(used: float) -> str:
    """The style for a window that is so full."""
    return FAULT if used >= 95 else WARNING if used >= 75 else GOOD


def meter(window: Window | None, now: float, *, percent: bool, resets: bool) -> Line:
    """A window's bar, with the number and the time until it resets where there is room."""
    if window is None or window.used_percent is None:
        return (("-", QUIET),)
    used = window.used_percent
    number = ((f" {used:>3.0f}%" if resets else f" {used:>2.0f}%", QUIET),) if percent else ()
    return ((bar(used), fullness(used)), *number, *(_left(window.resets_at, now) if resets else ()))


def _left(at: float | None, now: float) -> Line:
    return ((f" {span(at - now):>{RESET}}", QUIET),) if at is not None and at > now else ()


def meters(balance: Balance | None, now: float, *, percent: bool, resets: bool) -> tuple[Line, Line]:
    """The two quota columns: session and week, or the dollars that are left."""
    if balance is None:
        return (("-", QUIET),), (("-", QUIET),)
    first = meter(balance.window("session"), now, percent=percent, resets=resets)
    weekly = balance.window("weekly")
    if weekly is None and balance.credits:
        dollars = balance.credits.balance_usd + (balance.credits.purchased_usd or 0.0)
        return first, ((f"${dollars:.2f}", WARNING if dollars < 1 else GOOD),)
    return first, meter(weekly, now, percent=percent, resets=resets)


def fault_word(fault: Fault) -> str:
    """A fault in one word: its status, or its kind where there was no answer."""
    return str(fault.status) if fault.status else fault.kind.value


def last_fault(row: KeyView, now: float) -> str:
    """The last fault with its age: "429 9s ago"."""
    if row.last_fault is None or row.last_fault_at is None:
        return ""
    return f"{fault_word(row.last_fault)} {span(now - row.last_fault_at)} ago"


def state_text(row: KeyView) -> str:
    """Glyph and word of a key's state, with the window that is spent."""
    words = f"{GLYPHS[row.state]} {row.state.value}"
    window = WINDOW_WORDS.get(row.verdict.window or "") if row.state is State.SPENT else None
    return f"{words} {'$' if window == 'credits' else window}" if window else words


def countdown(row: KeyView, now: float) -> str:
    """When a blocked key is used or tried again."""
    verdict = row.verdict
    if verdict.eligible or verdict.until is None:
        return ""
    return f"{'retry' if row.state in RETRIED else 'back'} {span(verdict.until - now)}"


def note(row: KeyView, now: float) -> str:
    """The short note that replaces the bars where there is no room for both."""
    if not row.verdict.eligible:
        plain = "" if row.state in (State.OFF, State.BUSY) else row.verdict.reason
        return countdown(row, now) or plain
    return f"same as #{row.same_as}" if row.same_as else ""


def notes(row: KeyView, now: float, room: int, *, runs: bool = False) -> str:
    """Everything worth a note that has room, the most useful first; `runs`: what runs has its own column."""
    parts = [
        countdown(row, now),
        f"same as #{row.same_as}" if row.same_as else "",
        f"{row.in_flight} of {row.slots} running" if row.in_flight and not runs else "",
        row.verdict.reason if row.verdict.trial or row.state in RETRIED else "",
        last_fault(row, now),
    ]
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text and part else text or part
        text = longer if len(longer) <= room else text
    return text
