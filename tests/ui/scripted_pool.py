"""Real conversations on a scripted cloud: what is asked is recorded, what is answered is set by the test."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from okr_tui.chat.messages import ChatEvent, Message
from okr_tui.chat.service import ConversationService
from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import Key
from okr_tui.settings.table import ChatSettings
from tests.ui.examples import NOW
from tests.waiting import let_pass

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

    def monotonic(self) -> float:
        """See Clock."""
        return self.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await let_pass(seconds)


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
        self.models = [row.model for row in service.snapshot.models.rows]
        self.fingerprints = [
            Key.of(f"key number {number}", "global").fingerprint
            for number in range(1, len(service.snapshot.pool.keys) + 1)
        ]
        self.settings = service.chat_settings
        self.environment: dict[str, str] = {}

    def fingerprint(self, index: int) -> str:
        """Return the fingerprint of a key."""
        return self.fingerprints[index - 1]

    def account_of(self, fingerprint: str) -> str:
        """Return an account of its own for each key."""
        return fingerprint

    def follow_settings(self, _: Callable[[ChatSettings], None]) -> Callable[[], None]:
        """Never change."""
        return lambda: None

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
async def conversations(service: "ScriptedService") -> AsyncGenerator[ConversationService, None]:
    """The conversations of a scripted service, in a folder of their own that goes with them."""
    with tempfile.TemporaryDirectory() as folder:
        opening = ConversationService.open(ScriptedPool(service), service.folder or Path(folder))
        async with opening as opened:
            yield opened
