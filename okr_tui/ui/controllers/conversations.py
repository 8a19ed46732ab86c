"""Stored conversations (find, open, rename, delete, export) and unsent drafts."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from okr_tui.chat.conversation import Draft
from okr_tui.chat.messages import check_sight, read_image
from okr_tui.domain.errors import ChatError
from okr_tui.ui.chat.labels import Picture, model_named
from okr_tui.ui.chat.messages import DraftChanged, PicturePasted, PicturesRestored
from okr_tui.ui.controllers.application import LONG, Application, open_conversations
from okr_tui.ui.controllers.chat import ChatController

if TYPE_CHECKING:
    from textual.timer import Timer

    from okr_tui.chat.conversation import Found
    from okr_tui.ui.chat.pane import ChatPane


KEEP_WITHIN: Final = 0.9
"""Seconds from a change until it is stored, together with later changes."""


class DraftController:
    """Keeps drafts and reads pictures. No timer runs while nothing is typed.

    `pane` returns the chat pane; `show_notice` says in it why nothing is saved, if so.
    """

    def __init__(
        self, app: Application, pane: "Callable[[], ChatPane]", show_notice: Callable[[], None]
    ) -> None:
        self.app = app
        self._pane = pane
        self._show_notice = show_notice
        self._prompt_ready = False
        self._restored = False
        self._unkept: dict[str, Draft] = {}
        self._timer: Timer | None = None
        self._lock = asyncio.Lock()

    @property
    def pane(self) -> "ChatPane":
        """The chat pane."""
        return self._pane()

    @property
    def waiting(self) -> bool:
        """Whether a change waits for its moment to be kept."""
        return self._timer is not None

    def note(self, event: DraftChanged) -> None:
        """Keep a draft soon; at once when it was sent, so that it does not come back."""
        self._unkept[event.conversation] = event.draft
        if not event.draft:
            self._keep_now()
        elif self._timer is None:
            self._timer = self.app.set_timer(KEEP_WITHIN, self._keep_now)

    def _keep_now(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.app.start(self.keep())

    async def keep(self) -> None:
        """Store every changed draft. One that cannot be stored is tried again with the next change."""
        async with self._lock:
            conversations = self.app.conversations
            if conversations is None or not self._restored:
                return
            while self._unkept:
                name, draft = next(iter(self._unkept.items()))
                await conversations.keep_draft(name, draft)
                if self._unkept[name] is draft:
                    del self._unkept[name]

    def note_last(self) -> None:
        """Store what was typed last before the application ends."""
        if self.app.conversations is not None and (changed := self.pane.composer.unposted_draft()):
            self._unkept[changed.conversation] = changed.draft

    def prompt_ready(self) -> None:
        """Fill in the draft as soon as the conversations are open too."""
        self._prompt_ready = True
        self.restore()

    def restore(self) -> None:
        """Restore the draft of the new conversation, once both prompt and conversations are ready."""
        if self._prompt_ready and self.app.conversations is not None:
            self.app.start(self._restore())

    async def _restore(self) -> None:
        async with self._lock:
            try:
                if draft := await open_conversations(self.app).draft(""):
                    self.pane.composer.restore_new(draft)
            finally:
                # Any earlier, what is typed now would have replaced it.
                self._restored = True
        self._show_notice()
        await self.keep()

    async def attach(self, path: Path) -> None:
        """Attach a picture to the next question. Raises ChatError if that is impossible."""
        pane = self.pane
        check_sight(model_named(pane.model, pane.models), len(pane.composer.pictures) + 1)
        home = pane.composer.conversation_id
        picture = await asyncio.to_thread(_read, path)
        if pane.composer.conversation_id == home:
            pane.composer.attach(picture)

    def attach_named(self, event: PicturePasted) -> None:
        """Attach a picture whose path was pasted; if that fails, insert the text into the prompt."""

        async def attach() -> None:
            try:
                await self.attach(event.path)
            except ChatError:
                # What was pasted is not lost: it may have been meant as words.
                self.pane.prompt.put_in(event.text or "")
                raise

        self.app.start(attach())

    def attach_again(self, event: PicturesRestored) -> None:
        """Attach the pictures of a restored draft again; report each one that is gone."""

        async def attach() -> None:
            for path in event.paths:
                try:
                    if self.pane.composer.conversation_id == event.conversation:
                        await self.attach(Path(path))
                except ChatError as error:
                    self.app.notify(
                        str(error), title="Not done", severity="error", timeout=LONG, markup=False
                    )

        self.app.start(attach())


def _read(path: Path) -> Picture:
    return Picture(path.absolute(), read_image(path))


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
        """The id of the shown conversation. Raises ChatError before anything is stored."""
        if not self.pane.conversation.id:
            raise ChatError("this conversation has no question yet")
        return self.pane.conversation.id

    def list(self, words: str = "") -> None:
        """Show the stored conversations that match these words."""
        from okr_tui.ui.chat.dialogs import ConversationsScreen

        self.app.push_screen(ConversationsScreen(self, self.app.clock, self.app.keymap, words))

    async def find(self, words: str) -> "tuple[Found, ...]":
        """Find conversations by words; without any, return those used last."""
        conversations = open_conversations(self.app)
        return await (conversations.search(words) if words.strip() else conversations.recent())

    def open(self, identifier: str) -> None:
        """Show a stored conversation with its draft; a running answer stops and is stored."""

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
        await self.pane.start_over()

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
            await self.pane.start_over()
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
        from okr_tui.ui.chat.dialogs import ExportConversation

        read = partial(open_conversations(self.app).export, identifier)
        self.app.push_screen(ExportConversation(title, read, form, path))
