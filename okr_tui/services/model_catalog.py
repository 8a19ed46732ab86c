"""The model list: the last known one at once, refreshed from the cloud, kept when a refresh fails."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from okr_tui.domain.errors import CloudError, StoreError
from okr_tui.domain.models import LIST_DOCUMENT, REFRESH_EVERY, Model, is_favourite, replacement
from okr_tui.domain.records import ModelsRead
from okr_tui.domain.values import dataclass
from okr_tui.domain.view import KeyView, ModelAccess
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.current_cloud import UseCloud
from okr_tui.services.live_pool import LivePool
from okr_tui.services.service import ModelList, ModelRow
from okr_tui.store.base import UnreachableLogError
from okr_tui.store.typed_json import StoredJson

if TYPE_CHECKING:
    from okr_tui.cloud.client import Cloud

AT_ONCE: Final = 40
"""Details that are read at once: those of a usual list take one round trip."""
GONE_KEPT: Final = 20
RETRY_FIRST: Final = 5.0
"""Seconds after which a failed refresh is tried again; doubled after each further failure."""
RETRY_LONGEST: Final = 300.0


@dataclass(frozen=True, slots=True)
class KeptModels:
    """What is kept of the list between runs; `refreshed_at` in epoch seconds."""

    cloud_url: str = ""
    refreshed_at: float | None = None
    models: tuple[Model, ...] = ()
    skipped: int = 0
    """How many models the cloud listed under names that cannot be shown."""


LISTS: Final[StoredJson[KeptModels]] = StoredJson(KeptModels)


class ModelCatalog:
    """Keeps the models of one cloud. It sends no key: both endpoints it reads are public."""

    def __init__(self, pool: LivePool, use_cloud: UseCloud, url: str) -> None:
        self._pool = pool
        self._use_cloud = use_cloud
        self._known = KeptModels(url)
        self._refreshing: asyncio.Task[None] | None = None
        self._error: str | None = None
        self._lacking: str | None = None
        """Which details could not be read of a list that was."""
        self._failures = 0
        self._moved = asyncio.Event()
        self._listed: tuple[ModelRow, ...] = ()
        """The rows as they were made last, and from what: the same list is shown again and again."""
        self._listed_of: tuple[Model, ...] | None = None
        self._listed_by: tuple[ModelAccess, tuple[str, ...]] | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """Return the last known models, those that are gone at the end."""
        return self._known.models

    async def load(self) -> None:
        """Load the list that an earlier run or another process stored."""
        text = None
        if self._pool.problem is None:
            with contextlib.suppress(UnreachableLogError):
                text = await self._pool.store.load(LIST_DOCUMENT)
        if text is None:
            return
        try:
            known = LISTS.read(text)
        except ValueError:
            return  # a list of another version of the program is read again
        if known.cloud_url == self._known.cloud_url:
            self._known = known

    def listed(self, rows: tuple[KeyView, ...], enabled: Sequence[str] = ()) -> ModelList:
        """Return the list as it is shown; `enabled` are the favourites as written in pi's settings."""
        access = ModelAccess.of(self._pool.state, rows, self._pool.clock.time())
        basis = (access, tuple(enabled))
        if self._listed_of is not self._known.models or basis != self._listed_by:
            models = self._known.models
            names = frozenset(model.id for model in models if model.status == "listed")
            self._listed_of, self._listed_by = models, basis
            self._listed = tuple(
                ModelRow(
                    model,
                    access.keys(model.id),
                    replacement(model.id, names),
                    is_favourite(enabled, model.id),
                )
                for model in models
            )
        return ModelList(
            rows=self._listed,
            refreshed_at=self._known.refreshed_at,
            refreshing=self._refreshing is not None,
            error=self._error,
            lacking=self._lacking,
            skipped=self._known.skipped,
            favourites_only=bool(enabled),
        )

    async def keep_fresh(self) -> None:
        """Refresh when the list is old, soon after a failure, and at once for another cloud."""
        while True:
            self._moved.clear()
            age = self._pool.clock.time() - (self._known.refreshed_at or 0)
            wait = REFRESH_EVERY - age
            if not 0 < wait <= REFRESH_EVERY:
                await self.refresh()
                wait = REFRESH_EVERY
            if self._failures:
                wait = min(RETRY_FIRST * 2 ** (self._failures - 1), RETRY_LONGEST)
            await self._rest(wait)

    async def _rest(self, seconds: float) -> None:
        """Wait that long, or until the cloud changes."""
        waits = [
            asyncio.ensure_future(each) for each in (self._pool.clock.sleep(seconds), self._moved.wait())
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Forget the models of another cloud, and have `keep_fresh` read those of the new one at once."""
        url = new.settings.cloud_url.value
        if old.settings.cloud_url.value != url:
            self._known, self._error, self._lacking, self._failures = KeptModels(url), None, None, 0
            self._moved.set()
            self._pool.announce()

    async def refresh(self) -> None:
        """Read the list again. Callers at one time share one refresh. A failure is left in `error`."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._pool.announce()
        await asyncio.shield(self._refreshing)

    async def close(self) -> None:
        """Drop a refresh under way."""
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    @property
    def error(self) -> str | None:
        """Return why the last refresh failed; None when it did not."""
        return self._error

    @property
    def lacking(self) -> str | None:
        """Return of which models the last refresh could not read the details, and why; None of none."""
        return self._lacking

    async def _refresh(self) -> None:
        try:
            while not await self._read_current():
                pass  # the cloud was changed meanwhile
        finally:
            self._refreshing = None
            self._pool.announce()

    async def _read_current(self) -> bool:
        """Read the list of the cloud in force; return whether it is still that one afterwards."""
        before = self._known
        try:
            with self._use_cloud() as cloud:
                await self._read(cloud)
        except (CloudError, StoreError) as error:
            if self._known.cloud_url != before.cloud_url:
                return False
            self._failures += 1
            text, known = str(error), self._error
            self._error = text
            if text != known:  # one line for an outage, however often it is tried
                await self._pool.note(ModelsRead(at=self._pool.clock.time(), count=0, error=text))
        return self._known.cloud_url == before.cloud_url

    async def _read(self, cloud: "Cloud") -> None:
        before = self._known
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
        models = tuple(await asyncio.gather(*(detailed(model) for model in listing.models)))
        if self._known.cloud_url != before.cloud_url:
            return
        now = self._pool.clock.time()
        names = {model.id for model in models}
        gone = tuple(replace(m, status="gone") for m in before.models if m.id not in names)[:GONE_KEPT]
        was = {model.id for model in before.models if model.status == "listed"}
        self._known = KeptModels(before.cloud_url, now, (*models, *gone), listing.skipped)
        self._failures = 0
        self._error = None
        models_of = "1 model" if len(failures) == 1 else f"{len(failures)} models"
        self._lacking = f"no details of {models_of}: {failures[0]}" if failures else None
        with contextlib.suppress(UnreachableLogError):  # the next one is kept
            await self._pool.store.save(LIST_DOCUMENT, LISTS.write(self._known))
        await self._pool.note(
            ModelsRead(
                at=now,
                count=len(models),
                added=tuple(sorted(names - was)) if was else (),
                removed=tuple(sorted(was - names)),
                error=self._lacking,
            )
        )
