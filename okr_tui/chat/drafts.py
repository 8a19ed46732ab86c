"""What was typed in a prompt and not sent, kept for each conversation and for the new one."""

import uuid
from functools import partial
from pathlib import Path
from typing import Final

from okr_tui.chat.conversation import Draft
from okr_tui.chat.conversation_store import ConversationStore
from okr_tui.chat.repository import ConversationRepository
from okr_tui.services.clock import Clock
from okr_tui.store.file_locks import FileClaims

FOLDER: Final = "drafts"
NEW: Final = ""
"""Stands for the new conversation, which has no identifier before its first question."""


class Drafts:
    """Drafts by the identifier of their conversation.

    Where several programs run at once, the draft of a stored conversation is what was written last. The new
    conversation's belongs to the program that shows it: each has one of its own under a name that it holds,
    so none is overwritten and none appears in two prompts. A program that starts takes over the newest one
    that no program holds any more; others wait for later starts.
    """

    def __init__(self, repository: ConversationRepository, folder: Path, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._claims = FileClaims(folder / FOLDER)
        self._own: str | None = None

    async def get(self, identifier: str) -> Draft:
        """Return a conversation's draft, empty when there is none; no file is made to look for it."""
        if not self._repository.begun:
            return Draft()
        name = identifier if identifier != NEW else self._own or await self._taken_over()
        return await self._repository.read(partial(_draft, name))

    async def keep(self, identifier: str, draft: Draft) -> None:
        """Keep a conversation's draft; an empty one is forgotten."""
        if identifier == NEW:
            await self._keep_own(draft)
        elif draft or self._repository.begun:
            await self._repository.keep_draft(identifier, draft, self._clock.time())

    def close(self) -> None:
        """Leave the new conversation's draft to the next program."""
        self._claims.close()

    async def _taken_over(self) -> str:
        """Take over a draft that no program holds; return its name, or NEW when there is none."""
        for name in await self._repository.read(lambda store: store.homeless_drafts()):
            if not (name.isalnum() and self._claims.take(name)):
                continue
            if await self._repository.read(partial(_draft, name)):
                self._own = name
                return name
            # Its question was sent meanwhile.
            self._claims.drop(name)
        return NEW

    async def _keep_own(self, draft: Draft) -> None:
        if self._own is None:
            if not draft:
                return
            self._own = uuid.uuid4().hex
            self._claims.take(self._own)
        await self._repository.keep_draft(self._own, draft, self._clock.time())
        if not draft:
            self._claims.drop(self._own)
            self._own = None


async def _draft(name: str, store: ConversationStore) -> Draft:
    return await store.draft(name)
