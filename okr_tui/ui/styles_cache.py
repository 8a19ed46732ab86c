"""The lines of a widget, kept as they go to the terminal.

Textual 8.2.8 keeps each line as it is before the filters, and with it a line for every filter: four for one
that is seen, each with a kilobyte of caches of its own.
"""

from collections.abc import Sequence
from typing import Any

from textual import widget
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.css.styles import StylesBase
from textual.filter import LineFilter
from textual.geometry import Size
from textual.strip import Strip


class FilteredStylesCache(StylesCache):
    """Textual's cache of a widget's lines, which filters a line once, when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self._filters: tuple[LineFilter, ...] = ()
        self._background: Color | None = None
        self._padding: tuple[Strip, Strip] | None = None
        """The line above or below the content, before and after the filters; all such lines are one."""

    def render(
        self,
        styles: StylesBase,
        size: Size,
        base_background: Color,
        background: Color,
        render_content_line: Any,
        filters: Sequence[LineFilter],
        *others: Any,
        **options: Any,
    ) -> list[Strip]:
        """Return the lines of a part of the widget, filtered."""
        if (*filters,) != self._filters or background != self._background:
            self.clear()
            self._filters, self._background = (*filters,), background
        return super().render(
            styles, size, base_background, background, render_content_line, (), *others, **options
        )

    def render_line(self, *arguments: Any, **options: Any) -> Strip:
        """Return a line that is not kept yet, or no longer right."""
        line = super().render_line(*arguments, **options)
        if self._padding and self._padding[0] is line:
            return self._padding[1]
        assert self._background is not None
        segments = line._segments
        for each in self._filters:
            segments = each.apply(segments, self._background)
        filtered = Strip(segments, line.cell_length)
        if line is self._simple_strip:
            self._padding = line, filtered
        return filtered


def install() -> None:
    """Let every widget made from now on use it: a widget of Textual makes its cache itself."""
    widget.StylesCache = FilteredStylesCache  # type: ignore[attr-defined]
