"""The dialogs of the chat: which code to copy, a title, an export, consent to a tool."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from okr_tui.chat.conversation import CodeBlock, write_file
from okr_tui.chat.events import ConsentRequested
from okr_tui.domain.errors import ChatError
from okr_tui.ui.actions import COPY_OR_QUIT, bindings
from okr_tui.ui.chat.layout import safe
from okr_tui.ui.lines import QUIET, STRONG, content, one_line
from okr_tui.ui.screens.dialog import Choice, Dialog, field
from okr_tui.ui.widgets.rows import RowList

FIRST_LINE = 48


def described(place: int, block: CodeBlock) -> str:
    """Return a block on one line: its place, language, length and beginning."""
    lines = block.text.split("\n")
    first = one_line(safe(next((line for line in lines if line.strip()), "")))[:FIRST_LINE]
    many = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return f"{place}  {one_line(safe(block.language))[:12] or 'text'}, {many}  {first}"


class PickCode(ModalScreen[None]):
    """A list of the blocks; enter copies the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog"), *COPY_OR_QUIT]

    def __init__(self, blocks: Sequence[CodeBlock], copy: Callable[[str, str], None]) -> None:
        super().__init__()
        self.blocks = blocks
        self.copy = copy

    def compose(self) -> ComposeResult:
        """Yield a line for each block."""
        with Vertical(classes="box"):
            yield Static(Content("Copy which code block?"), classes="box-heading")
            yield Choice(*((str(place), described(place, each)) for place, each in enumerate(self.blocks, 1)))
            yield Static(Content("enter copies · esc cancels"), classes="box-foot")

    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """Copy the chosen block."""
        place = int(self.query_one(Choice).value)
        self.dismiss()
        self.copy(self.blocks[place - 1].text, f"code block {place}")

    def action_leave(self) -> None:
        """Leave without copying."""
        self.dismiss()


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
    FOOT = "enter saves · esc cancels"

    def __init__(self, title: str, send: Callable[[str], Awaitable[str]]) -> None:
        super().__init__()
        self.before = title
        self.send = send

    def question(self) -> ComposeResult:
        """Yield the title."""
        yield field("Title", LineInput(self.before, "title"))

    def answer(self) -> Awaitable[str]:
        """Rename the conversation."""
        return self.send(self.query_one("#title", Input).value)


class ExportConversation(Dialog):
    """Asks for a form and a path. A file that is there already is overwritten only after asking twice."""

    HEADING = "Export this conversation"
    FOOT = "enter writes · tab next field · esc cancels"

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
        """Yield the path and the form."""
        yield field("File", LineInput(self.path or f"{self.stem}{ENDINGS[self.form]}", "path"))
        choice = Choice(("markdown", "Markdown, to read"), ("json", "JSON, to import again later"))
        choice.select(self.form)
        yield field("As", choice)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Let the proposed name follow the form."""
        box, form = self.query_one("#path", Input), self.query_one(Choice).value
        if event.rows.has_focus and box.value in [f"{self.stem}{ending}" for ending in ENDINGS.values()]:
            box.value = f"{self.stem}{ENDINGS[form]}"

    def answer(self) -> Awaitable[str] | None:
        """Write the conversation."""
        named = self.query_one("#path", Input).value.strip()
        if not named:
            self.refuse("enter a file name")
            return None
        return self._write(Path(named), cast(Form, self.query_one(Choice).value))

    async def _write(self, path: Path, form: Form) -> str:
        text = await self.read(form)
        try:
            whole = await asyncio.to_thread(write_file, path, text, over=self._over == path)
        except FileExistsError:
            self._over = path
            raise ChatError(f"{path.name} already exists: press enter again to overwrite it") from None
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not a path"
            raise ChatError(f"{path} cannot be written: {reason}") from error
        return f"Wrote {whole}"


DEAF: Final = 0.5
"""Seconds in which keys are not taken for an answer: they were meant for what stood here before."""
SHOWN: Final = 3000
"""Characters of the arguments that are drawn."""
ANSWERS: Final = (
    ("once", "allow once                          y"),
    ("always", "allow always in this conversation   a"),
    ("refuse", "refuse                              n"),
    ("refuse-all", "refuse all of these calls           x"),
)
MADE_UP: Final = (
    "This address appears neither in your messages nor in an earlier result. Its owner can read everything "
    "in it."
)
"""Said of an address that the model made up, for which no tool is allowed always."""


def arguments_words(arguments: Mapping[str, object]) -> str:
    """Return the arguments as indented JSON, bounded."""
    text = safe(json.dumps(dict(arguments), ensure_ascii=False, indent=2))
    left = len(text) - SHOWN
    return f"{text[:SHOWN]}\n… {left:,} more characters" if left > 0 else text


class ConfirmTool(ModalScreen[None]):
    """Answers the call: once, for the rest of the conversation, or not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        *COPY_OR_QUIT,
        Binding("y", "decide('once')", "allow once", show=False),
        Binding("a", "decide('always')", "allow always", show=False),
        Binding("n", "decide('refuse')", "refuse", show=False),
        Binding("x", "decide('refuse-all')", "refuse all", show=False),
    ]

    def __init__(self, request: ConsentRequested) -> None:
        super().__init__()
        self.request = request
        self.deaf = True

    @property
    def gone(self) -> bool:
        """Whether the answer is no longer waited for."""
        return self.request.decision.done()

    def compose(self) -> ComposeResult:
        """Yield the tool, its arguments and the three answers."""
        call, server = self.request.call, self.request.server
        where = f"  of the tool server {one_line(safe(server))[:40]}" if server else "  built in"
        with Vertical(classes="box"):
            yield Static(Content("The model wants to use a tool"), classes="box-heading")
            yield Static(content(((one_line(safe(call.name))[:80], STRONG), (where, QUIET))), classes="key")
            with VerticalScroll(classes="arguments", can_focus=False):
                yield Static(content(((arguments_words(call.arguments), QUIET),)))
            if self.request.address is not None:
                yield Static(Content(MADE_UP))
            answers = [ANSWERS[0], *ANSWERS[2:]] if self.request.address is not None else ANSWERS
            yield Choice(*answers)
            yield Static(Content("enter answers · esc refuses"), classes="box-foot")

    def on_mount(self) -> None:
        """Take keys in a moment."""
        self.set_timer(DEAF, self.listen)

    def listen(self) -> None:
        """Take keys for an answer from now on."""
        self.deaf = False

    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """Give the marked answer."""
        self.action_decide(self.query_one(Choice).value)

    def action_leave(self) -> None:
        """Refuse the call."""
        self.action_decide("refuse")

    def action_decide(self, answer: str) -> None:
        """Decide, and close the dialog."""
        if self.deaf:
            return
        if not self.gone:
            self.request.decide(
                allow=answer in ("once", "always"), always=answer == "always", rest=answer == "refuse-all"
            )
        self.dismiss()
