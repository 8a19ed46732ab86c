"""What a terminal is asked beyond drawing: to notify, to ring, and to show a title."""

from collections.abc import Mapping
from typing import Final

from okr_tui.domain.alerts import Terminal
from okr_tui.domain.health import Wait
from okr_tui.domain.text import clean_line
from okr_tui.domain.view import PoolView

BELL: Final = "\a"
ESC: Final = "\x1b"
ST: Final = f"{ESC}\\"
PROGRAM: Final = "okr-tui"
LONGEST: Final = 200
KEEP_TITLE: Final = f"{ESC}[22;2t"
"""Put the terminal's title on its stack (xterm's control sequences, window operations)."""
RESTORE_TITLE: Final = f"{ESC}[23;2t"
WITHOUT_TITLE: Final = frozenset({"", "dumb", "linux"})
"""Terminals that have no title, by TERM, and may print what they are sent."""
BY_PROGRAM: Final[Mapping[str, Terminal]] = {
    "iTerm.app": "osc9",
    "WezTerm": "osc9",
    "ghostty": "osc9",
    "rio": "osc9",
}
BY_TERM: Final[tuple[tuple[str, Terminal], ...]] = (
    ("xterm-kitty", "osc99"),
    ("xterm-ghostty", "osc9"),
    ("foot", "osc777"),
    ("rxvt-unicode", "osc777"),
    ("contour", "osc777"),
)


def way(wanted: Terminal, environment: Mapping[str, str]) -> Terminal:
    """Return how a terminal is notified; "auto" is the way that it is known to have, else its bell.

    tmux and screen pass no notification on, but report a bell in their own way.
    """
    if wanted != "auto":
        return wanted
    term = environment.get("TERM", "")
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return "bell"
    for start, found in BY_TERM:
        if term.startswith(start):
            return found
    if environment.get("LC_TERMINAL") == "iTerm2":
        return "osc9"
    return BY_PROGRAM.get(environment.get("TERM_PROGRAM", ""), "bell")


def notification(by: Terminal, text: str) -> str:
    """Return the sequence that notifies; "" where none is wanted, and for the bell."""
    text = clean_line(text)[:LONGEST]
    match by:
        case "osc9":  # iTerm2
            return f"{ESC}]9;{PROGRAM}: {text}{ST}"
        case "osc99":  # sw.kovidgoyal.net/kitty/desktop-notifications
            return f"{ESC}]99;i=okr:d=0;{PROGRAM}{ST}{ESC}]99;i=okr:p=body;{text}{ST}"
        case "osc777":  # rxvt-unicode: a semicolon ends the text
            return f"{ESC}]777;notify;{PROGRAM};{text.replace(';', ',')}{ST}"
        case _:
            return ""


def title(pool: PoolView) -> str:
    """Return the pool in a few letters: "okr 2/4 ▲", ✖ where no key can answer."""
    able = sum(row.verdict.eligible or row.state.traits.wait is Wait.SLOT for row in pool.keys)
    if not pool.keys:
        return "okr"
    lost = any(row.state.traits.blocked and row.state.traits.wait is Wait.NEVER for row in pool.keys)
    sign = " ✖" if not able else " ▲" if lost or pool.outage else ""
    return f"okr {able}/{len(pool.keys)}{sign}"


def title_sequence(text: str) -> str:
    """Return the sequence that sets a terminal's title."""
    return f"{ESC}]2;{clean_line(text)}{ST}"


def has_title(environment: Mapping[str, str]) -> bool:
    """Return whether a terminal is known to have a title, or is unknown."""
    return environment.get("TERM", "") not in WITHOUT_TITLE
