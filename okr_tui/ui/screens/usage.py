"""Usage: where the quota goes, as charts over time and by model, each with its table behind it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import DataTable, Static

from okr_tui.domain.errors import OkrError
from okr_tui.domain.usage import By
from okr_tui.domain.usage_charts import (
    KINDS,
    PERIODS,
    STACKS,
    Buckets,
    Chart,
    Kind,
    Value,
    cloud_note,
    compact,
    left,
    requests,
    sort_rows,
    speed,
    tokens,
)
from okr_tui.services.service import Snapshot, UsageReport
from okr_tui.ui.actions import bindings, borrowed
from okr_tui.ui.bridge import ExportRequested, UsageRequested
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.lines import (
    NOTICE,
    QUIET,
    STRONG,
    WARNING,
    Line,
    content,
    fit_line,
    joined,
    length,
    one_line,
)
from okr_tui.ui.widgets.chart import ChartView, series_styles
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import NAME as PROGRAM

HEADINGS: Final[dict[Kind, str]] = {
    "tokens": "Tokens",
    "left": "Quota left",
    "requests": "Requests",
    "speed": "Speed",
}
ROOMY: Final = 24
"""Lines from which on the legend has more than three."""
REFRESH: Final = 60.0
"""Seconds after which the sums are read again while the screen is open."""


class UsageScreen(Screen[None]):
    """Shows one chart and its table; the sums are requested when it opens, and every minute."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("usage"),
        *borrowed("sort", "sort"),
        *borrowed("sort-reverse", "sort_reverse"),
        *borrowed("cursor-up", "rows(-1)"),
        *borrowed("cursor-down", "rows(1)"),
        *borrowed("cursor-first", "first"),
        *borrowed("cursor-last", "last"),
    ]

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, zone: tzinfo, clock: Callable[[], float], keymap: ActiveKeymap) -> None:
        super().__init__()
        self.zone = zone
        self.clock = clock
        self._keymap = keymap
        self.kind: Kind = "tokens"
        self.by: By = "model"
        self.period = 0
        self.only: str | None = None
        """The one series that is drawn; None for all."""
        self.sorted_by: int | None = None
        self.reverse = False
        self.report: UsageReport | None = None
        self.problem = ""
        self.chart: Chart | None = None

    def compose(self) -> ComposeResult:
        """Title, chart, legend, table, the keys that apply."""
        yield Static(id="header")
        with Vertical(id="usage-body"):
            yield ChartView(id="usage-chart")
            yield Static(id="usage-legend")
            yield DataTable[Text](id="usage-table", cursor_type="row")
        yield FootLine(self._keymap, "usage").data_bind(UsageScreen.snapshot)

    def on_mount(self) -> None:
        """Request the sums, now and every minute."""
        self.watch(self.app, "snapshot", self._take_over)
        self.query_one(DataTable).focus()
        self.set_interval(REFRESH, self.ask)
        self.ask()

    def _take_over(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot

    def ask(self) -> None:
        """Request the sums of the period."""
        self.post_message(UsageRequested(self, self.period))

    def show(self, period: int, report: UsageReport | None, problem: str = "") -> None:
        """Draw sums that were read; without any the last ones stay, and `problem` says why."""
        if period != self.period:
            return  # another period was chosen meanwhile
        self.problem = problem
        self.report = report or self.report
        self._make()

    def _make(self) -> None:
        report = self.report
        if report is None:
            self.chart = None
        else:
            period = PERIODS[self.period]
            buckets = Buckets(period.unit, report.since, report.at, self.zone)
            match self.kind:
                case "tokens":
                    self.chart = tokens(report.usage, self.by, buckets, report.accounts, self._shown)
                case "left":
                    self.chart = left(report.quotas, buckets, report.at, self.zone)
                case "requests":
                    self.chart = requests(report.usage, buckets)
                case "speed":
                    self.chart = speed(report.usage, buckets)
        self._draw()

    def _shown(self, by: By, name: str) -> str:
        names = self.report.names if self.report else {}
        return one_line(names.get(name, name)) if by in ("key", "account") else one_line(name)

    def on_resize(self) -> None:
        """Lay the chart out for the new size."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        self.query_one("#header", Static).update(content(self._heading()), layout=False)
        chart = self.chart
        view = self.query_one(ChartView)
        if chart is not None and self.only not in {None, *(line.name for line in chart.lines)}:
            self.only = None
        if chart is None:
            words = self.problem or "reading usage…"
            view.show_words(words)
        elif chart.is_empty:
            view.show_words(self._empty_words())
        else:
            view.show(chart, self.only, colourless=self.app.no_color)
        self.query_one("#usage-legend", Static).update(self._legend())
        self._fill()

    def _empty_words(self) -> str:
        period = PERIODS[self.period].name
        if self.kind == "left":
            return "No quota has been read yet. It is read every minute or two while the dashboard is open."
        if self.report and not self.report.usage:
            further = f"{self._keymap.key_of('usage-period')} looks further back"
            return f"Nothing was sent in this period ({period}); {further}."
        return f"None of this was counted in this period ({period})."

    def _heading(self) -> Line:
        """Return the whole line; where there is no room, the program's name goes first, then the unit."""
        tabs = joined(
            [((HEADINGS[kind], f"reverse {STRONG}" if kind == self.kind else QUIET),) for kind in KINDS]
        )
        period = PERIODS[self.period]
        unit = f" by {period.unit if self.kind != 'speed' else 'model'}"
        stacked = f", {self.by}" if self.kind == "tokens" else ""
        problem: Line = ()
        if self.problem and self.report:
            as_of = datetime.fromtimestamp(self.report.at, self.zone)
            problem = ((f"▲ as of {as_of:%H:%M}: {self.problem}", WARNING),)
        short: Line = (("usage", STRONG),)
        width = max(0, self.size.width - 2)
        for name, words in (
            ((*PROGRAM, ("   usage", STRONG)), f"{period.name}{unit}{stacked}"),
            (short, f"{period.name}{unit}{stacked}"),
            (short, f"{period.name}{stacked}"),
        ):
            line = joined([name, tabs, ((words, NOTICE),), problem], ("   ", ""))
            if length(line) <= width:
                return line
        return fit_line(line, width)

    def _legend(self) -> Content:
        chart, report = self.chart, self.report
        if chart is None or report is None or chart.is_empty:
            return Content("")
        whole = sum(chart.totals) if chart.stacked else 0.0
        styles = series_styles(len(chart.lines))
        parts: list[Line] = []
        for line, style in zip(chart.lines, styles, strict=True):
            if self.only not in (None, line.name) or not chart.over_time:
                continue
            known = [value for value in line.values[: len(chart.labels) - chart.ahead] if value is not None]
            if chart.stacked:
                share = 100 * sum(known) / whole if whole else 0.0
                number = f" {compact(sum(known))} {share:.0f}%"
            elif self.kind == "left":
                number = f" {known[-1]:.0f}% left" if known else " unknown"
            else:
                number = f" {compact(sum(known))}"
            parts.append((("▇ ", f"ansi_{style}"), (line.name, ""), (number, QUIET)))
        notes: list[Line] = []
        if self.kind in ("tokens", "requests") and chart.partial:
            notes.append(((f"the last {PERIODS[self.period].unit} is not over yet", QUIET),))
        if self.kind == "left":
            what = "sessions" if chart.unit == "hour" else "weeks"
            ends = f" · {what} end at the upright lines" if len(chart.marks) > 1 else ""
            forecast = " · behind now: at this pace" if chart.ahead else ""
            notes.append(((f"percent left{ends}{forecast}", QUIET),))
            if report.read_since is not None and report.read_since > report.since + 3600:
                begun = datetime.fromtimestamp(report.read_since, self.zone)
                notes.append(((f"readings from {begun:%d %b %H:%M} on", QUIET),))
        if self.kind == "speed":
            shown = self.only or chart.lines[0].name
            words = f"bars: {shown} · {self._keymap.key_of('usage-series')} draws the next column"
            notes.append(((words, QUIET),))
        if self.kind == "tokens" and (
            note := cloud_note(report.cloud, report.since, report.at, report.usage, report.accounts)
        ):
            notes.append(((note, QUIET),))
        width, roomy = max(1, self.size.width - 2), self.size.height >= ROOMY
        lines = [*_wrapped(parts, width, 3 if roomy else 2), *_wrapped(notes, width, 2 if roomy else 1)]
        return Content("\n").join(content(line) for line in lines)

    def _fill(self) -> None:
        table, chart = self.query_one(DataTable), self.chart
        table.clear(columns=True)
        if chart is None or not chart.rows:
            return
        for index, name in enumerate(chart.columns):
            arrow = "" if index != self.sorted_by else " ▼" if self.reverse else " ▲"
            table.add_column(Text(f"{name}{arrow}"), key=str(index))
        rows = list(chart.rows)
        if self.sorted_by is not None and self.sorted_by < len(chart.columns):
            rows = sort_rows(rows, self.sorted_by, reverse=self.reverse)
        elif chart.over_time:
            rows.reverse()  # the newest first
        future = set(chart.labels[len(chart.labels) - chart.ahead :])
        for row in rows:
            first, *others = _cells(chart, row, ahead=row[0] in future)
            table.add_row(Text(first), *(Text(text, justify="right") for text in others))

    # The actions of the table (ui/actions.py) that are this screen's.

    def action_chart(self, direction: int) -> None:
        """Show the next chart, or the one before."""
        self.kind = KINDS[(KINDS.index(self.kind) + direction) % len(KINDS)]
        self.only = self.sorted_by = None
        self._make()

    def action_stack(self) -> None:
        """Stack by the next of model, account, key and client."""
        self.by = STACKS[(STACKS.index(self.by) + 1) % len(STACKS)]
        self.kind = "tokens"
        self.only = self.sorted_by = None
        self._make()

    def action_period(self, direction: int) -> None:
        """Look further back, or less far."""
        self.period = (self.period + direction) % len(PERIODS)
        self.report = None
        self.ask()
        self._make()

    def action_series(self) -> None:
        """Draw only the next series; after the last one all again."""
        names = [line.name for line in self.chart.lines] if self.chart else []
        index = names.index(self.only) + 1 if self.only in names else 0
        self.only = names[index] if index < len(names) else None
        self._draw()

    def action_sort(self) -> None:
        """Sort by the next column; after the last one not at all."""
        if self.chart:
            following = 0 if self.sorted_by is None else self.sorted_by + 1
            self.sorted_by = following if following < len(self.chart.columns) else None
            self._fill()

    def action_sort_reverse(self) -> None:
        """Sort the other way round."""
        self.reverse = not self.reverse
        self._fill()

    def action_export(self) -> None:
        """Write the table to a file."""
        if self.chart is None or self.chart.is_empty:
            self.notify("There is nothing to export yet", severity="warning")
            return
        stem = f"usage-{self.kind}-{PERIODS[self.period].name.replace(' ', '-')}"
        self.post_message(ExportRequested(stem, self.chart.as_csv(), self.chart.as_json()))

    def action_rows(self, direction: int) -> None:
        """Move in the table."""
        table = self.query_one(DataTable)
        table.move_cursor(row=max(0, min(table.row_count - 1, table.cursor_row + direction)))

    def action_first(self) -> None:
        """Go to the first row."""
        self.query_one(DataTable).move_cursor(row=0)

    def action_last(self) -> None:
        """Go to the last row."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.row_count - 1)

    def action_close(self) -> None:
        """Go back to the dashboard."""
        self.dismiss()

    @on(DataTable.HeaderSelected)
    def _header_clicked(self, event: DataTable.HeaderSelected) -> None:
        index = event.column_index
        self.reverse = not self.reverse if self.sorted_by == index else self.reverse
        self.sorted_by = index
        self._fill()


def _wrapped(items: Sequence[Line], width: int, most: int) -> list[Line]:
    """Return items on lines of at most `width` cells; of those without room on `most` there is a mark."""
    lines: list[Line] = []
    for item in items:
        longer = joined([lines[-1], item], ("   ", "")) if lines else item
        if lines and length(longer) <= width:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(item)
        else:
            lines[-1] = (*lines[-1], (" …", QUIET))
            break
    return [fit_line(line, width) if length(line) > width else line for line in lines]


def _number(value: str | Value) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _cells(chart: Chart, row: tuple[str | Value, ...], *, ahead: bool) -> list[str]:
    """Return a row as texts; what is only expected is marked as such."""
    label, *values = row
    first = one_line(str(label))
    if chart.unit == "hour":
        first = f"{datetime.fromisoformat(first):%Y-%m-%d %H:%M}"
    return [f"~ {first}" if ahead else first, *map(_number, values)]


async def write_table(stem: str, texts: dict[str, str]) -> str:
    """Write a table to a new file of the working directory; existing files stay.

    texts: by ending. Returns what was done. Raises OkrError when a file cannot be written.
    """

    def write() -> list[Path]:
        written = []
        for ending, text in texts.items():
            for number in range(1000):
                path = Path(f"{stem}{f'-{number}' if number else ''}.{ending}")
                try:
                    with path.open("x", encoding="utf-8", newline="") as file:
                        file.write(text)
                except FileExistsError:
                    continue
                written.append(path)
                break
        return written

    try:
        written = await asyncio.to_thread(write)
    except OSError as error:
        raise OkrError(f"the table cannot be written here: {error.strerror}") from error
    return f"Wrote {' and '.join(str(path) for path in written)} in {Path.cwd()}"
