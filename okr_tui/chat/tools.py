"""The tools a model may call: reading the web through the pool, and tools of servers the person named."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import field
from typing import Final, Protocol

from okr_tui.chat.conversation import ConsentRequested, Decision, Noted, RoundEvent, ToolRan
from okr_tui.chat.messages import ChatEvent, Message, Routed, ToolResult
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.cloud.endpoints import WEB_FETCH, WEB_SEARCH
from okr_tui.domain.errors import OkrError
from okr_tui.domain.values import dataclass
from okr_tui.services.background import Clock
from okr_tui.settings.table import BUILT_IN, ChatSettings, Confirm, ToolServer

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_END: Final = r"(?![\w%&=?#@:~+*$-])(?![./,;!\\][\w%?])"
_DEEPEST: Final = 20


def addresses(arguments: Mapping[str, object], fetched: str | None) -> tuple[str, ...]:
    """Return the addresses that a call names; `fetched` is the argument that is one however it is written."""
    found = list(_addresses(arguments, _DEEPEST))
    if fetched and fetched in arguments:
        found.append(str(arguments[fetched]))
    return tuple(dict.fromkeys(found))


def is_known(address: str, messages: Sequence[Message]) -> bool:
    """Return whether the person wrote an address, or a result named it before a call of the model did."""
    bare = _bare(address)
    if not bare:
        return False
    whole = re.compile(rf"(?<![\w.@-]){re.escape(bare)}{_END}", re.IGNORECASE)
    if any(message.role in ("user", "system") and whole.search(message.content) for message in messages):
        return True
    for message in messages:
        if any(whole.search(_text(call.arguments)) for call in message.tool_calls):
            return False  # what a tool repeats of its arguments is the model's own
        if message.role == "tool" and not message.failed and whole.search(message.content):
            return True
    return False


def _addresses(value: object, deepest: int) -> Iterator[str]:
    if isinstance(value, str):
        if _SCHEME.match(value.strip()) and len(value.split()) == 1:
            yield value
    elif deepest and isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _addresses(inner, deepest - 1)


def _bare(address: str) -> str:
    """Return an address without its scheme and a last slash: people leave out both."""
    return _SCHEME.sub("", address.strip(), count=1).rstrip("/")


def _text(arguments: Mapping[str, object]) -> str:
    return json.dumps(dict(arguments), ensure_ascii=False)


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
                "Search the web. Returns titles, addresses and excerpts.",
                _schema({"query": ("string", "What to search for."), "max_results": ("integer", "1 to 10.")}),
                self.settings.confirms(search),
                self._search,
            ),
            Tool(
                fetch,
                "Read a web page. Returns its title, text and links.",
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


Ask = Callable[[Sequence[Message], Sequence[Mapping[str, object]]], AsyncGenerator[ChatEvent, None]]
"""Asks a model with messages and tools, as ChatPool.chat does."""
MOST_CALLS = 32
"""Calls of one round that are run."""
UNKNOWN = "There is no such tool, or there were too many calls at once."
REFUSED = "The user refused this call. Continue without it."
MADE_UP = (
    "This address appears neither in the user's messages nor in an earlier result, so the user has to be "
    "asked first. Continue without it, or mention it in your answer."
)
MOST_QUESTIONS = 4
"""Calls of one round that a person is asked about; further ones are refused."""
TOO_MANY_QUESTIONS = "the model called too many tools at once to ask you about each; the rest were refused"


@dataclass(slots=True)
class Consent:
    """Whether a person is asked before a tool runs. `allowed` are the tools that always may.

    `asks` is False where no person can be asked: what needs consent is then refused.
    """

    asks: bool = True
    allowed: set[str] = field(default_factory=set)


async def run_tool_loop(
    ask: Ask, messages: Sequence[Message], box: Toolbox | None, consent: Consent, clock: Clock
) -> AsyncGenerator[RoundEvent, None]:
    """Yield the events of every round, up to the settings' limit; the last one is asked without tools.

    Raises what `ask` raises. Closing it stops answer and tools. Calls run one after the other, in order.
    """
    tools: tuple[Tool, ...] = ()
    if box is not None:
        tools, problems = await box.tools()
        for problem in problems:
            yield Noted(problem)
    known = {tool.name: tool for tool in tools}
    history = list(messages)
    most = box.settings.rounds if box is not None and tools else 0
    for left in range(most, -1, -1):
        offered = [tool.wire() for tool in tools] if left else []
        pieces: list[Delta] = []
        async with aclosing(ask(history, offered)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    pieces.append(event)
                yield event
                if isinstance(event, Routed) and event.answered_by:
                    yield Noted(f"{event.answered_by} answers instead: no key can take the requested model")
        answer = message_of(pieces)
        if not answer.tool_calls or not left:
            return
        history.append(answer)
        questions, too_many = (MOST_QUESTIONS, False) if consent.asks else (0, False)
        before = tuple(history[:-1])  # what the model named at once makes no address known
        for index, call in enumerate(answer.tool_calls):
            tool = known.get(call.name) if index < MOST_CALLS else None
            made_up = _made_up(tool, call, before) if tool else None
            allowed = tool is not None and (tool.confirm == "always" or tool.name in consent.allowed)
            allowed = allowed and made_up is None
            if tool is not None and not allowed and questions:
                decision: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
                yield ConsentRequested(call, tool.server, decision, consent.allowed, made_up)
                decided = await decision
                allowed = decided == "allow"
                questions = 0 if decided == "refuse-all" else questions - 1
                too_many = not questions and decided != "refuse-all"
            elif tool is not None and not allowed and too_many:
                too_many = False
                yield Noted(TOO_MANY_QUESTIONS)
            if tool is not None and allowed:
                ran = await _run(tool, call, clock)
            else:
                refusal = MADE_UP if made_up and not consent.asks else REFUSED
                ran = ToolRan(call, ToolResult.of(refusal if tool else UNKNOWN, failed=True))
            history.append(result_message(ran))
            yield ran
        if left == 1:
            yield Noted(f"{most} rounds of tool calls were run; the model answers without more")


def message_of(pieces: Sequence[Delta]) -> Message:
    """Return the message that the pieces of an answer make."""
    return Message(
        "assistant",
        "".join(piece.content for piece in pieces),
        "".join(piece.thinking for piece in pieces),
        tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
    )


def result_message(ran: ToolRan) -> Message:
    """Return a result as the message that goes back to the model."""
    return Message("tool", ran.result.text, tool_name=ran.call.name, failed=ran.result.failed)


async def _run(tool: Tool, call: ToolCall, clock: Clock) -> ToolRan:
    began = clock.monotonic()
    result = await run(tool, call)
    return ToolRan(call, result, clock.monotonic() - began)


def _made_up(tool: Tool, call: ToolCall, before: Sequence[Message]) -> str | None:
    """Return an address of a call that the model has from nowhere; None without one."""
    named = addresses(call.arguments, tool.fetches)
    return next((address for address in named if not is_known(address, before)), None)
