"""Clouds to visit."""

from collections.abc import AsyncIterator

import pytest

from .visitor import Visit, Visitor, visiting


@pytest.fixture
def visit() -> Visit:
    """Serve any scenario."""
    return visiting


@pytest.fixture
async def calm() -> AsyncIterator[Visitor]:
    """A cloud where nothing fails by itself."""
    async with visiting() as visitor:
        yield visitor
