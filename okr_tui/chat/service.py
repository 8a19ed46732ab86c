"""Conversations as fronts use them: kept, found, branched, exported, and asked on."""

import contextlib
import uuid
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.conversation import Conversation, Draft, Found, Gauge, gauge, title
from okr_tui.chat.drafts import Drafts
from okr_tui.chat.events import PAGE, Answering, Form
from okr_tui.chat.export import from_json, to_json, to_markdown
from okr_tui.chat.fallback import ConversationRepository
from okr_tui.chat.options import ChatOptions
from okr_tui.chat.session import ChatSession, Request
from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import Model
from okr_tui.services.background import run_uncancelled
from okr_tui.services.pool_service import PoolService
from okr_tui.store.factory import state_folder

FILE: Final = "conversations.db"


class Conversations:
    """The conversations of a keyring."""

    def __init__(self, service: PoolService, folder: Path, client: PoolClient) -> None:
        self._service = service
        self._repository = ConversationRepository(folder / FILE, service.clock)
        self._asking = ChatSession(service, client, self._repository)
        self._drafts = Drafts(self._repository, folder, service.clock)
        self._unasked: dict[str, Conversation] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, service: PoolService, folder: Path | None = None, *, client: PoolClient | None = None
    ) -> AsyncGenerator["Conversations", None]:
        """The conversations in a folder, by default the state folder. Nothing is opened before its use."""
        conversations = cls(service, folder or state_folder(), client or PoolClient(service))
        try:
            yield conversations
        finally:
            # A screen that goes away cancels more than once; half closed, the last words would be lost.
            await run_uncancelled(conversations._close())

    async def _close(self) -> None:
        await self._asking.close()
        self._drafts.close()
        await self._repository.close()

    @property
    def notice(self) -> str | None:
        """See ConversationService."""
        return self._repository.notice

    def new(self, model: str | None = None, options: ChatOptions | None = None) -> Conversation:
        """See ConversationService."""
        now = self._service.clock.time()
        begun = Conversation(
            uuid.uuid4().hex, model=model, options=options or ChatOptions(), created=now, updated=now
        )
        self._unasked[begun.id] = begun
        return begun

    async def get(self, identifier: str) -> Conversation:
        """See ConversationService."""
        return self._unasked.get(identifier) or await self._repository.get(identifier)

    async def draft(self, identifier: str) -> Draft:
        """See ConversationService."""
        return await self._drafts.get(identifier)

    async def keep_draft(self, identifier: str, draft: Draft) -> None:
        """See ConversationService."""
        await self._drafts.keep(identifier, draft)

    async def named(self, start: str) -> str:
        """The whole identifier that begins so; raises ChatError when none or several do."""
        found = await self._repository.read(lambda store: store.starting(start))
        if len(found) != 1:
            what = "no conversation" if not found else "more than one conversation"
            raise ChatError(f"{what} begins with {start[:40]!r}")
        return found[0]

    async def recent(self, limit: int = PAGE, offset: int = 0) -> tuple[Found, ...]:
        """See ConversationService."""
        return await self._repository.read(lambda store: store.recent(limit, offset))

    async def search(self, words: str, limit: int = PAGE) -> tuple[Found, ...]:
        """See ConversationService."""
        return await self._repository.search(words, limit)

    async def rename(self, identifier: str, name: str) -> Conversation:
        """See ConversationService."""
        if not name.strip():
            raise ChatError("a conversation needs a title")
        return await self._changed(replace(await self.get(identifier), title=title(name)))

    async def configure(
        self, identifier: str, *, model: str | None = None, options: ChatOptions | None = None
    ) -> Conversation:
        """See ConversationService."""
        conversation = await self.get(identifier)
        return await self._changed(
            replace(conversation, model=model or conversation.model, options=options or conversation.options)
        )

    async def _changed(self, conversation: Conversation) -> Conversation:
        if conversation.id in self._unasked:
            self._unasked[conversation.id] = conversation
        else:
            await self._repository.change(conversation)
        return conversation

    async def branch(self, identifier: str, place: int) -> Conversation:
        """See ConversationService."""
        branch = await self._branched(identifier, place)
        if branch.turns:
            await self._repository.create(branch)
        else:
            self._unasked[branch.id] = branch
        return branch

    async def _branched(self, identifier: str, place: int) -> Conversation:
        """A branch that is not stored yet."""
        origin = await self.get(identifier)
        now = self._service.clock.time()
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
        """See ConversationService."""
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
        """See ConversationService."""
        conversation = await self.get(identifier)
        if self._unasked.pop(identifier, None) is None:
            now = self._service.clock.time()
            await self._repository.delete(identifier, now)
        return f"Deleted {conversation.title}"

    async def restore(self, identifier: str) -> Conversation:
        """See ConversationService."""
        await self._repository.read(lambda store: store.restore(identifier))
        return await self.get(identifier)

    async def export(self, identifier: str, form: Form = "markdown") -> str:
        """See ConversationService."""
        conversation = await self.get(identifier)
        return to_json(conversation) if form == "json" else to_markdown(conversation)

    async def take_in(self, text: str) -> Conversation:
        """See ConversationService."""
        found = replace(from_json(text), id=uuid.uuid4().hex)
        await self._repository.create(found)
        return found

    async def ask(
        self, identifier: str, text: str, images: Sequence[str] = (), *, only: int | None = None
    ) -> Answering:
        """See ConversationService."""
        conversation = await self.get(identifier)
        request = Request(conversation, self._others(only))
        stored = identifier not in self._unasked
        answering = await self._asking.question(request, text, tuple(images), stored=stored)
        self._unasked.pop(identifier, None)
        return answering

    async def edit(self, identifier: str, place: int, text: str, images: Sequence[str] = ()) -> Answering:
        """See ConversationService."""
        asked = (await self.get(identifier)).turns
        kept = next((turn.message.images for turn in asked if turn.place == place), ())
        branch = await self._branched(identifier, place)
        return await self._asking.question(Request(branch), text, (*kept, *images), stored=False)

    async def again(self, identifier: str, *, other_key: bool = False, only: int | None = None) -> Answering:
        """See ConversationService."""
        conversation = await self.get(identifier)
        question = conversation.question
        if question is None:
            raise ChatError("there is no question to ask again")
        avoid = set(self._others(only))
        if other_key:
            avoid |= self._who_answered(conversation)
        if not conversation.unanswered:
            conversation = await self.branch(identifier, question.place + 1)
        return self._asking.answer(Request(conversation, avoid))

    async def resume(self, identifier: str) -> Answering:
        """See ConversationService."""
        conversation = await self.get(identifier)
        if conversation.incomplete is None and not conversation.unfinished:
            raise ChatError("the last answer is complete: there is nothing to continue")
        return self._asking.resume(Request(conversation))

    def gauge(self, conversation: Conversation) -> Gauge:
        """See ConversationService."""
        return gauge(conversation, self.model(conversation.model))

    def model(self, name: str | None) -> Model | None:
        """What the list says of a model."""
        return self._asking.model(name)

    def _others(self, only: int | None) -> Collection[str]:
        """Every key but the one at a place."""
        if only is None:
            return ()
        chosen = self._service.key(only).fingerprint
        return {key.fingerprint for key in self._service.pool.config.keys} - {chosen}

    def _who_answered(self, conversation: Conversation) -> set[str]:
        """The key and the account of the last answer; empty when there is none."""
        answered = next((turn.answered for turn in reversed(conversation.turns) if turn.answered), None)
        if answered is None or not answered.fingerprint:
            return set()
        return {answered.fingerprint, self._service.pool.state.account_of(answered.fingerprint)}
