"""Houses to test in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .house import House, living


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Four keys of three known accounts on a cloud where nothing fails by itself."""
    async with living(tmp_path) as made:
        async with made.open() as keyring:
            for key in keyring.pool.roster.keys:
                await keyring.meter.identity(key)
        yield made
