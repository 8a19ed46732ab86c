"""A field for a key's text, which leaves it as a SecretStr and in no other way."""

from pydantic import SecretStr
from textual.actions import SkipAction
from textual.widgets import Input


class SecretInput(Input):
    """Shows a dot for each letter. Its text is in no message and never on the clipboard."""

    def __init__(self) -> None:
        super().__init__(password=True, placeholder="type or paste it", id="secret", compact=True)
        self.cursor_blink = False
        self.disable_messages(Input.Changed, Input.Blurred)

    def take(self) -> SecretStr:
        """The text, which is gone from the field at once."""
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
