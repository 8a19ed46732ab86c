"""Which of several code blocks to copy."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from okr_tui.domain.conversation import CodeBlock
from okr_tui.ui.actions import bindings
from okr_tui.ui.keyed import LeaveByKey
from okr_tui.ui.lines import one_line
from okr_tui.ui.parts import safe
from okr_tui.ui.widgets.choice import Choice
from okr_tui.ui.widgets.rows import RowList

FIRST_LINE = 48


def described(place: int, block: CodeBlock) -> str:
    """A block in a line: its place, language, length and beginning."""
    lines = block.text.split("\n")
    first = one_line(safe(next((line for line in lines if line.strip()), "")))[:FIRST_LINE]
    many = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return f"{place}  {one_line(safe(block.language))[:12] or 'text'}, {many}  {first}"


class PickCode(LeaveByKey, ModalScreen[None]):
    """A list of the blocks; enter copies the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, blocks: Sequence[CodeBlock], copy: Callable[[str, str], None]) -> None:
        super().__init__()
        self.blocks = blocks
        self.copy = copy

    def compose(self) -> ComposeResult:
        """A line for each block."""
        with Vertical(classes="box"):
            yield Static(Content("Copy which code?"), classes="box-heading")
            yield Choice(*((str(place), described(place, each)) for place, each in enumerate(self.blocks, 1)))
            yield Static(Content("enter copies · esc leaves"), classes="box-foot")

    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """Copy it."""
        place = int(self.query_one(Choice).value)
        self.dismiss()
        self.copy(self.blocks[place - 1].text, f"code block {place}")

    def action_leave(self) -> None:
        """Back."""
        self.dismiss()
