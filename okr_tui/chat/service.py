"""The conversations as screen and commands use them: stored, found, branched, exported, continued."""

import contextlib
import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from okr_tui.chat.answer import ChatPool, Request
from okr_tui.chat.conversation import (
    Answering,
    Conversation,
    Draft,
    Form,
    Found,
    Gauge,
    from_json,
    gauge,
    title,
    to_json,
    to_markdown,
)
from okr_tui.chat.options import ChatOptions
from okr_tui.chat.repository import ConversationRepository, Drafts
from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import Model, listed_model
from okr_tui.services.background import run_uncancelled
from okr_tui.store.factory import state_folder

if TYPE_CHECKING:
    from okr_tui.chat.session import ChatSession

FILE: Final = "conversations.db"
PAGE: Final = 50


class ConversationService:
    """The conversations of one user. Every method raises an OkrError of one line when it cannot be done.

    `ask`, `edit`, `again` and `resume` store the question, or raise what is wrong with it, and return an
    iterator: Began, then Routed, Deltas and Finished for each round, with ConsentRequested, ToolRan and Noted
    between them, then Ended. Closing it stops the answer; what came is kept, marked incomplete. After an
    error it is kept too, and a question without any answer stays until the next one takes its place.
    """

    def __init__(self, pool: ChatPool, folder: Path) -> None:
        self._pool = pool
        self._repository = ConversationRepository(folder / FILE, pool.clock)
        self._drafts = Drafts(self._repository, folder, pool.clock)
        self._unstored: dict[str, Conversation] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, pool: ChatPool, folder: Path | None = None
    ) -> AsyncGenerator["ConversationService", None]:
        """Open the conversations in a folder, by default the state folder; the file opens on first use."""
        conversations = cls(pool, folder or state_folder())
        try:
            yield conversations
        finally:
            # A screen that goes away cancels more than once; half closed, the last words would be lost.
            await run_uncancelled(conversations._close())

    async def _close(self) -> None:
        if "_session" in vars(self):
            await self._session.close()
        self._drafts.close()
        await self._repository.close()

    @cached_property
    def _session(self) -> "ChatSession":
        """What answers questions, and the tools with it: imported with the first question."""
        from okr_tui.chat.session import ChatSession

        return ChatSession(self._pool, self._repository)

    @property
    def notice(self) -> str | None:
        """Why nothing is saved, in one line; None while all is."""
        return self._repository.notice

    def new(self, model: str | None = None, options: ChatOptions | None = None) -> Conversation:
        """Return a new conversation, which is stored with its first question."""
        now = self._pool.clock.time()
        begun = Conversation(
            uuid.uuid4().hex, model=model, options=options or ChatOptions(), created=now, updated=now
        )
        self._unstored[begun.id] = begun
        return begun

    async def get(self, identifier: str) -> Conversation:
        """Return a conversation with its turns. Raises ChatError when there is none."""
        return self._unstored.get(identifier) or await self._repository.get(identifier)

    async def draft(self, identifier: str) -> Draft:
        """Return what was typed for a conversation and not sent; "" is the new conversation."""
        return await self._drafts.get(identifier)

    async def keep_draft(self, identifier: str, draft: Draft) -> None:
        """Keep what is typed for a conversation, in place of what was; an empty draft is forgotten."""
        await self._drafts.keep(identifier, draft)

    async def named(self, start: str) -> str:
        """Return the whole identifier that begins so. Raises ChatError when none or several do."""
        found = await self._repository.read(lambda store: store.starting(start))
        if len(found) != 1:
            what = "no conversation" if not found else "more than one conversation"
            raise ChatError(f"{what} begins with {start[:40]!r}")
        return found[0]

    async def recent(self, limit: int = PAGE, offset: int = 0) -> tuple[Found, ...]:
        """Return a page of conversations, the one used last first."""
        return await self._repository.read(lambda store: store.recent(limit, offset))

    async def search(self, words: str, limit: int = PAGE) -> tuple[Found, ...]:
        """Return conversations with every word in one turn or in the title."""
        return await self._repository.search(words, limit)

    async def rename(self, identifier: str, name: str) -> Conversation:
        """Give a conversation another title."""
        if not name.strip():
            raise ChatError("a conversation needs a title")
        return await self._changed(replace(await self.get(identifier), title=title(name)))

    async def configure(
        self, identifier: str, *, model: str | None = None, options: ChatOptions | None = None
    ) -> Conversation:
        """Give a conversation another model or other options, from the next question on."""
        conversation = await self.get(identifier)
        return await self._changed(
            replace(conversation, model=model or conversation.model, options=options or conversation.options)
        )

    async def _changed(self, conversation: Conversation) -> Conversation:
        if conversation.id in self._unstored:
            self._unstored[conversation.id] = conversation
        else:
            await self._repository.change(conversation)
        return conversation

    async def branch(self, identifier: str, place: int) -> Conversation:
        """Return a copy of all turns before a place, which goes its own way."""
        branch = await self._branched(identifier, place)
        if branch.turns:
            await self._repository.create(branch)
        else:
            self._unstored[branch.id] = branch
        return branch

    async def _branched(self, identifier: str, place: int) -> Conversation:
        """Return a branch that is not stored yet."""
        origin = await self.get(identifier)
        now = self._pool.clock.time()
        kept = origin.before(place)
        return replace(
            kept,
            id=uuid.uuid4().hex,
            created=now,
            updated=now,
            branched_from=origin.id,
            branched_at=kept.turns[-1].place if kept.turns else 0,
        )

    async def compare(
        self, identifier: str | None, models: Sequence[str], options: ChatOptions | None = None
    ) -> tuple[Conversation, ...]:
        """Return a branch of the whole conversation, or a new one, for each model; `ask` each of them."""
        sides = []
        for model in models:
            if identifier is None:
                sides.append(self.new(model, options))
                continue
            end = (await self.get(identifier)).turns
            side = await self.branch(identifier, end[-1].place + 1 if end else 1)
            sides.append(await self.configure(side.id, model=model, options=options))
        return tuple(sides)

    async def delete(self, identifier: str) -> str:
        """Delete a conversation; return what was done. `restore` brings it back."""
        conversation = await self.get(identifier)
        if self._unstored.pop(identifier, None) is None:
            now = self._pool.clock.time()
            await self._repository.delete(identifier, now)
        return f"Deleted {conversation.title}"

    async def restore(self, identifier: str) -> Conversation:
        """Bring a deleted conversation back."""
        await self._repository.read(lambda store: store.restore(identifier))
        return await self.get(identifier)

    async def export(self, identifier: str, form: Form = "markdown") -> str:
        """Return the whole conversation as a document."""
        conversation = await self.get(identifier)
        return to_json(conversation) if form == "json" else to_markdown(conversation)

    async def import_json(self, text: str) -> Conversation:
        """Store an exported conversation (JSON) as a new one. Raises ChatError for any other text."""
        found = from_json(text)
        found = replace(found, id=uuid.uuid4().hex, title=title(found.title))
        await self._repository.create(found)
        return found

    async def ask(
        self, identifier: str, text: str, images: Sequence[str] = (), *, only: int | None = None
    ) -> Answering:
        """Ask a question. `images` are base64 texts; `only` is the 1-based index of the one key to use."""
        conversation = await self.get(identifier)
        request = Request(conversation, self._others(only))
        stored = identifier not in self._unstored
        answering = await self._session.question(request, text, tuple(images), stored=stored)
        self._unstored.pop(identifier, None)
        return answering

    async def edit(self, identifier: str, place: int, text: str, images: Sequence[str] = ()) -> Answering:
        """Ask another question in place of the one there, with its images: in a branch, which Began names."""
        turns = (await self.get(identifier)).turns
        kept = next((turn.message.images for turn in turns if turn.place == place), ())
        branch = await self._branched(identifier, place)
        return await self._session.question(Request(branch), text, (*kept, *images), stored=False)

    async def again(self, identifier: str, *, other_key: bool = False, only: int | None = None) -> Answering:
        """Ask the last question again, in a branch when it was answered.

        `other_key` leaves out the account that answered; `only` is the index of the one key to use.
        """
        conversation = await self.get(identifier)
        question = conversation.question
        if question is None:
            raise ChatError("there is no question to ask again")
        avoid = set(self._others(only))
        if other_key:
            avoid |= self._who_answered(conversation)
        if not conversation.unanswered:
            conversation = await self.branch(identifier, question.place + 1)
        return self._session.answer(Request(conversation, avoid))

    async def resume(self, identifier: str) -> Answering:
        """Continue an incomplete answer where it stopped; its turn grows."""
        conversation = await self.get(identifier)
        if conversation.incomplete is None and not conversation.unfinished:
            raise ChatError("the last answer is complete: there is nothing to continue")
        return self._session.resume(Request(conversation))

    def gauge(self, conversation: Conversation) -> Gauge:
        """Return how much of its model's context a conversation fills."""
        return gauge(conversation, self.model(conversation.model))

    def model(self, name: str | None) -> Model | None:
        """Return the listed model of a name; None when there is none."""
        return listed_model(self._pool.models, name)

    def _others(self, only: int | None) -> Collection[str]:
        """Return the fingerprints of every key but the one at an index."""
        if only is None:
            return ()
        chosen = self._pool.fingerprint(only)
        return set(self._pool.fingerprints) - {chosen}

    def _who_answered(self, conversation: Conversation) -> set[str]:
        """Return the key and the account of the last answer; nothing when there is none."""
        answered = next((turn.answered for turn in reversed(conversation.turns) if turn.answered), None)
        if answered is None or not answered.fingerprint:
            return set()
        return {answered.fingerprint, self._pool.account_of(answered.fingerprint)}
