"""How many connections a gateway keeps, and which of them it gives up."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from okr_tui.gateway import connection, server
from okr_tui.gateway.connection import NO_FILES_LEFT, Connections, most_connections
from tests.gateway.abuse import probe
from tests.gateway.raw_connection import RawConnection, connect
from tests.gateway.running_gateway import RunningGateway
from tests.waiting import let_pass

MOST = 6


@pytest.fixture
async def opened(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncExitStack]:
    """What keeps connections open, to a gateway that allows a few."""
    await gateway.client.get("/healthz", headers={"connection": "close"})
    monkeypatch.setattr(connection, "most_connections", lambda: MOST)
    async with AsyncExitStack() as stack:
        yield stack


async def known(gateway: RunningGateway, opened: AsyncExitStack) -> RawConnection:
    """A connection on which a good request was answered."""
    made = await opened.enter_async_context(connect(gateway))
    await made.write(probe(target=b"/api/version"))
    answer = await made.response()
    assert answer
    assert answer.status == 200
    return made


async def is_open(made: RawConnection) -> bool:
    """Whether a request on it is still answered."""
    try:
        await made.write(probe())
        return await made.response() is not None
    except ConnectionError:
        return False


async def test_strangers_give_way_the_oldest_first(gateway: RunningGateway, opened: AsyncExitStack) -> None:
    friends = [await known(gateway, opened) for _ in range(2)]
    strangers = []
    for _ in range(MOST):
        strangers.append(await opened.enter_async_context(connect(gateway)))
        await let_pass(0.01)
    assert [await is_open(made) for made in friends] == [True, True]
    assert [await is_open(made) for made in strangers] == [False, False, True, True, True, True]


async def test_among_known_ones_the_longest_idle_gives_way(
    gateway: RunningGateway, opened: AsyncExitStack
) -> None:
    friends = [await known(gateway, opened) for _ in range(MOST + 2)]
    assert [await is_open(made) for made in friends] == [False, False, *[True] * MOST]


@pytest.mark.parametrize(("soft", "most"), [(128, 32), (256, 96), (1024, 480), (10**6, 4096), (10, 4)])
def test_the_bound_leaves_open_files_for_all_else(
    soft: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (soft, soft))
    assert most_connections() == most


async def test_files_that_run_out_are_reported_once_and_other_problems_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    others: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "_exception_handler", lambda _, context: others.append(context))
    with server._accepting(Connections(said.append)):
        for _ in range(1000):
            loop.call_exception_handler(
                {"message": "accept", "exception": OSError(errno.EMFILE, "x"), "socket": None}
            )
        loop.call_exception_handler({"message": "another"})
    assert said == [NO_FILES_LEFT]
    assert [context["message"] for context in others] == ["another"]
