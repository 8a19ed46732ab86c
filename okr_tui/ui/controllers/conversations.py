"""What a person does with stored conversations: open, rename, delete and bring back, export."""

from functools import partial

from okr_tui.domain.errors import ChatError
from okr_tui.ui.chat.dialogs import ExportConversation
from okr_tui.ui.controllers.turns import TurnCommands


class SavedCommands(TurnCommands):
    """Each is there for a slash command and for the list of conversations."""

    _deleted: tuple[str, ...] = ()
    """What can be brought back, the newest last."""

    def open_saved(self, identifier: str) -> None:
        """Show a stored conversation with its draft; what is answered meanwhile stops and is kept."""

        async def show() -> None:
            conversation = await self.saved.get(identifier)
            if self.chat.running:
                await self.end_answers()
                conversation = await self.saved.get(identifier)
            await self.keep_drafts()
            await self.chat.show(conversation, await self.saved.draft(identifier))
            self.dashboard.action_prompt()

        self.act(show())

    async def rename_saved(self, identifier: str, title: str) -> str:
        """Give a conversation another title; answers what was done."""
        renamed = await self.saved.rename(identifier, title)
        if self.chat.conversation.id == identifier:
            self.chat.configure(renamed)
        return f"Renamed to {renamed.title}"

    async def delete_saved(self, identifier: str) -> str:
        """Take a conversation away; answers how to bring it back."""
        said = await self.saved.delete(identifier)
        self._deleted = (*self._deleted, identifier)
        if self.chat.conversation.id == identifier:
            await self.chat.begin_anew()
        return f"{said}; /undo brings it back"

    async def undo_delete(self) -> str:
        """Bring the conversation deleted last back; raises ChatError when there is none."""
        if not self._deleted:
            raise ChatError("no conversation was deleted since the program started")
        *before, last = self._deleted
        conversation = await self.saved.restore(last)
        self._deleted = tuple(before)
        return f"Brought back {conversation.title}"

    def export_saved(self, identifier: str, title: str, form: str = "", path: str = "") -> None:
        """Ask where to write a conversation."""
        read = partial(self.saved.export, identifier)
        self.push_screen(ExportConversation(title, read, form, path))

    def open_one(self) -> str:
        """The identifier of the conversation that is shown; raises ChatError while nothing is stored."""
        if not self.chat.conversation.id:
            raise ChatError("this conversation has no question yet")
        return self.chat.conversation.id
