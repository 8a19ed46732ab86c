"""The program's own themes. States differ in teal, amber and vermilion, not in red and green."""

from typing import Final

from textual.theme import Theme


def _scrollbars(bar: str, track: str) -> dict[str, str]:
    """Quiet scroll bars: one colour for the bar and one for its track, whatever the mouse does."""
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
        "text-muted": "#8491a3",
        "border": "#6cb6ff",
        "border-blurred": "#2f3b4b",
        "block-cursor-background": "#24405f",
        "block-cursor-foreground": "#eef4fb",
        "block-cursor-blurred-background": "#1b2633",
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
        "text-success": "#00695f",
        "text-warning": "#8a5200",
        "text-error": "#ad330c",
        "text-primary": "#0b5cab",
        "text-accent": "#0b5cab",
        "text-muted": "#5d6a7a",
        "border": "#0b62b8",
        "border-blurred": "#bcc6d2",
        "block-cursor-background": "#c9def5",
        "block-cursor-foreground": "#10202f",
        "block-cursor-blurred-background": "#e6ecf3",
        **_scrollbars("#b4bfcc", "#f7f8fa"),
    },
)
THEMES: Final = (DARK, LIGHT)
DEFAULT: Final = DARK.name
