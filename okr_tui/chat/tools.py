"""The tools a model may call: reading the web through the pool, and tools of servers the person named."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

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
"""Posts a document to an endpoint of the cloud and returns the one it answers, as ChatPool.post does."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its name for the model, what it does, a JSON schema of its arguments, and who confirms a call.

    `run` raises an OkrError of one line when it cannot do its work. `server` is the tool server it is of;
    `fetches` names the argument that is an address.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    confirm: Confirm
    run: Callable[[Mapping[str, object]], Awaitable[ToolResult]] = field(repr=False)
    server: str | None = None
    fetches: str | None = None

    def wire(self) -> dict[str, object]:
        """Return the tool as the native API takes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
        return {"type": "function", "function": function}


class ServedTools(Protocol):
    """A tool server under way."""

    async def tools(self, settings: ChatSettings) -> Sequence[Tool]:
        """Return its tools; the first call starts it. Raises ChatError when it cannot be reached."""

    async def close(self) -> None:
        """End it."""


@dataclass(eq=False, slots=True)
class _Running:
    server: ToolServer
    served: ServedTools
    users: int = 0
    retired: bool = False


class ToolServers:
    """The tool servers that settings name: shared by all answers, none started before it is used.

    One whose settings have changed or gone takes no new answer, and ends with the last one that uses it.
    """

    def __init__(self, serve: Callable[[ToolServer], ServedTools]) -> None:
        self._serve = serve
        self._running: list[_Running] = []
        self._closing: set[asyncio.Task[None]] = set()

    def apply(self, settings: ChatSettings) -> None:
        """Retire the servers that these settings no longer name as they are."""
        wanted = _offered(settings) if settings.tools else ()
        for running in tuple(self._running):
            if running.server not in wanted:
                running.retired = True
                self._end_unused(running)

    @contextmanager
    def used(self, settings: ChatSettings) -> Iterator[tuple[ServedTools, ...]]:
        """Hold the servers of these settings for an answer, under way or about to be started."""
        used = [self._of(server) for server in _offered(settings)]
        for running in used:
            running.users += 1
        try:
            yield tuple(running.served for running in used)
        finally:
            for running in used:
                running.users -= 1
                self._end_unused(running)

    async def close(self) -> None:
        """End all servers."""
        for running in tuple(self._running):
            self._end(running)
        await asyncio.gather(*self._closing)

    def _of(self, server: ToolServer) -> _Running:
        for running in self._running:
            if running.server == server and not running.retired:
                return running
        self._running.append(_Running(server, self._serve(server)))
        return self._running[-1]

    def _end_unused(self, running: _Running) -> None:
        if running.retired and not running.users and running in self._running:
            self._end(running)

    def _end(self, running: _Running) -> None:
        self._running.remove(running)
        closing = asyncio.create_task(running.served.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _offered(settings: ChatSettings) -> tuple[ToolServer, ...]:
    return tuple(server for name, server in settings.servers.items() if settings.offers(name))


class Toolbox:
    """All tools of an answer: the built-in ones, and those of tool servers."""

    def __init__(self, settings: ChatSettings, post: Post, servers: Sequence[ServedTools] = ()) -> None:
        self.settings = settings
        self._post = post
        self._servers = servers

    async def tools(self) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
        """Return every tool a model may call, and a line for each server or tool that cannot be used.

        Servers start at the same time, once.
        """
        found = [tool for tool in self._built_in() if self.settings.offers(tool.name)]
        problems: list[str] = []
        answers = await asyncio.gather(
            *(server.tools(self.settings) for server in self._servers), return_exceptions=True
        )
        names = {tool.name for tool in found}
        for answer in answers:
            if isinstance(answer, OkrError):
                problems.append(str(answer))
                continue
            if isinstance(answer, BaseException):
                raise answer
            for tool in answer:
                if tool.name in names or len(found) >= MOST_TOOLS:
                    reason = (
                        "another tool has that name"
                        if tool.name in names
                        else f"there are more than {MOST_TOOLS} tools"
                    )
                    problems.append(f"tool server {tool.server}: {tool.name} is left out: {reason}")
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
                fetches="url",
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
