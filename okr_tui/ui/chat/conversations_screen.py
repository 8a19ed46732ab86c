"""The stored conversations: found while typing, opened, renamed, deleted and brought back, exported."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from okr_tui.chat.conversation import Found
from okr_tui.domain.errors import OkrError
from okr_tui.domain.words import span
from okr_tui.ui.actions import COPY_OR_QUIT, bindings
from okr_tui.ui.chat.dialogs import RenameConversation
from okr_tui.ui.chat.layout import safe
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.lines import QUIET, Line, fit, one_line
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.rows import RowList

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
