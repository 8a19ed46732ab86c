"""Clouds to visit."""

from collections.abc import AsyncIterator

import pytest

from tests.demo.visitor import GatewayRequest, Visitor, visiting


@pytest.fixture
def visit() -> GatewayRequest:
    """Serve any scenario."""
    return visiting


@pytest.fixture
async def calm() -> AsyncIterator[Visitor]:
    """A cloud where nothing fails by itself."""
    async with visiting() as visitor:
        yield visitor
