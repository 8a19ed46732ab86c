"""Where this process keeps conversations: the shared file, or memory once the file cannot be used."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from okr_tui.chat.conversation import Conversation, Draft, Found, Turn
from okr_tui.chat.conversation_store import ConversationStore
from okr_tui.domain.errors import StoreError
from okr_tui.services.background import Clock
from okr_tui.store.file_locks import NamedLocks

T = TypeVar("T")

KNOWN_LONGEST: Final = 4_000_000
"""Characters of conversations, their pictures among them, that are kept in case the file fails."""


class ConversationRepository:
    """Opens the file when it is first needed. `notice` says, in one line, that nothing is saved any more."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.notice: str | None = None
        self._path = path
        self._clock = clock
        self._store: ConversationStore | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._known: dict[str, Conversation] = {}
        """The conversations used last, the newest at the end: what memory continues with."""

    @property
    def begun(self) -> bool:
        """Whether anything was ever kept here."""
        return self._store is not None or self._path.exists()

    async def get(self, identifier: str) -> Conversation:
        """Return a conversation with its turns. Raises ChatError when there is none."""
        store = await self._open()
        try:
            found = await store.get(identifier)
        except StoreError as error:
            if identifier not in self._known:
                raise
            found = self._known[identifier]
            await self._go_on_unsaved(store, error)
        self._know(found)
        return found

    async def read(self, query: Callable[[ConversationStore], Awaitable[T]]) -> T:
        """Query the store. Raises StoreError when it cannot be read."""
        return await query(await self._open())

    async def create(self, conversation: Conversation) -> None:
        """Keep a new conversation."""
        await self._write(conversation, lambda store: store.keep(conversation))

    async def change(self, conversation: Conversation) -> None:
        """Keep all but the turns."""
        await self._write(conversation, lambda store: store.change(conversation))

    async def put(self, conversation: Conversation, turn: Turn) -> None:
        """Keep a turn; `conversation` is as it is with it."""
        await self._write(conversation, lambda store: store.put(conversation.id, turn))

    async def cut(self, conversation: Conversation, place: int) -> None:
        """Drop the turns from a place on; `conversation` is as it is without them."""
        await self._write(conversation, lambda store: store.cut(conversation.id, place))

    async def keep_draft(self, identifier: str, draft: Draft, now: float) -> None:
        """Keep what was typed for a conversation; an empty draft is forgotten."""
        store = await self._open()
        try:
            await store.keep_draft(identifier, draft, now)
        except StoreError as error:
            await self._go_on_unsaved(store, error)
            await (await self._open()).keep_draft(identifier, draft, now)

    async def delete(self, identifier: str, now: float) -> None:
        """Delete a conversation. Raises StoreError when the file does not allow it."""
        self._known.pop(identifier, None)
        await (await self._open()).delete(identifier, now)

    async def search(self, words: str, limit: int) -> tuple[Found, ...]:
        """Return conversations with every word in one turn or in the title, the one used last first."""
        return await self.read(lambda store: store.search(words, limit))

    async def close(self) -> None:
        """Close the file; every later call raises StoreError."""
        async with self._opening:
            self._closed = True
            if self._store:
                await self._store.close()

    async def _write(
        self, conversation: Conversation, action: Callable[[ConversationStore], Awaitable[None]]
    ) -> None:
        self._know(conversation)
        store = await self._open()
        try:
            await action(store)
        except StoreError as error:
            await self._go_on_unsaved(store, error)

    def _know(self, conversation: Conversation) -> None:
        self._known.pop(conversation.id, None)
        self._known[conversation.id] = conversation
        size = 0
        for number, known in enumerate(reversed(tuple(self._known.values()))):
            size += _size(known)
            # Two may be answered side by side.
            if number >= 2 and size > KNOWN_LONGEST:
                del self._known[known.id]

    async def _open(self) -> ConversationStore:
        async with self._opening:
            if self._closed:
                raise StoreError("the conversations are closed")
            if self._store is None:
                try:
                    self._store = await ConversationStore.open(self._path, self._clock.time())
                except StoreError as error:
                    await self._use_memory(error)
            assert self._store is not None
            return self._store

    async def _go_on_unsaved(self, failed: ConversationStore, error: StoreError) -> None:
        """Leave a store that failed, unless another task has; raises the error where there is no way on."""
        async with self._opening:
            if self._store is not failed:
                return
            if self._closed or self.notice is not None:
                raise error
            await self._use_memory(error)
            await failed.close()

    async def _use_memory(self, error: StoreError) -> None:
        """Go on in memory with what can still be read, and with all that this process knows."""
        self.notice = f"{error}; the chat goes on, but nothing is saved"
        self._store = await ConversationStore.in_memory(self._path)
        for conversation in list(self._known.values()):
            await self._store.keep(conversation)


def _size(conversation: Conversation) -> int:
    """Return the characters of its texts and pictures."""
    messages = [turn.message for turn in conversation.turns]
    return sum(len(each.content) + len(each.thinking) + sum(map(len, each.images)) for each in messages)


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
        self._locks = NamedLocks(folder / FOLDER)
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
        self._locks.close()

    async def _taken_over(self) -> str:
        """Take over a draft that no program holds; return its name, or NEW when there is none."""
        for name in await self._repository.read(lambda store: store.orphaned_drafts()):
            if not (name.isalnum() and self._locks.take(name)):
                continue
            if await self._repository.read(partial(_draft, name)):
                self._own = name
                return name
            # Its question was sent meanwhile.
            self._locks.drop(name)
        return NEW

    async def _keep_own(self, draft: Draft) -> None:
        if self._own is None:
            if not draft:
                return
            self._own = uuid.uuid4().hex
            self._locks.take(self._own)
        await self._repository.keep_draft(self._own, draft, self._clock.time())
        if not draft:
            self._locks.drop(self._own)
            self._own = None


async def _draft(name: str, store: ConversationStore) -> Draft:
    return await store.draft(name)
