"""Gateways for clients: in the test's own process, and in a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.gateway_process import GatewayProcess, run_gateway
from tests.gateway.conftest import gateway

__all__ = ["gateway"]


@pytest.fixture
async def gateway_process(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[GatewayProcess]:
    """A gateway in a process of its own, with all keys. The parameter, if any, is of its policy."""
    async with run_gateway(tmp_path, policy=getattr(request, "param", None)) as made:
        yield made
