"""What a screen really shows: every glyph with the two colours it is drawn in, and how far they are apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.color import Color
from rich.segment import Segment
from textual.app import App
from textual.geometry import Region
from textual.screen import Screen

TEXT: Final = 4.5
"""The contrast of text, as WCAG 2.2 asks for it (1.4.3)."""
ORNAMENT: Final = 3.0
"""The contrast of bars and frames (1.4.11)."""
DRAWING: Final = range(0x2500, 0x25A0)
"""Box drawing and block elements: bars, frames, rules."""
EXEMPT: Final = {
    "border-blurred": "the frame of what has no focus parts and says nothing; its titles are text",
    "scrollbar": "how far one has scrolled is in the lines themselves, and the bar lies on a track",
}
"""Colours of the theme in which a frame may be faint, each with the reason."""

Triplet = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run of text or of ornament, in the colours that reach the terminal."""

    text: str
    front: Triplet
    back: Triplet
    ornament: bool

    @property
    def ratio(self) -> float:
        """The contrast, from 1 to 21."""
        dark, light = sorted((luminance(self.front), luminance(self.back)))
        return (light + 0.05) / (dark + 0.05)

    @property
    def enough(self) -> bool:
        """Whether it can be read."""
        return self.ratio >= (ORNAMENT if self.ornament else TEXT)

    def __str__(self) -> str:
        front, back = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in (self.front, self.back))
        return f"{self.ratio:.2f}: {front} on {back}: {self.text}"


def luminance(colour: Triplet) -> float:
    """The relative luminance of a colour, from 0 to 1."""
    parts = (part / 255 for part in colour)
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def drawn(app: App[str]) -> Iterator[Drawn]:
    """All that is on the screen now but blanks, in the colours that are left after compositing.

    What shines through from behind a dialog does not count: nothing there is in force.
    """
    variables = app.theme_variables
    faint = {Color.parse(variables[name]).get_truecolor() for name in EXEMPT}
    strips = app.screen._compositor.render_strips()
    for area in areas(app.screen):
        for strip in strips[area.y : area.bottom]:
            for segment in strip.crop(area.x, area.right):
                for run in runs(segment):
                    if not run.ornament or faint.isdisjoint((run.front, run.back)):
                        yield run


def areas(screen: Screen[object]) -> list[Region]:
    """The whole screen, or of a dialog what nothing shines through."""
    if not screen.is_modal:
        return [screen.region]
    opaque = (widget for widget in screen.query("*") if widget.styles.background.a == 1 and widget.region)
    return [screen.find_widget(widget).visible_region for widget in opaque]


def runs(segment: Segment) -> Iterator[Drawn]:
    """The text of a segment, and its ornaments."""
    style = segment.style
    for ornament in (False, True):
        letters = (letter if (ord(letter) in DRAWING) == ornament else " " for letter in segment.text)
        text = "".join(letters).strip()
        if text and style is not None:
            assert not style.dim, f"how faint is left to the terminal: {text}"
            front, back = triplet(style.color), triplet(style.bgcolor)
            yield Drawn(text, *((back, front) if style.reverse else (front, back)), ornament)


def triplet(colour: Color | None) -> Triplet:
    """Red, green and blue; none may be left to the terminal."""
    assert colour is not None
    assert colour.triplet is not None, colour
    return colour.triplet
