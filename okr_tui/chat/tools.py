"""The tools a model may call: reading the web through the pool, and tools of servers the person named."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self

from okr_tui.chat.messages import ToolResult
from okr_tui.cloud.dialects import ToolCall
from okr_tui.cloud.endpoints import WEB_FETCH, WEB_SEARCH
from okr_tui.domain.errors import OkrError
from okr_tui.settings.table import BUILT_IN, ChatSettings, Confirm
from okr_tui.settings.tool_servers import ToolServer

TOOL_SECONDS: Final = 120.0
MOST_TOOLS: Final = 128

BUILT_IN_ONLY: Final = ChatSettings(tools=True)

Post = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""Asks an endpoint of the cloud; see chat.post."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its name for the model, what it does, a JSON schema of its arguments, and who confirms a call.

    `run` raises an OkrError of one line when it cannot do its work. `server` is the tool server it is of.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    confirm: Confirm
    run: Callable[[Mapping[str, object]], Awaitable[ToolResult]] = field(repr=False)
    server: str | None = None

    def wire(self) -> dict[str, object]:
        """The tool as the native API takes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
        return {"type": "function", "function": function}


class ServedTools(Protocol):
    """A tool server under way."""

    async def tools(self) -> Sequence[Tool]:
        """Its tools; the first call starts it. Raises ChatError when it cannot be reached."""

    async def close(self) -> None:
        """End it."""


Serve = Callable[[ToolServer, ChatSettings], ServedTools]


class Toolbox:
    """All tools. `async with` closes the servers that were started; nothing is started before it is used."""

    def __init__(self, settings: ChatSettings, post: Post, serve: Serve | None = None) -> None:
        self.settings = settings
        self._post = post
        self._stack = AsyncExitStack()
        self._servers: dict[str, ServedTools] = {}
        for name, server in settings.servers.items() if serve else ():
            if serve and settings.offers(name):
                self._servers[name] = serve(server, settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def asking(self, post: Post) -> "Toolbox":
        """The same tools and servers, asking the cloud in another way."""
        other = copy.copy(self)
        other._post = post
        return other

    async def tools(self) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
        """Every tool a model may see, and a line for each server that cannot be used.

        Tools that are never to be called are left out. Servers start side by side, once.
        """
        found = [tool for tool in self._built_in() if self.settings.offers(tool.name)]
        problems: list[str] = []
        answers = await asyncio.gather(
            *(server.tools() for server in self._servers.values()), return_exceptions=True
        )
        names = {tool.name for tool in found}
        for name, answer in zip(self._servers, answers, strict=True):
            if isinstance(answer, OkrError):
                problems.append(str(answer))
                continue
            if isinstance(answer, BaseException):
                raise answer
            for tool in answer:
                if tool.name in names or len(found) >= MOST_TOOLS:
                    problems.append(f"tool server {name}: {tool.name[:80]} is left out, there are too many")
                    continue
                names.add(tool.name)
                found.append(tool)
        return tuple(tool for tool in found if tool.confirm != "never"), tuple(problems)

    def _built_in(self) -> tuple[Tool, ...]:
        search, fetch = BUILT_IN
        return (
            Tool(
                search,
                "Search the web. Answers titles, addresses and excerpts.",
                _schema({"query": ("string", "What to search for."), "max_results": ("integer", "1 to 10.")}),
                self.settings.confirms(search),
                self._search,
            ),
            Tool(
                fetch,
                "Read a web page. Answers its title, text and links.",
                _schema({"url": ("string", "The address of the page.")}),
                self.settings.confirms(fetch),
                self._fetch,
            ),
        )

    async def _search(self, arguments: Mapping[str, object]) -> ToolResult:
        document: dict[str, object] = {"query": str(arguments.get("query") or "")}
        most = arguments.get("max_results")
        if isinstance(most, int) and not isinstance(most, bool):
            document["max_results"] = min(max(most, 1), 10)
        return _json(await self._post(WEB_SEARCH.path, document))

    async def _fetch(self, arguments: Mapping[str, object]) -> ToolResult:
        return _json(await self._post(WEB_FETCH.path, {"url": str(arguments.get("url") or "")}))


async def run(tool: Tool, call: ToolCall) -> ToolResult:
    """Run a call; a failure is a result too, so that the model can try another way."""
    try:
        async with asyncio.timeout(TOOL_SECONDS):
            return await tool.run(call.arguments)
    except TimeoutError:
        return ToolResult.of(f"{tool.name} did not answer within {TOOL_SECONDS:.0f} s", failed=True)
    except OkrError as error:
        return ToolResult.of(str(error), failed=True)


def _json(document: object) -> ToolResult:
    return ToolResult.of(json.dumps(document, ensure_ascii=False))


def _schema(properties: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    described = {name: {"type": kind, "description": words} for name, (kind, words) in properties.items()}
    return {"type": "object", "properties": described, "required": [next(iter(properties))]}
