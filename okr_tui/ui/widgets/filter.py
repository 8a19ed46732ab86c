"""The field of words above the models."""

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from okr_tui.ui.actions import bindings


class Filter(Input):
    """The words a model has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="name, vision, think, tools, fav, gone", id="filter", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the list."""
        self.screen.query_one("#model-table").focus()
