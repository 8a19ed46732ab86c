"""Charts: textual-plot, loaded when the first one is drawn.

textual-plot is made for Textual 8, draws text cells that any terminal has, and is maintained; plotext's
wrapper for Textual is of 2024, and plotext itself now needs a compiler where it has no wheel. Without the
package the words say how to get it, and the table has everything.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from okr_tui.domain.usage_charts import NOW_MARK, Chart, Line, compact, label_words

MISSING: Final = (
    "Charts need the package textual-plot: pip install textual-plot. The table has all the numbers."
)
STYLES: Final = ("cyan", "yellow", "magenta", "green", "red", "blue", "white")
"""Of the terminal's own palette, so that they suit its background."""
LABEL_CELLS: Final = 8
"""Cells that a label under the axis needs with its distance to the next."""
LEFT_CELLS: Final = 8
GRID: Final = "bright_black"
NOW: Final = "bold white"


def series_styles(count: int) -> list[str]:
    """Return a style for each series; they repeat where there are many."""
    return [STYLES[index % len(STYLES)] for index in range(count)]


class ChartView(Vertical):
    """Draws a chart, or words in its place."""

    def compose(self) -> ComposeResult:
        """Yield the words; the plot comes with the first chart."""
        yield Static(id="chart-words", markup=False)

    def show_words(self, words: str) -> None:
        """Show words and no chart."""
        self.query_one("#chart-words", Static).update(words)
        self.query_one("#chart-words").display = True
        for plot in self.query("#chart-plot"):
            plot.display = False

    def show(self, chart: Chart, only: str | None, *, colourless: bool = False) -> None:
        """Draw a chart: all series, or one; without colours a stack is drawn as its sum."""
        plot = self._plot()
        if plot is None:
            self.show_words(MISSING)
            return
        self.query_one("#chart-words").display = False
        plot.display = True

        def draw() -> None:
            plot.clear()
            names = [line.name for line in chart.lines]
            styles = dict(zip(names, series_styles(len(names)), strict=True))
            lines = [line for line in chart.lines if only in (None, line.name)]
            if chart.over_time:
                self._draw_over_time(plot, chart, lines, styles, colourless=colourless)
            else:
                self._draw_bars(plot, chart, lines)
            plot.render()  # its canvases cover it, so the compositor has no cell of its own to ask it for

        # A plot that was just mounted has no size to draw in.
        plot.call_after_refresh(draw)

    def _plot(self) -> Any:
        """Return the plot, made when it is first needed; None without the package."""
        if found := self.query("#chart-plot"):
            return found.first()
        try:
            from textual_plot import PlotWidget
        except ModuleNotFoundError:
            return None
        plot = PlotWidget(id="chart-plot", allow_pan_and_zoom=False)
        plot.can_focus = False
        for name, cells in (("margin_top", 0), ("margin_bottom", 2), ("margin_left", LEFT_CELLS)):
            plot.set_reactive(getattr(PlotWidget, name), cells)
        self.mount(plot)
        return plot

    def _draw_over_time(
        self,
        plot: Any,
        chart: Chart,
        lines: Sequence[Line],
        styles: dict[str, str],
        *,
        colourless: bool,
    ) -> None:
        from textual_plot import HiResMode

        indexes = list(range(len(chart.labels)))
        if chart.stacked:
            if colourless and len(lines) > 1:
                lines = [Line("total", chart.totals)]
            for name, heights in reversed(_piled(lines)):
                plot.bar(indexes, heights, width=0.8, bar_style=styles.get(name, "white"))
        else:
            for at, name in chart.marks:
                plot.add_v_line(at, NOW if name == NOW_MARK else GRID)
            for number, line in enumerate(lines):
                known = [(index, value) for index, value in enumerate(line.values) if value is not None]
                if not known:
                    continue
                xs, ys = [index for index, _ in known], [value for _, value in known]
                if chart.title == "requests" and number == 0 and line.name == "requests":
                    plot.bar(xs, ys, width=0.8, bar_style=styles[line.name])
                else:
                    plot.plot(xs, ys, line_style=styles[line.name], hires_mode=HiResMode.BRAILLE)
        plot.set_xlimits(-0.6, max(1, len(indexes)) - 0.4)
        most = 100.0 if chart.title == "left" else max(1.0, *self._heights(chart, lines))
        plot.set_ylimits(0, most)
        room = max(1, (self.size.width - LEFT_CELLS) // LABEL_CELLS)
        step = max(1, -(-len(indexes) // room))
        ticks = indexes[::step]
        words = [label_words(label, chart.unit) for label in chart.labels]
        plot.set_x_formatter(_formatter(lambda at: words[at] if 0 <= at < len(words) else ""))
        plot.set_y_formatter(_formatter(None))
        plot.set_xticks([float(tick) for tick in ticks])
        plot.set_yticks([0.0, most / 2, most])

    @staticmethod
    def _heights(chart: Chart, lines: Sequence[Line]) -> Sequence[float]:
        if chart.stacked and len(lines) > 1:
            return chart.totals
        return [value for line in lines for value in line.values if value is not None] or [1.0]

    def _draw_bars(self, plot: Any, chart: Chart, lines: Sequence[Line]) -> None:
        """Draw the first measure by name."""
        line = next((each for each in lines if any(each.values)), None)
        if line is None:
            return
        heights = [value or 0.0 for value in line.values]
        indexes = list(range(len(heights)))
        plot.bar(indexes, heights, width=0.7, bar_style=STYLES[0])
        plot.set_xlimits(-0.6, max(1, len(indexes)) - 0.4)
        most = max(1.0, *heights)
        plot.set_ylimits(0, most)
        room = max(4, (self.size.width - LEFT_CELLS) // max(1, len(indexes)) - 1)
        plot.set_x_formatter(_formatter(lambda at: chart.labels[at][:room] if 0 <= at < len(indexes) else ""))
        plot.set_y_formatter(_formatter(None))
        plot.set_xticks([float(index) for index in indexes])
        plot.set_yticks([0.0, most / 2, most])


def _piled(lines: Sequence[Line]) -> list[tuple[str, list[float]]]:
    """Return the heights up to which each series reaches, the lowest first."""
    below: list[float] = []
    piled = []
    for line in lines:
        own = [value or 0.0 for value in line.values]
        below = [low + high for low, high in zip(below, own, strict=True)] if below else own
        piled.append((line.name, below))
    return piled


def _formatter(words: Callable[[int], str] | None) -> Any:
    """Return what writes an axis: labels by their index, or compact numbers."""
    from textual_plot.axis_formatter import NumericAxisFormatter

    class Words(NumericAxisFormatter):
        def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
            return [words(round(tick)) if words else compact(tick) for tick in ticks]

    return Words()
