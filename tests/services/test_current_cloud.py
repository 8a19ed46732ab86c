"""The client of the cloud is replaced while in use, and closed when its last user ends."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from okr_tui.cloud.network import DIRECT
from okr_tui.domain.policy import Policy
from okr_tui.domain.scrubber import Scrubber
from okr_tui.services.configuration import Configuration, EffectiveSettings
from okr_tui.services.current_cloud import CurrentCloud
from okr_tui.settings.layers import Sources
from tests.harness import Harness


class Way(httpx.AsyncBaseTransport):
    """A way to the network that counts how often it was closed, and may fail at it."""

    def __init__(self, *, failing: bool = False) -> None:
        self.closed = 0
        self._failing = failing

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, request=request)

    async def aclose(self) -> None:
        self.closed += 1
        if self._failing:
            raise OSError("the connection is gone")


@pytest.fixture
async def settings(harness: Harness) -> EffectiveSettings:
    return (await Configuration.read(Sources(harness.settings_file, harness.home / "project", {}))).effective


def holder(settings: EffectiveSettings, *ways: Way) -> CurrentCloud:
    following = iter(ways)
    return CurrentCloud(settings, lambda _: next(following), lambda _: None, DIRECT, Scrubber())


async def test_a_client_that_is_replaced_lives_until_its_last_user_ends(settings: EffectiveSettings) -> None:
    old, new = Way(), Way()
    current = holder(settings, old, new)
    with current.use() as first:
        with current.use():
            current.apply(settings, replace(settings, policy=Policy(connect=3)))
            with current.use() as second:
                assert second is not first
        await asyncio.sleep(0)
        assert (old.closed, new.closed) == (0, 0)
    await asyncio.sleep(0)
    assert (old.closed, new.closed) == (1, 0)
    await current.aclose()
    assert (old.closed, new.closed) == (1, 1)


async def test_an_unused_client_is_closed_at_once(settings: EffectiveSettings) -> None:
    old, new = Way(), Way()
    current = holder(settings, old, new)
    with current.use():
        pass
    current.apply(settings, replace(settings, policy=Policy(idle=30)))
    await asyncio.sleep(0)
    assert (old.closed, new.closed) == (1, 0)
    await current.aclose()


async def test_a_client_that_is_never_used_is_never_made(settings: EffectiveSettings) -> None:
    current = holder(settings)  # and would fail, as there is no way for it
    current.apply(settings, replace(settings, policy=Policy(idle=30)))
    await current.aclose()


async def test_settings_that_do_not_concern_the_client_leave_it(settings: EffectiveSettings) -> None:
    current = holder(settings, Way())
    current.apply(settings, replace(settings, config=replace(settings.config, preferred="another")))
    with current.use() as cloud, current.use() as again:
        assert again is cloud
    await current.aclose()


async def test_one_client_that_does_not_close_leaves_no_other_open(settings: EffectiveSettings) -> None:
    old, new = Way(failing=True), Way(failing=True)
    current = holder(settings, old, new)
    with current.use():
        current.apply(settings, replace(settings, policy=Policy(connect=3)))
        with current.use():
            pass
        with pytest.raises(OSError, match="the connection is gone"):
            await current.aclose()
        assert (old.closed, new.closed) == (1, 1)
