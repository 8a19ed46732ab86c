"""The program's own themes. States differ in teal, amber and vermilion, not in red and green.

Every text has a contrast of at least 4.5 to its background; the tests measure it on drawn screens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from textual.message import Message
from textual.theme import Theme


@dataclass
class BackgroundReported(Message):
    """The terminal has reported whether its background is dark."""

    dark: bool


def _scrollbars(bar: str, track: str) -> dict[str, str]:
    """Quiet scroll bars: one colour for the bar and one for its track, unchanged under the mouse."""
    states = ("", "-hover", "-active")
    return {f"scrollbar{state}": bar for state in states} | {
        f"scrollbar-background{state}": track for state in states
    }


DARK: Final = Theme(
    name="okr-dark",
    primary="#6cb6ff",
    secondary="#8fa3bf",
    accent="#6cb6ff",
    success="#4cc9c0",
    warning="#e8b04b",
    error="#ff7a59",
    foreground="#d5dbe5",
    background="#0f141b",
    surface="#141a23",
    panel="#1d2531",
    dark=True,
    variables={
        "text-success": "#5fd3c9",
        "text-warning": "#ecb95c",
        "text-error": "#ff8c6e",
        "text-primary": "#86c3ff",
        "text-accent": "#86c3ff",
        "text-muted": "#98a5b7",
        "error-muted": "#46281f",
        "border": "#6cb6ff",
        "border-blurred": "#2f3b4b",
        "block-cursor-background": "#213b58",
        "block-cursor-foreground": "#eef4fb",
        "block-cursor-blurred-background": "#1b2633",
        "input-selection-background": "#2c5785",
        "screen-selection-background": "#2c5785",
        "screen-selection-foreground": "#eef4fb",
        **_scrollbars("#3a485b", "#0f141b"),
    },
)
LIGHT: Final = Theme(
    name="okr-light",
    primary="#0b62b8",
    secondary="#4d6078",
    accent="#0b62b8",
    success="#00756c",
    warning="#9a5b00",
    error="#b8380f",
    foreground="#1c2530",
    background="#f7f8fa",
    surface="#ffffff",
    panel="#e9edf2",
    dark=False,
    variables={
        "text-success": "#005a51",
        "text-warning": "#8a5200",
        "text-error": "#ad330c",
        "text-primary": "#0b5cab",
        "text-accent": "#0b5cab",
        "text-muted": "#526070",
        "error-muted": "#f8ddd5",
        "border": "#0b62b8",
        "border-blurred": "#bcc6d2",
        "block-cursor-background": "#c9def5",
        "block-cursor-foreground": "#10202f",
        "block-cursor-blurred-background": "#e6ecf3",
        "input-selection-background": "#a9cdf2",
        "screen-selection-background": "#a9cdf2",
        "screen-selection-foreground": "#10202f",
        **_scrollbars("#b4bfcc", "#f7f8fa"),
    },
)
ANSI: Final = Theme(
    name="okr-ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_blue",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "text-success": "ansi_green",
        "text-warning": "ansi_yellow",
        "text-error": "ansi_red",
        "text-primary": "ansi_blue",
        "text-accent": "ansi_blue",
        # Bright black is the background itself in some palettes, and hardly to be read in most.
        "text-muted": "ansi_default",
        "border": "ansi_blue",
        "border-blurred": "ansi_bright_black",
        "block-cursor-background": "ansi_blue",
        "block-cursor-foreground": "ansi_bright_white",
        "block-cursor-blurred-background": "ansi_default",
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_blue",
        "input-selection-foreground": "ansi_bright_white",
        "screen-selection-background": "ansi_blue",
        "screen-selection-foreground": "ansi_bright_white",
        **_scrollbars("ansi_bright_black", "ansi_default"),
    },
)
"""The sixteen colours that the terminal itself gives, on its own background."""
THEMES: Final = (DARK, LIGHT, ANSI)
DEFAULT: Final = DARK.name


def theme_names(available: Iterable[str]) -> list[str]:
    """Return the names a person may choose from, the program's own first."""
    own = [theme.name for theme in THEMES]
    return own + sorted(set(available) - set(own))
