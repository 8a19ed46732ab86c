"""What a person does with stored conversations: find, open, rename, delete and bring back, export."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from okr_tui.domain.errors import ChatError
from okr_tui.ui.chat.conversations_screen import ConversationsScreen
from okr_tui.ui.chat.dialogs import ExportConversation
from okr_tui.ui.controllers.application import Application, open_conversations
from okr_tui.ui.controllers.chat import ChatController
from okr_tui.ui.controllers.drafts import DraftController

if TYPE_CHECKING:
    from okr_tui.chat.conversation import Found
    from okr_tui.ui.chat.pane import ChatPane


class ConversationsController:
    """Carries out slash commands and what the list of conversations asks for.

    `focus_prompt` goes to the prompt, wherever the focus is.
    """

    def __init__(
        self,
        app: Application,
        chat: ChatController,
        drafts: DraftController,
        focus_prompt: Callable[[], None],
    ) -> None:
        self.app = app
        self.chat = chat
        self.drafts = drafts
        self._focus_prompt = focus_prompt
        self._deleted: tuple[str, ...] = ()

    @property
    def pane(self) -> "ChatPane":
        """The chat pane."""
        return self.chat.pane

    @property
    def current(self) -> str:
        """The identifier of the conversation that is shown; raises ChatError while nothing is stored."""
        if not self.pane.conversation.id:
            raise ChatError("this conversation has no question yet")
        return self.pane.conversation.id

    def list(self, words: str = "") -> None:
        """Show the stored conversations that have these words."""
        self.app.push_screen(ConversationsScreen(self, self.app.clock, self.app.keymap, words))

    async def find(self, words: str) -> "tuple[Found, ...]":
        """Find conversations by words; without any, return those used last."""
        conversations = open_conversations(self.app)
        return await (conversations.search(words) if words.strip() else conversations.recent())

    def open(self, identifier: str) -> None:
        """Show a stored conversation with its draft; what is answered meanwhile stops and is kept."""

        async def show() -> None:
            conversations = open_conversations(self.app)
            conversation = await conversations.get(identifier)
            if self.pane.running:
                await self.chat.end_answers()
                conversation = await conversations.get(identifier)
            await self.drafts.keep()
            await self.pane.show(conversation, await conversations.draft(identifier))
            self._focus_prompt()

        self.app.start(show())

    async def begin(self) -> None:
        """Show the new conversation."""
        await self.pane.begin_anew()

    async def rename(self, identifier: str, title: str) -> str:
        """Give a conversation another title and return what was done."""
        renamed = await open_conversations(self.app).rename(identifier, title)
        if self.pane.conversation.id == identifier:
            self.pane.configure(renamed)
        return f"Renamed to {renamed.title}"

    async def delete(self, identifier: str) -> str:
        """Delete a conversation and return how to bring it back."""
        done = await open_conversations(self.app).delete(identifier)
        self._deleted = (*self._deleted, identifier)
        if self.pane.conversation.id == identifier:
            await self.pane.begin_anew()
        return f"{done}; /undo brings it back"

    async def undo_delete(self) -> str:
        """Bring back the conversation deleted last; raises ChatError when there is none."""
        if not self._deleted:
            raise ChatError("no conversation was deleted since the program started")
        *before, last = self._deleted
        conversation = await open_conversations(self.app).restore(last)
        self._deleted = tuple(before)
        return f"Brought back {conversation.title}"

    def export(self, identifier: str, title: str, form: str = "", path: str = "") -> None:
        """Ask where to write a conversation."""
        read = partial(open_conversations(self.app).export, identifier)
        self.app.push_screen(ExportConversation(title, read, form, path))
