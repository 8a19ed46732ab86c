"""Thousands of connections on which nothing comes: they stop nobody, and nothing of them is left."""

import asyncio
import gc
import resource
import socket
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest

from tests.gateway.raw_connection import head
from tests.gateway.running_gateway import HOST, RunningGateway
from tests.waiting import until

pytestmark = pytest.mark.slow(reason="holds thousands of connections")

COUNT = 2400
AT_ONCE = 100
ENDS_OF_EACH = 2
"""Both ends of a connection are open files of this process."""
OTHER_FILES = 500


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = ENDS_OF_EACH * COUNT + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may not have {needed} open files here")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def connections(gateway: RunningGateway) -> AsyncGenerator[list[socket.socket], None]:
    """Connections to a gateway: silent, with half a head on them, and with an answered request, in turns."""
    loop = asyncio.get_running_loop()
    address = (HOST, httpx.URL(gateway.url).port)
    with ExitStack() as stack:

        async def opened(index: int) -> socket.socket:
            made = stack.enter_context(socket.socket())
            made.setblocking(False)
            await loop.sock_connect(made, address)
            if index % 3 == 1:
                await loop.sock_sendall(made, head()[:-9])
            elif index % 3 == 2:
                await loop.sock_sendall(made, head(method=b"GET", target=b"/healthz"))
                answer = b""
                while not answer.endswith(b'{"status":"ok"}'):
                    answer += await loop.sock_recv(made, 1024)
            return made

        found: list[socket.socket] = []
        for start in range(0, COUNT, AT_ONCE):
            found += await asyncio.gather(*(opened(index) for index in range(start, start + AT_ONCE)))
        yield found


class Held:
    """The gateway's ends of these connections, as long as anything in this process keeps them."""

    def __init__(self, gateway: RunningGateway, connections: list[socket.socket]) -> None:
        self._own = (HOST, httpx.URL(gateway.url).port)
        self._peers = {connection.getsockname() for connection in connections}

    def count(self) -> int:
        """How many there are."""
        gc.collect()
        transports = [item for item in gc.get_objects() if issubclass(type(item), asyncio.BaseTransport)]
        return sum(
            transport.get_extra_info("sockname") == self._own
            and transport.get_extra_info("peername") in self._peers
            for transport in transports
        )

    async def are(self, count: int) -> None:
        """Until there are as many."""
        await until(lambda: self.count() == count)


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.usefixtures("many_files")
async def test_thousands_of_idle_connections_stop_no_caller_and_leave_nothing(
    gateway: RunningGateway, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.gateway.connection.HEAD_SECONDS", 600)
    before = asyncio.all_tasks()
    async with connections(gateway) as idle:
        held = Held(gateway, idle)
        await held.are(COUNT)
        answers = await asyncio.gather(*(gateway.post("/api/chat") for _ in range(8)))
        answers += [await gateway.post("/api/chat") for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 16
        for connection in idle:
            with pytest.raises(BlockingIOError):
                connection.recv(1)
            if end == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await held.are(0)
    await until(lambda: not (asyncio.all_tasks() - before))
    assert (await gateway.post("/api/chat")).status_code == 200
    assert gateway.reported == []
