"""A dialog over the dashboard, whose answer is a command to the service."""

from collections.abc import Awaitable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import Worker

from okr_tui.domain.errors import OkrError
from okr_tui.ui.actions import COPY_OR_QUIT, bindings
from okr_tui.ui.lines import Line, one_line
from okr_tui.ui.widgets.rows import RowList


class Dialog(ModalScreen[None]):
    """Enter sends the answer; the dialog closes once it is done and says why when it is refused."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog"), *COPY_OR_QUIT]
    HEADING: ClassVar[str]
    FOOT: ClassVar[str]

    _sending: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Heading, question, room for a refusal, the ways out."""
        with VerticalScroll(classes="box", can_focus=False):
            yield Static(Content(self.HEADING), classes="box-heading")
            yield from self.question()
            yield Static(id="refusal")
            yield Static(Content(self.FOOT), classes="box-foot")

    def question(self) -> ComposeResult:
        """Yield the widgets of the question."""
        raise NotImplementedError

    def answer(self) -> Awaitable[str] | None:
        """Return the command for the service; None if there is nothing to send."""
        raise NotImplementedError

    def refuse(self, reason: str) -> None:
        """Say on one line why the answer was not taken."""
        refusal = self.query_one("#refusal", Static)
        refusal.update(Content(f"✖ {one_line(reason)}" if reason else ""))
        refusal.display = bool(reason)

    @on(Input.Submitted)
    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """Send one answer at a time. The application runs it, so closing the dialog does not cancel it."""
        if self._sending and not self._sending.is_finished:
            return
        self.refuse("")
        if answer := self.answer():
            self._sending = self.app.run_worker(self._send(answer), group="dialog", exit_on_error=False)

    async def _send(self, answer: Awaitable[str]) -> None:
        try:
            done = await answer
        except OkrError as error:
            self._failed(str(error))
        except Exception as error:
            # The text of an error that is not ours may repeat what was typed.
            self._failed(f"unexpected {type(error).__name__}")
        else:
            self.app.notify(done, markup=False)
            if self.is_current:
                self.dismiss()

    def _failed(self, reason: str) -> None:
        if self.is_current:
            self.refuse(reason)
        else:
            self.app.notify(reason, title="Not done", severity="error", timeout=10, markup=False)

    def action_leave(self) -> None:
        """Close the dialog without doing anything."""
        self.dismiss()


def field(name: str, widget: Widget) -> Horizontal:
    """Put a name before a field."""
    return Horizontal(Static(Content(name), classes="name"), widget, classes="field")


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
        """Return the one line of an option; the mark tells without colours too."""
        return (((f"{'●' if row == self.selected else '○'} {row[1]}", ""),),)

    def on_row_list_moved(self) -> None:
        """Move the mark with the cursor."""
        self.draw()
