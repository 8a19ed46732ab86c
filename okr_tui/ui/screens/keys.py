"""The dialogs that change the pool: add a key, remove it, label it."""

from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.widgets import Input, Static

from okr_tui.domain.keys import SecretStr
from okr_tui.domain.view import KeyView
from okr_tui.services.service import KeepIn
from okr_tui.ui.lines import QUIET, STRONG, content, one_line
from okr_tui.ui.screens.dialog import Choice, Dialog, field


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


class SendKey(Protocol):
    """Adds a key."""

    def __call__(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> Awaitable[str]:
        """Answers what was done."""


class LabelInput(Input):
    """A field for a label."""

    def __init__(self, value: str = "") -> None:
        super().__init__(value, placeholder="none", id="label", compact=True)
        self.cursor_blink = False

    @property
    def label(self) -> str | None:
        """The label; a blank one is none."""
        return self.value.strip() or None


def named(row: KeyView) -> Static:
    """Return a key in its dialog: its place, its mask and its label."""
    label = f"  {one_line(row.label)}" if row.label else ""
    return Static(content(((f"#{row.index}  {row.masked}{label}", STRONG),)), classes="key")


class AddKey(Dialog):
    """Takes a key's text once: it leaves the field when it is sent, also when the service refuses it."""

    HEADING = "Add a key"
    FOOT = "enter adds · tab next field · esc cancels"

    def __init__(self, send: SendKey) -> None:
        super().__init__()
        self.send = send

    def question(self) -> ComposeResult:
        """Text, label and where to keep it."""
        yield field("Key", SecretInput())
        yield field("Label", LabelInput())
        options = ("file", "the settings file"), ("keyring", "the system's secret store")
        yield field("Keep in", Choice(*options))

    def answer(self) -> Awaitable[str] | None:
        """Add the key."""
        field = self.query_one(SecretInput)
        field.focus()
        secret = field.take()
        if not secret.get_secret_value():
            self.refuse("type or paste a key first")
            return None
        keep = cast(KeepIn, self.query_one(Choice).value)
        return self.send(secret, label=self.query_one(LabelInput).label, keep=keep)


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
