"""How little of the screen is drawn again: the lines that changed, of the widgets that are in them.

For any change Textual 8.2.8 draws all lines of every widget that the smallest rectangle around all changes
touches, and then drops those that did not change: for a key press in a list nearly the whole screen.
"""

from collections.abc import Iterable

from textual import screen
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class LinesCompositor(Compositor):
    """Textual's compositor, which asks widgets for the changed lines only."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[Region] | None = None
        """Bands of lines that hold all changes; None while everything is drawn."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return what is to be drawn of the dirty regions."""
        self._changed = bands(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Yield region, clip and lines of the widgets that are seen in `crop`, those in front first."""
        for region, clip, strips in self._changed_renders(crop):
            yield region, clip, strips
            # What a line was cut into is drawn by now. A line keeps it, itself among it: a third of the
            # memory of all lines, which only the garbage collector gives back.
            for strip in strips:
                strip._divide_cache.clear()

    def _changed_renders(self, crop: Region | None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None or self._changed is None:
            yield from super()._get_renders(crop)
            return
        open_bands = [found for band in self._changed if (found := intersection(band, crop))]
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            for band in open_bands[:]:
                if seen := intersection(shown, band):
                    lines = Region(shown.x, seen.y, shown.width, seen.height)
                    own = Region(lines.x - region.x, lines.y - region.y, lines.width, lines.height)
                    yield region, lines, widget.render_lines(own)
                    if seen == band:
                        open_bands.remove(band)  # what is behind is not seen
            if not open_bands:
                return


def intersection(one: Region, other: Region) -> Region | None:
    """Return the part of a region that is in another one.

    Textual's method caches thousands of results, and regions of changes hardly ever come again.
    """
    x, y = max(one.x, other.x), max(one.y, other.y)
    width, height = min(one.right, other.right) - x, min(one.bottom, other.bottom) - y
    return Region(x, y, width, height) if width > 0 and height > 0 else None


def bands(regions: Iterable[Region]) -> list[Region]:
    """Return the smallest rectangles around regions whose lines overlap or follow one another."""
    found: list[Region] = []
    for region in sorted(filter(None, regions), key=lambda each: each.y):
        if found and found[-1].bottom >= region.y:
            found[-1] = Region.from_union([found[-1], region])
        else:
            found.append(region)
    return found


def install() -> None:
    """Let every screen made from now on use it: a screen of Textual makes its compositor itself."""
    screen.Compositor = LinesCompositor  # type: ignore[attr-defined]
