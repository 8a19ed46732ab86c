"""The dialogs that change the pool: add a key, remove it, label it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol, cast

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import Worker

from okr_tui.domain.errors import KeyRefusedError, OkrError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.view import KeyView
from okr_tui.services.service import KeepIn
from okr_tui.ui.actions import COPY_OR_QUIT, bindings
from okr_tui.ui.lines import QUIET, STRONG, Line, content, one_line
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

    def note(self, words: str) -> None:
        """Say on one line what is going on."""
        line = self.query_one("#refusal", Static)
        line.update(content(((words, QUIET),)))
        line.display = True

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
        indexes = [index for index, option in enumerate(self.rows) if option[0] == value]
        self.set_reactive(Choice.cursor, indexes[0] if indexes else 0)

    @property
    def value(self) -> str:
        """The value of the chosen option."""
        return self.rows[self.cursor][0]

    def on_mount(self) -> None:
        """Show the chosen option, wherever it is in the list."""
        self.call_after_refresh(self.keep_in_sight)

    def lines_of(self, row: tuple[str, str], width: int) -> Sequence[Line]:  # noqa: ARG002
        """Return the one line of an option; the mark is visible without colours too."""
        return (((f"{'●' if row == self.selected else '○'} {row[1]}", ""),),)

    def on_row_list_moved(self) -> None:
        """Move the mark with the cursor."""
        self.draw()


class SecretInput(Input):
    """Shows a dot for each letter. Its text is in no message and never on the clipboard."""

    def __init__(self) -> None:
        super().__init__(password=True, placeholder="type or paste it", id="secret", compact=True)
        self.cursor_blink = False
        self.disable_messages(Input.Changed, Input.Blurred)

    def take(self) -> SecretStr:
        """Return the text, which is gone from the field at once."""
        secret = SecretStr(self.value.strip())
        self.clear()
        return secret

    async def action_submit(self) -> None:
        """Say that enter was pressed, without the text."""
        self.post_message(self.Submitted(self, ""))

    def action_copy(self) -> None:
        """Copy nothing."""
        raise SkipAction

    def action_cut(self) -> None:
        """Take the selected part away without copying it."""
        self.delete_selection()


class TakesKeys(Protocol):
    """What a key is added to."""

    async def try_key(self, secret: SecretStr, label: str | None) -> str:
        """Ask the cloud about the key; return what it says. Raises KeyRefusedError."""

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """Add the key; return what was done."""


class LabelInput(Input):
    """A field for a label."""

    def __init__(self, value: str = "") -> None:
        super().__init__(value, placeholder="none", id="label", compact=True)
        self.cursor_blink = False

    @property
    def label(self) -> str | None:
        """The label; a blank one counts as None."""
        return self.value.strip() or None


def named(row: KeyView) -> Static:
    """Return a key in its dialog: its number, its mask and its label."""
    label = f"  {one_line(row.label)}" if row.label else ""
    return Static(content(((f"#{row.index}  {row.masked}{label}", STRONG),)), classes="key")


class AddKey(Dialog):
    """Takes a key's text once: it leaves the field when it is sent, also when the service refuses it.

    The cloud is asked about it first. A key that it refuses is added only when enter is pressed again.
    """

    HEADING = "Add a key"
    FOOT = "enter tests and adds · tab next field · esc cancels"

    def __init__(self, service: TakesKeys) -> None:
        super().__init__()
        self.service = service
        self._refused: SecretStr | None = None

    def question(self) -> ComposeResult:
        """Text, label and where to keep it."""
        yield field("Key", SecretInput())
        yield field("Label", LabelInput())
        options = ("file", "the settings file"), ("keyring", "the system's secret store")
        yield field("Keep in", Choice(*options))

    def answer(self) -> Awaitable[str] | None:
        """Test the key and add it; one that the cloud has refused is added as it is."""
        field = self.query_one(SecretInput)
        field.focus()
        secret, refused = field.take(), self._refused
        self._refused = None
        if secret.get_secret_value():
            refused = None
        elif refused is None:
            self.refuse("type or paste a key first")
            return None
        keep = cast(KeepIn, self.query_one(Choice).value)
        return self._add(refused or secret, self.query_one(LabelInput).label, keep, test=refused is None)

    async def _add(self, secret: SecretStr, label: str | None, keep: KeepIn, *, test: bool) -> str:
        outcome = "the cloud refused it"
        if test:
            self.note("asking the cloud about it…")
            try:
                outcome = await self.service.try_key(secret, label)
            except KeyRefusedError as error:
                self._refused = secret
                raise KeyRefusedError(
                    f"{error}; press enter again to add it anyway, or paste another"
                ) from None
        return f"{await self.service.add_key(secret, label=label, keep=keep)}; {outcome}"


class RemoveKey(Dialog):
    """Confirms that a key is to be removed."""

    HEADING = "Remove this key?"
    FOOT = "enter removes · esc keeps it"

    def __init__(self, row: KeyView, where: str, send: Callable[[], Awaitable[str]]) -> None:
        super().__init__()
        self.row = row
        self.where = where
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the key and where it is configured."""
        yield named(self.row)
        yield Static(content(((f"It is configured in {self.where}", QUIET),)))

    def answer(self) -> Awaitable[str]:
        """Remove it."""
        return self.send()


class LabelKey(Dialog):
    """Asks for one line."""

    HEADING = "Label this key"
    FOOT = "enter saves · empty removes it · esc cancels"

    def __init__(self, row: KeyView, send: Callable[[str | None], Awaitable[str]]) -> None:
        super().__init__()
        self.row = row
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the key and its label."""
        yield named(self.row)
        yield field("Label", LabelInput(self.row.label or ""))

    def answer(self) -> Awaitable[str]:
        """Write the label."""
        return self.send(self.query_one(LabelInput).label)


class FirstFavourite(Dialog):
    """Confirms the first favourite, which changes what pi offers."""

    HEADING = "Add the first favourite?"
    FOOT = "enter adds it · esc leaves everything as it is"

    def __init__(self, model: str, send: Callable[[], Awaitable[str]]) -> None:
        super().__init__()
        self.model = model
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the model and what follows."""
        yield Static(content(((one_line(self.model), STRONG),)), classes="key")
        words = "Favourites are pi's enabledModels. With none, pi offers every model; "
        yield Static(content(((f"{words}with one, only favourites from its next start.", QUIET),)))

    def answer(self) -> Awaitable[str]:
        """Add it."""
        return self.send()


class PickTheme(Dialog):
    """Shows each theme on the screen below while the cursor is on it; escape brings back the one before."""

    HEADING = "Theme"
    FOOT = "enter keeps it · esc goes back"

    def __init__(
        self,
        names: Sequence[str],
        chosen: str | None,
        show: Callable[[str | None], None],
        save: Callable[[str | None], Awaitable[str]],
    ) -> None:
        super().__init__()
        self.names = names
        self.chosen = chosen
        self.show = show
        self.save = save

    def question(self) -> ComposeResult:
        """Yield the names, the one in force marked."""
        choice = Choice(("", "as light or dark as the terminal"), *((name, name) for name in self.names))
        choice.select(self.chosen or "")
        yield choice

    @on(RowList.Moved)
    def _preview(self) -> None:
        self.show(self.query_one(Choice).value or None)

    def answer(self) -> Awaitable[str]:
        """Remember the theme."""
        self.chosen = self.query_one(Choice).value or None
        return self.save(self.chosen)

    def action_leave(self) -> None:
        """Bring back the theme that is in force."""
        self.show(self.chosen)
        super().action_leave()
