"""Gateways to test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.house import House, living

from .gate import Gate, gate_of


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Four keys of three known accounts on a cloud where nothing fails by itself."""
    async with living(tmp_path) as made:
        async with made.open() as keyring:
            for key in keyring.pool.roster.keys:
                await keyring.meter.identity(key)
        yield made


@pytest.fixture
async def gateway(house: House) -> AsyncIterator[Gate]:
    """A gateway before that cloud."""
    async with gate_of(house) as made:
        yield made
