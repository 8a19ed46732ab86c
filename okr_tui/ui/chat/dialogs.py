"""The dialogs of the chat: which code to copy, a title, an export, consent to a tool."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from okr_tui.chat.conversation import CodeBlock, ConsentRequested, Found, write_file
from okr_tui.domain.errors import ChatError, OkrError
from okr_tui.domain.words import span
from okr_tui.ui.actions import COPY_OR_QUIT, bindings
from okr_tui.ui.chat.markdown import safe
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.lines import QUIET, STRONG, Line, content, fit, one_line
from okr_tui.ui.screens.dialogs import Choice, Dialog, field
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.rows import RowList

FIRST_LINE = 48


def described(index: int, block: CodeBlock) -> str:
    """Return a block on one line: its number, language, length and beginning."""
    lines = block.text.split("\n")
    first = one_line(safe(next((line for line in lines if line.strip()), "")))[:FIRST_LINE]
    many = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return f"{index}  {one_line(safe(block.language))[:12] or 'text'}, {many}  {first}"


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
            yield Choice(*((str(index), described(index, each)) for index, each in enumerate(self.blocks, 1)))
            yield Static(Content("enter copies · esc cancels"), classes="box-foot")

    @on(RowList.Chosen)
    def action_accept(self) -> None:
        """Copy the chosen block."""
        index = int(self.query_one(Choice).value)
        self.dismiss()
        self.copy(self.blocks[index - 1].text, f"code block {index}")

    def action_leave(self) -> None:
        """Leave without copying."""
        self.dismiss()


class OpenLink(Dialog):
    """Shows where the links of an answer lead; enter opens the chosen one."""

    HEADING = "Open this link?"
    FOOT = "enter opens · y copies · esc cancels"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "copy", show=False)]

    def __init__(
        self, addresses: Sequence[str], show: Callable[[str], None], copy: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self.addresses = addresses
        self.show = show
        self.copy = copy

    def question(self) -> ComposeResult:
        """Yield the addresses, each as a whole."""
        yield Choice(*((address, address) for address in self.addresses))
        yield Static(id="address", markup=False)

    def on_mount(self) -> None:
        """Spell out the first one."""
        self._spell()

    @on(RowList.Moved)
    def _spell(self) -> None:
        address = self.query_one("#address", Static)
        address.update(Content(self.query_one(Choice).value))

    async def _open(self, address: str) -> str:
        self.show(address)
        return f"Opened {address}"

    def answer(self) -> Awaitable[str]:
        """Open the chosen address."""
        return self._open(self.query_one(Choice).value)

    def action_copy(self) -> None:
        """Copy the chosen address."""
        self.copy(self.query_one(Choice).value, "the address")
        self.dismiss()


class FindWords(Dialog):
    """Asks for words; each enter shows the next turn that has them."""

    HEADING = "Find in this conversation"
    FOOT = "enter shows the next · esc closes"

    def __init__(self, words: str, find: Callable[[str], str]) -> None:
        super().__init__()
        self.words = words
        self.find = find

    def question(self) -> ComposeResult:
        """Yield the field."""
        yield field("Words", LineInput(self.words, "words"))

    def answer(self) -> None:
        """Show the next turn, and which of how many it is; the dialog stays."""
        words = self.query_one("#words", Input).value
        if words.strip():
            self.note(self.find(words))


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
"""Seconds in which keys are not taken for an answer: they were meant for what was here before."""
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


EXCERPT = 200


class Conversations(Protocol):
    """The controller as the list uses it."""

    async def find(self, words: str) -> tuple[Found, ...]:
        """Find conversations by words; without any, return those used last."""

    def open(self, identifier: str) -> None:
        """Show a conversation."""

    async def begin(self) -> None:
        """Show the new conversation."""

    async def rename(self, identifier: str, title: str) -> str:
        """Give a conversation another title and return what was done."""

    async def delete(self, identifier: str) -> str:
        """Delete a conversation and return how to bring it back."""

    async def undo_delete(self) -> str:
        """Bring back the conversation deleted last and return which it is."""

    def export(self, identifier: str, title: str) -> None:
        """Ask where to write a conversation."""


class ConversationList(RowList[Found]):
    """A line for each conversation, and one for what was found in it."""

    now = 0.0

    def key_of(self, row: Found) -> str:
        """Return the conversation's id, which stays the same when it is renamed."""
        return row.conversation.id

    def lines_of(self, row: Found, width: int) -> Sequence[Line]:
        """Return title, model, questions and age; below them the words that were searched."""
        conversation = row.conversation
        age = f"{span(max(0.0, self.now - conversation.updated))} ago"
        model = fit(safe(conversation.model or ""), 20 if width >= 70 else 12)
        title = fit(safe(conversation.title), max(12, width - len(model) - 24))
        turns = f"{row.turns} turn{' ' if row.turns == 1 else 's'}"
        lines: list[Line] = [
            ((title, ""), (f"  {model}", QUIET), (f" {turns:>9}", QUIET), (f" {age:>10}", QUIET))
        ]
        if row.excerpt:
            lines.append(((f"  {one_line(safe(row.excerpt[:EXCERPT]))}", QUIET),))
        return lines


