"""The model list beside a clock that was wrong, and a log that takes nothing."""

import asyncio
from dataclasses import replace

import pytest

from okr_tui.cloud.client import Cloud
from okr_tui.cloud.documents import Listing
from okr_tui.cloud.errors import no_response
from okr_tui.domain.errors import CloudError, StoreError
from okr_tui.domain.models import REFRESH_EVERY, Model
from okr_tui.store.sqlite import SqliteStore
from tests.harness import MODEL, Harness
from tests.waiting import LIMIT, until


async def test_a_list_dated_in_the_future_is_read_again(harness: Harness) -> None:
    async with harness.open() as service:
        await service.refresh_models()
        known = service.catalog._known
        service.catalog._known = replace(known, refreshed_at=harness.clock.time() + 365 * 86400)
        keeping = asyncio.ensure_future(service.catalog.keep_fresh())
        await until(lambda: service.catalog._known.refreshed_at == harness.clock.time())
        before = len(await harness.sent("/api/tags"))
        async with asyncio.timeout(LIMIT):
            while len(await harness.sent("/api/tags")) == before:
                await harness.clock.advance(REFRESH_EVERY)  # it may not sleep yet
        keeping.cancel()


async def test_a_refresh_that_the_log_does_not_keep_is_an_error_in_words(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("cannot write the log: the disk is full")

    async with harness.open() as service:
        with monkeypatch.context() as patched:
            for method in ("append", "save"):
                patched.setattr(SqliteStore, method, full)
            await service.catalog.refresh()
        assert service.catalog.models
        assert "the disk is full" in (service.catalog.error or "")


async def test_the_details_of_forty_models_are_asked_for_at_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tuple(Model(f"model-{index}") for index in range(40))
    waiting, all_here = 0, asyncio.Event()

    async def models(_: Cloud) -> Listing:
        return Listing(listed, 0)

    async def details(_: Cloud, model: Model) -> Model:
        nonlocal waiting
        waiting += 1
        if waiting == len(listed):
            all_here.set()
        await all_here.wait()
        return model

    monkeypatch.setattr(Cloud, "models", models)
    monkeypatch.setattr(Cloud, "details", details)
    async with harness.open() as service, asyncio.timeout(LIMIT):
        await service.catalog.refresh()
    assert len(service.catalog.models) == 40


async def test_unreadable_details_do_not_make_a_list_new(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = Cloud.details

    async def some(cloud: Cloud, model: Model) -> Model:
        if model.id == MODEL:
            raise CloudError("POST /api/show: HTTP 502", no_response("HTTP 502"))
        return await details(cloud, model)

    monkeypatch.setattr(Cloud, "details", some)
    lacking = f"no details of 1 model: {MODEL}: POST /api/show: HTTP 502"
    async with harness.open() as service:
        said = await service.refresh_models()
        assert said.endswith(f"; {lacking}")
        shown = service.snapshot.models
        assert (shown.error, shown.lacking) == (None, lacking)
        assert service.snapshot.entries[-1].text == f"{len(shown.rows)} models, some without details"
