"""The lines of a list: as wide as it is, whatever their text holds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.geometry import Region

from okr_tui.ui.lines import QUIET, STRONG, Line, cell_width
from okr_tui.ui.terminal_app import TerminalApp
from okr_tui.ui.widgets.rows import RowList


class Texts(RowList[str]):
    """A line for each text."""

    ONE_LINE = True

    def lines_of(self, row: str, width: int) -> tuple[Line, ...]:  # noqa: ARG002
        """Return a text between two others."""
        return ((("before ", QUIET), (row, STRONG), (" after", "")),)


class Host(TerminalApp):
    """A list and nothing else."""

    def compose(self) -> ComposeResult:
        """The list."""
        yield Texts()


@given(st.text())
@example("\x7f")
@example("a\tb\n")
@example("日本")
def test_the_width_of_a_text_is_what_rich_measures(text: str) -> None:
    assert cell_width(text) == cell_len(text)


@pytest.mark.parametrize(
    "text", ["plain", "two\nlines", "a\ttab", "\x1b[31mred\x07", "日本語" * 20, "x" * 200, "é\u200b"]
)
async def test_a_row_fills_its_line_and_stays_on_it(text: str) -> None:
    async with Host().run_test(size=(40, 5)) as pilot:
        rows = pilot.app.query_one(Texts)
        rows.show_rows([text])
        await pilot.pause()
        for line in rows.render_lines(Region(0, 0, 40, 1)):
            assert "\n" not in line.text
            assert line.cell_length == sum(cell_len(segment.text) for segment in line) == 40
