"""The model list beside a clock that was wrong, and a log that takes nothing."""

import asyncio
from dataclasses import replace

import pytest

from okr_tui.domain.errors import StoreError
from okr_tui.services.inventory import REFRESH_EVERY
from okr_tui.store.sqlite import SqliteStore

from .house import House


async def test_a_list_dated_in_the_future_is_read_anew(house: House) -> None:
    async with house.open() as keyring:
        await keyring.refresh_models()
        known = keyring.inventory._known
        keyring.inventory._known = replace(known, refreshed_at=house.clock.time() + 365 * 86400)
        keeping = asyncio.ensure_future(keyring.inventory.keep_fresh())
        async with asyncio.timeout(5):
            while keyring.inventory._known.refreshed_at != house.clock.time():  # noqa: ASYNC110 its own task
                await asyncio.sleep(0.01)
        before = len(await house.sent("/api/tags"))
        await house.clock.advance(REFRESH_EVERY)
        async with asyncio.timeout(5):
            while len(await house.sent("/api/tags")) == before:  # noqa: ASYNC110 the cloud's count
                await asyncio.sleep(0.01)
        keeping.cancel()


async def test_a_refresh_that_the_log_does_not_keep_is_an_error_in_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("cannot write the log: the disk is full")

    async with house.open() as keyring:
        with monkeypatch.context() as patched:
            for method in ("append", "save"):
                patched.setattr(SqliteStore, method, full)
            await keyring.inventory.refresh()
        assert keyring.inventory.models
        assert "the disk is full" in (keyring.inventory.error or "")
