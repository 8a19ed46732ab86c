"""Tool servers of the Model Context Protocol, through its official package, which is an extra.

A server is entered and left in one task of its own, since the package ties its scopes to the task that opened
them; calls come from wherever they like. What it prints goes into a bounded buffer, never to the terminal.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from okr_tui.chat.messages import ToolResult
from okr_tui.chat.tools import MOST_TOOLS, TOOL_SECONDS, Tool
from okr_tui.cloud.http_policy import client_options
from okr_tui.cloud.network import Network, UnusableNetworkError
from okr_tui.domain.errors import ChatError
from okr_tui.domain.extras import how_to_add
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import clean_line
from okr_tui.settings.key_references import resolve
from okr_tui.settings.origin import Problem
from okr_tui.settings.table import ChatSettings, ToolServer

START_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 10.0
PRINTED_LONGEST: Final = 4096
DESCRIPTION_LONGEST: Final = 4096
LONGEST_ERROR: Final = 300
NEEDS_EXTRA: Final = f"needs the extra mcp: {how_to_add('mcp')}"


Listed = tuple[Any, list[Any]]
"""The client of a server, and its tools as the package describes them."""


class McpServer:
    """One tool server. It is started by the first `tools` and may be started again after it failed."""

    def __init__(self, server: ToolServer, environment: Mapping[str, str]) -> None:
        self._server = server
        self._environment = environment
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Listed] | None = None
        self._ended = asyncio.Event()
        self._printed = bytearray()
        self._scrubber = Scrubber()

    async def tools(self, settings: ChatSettings) -> Sequence[Tool]:
        """Return its tools, starting it if it is not running. Raises ChatError when it cannot be reached."""
        if self._task is None or self._task.done() or self._ready is None:
            self._ended = asyncio.Event()
            self._printed.clear()
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._live(self._ready, self._ended))
        client, items = await asyncio.shield(self._ready)
        return tuple(self._tool(client, item, settings) for item in items)

    async def close(self) -> None:
        """End it. A server that is still starting is given up at once."""
        if self._task is None:
            return
        self._ended.set()
        if self._ready is not None and not self._ready.done():
            self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self, ready: asyncio.Future[Listed], ended: asyncio.Event) -> None:
        """Run the server until `ended`. What ends it before it is ready is raised to those who wait."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(START_SECONDS):
                    client = await stack.enter_async_context(self._client())
                    listed = await self._listed(client)
                ready.set_result((client, listed))
                await ended.wait()
        except ChatError as error:
            self._fail(ready, error)
        except TimeoutError:
            self._fail(ready, self._error(f"no answer within {START_SECONDS:.0f} s"))
        except Exception as error:  # the package raises what its transports raise, alone or in groups
            self._fail(ready, self._error(_reason(error)))
        finally:
            self._fail(ready, self._error("it was closed"))

    def _fail(self, ready: asyncio.Future[Listed], error: ChatError) -> None:
        if not ready.done():
            ready.set_exception(error)
            ready.exception()  # retrieved, since no one may wait any more

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        try:
            import httpx2
            from mcp import Client
            from mcp.client.stdio import StdioServerParameters, stdio_client
            from mcp.client.streamable_http import streamable_http_client
        except ImportError as error:
            raise self._error(NEEDS_EXTRA) from error
        # Without a handler of its own its warnings would be written over the screen.
        logging.getLogger("mcp").addHandler(logging.NullHandler())
        server = self._server
        if server.url:
            headers = await self._resolved(server.headers)
            timeout = httpx2.Timeout(START_SECONDS, read=TOOL_SECONDS)
            try:
                options = client_options(Network(self._environment), server.url)
            except UnusableNetworkError as error:
                raise self._error(str(error)) from None
            async with (
                httpx2.AsyncClient(headers=headers, timeout=timeout, **options) as http,
                Client(streamable_http_client(server.url, http_client=http)) as client,
            ):
                yield client
            return
        parameters = StdioServerParameters(
            command=server.command,
            args=list(server.arguments),
            env=await self._resolved(server.env),
            cwd=server.folder,
            encoding_error_handler="replace",
        )
        with self._capturing() as printed:
            async with Client(stdio_client(parameters, errlog=printed)) as client:
                yield client

    async def _resolved(self, references: Mapping[str, SecretStr]) -> dict[str, str]:
        """Return the values that references give; only the server gets them."""
        found: dict[str, str] = {}
        for name, reference in references.items():
            value = await asyncio.to_thread(resolve, reference, self._environment, trusted=True)
            if isinstance(value, Problem):
                raise self._error(f"{name[:40]}: {value.message}")
            self._scrubber.add(value.get_secret_value())
            found[name] = value.get_secret_value()
        return found

    @contextlib.contextmanager
    def _capturing(self) -> Iterator[Any]:
        """Open a file for the server's messages, of which the last PRINTED_LONGEST bytes are kept."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._read_printed, reading)
        try:
            with os.fdopen(writing, "w") as file:
                yield file
        finally:
            self._read_printed(reading)
            loop.remove_reader(reading)
            os.close(reading)

    def _read_printed(self, reading: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(reading, 65536):
                self._printed += data
                del self._printed[:-PRINTED_LONGEST]
            asyncio.get_running_loop().remove_reader(reading)

    async def _listed(self, client: Any) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while len(found) < MOST_TOOLS:
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        return found[:MOST_TOOLS]

    def _tool(self, client: Any, item: Any, settings: ChatSettings) -> Tool:
        name = f"{self._server.name}_{item.name}"
        return Tool(
            "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:64],
            str(item.description or "")[:DESCRIPTION_LONGEST],
            item.input_schema,
            settings.confirms(name, self._server.name),
            partial(self._call, client, item.name),
            self._server.name,
        )

    async def _call(self, client: Any, name: str, arguments: Mapping[str, object]) -> ToolResult:
        if self._task is None or self._task.done():
            raise self._error("it is no longer running")
        try:
            result = await client.call_tool(name, dict(arguments))
        except Exception as error:  # as above
            raise self._error(_reason(error)) from error
        return ToolResult.of("\n".join(map(_text, result.content)), failed=bool(result.is_error))

    def _error(self, reason: str) -> ChatError:
        """Return one line with the last thing the server printed, without the secrets it was given."""
        lines = self._printed.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        printed = f"; it printed: {last}" if last else ""
        line = f"tool server {self._server.name}: {reason}{printed}"
        return ChatError(clean_line(self._scrubber.scrub(line), LONGEST_ERROR))


def _text(content: Any) -> str:
    """Return what a text model gets of a piece of a result."""
    if content.type == "text":
        return str(content.text)
    if content.type == "resource" and hasattr(content.resource, "text"):
        return str(content.resource.text)
    return f"({content.type} content, which is not shown)"


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError):
        return f"{error.filename or 'its command'} was not found"
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"its answer is not as the protocol has it: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())[:200] or type(error).__name__
