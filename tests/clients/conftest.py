"""Gateways for clients: in the test's own process, and in a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.place import Place, running
from tests.gateway.conftest import gateway, harness

__all__ = ["gateway", "harness"]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway in a process of its own, with all keys."""
    async with running(tmp_path) as made:
        yield made