class SearchInput(Input):
    """The search words; its keys move in the list and act on the selected conversation."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("saved")]

    def __init__(self, words: str) -> None:
        super().__init__(words, placeholder="type to search", id="search", compact=True)
        self.cursor_blink = False

    @property
    def rows(self) -> ConversationList:
        """The list."""
        return self.screen.query_one(ConversationList)

    @property
    def saved(self) -> "ConversationsScreen":
        """The screen around it."""
        return cast(ConversationsScreen, self.screen)

    def on_key(self, event: events.Key) -> None:
        """Move in the list with up and down."""
        moves = {"up": self.rows.action_cursor_up, "down": self.rows.action_cursor_down}
        pages = {"pageup": -1, "pagedown": 1}
        if event.key in moves:
            moves[event.key]()
        elif event.key in pages:
            self.rows.action_cursor_page(pages[event.key])
        else:
            return
        event.prevent_default().stop()

    def action_open_saved(self) -> None:
        """Open the selected conversation."""
        self.saved.open_selected()

    def action_rename_saved(self) -> None:
        """Rename the selected conversation."""
        self.saved.rename()

    def action_delete_saved(self) -> None:
        """Delete the selected conversation."""
        if row := self.rows.selected:
            self.saved.act(self.saved.conversations.delete(row.conversation.id))

    def action_undo_saved(self) -> None:
        """Bring back the conversation that was deleted last."""
        self.saved.act(self.saved.conversations.undo_delete())

    def action_export_saved(self) -> None:
        """Write the selected conversation to a file."""
        if row := self.rows.selected:
            self.saved.conversations.export(row.conversation.id, row.conversation.title)

    async def action_new_saved(self) -> None:
        """Leave for a new conversation."""
        self.screen.dismiss()
        await self.saved.conversations.begin()

    def action_leave_saved(self) -> None:
        """Leave; with words, first back to all conversations."""
        if self.value:
            self.value = ""
        else:
            self.screen.dismiss()


class ConversationsScreen(ModalScreen[None]):
    """The list under its search field."""

    BINDINGS: ClassVar[list[BindingType]] = [*COPY_OR_QUIT]

    def __init__(
        self,
        conversations: Conversations,
        clock: Callable[[], float],
        keymap: ActiveKeymap,
        words: str = "",
    ) -> None:
        super().__init__()
        self.conversations = conversations
        self.clock = clock
        self.keymap = keymap
        self.words = words

    def compose(self) -> ComposeResult:
        """Yield heading, search field, list and keys."""
        with Vertical(classes="box", id="saved-box"):
            yield Static(Content("Conversations"), classes="box-heading")
            yield SearchInput(self.words)
            yield ConversationList(id="saved")
            yield FootLine(self.keymap, "saved")

    def on_mount(self) -> None:
        """Show all conversations."""
        self.query_one(ConversationList).can_focus = False
        self.query_one(SearchInput).focus()
        self.read()

    def on_screen_resume(self) -> None:
        """Read again, since a dialog may have changed something."""
        self.read()

    @on(Input.Changed, "#search")
    def read(self) -> None:
        """Search for the words; the newest search wins."""
        self.run_worker(self._read(), group="search", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        rows, words = self.query_one(ConversationList), self.query_one(SearchInput).value
        try:
            found = await self.conversations.find(words)
        except OkrError as error:
            rows.empty = f"✖ {one_line(str(error))}"
            found = ()
        else:
            rows.empty = "Nothing found." if words.strip() else "No conversations yet: ask something."
        rows.now = self.clock()
        rows.show_rows(found)

    def act(self, work: Awaitable[str]) -> None:
        """Run a command and then show the updated list."""

        async def run() -> None:
            try:
                self.app.notify(await work, markup=False)
            except OkrError as error:
                self.app.notify(str(error), title="Not done", severity="error", markup=False)
            self.read()

        self.run_worker(run(), group="saved", exit_on_error=False)

    def rename(self) -> None:
        """Ask for a title."""
        if row := self.query_one(ConversationList).selected:
            name, title = row.conversation.id, row.conversation.title
            send = self.conversations.rename
            self.app.push_screen(RenameConversation(title, lambda text: send(name, text)))

    @on(RowList.Chosen)
    def open_selected(self) -> None:
        """Go on with the selected conversation."""
        if row := self.query_one(ConversationList).selected:
            self.dismiss()
            self.conversations.open(row.conversation.id)
