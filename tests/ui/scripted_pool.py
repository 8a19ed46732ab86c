"""Real conversations on a scripted cloud: what is asked is recorded, what is answered is set by the test."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import ChatEvent, Message
from okr_tui.chat.service import Conversations
from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import Key
from okr_tui.services.pool_service import PoolService
from tests.ui.examples import NOW

if TYPE_CHECKING:
    from tests.ui.scripted_service import ScriptedService

Step = ChatEvent | OkrError | asyncio.Event


class TickingClock:
    """Every look at it is a millisecond later, so nothing happens at the same moment."""

    def __init__(self) -> None:
        self._now = NOW

    def time(self) -> float:
        """See Clock."""
        self._now += 0.001
        return self._now

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


@dataclass
class ChatRequest:
    """What one request was."""

    model: str
    messages: tuple[Message, ...]
    conversation: str
    think: str | None
    sampling: Mapping[str, object]
    tools: tuple[str, ...]
    avoid: frozenset[str] = field(default_factory=frozenset)


class ScriptedPool:
    """As much of the pool as conversations use; its answers are the service's script."""

    def __init__(self, service: "ScriptedService") -> None:
        self.service = service
        self.clock = TickingClock()
        rows = service.snapshot.models.rows
        self.catalog = SimpleNamespace(models=[row.model for row in rows])
        count = len(service.snapshot.pool.keys)
        keys = [Key.of(f"key number {place}", "global") for place in range(1, count + 1)]
        state = SimpleNamespace(account_of=lambda print_of: print_of)
        self.pool = SimpleNamespace(config=SimpleNamespace(keys=keys), state=state)
        self.configuration = SimpleNamespace(chat=service.chat_settings, environment={})

    def key(self, index: int) -> Key:
        """See PoolService."""
        keys: list[Key] = self.pool.config.keys
        return keys[index - 1]

    async def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        conversation: str,
        think: str | None = None,
        sampling: Mapping[str, object] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        avoid: Collection[str] = (),
    ) -> AsyncGenerator[ChatEvent, None]:
        """Play the script: an error in it is raised, an event is waited for."""
        names = tuple(tool["function"]["name"] for tool in tools)
        request = ChatRequest(
            model, tuple(messages), conversation, think, dict(sampling or {}), names, frozenset(avoid)
        )
        self.service.requests.append(request)
        script = self.service.answers.pop(0) if self.service.answers else self.service.answer
        for step in script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    async def post(self, path: str, document: Mapping[str, object], *, conversation: str) -> object:
        """What a search finds."""
        self.service.calls.append((path, dict(document), conversation))
        return {"results": [{"title": "Tides"}, {"title": "Moon"}]}


@asynccontextmanager
async def conversations(service: "ScriptedService") -> AsyncGenerator[Conversations, None]:
    """The conversations of a scripted service, in a folder of their own that goes with them."""
    with tempfile.TemporaryDirectory() as folder:
        pool = ScriptedPool(service)
        opening = Conversations.open(
            cast(PoolService, pool), service.folder or Path(folder), client=cast(PoolClient, pool)
        )
        async with opening as opened:
            yield opened
