"""Gateways to test."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.gateway.abuse import question
from tests.gateway.gate import Gate, gate_of, scripted
from tests.gateway.stage import IDLE, SHORT, Repeater, Stage, word_of
from tests.gateway.wire import sized, wired
from tests.harness import Harness, open_harness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """Four keys of three known accounts on a cloud where nothing fails by itself."""
    async with open_harness(tmp_path) as made:
        async with made.open() as service:
            for key in service.pool.config.keys:
                await service.quota_poller.identity(key)
        yield made


@pytest.fixture
async def gateway(harness: Harness) -> AsyncIterator[Gate]:
    """A gateway before that cloud."""
    async with gate_of(harness) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage, None]:
    """One gateway for all tests of a file: what one request leaves behind, the next ones meet."""
    cloud = Repeater()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("okr_tui.gateway.server.IDLE_SECONDS", IDLE)
        async with (
            open_harness(tmp_path_factory.mktemp("stage")) as harness,
            scripted(harness, cloud) as gateway,
        ):
            yield Stage(gateway, cloud)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(lasting_stage: Stage, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Stage, None]:
    """That gateway. In the end nothing is under way, it answers, and nothing met an error but the caller."""
    lasting_stage.clear()
    caplog.set_level(logging.ERROR, "uvicorn.error")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: lasting_stage.crashes.append(context))
    yield lasting_stage
    await lasting_stage.quiet()
    async with wired(lasting_stage.gateway) as wire:
        await wire.write(sized(question("next")))
        assert await word_of(wire) == "next"
    assert lasting_stage.gateway.trouble == []
    assert lasting_stage.crashes == []
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for the rest of a request only for a moment."""
    monkeypatch.setattr("okr_tui.gateway.server.HEAD_SECONDS", SHORT)
    monkeypatch.setattr("okr_tui.gateway.request.SECONDS", SHORT)
