"""Gateways to test."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
import pytest_asyncio

from tests.gateway.abuse import question
from tests.gateway.raw_connection import connect, sized
from tests.gateway.running_gateway import RunningGateway, open_gateway, scripted_gateway
from tests.gateway.shared_gateway import IDLE, SHORT, EchoCloud, SharedGateway, echoed_word
from tests.harness import Harness, open_harness


@pytest.fixture
async def gateway(harness: Harness) -> AsyncIterator[RunningGateway]:
    """A gateway before that cloud."""
    async with open_gateway(harness) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[SharedGateway, None]:
    """One gateway for all tests of a file: what one request leaves behind, the next ones meet."""
    cloud = EchoCloud()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("okr_tui.gateway.connection.IDLE_SECONDS", IDLE)
        async with (
            open_harness(tmp_path_factory.mktemp("stage")) as harness,
            scripted_gateway(harness, cloud) as gateway,
        ):
            yield SharedGateway(gateway, cloud)


@pytest_asyncio.fixture(loop_scope="module")
async def shared(
    module_gateway: SharedGateway, caplog: pytest.LogCaptureFixture
) -> AsyncGenerator[SharedGateway, None]:
    """That gateway. In the end nothing is under way, it answers, and nothing met an error but the caller."""
    module_gateway.clear()
    caplog.set_level(logging.ERROR)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: module_gateway.crashes.append(context))
    yield module_gateway
    await module_gateway.wait_idle()
    async with connect(module_gateway.gateway) as connection:
        await connection.write(sized(question("next")))
        assert await echoed_word(connection) == "next"
    assert module_gateway.gateway.reported == []
    assert module_gateway.crashes == []
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for the rest of a request only for a moment."""
    monkeypatch.setattr("okr_tui.gateway.connection.HEAD_SECONDS", SHORT)
    monkeypatch.setattr("okr_tui.gateway.request.BODY_SECONDS", SHORT)
