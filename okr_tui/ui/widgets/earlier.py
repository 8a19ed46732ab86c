"""The line above a long conversation."""

from textual.widgets import Static

from okr_tui.ui.lines import QUIET, content


class Earlier(Static):
    """Says how many turns are not drawn; a click brings some back."""

    def __init__(self, count: int) -> None:
        super().__init__(classes="earlier")
        self.say(count)

    def say(self, count: int) -> None:
        """Name how many there are."""
        turns = "1 earlier turn" if count == 1 else f"{count} earlier turns"
        self.update(content(((f"… {turns}, scroll up to show", QUIET),)))
