"""One of a few answers, each on its own line."""

from collections.abc import Sequence

from okr_tui.ui.lines import Line
from okr_tui.ui.widgets.rows import RowList


class Choice(RowList[tuple[str, str]]):
    """The cursor is the choice. An option is its value and the words for it; the first one is chosen."""

    def __init__(self, *options: tuple[str, str]) -> None:
        super().__init__(id="choice")
        self.rows = options

    def select(self, value: str) -> None:
        """Choose the option of that value, where there is one, before the list is shown."""
        places = [place for place, option in enumerate(self.rows) if option[0] == value]
        self.set_reactive(Choice.cursor, places[0] if places else 0)

    @property
    def value(self) -> str:
        """The value of the chosen option."""
        return self.rows[self.cursor][0]

    def on_mount(self) -> None:
        """Show the chosen option, wherever it is in the list."""
        self.call_after_refresh(self.keep_in_sight)

    def lines_of(self, row: tuple[str, str], width: int) -> Sequence[Line]:  # noqa: ARG002
        """The one line of an option; the mark tells without colours too."""
        return (((f"{'●' if row == self.selected else '○'} {row[1]}", ""),),)

    def on_row_list_moved(self) -> None:
        """Move the mark with the cursor."""
        self.draw()
