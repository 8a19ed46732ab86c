"""The dialogs about one conversation: its title, and the file to write it to."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal, cast

from textual.app import ComposeResult
from textual.widgets import Input

from okr_tui.domain.errors import ChatError
from okr_tui.ui.screens.dialog import Dialog
from okr_tui.ui.screens.keys import field
from okr_tui.ui.widgets.choice import Choice
from okr_tui.ui.widgets.rows import RowList

Form = Literal["markdown", "json"]
ENDINGS: Final[dict[str, str]] = {"markdown": ".md", "json": ".json"}


class LineInput(Input):
    """One line of text."""

    def __init__(self, value: str, name: str) -> None:
        super().__init__(value, id=name, compact=True)
        self.cursor_blink = False


class RenameConversation(Dialog):
    """Asks for a title."""

    HEADING = "Rename this conversation"
    FOOT = "enter saves · esc leaves"

    def __init__(self, title: str, send: Callable[[str], Awaitable[str]]) -> None:
        super().__init__()
        self.before = title
        self.send = send

    def question(self) -> ComposeResult:
        """The title."""
        yield field("Title", LineInput(self.before, "title"))

    def answer(self) -> Awaitable[str]:
        """Rename it."""
        return self.send(self.query_one("#title", Input).value)


class ExportConversation(Dialog):
    """Asks for a form and a path. A file that is there already is written over only when asked twice."""

    HEADING = "Export this conversation"
    FOOT = "enter writes · tab next field · esc leaves"

    def __init__(
        self, title: str, read: Callable[[Form], Awaitable[str]], form: str = "", path: str = ""
    ) -> None:
        super().__init__()
        self.read = read
        self.form = form or ("json" if path.endswith(".json") else "markdown")
        self.stem = re.sub(r"[^\w-]+", "-", title).strip("-").lower()[:40] or "conversation"
        self.path = path
        self._over: Path | None = None

    def question(self) -> ComposeResult:
        """Where to, and as what."""
        yield field("File", LineInput(self.path or f"{self.stem}{ENDINGS[self.form]}", "path"))
        choice = Choice(("markdown", "Markdown, to read"), ("json", "JSON, to bring back later"))
        choice.select(self.form)
        yield field("As", choice)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """The proposed name follows the form."""
        box, form = self.query_one("#path", Input), self.query_one(Choice).value
        if event.rows.has_focus and box.value in [f"{self.stem}{ending}" for ending in ENDINGS.values()]:
            box.value = f"{self.stem}{ENDINGS[form]}"

    def answer(self) -> Awaitable[str] | None:
        """Write it."""
        named = self.query_one("#path", Input).value.strip()
        if not named:
            self.refuse("a file's name is needed")
            return None
        return self._write(Path(named), cast(Form, self.query_one(Choice).value))

    async def _write(self, path: Path, form: Form) -> str:
        text = await self.read(form)
        try:
            whole = await asyncio.to_thread(_write_file, path, text, over=self._over == path)
        except FileExistsError:
            self._over = path
            raise ChatError(f"{path.name} is there already: enter once more writes over it") from None
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no path"
            raise ChatError(f"{path} cannot be written: {reason}") from error
        return f"Wrote {whole}"


def _write_file(path: Path, text: str, *, over: bool) -> Path:
    """Write a file for its user alone; raises FileExistsError unless it may be written over."""
    whole = path.expanduser().absolute()
    create = os.O_TRUNC if over else os.O_EXCL
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | create, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return whole
