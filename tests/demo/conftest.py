"""Clouds to visit."""

from collections.abc import AsyncIterator

import pytest

from tests.demo.cloud_client import CloudClient, ServeCloud, serve_cloud


@pytest.fixture
def serve_scenario() -> ServeCloud:
    """Serve any scenario."""
    return serve_cloud


@pytest.fixture
async def calm() -> AsyncIterator[CloudClient]:
    """A cloud where nothing fails by itself."""
    async with serve_cloud() as client:
        yield client
