"""The model list: the last known one at once, refreshed from the cloud, kept when a refresh fails."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter, ValidationError

from okr_tui.cloud.client import Cloud
from okr_tui.domain.errors import CloudError, StoreError
from okr_tui.domain.models import Model, is_favourite, replacement
from okr_tui.domain.records import ModelsRead
from okr_tui.domain.view import KeyView, model_keys
from okr_tui.services.live_pool import Pool
from okr_tui.services.service import ModelList, ModelRow

DOCUMENT: Final = "models"
AT_ONCE: Final = 16
GONE_KEPT: Final = 20
REFRESH_EVERY: Final = 1800


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is kept of the list between runs. `refreshed_at` is epoch seconds."""

    cloud_url: str = ""
    refreshed_at: float | None = None
    models: tuple[Model, ...] = ()


_adapter: TypeAdapter[Catalogue] = TypeAdapter(Catalogue)


class ModelCatalog:
    """The models of one cloud. Nothing it does touches a key: both endpoints it reads are public."""

    def __init__(self, pool: Pool, cloud: Callable[[], Cloud]) -> None:
        self._pool = pool
        self._cloud = cloud
        self._known = Catalogue()
        self._refreshing: asyncio.Task[None] | None = None
        self._error: str | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """The last known models, those that vanished at the end."""
        return self._known.models

    async def load(self) -> None:
        """Take up the list that an earlier run, or another process, left."""
        text = await self._pool.store.load(DOCUMENT)
        if text is None:
            return
        try:
            known = _adapter.validate_json(text)
        except ValidationError:
            return  # a list of another version of the program is read anew
        if known.cloud_url == self._cloud().url:
            self._known = known

    def listed(self, rows: tuple[KeyView, ...], enabled: Sequence[str] = ()) -> ModelList:
        """The list as fronts show it; `enabled` are the favourites as written."""
        now = self._pool.clock.time()
        names = frozenset(model.id for model in self._known.models if model.status == "listed")
        return ModelList(
            rows=tuple(
                ModelRow(
                    model,
                    model_keys(self._pool.state, rows, model.id, now),
                    replacement(model.id, names),
                    is_favourite(enabled, model.id),
                )
                for model in self._known.models
            ),
            refreshed_at=self._known.refreshed_at,
            refreshing=self._refreshing is not None,
            error=self._error,
        )

    async def keep_fresh(self) -> None:
        """Refresh when the list is old, for ever."""
        while True:
            age = self._pool.clock.time() - (self._known.refreshed_at or 0)
            if not 0 <= age < REFRESH_EVERY or self._known.cloud_url != self._cloud().url:
                await self.refresh()
                age = 0
            await self._pool.clock.sleep(REFRESH_EVERY - age)

    async def refresh(self) -> None:
        """Read the list again. Callers at one time share one refresh. Never raises: `error` tells."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._pool.announce()
        await asyncio.shield(self._refreshing)

    async def close(self) -> None:
        """Drop a refresh that is under way."""
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    @property
    def error(self) -> str | None:
        """Why the last refresh failed; None when it did not."""
        return self._error

    async def _refresh(self) -> None:
        cloud = self._cloud()
        try:
            await self._read(cloud)
        except (CloudError, StoreError) as error:
            self._error = str(error)
            await self._pool.note(ModelsRead(at=self._pool.clock.time(), count=0, error=self._error))
        finally:
            self._refreshing = None
            self._pool.announce()

    async def _read(self, cloud: Cloud) -> None:
        before = self._known if self._known.cloud_url == cloud.url else Catalogue()
        old = {model.id: model for model in before.models}
        limit = asyncio.Semaphore(AT_ONCE)
        failures: list[str] = []

        async def detailed(model: Model) -> Model:
            known = old.get(model.id)
            if known and known.capabilities is not None and model.digest and known.digest == model.digest:
                return replace(known, status="listed")
            async with limit:
                try:
                    return await cloud.details(model)
                except CloudError as error:
                    failures.append(f"{model.id}: {error}")
                    return replace(known, status="listed") if known else model

        listing = await cloud.models()
        models = tuple(await asyncio.gather(*(detailed(model) for model in listing)))
        now = self._pool.clock.time()
        names = {model.id for model in models}
        gone = tuple(replace(m, status="gone") for m in before.models if m.id not in names)[:GONE_KEPT]
        was = {model.id for model in before.models if model.status == "listed"}
        self._known = Catalogue(cloud.url, now, (*models, *gone))
        self._error = f"no details of {len(failures)} models: {failures[0]}" if failures else None
        await self._pool.store.save(DOCUMENT, _adapter.dump_json(self._known).decode())
        await self._pool.note(
            ModelsRead(
                at=now,
                count=len(models),
                added=tuple(sorted(names - was)) if was else (),
                removed=tuple(sorted(was - names)),
                error=self._error,
            )
        )
