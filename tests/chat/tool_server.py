"""A tool server for tests: `add`, `fail`, `long`, `secret` and `slow`; it prints more than it should."""

import asyncio
import os
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("tests")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("it broke")


@server.tool()
def long() -> str:
    """Answer at length."""
    return "x" * 100_000


@server.tool()
def secret() -> str:
    """How long the secret is, and whether a key of the pool can be seen."""
    return f"{len(os.environ.get('TOKEN', ''))} {'OLLAMA_API_KEYS' in os.environ}"


@server.tool()
async def slow() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


if __name__ == "__main__":
    sys.stderr.write("a message on standard error\n")
    if "--crash" in sys.argv:
        sys.exit(f"cannot start with {os.environ.get('TOKEN')}")
    if "--http" in sys.argv:
        import uvicorn

        listening = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), port=0, log_level="error"))

        async def serve() -> None:
            task = asyncio.create_task(listening.serve())
            while not listening.started:  # noqa: ASYNC110 uvicorn has no event for it
                await asyncio.sleep(0.01)
            sys.stdout.write(f"{listening.servers[0].sockets[0].getsockname()[1]}\n")
            sys.stdout.flush()
            await task

        asyncio.run(serve())
    else:
        server.run("stdio")
