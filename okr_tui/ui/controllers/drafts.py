"""What is typed and not sent: kept at most a second later, brought back, with its pictures."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual import on, work

from okr_tui.chat.conversation import Draft
from okr_tui.chat.images import check_sight, read_image
from okr_tui.domain.errors import ChatError
from okr_tui.ui.chat.labels import Picture, model_named
from okr_tui.ui.chat.messages import (
    DraftChanged,
    PasteTruncated,
    PicturePasted,
    PicturesRestored,
    PromptReady,
)
from okr_tui.ui.controllers.chat import ChatCommands
from okr_tui.ui.controllers.pool import LONG

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.timer import Timer

KEEP_WITHIN: Final = 0.9
"""Seconds from a change until it is kept; what is typed meanwhile goes along."""


class DraftCommands(ChatCommands):
    """Keeps drafts and reads pictures. Nothing ticks while nobody types."""

    def __init__(self, zone: tzinfo = UTC, clock: Callable[[], float] = time.time) -> None:
        super().__init__(zone, clock)
        self._prompt_is_there = False
        self._brought_back = False
        self._unkept: dict[str, Draft] = {}
        self._keeping: Timer | None = None
        self._keeping_turn = asyncio.Lock()

    @on(DraftChanged)
    def _drafted(self, event: DraftChanged) -> None:
        self._unkept[event.conversation] = event.draft
        if not event.draft:
            # What was sent is not to come back.
            self._keep_soon()
        elif self._keeping is None:
            self._keeping = self.set_timer(KEEP_WITHIN, self._keep_soon)

    def _keep_soon(self) -> None:
        if self._keeping is not None:
            self._keeping.stop()
            self._keeping = None
        self._keep()

    @work(group="command", exit_on_error=False)
    async def _keep(self) -> None:
        await self.keep_drafts()

    async def keep_drafts(self) -> None:
        """Have every draft kept that changed. What cannot be kept is tried again with the next change."""
        async with self._keeping_turn:
            if self.conversations is None or not self._brought_back:
                return
            while self._unkept:
                name, draft = next(iter(self._unkept.items()))
                await self.conversations.keep_draft(name, draft)
                if self._unkept[name] is draft:
                    del self._unkept[name]

    @on(PromptReady)
    def _prompt_ready(self) -> None:
        self._prompt_is_there = True
        self.bring_draft_back()

    def bring_draft_back(self) -> None:
        """Fill in what was typed for the new conversation before, once prompt and conversations are there."""
        if self._prompt_is_there and self.conversations is not None:
            self._bring_draft_back()

    @work(group="command", exit_on_error=False)
    async def _bring_draft_back(self) -> None:
        async with self._keeping_turn:
            try:
                if draft := await self.saved.draft(""):
                    self.chat.composer.restore_new(draft)
            finally:
                # Before, what is typed now would have taken its place.
                self._brought_back = True
        self.say_notice()
        await self.keep_drafts()

    def exit(
        self, result: str | None = None, return_code: int = 0, message: "RenderableType | None" = None
    ) -> None:
        """Leave, and take the last word along."""
        if self.conversations is not None and (changed := self.chat.composer.unposted_draft()):
            self._unkept[changed.conversation] = changed.draft
        super().exit(result, return_code, message)

    async def attach_picture(self, path: Path) -> None:
        """Send a picture along with the next question; raises ChatError when that cannot be done."""
        check_sight(model_named(self.chat.model, self.chat.models), len(self.chat.composer.pictures) + 1)
        home = self.chat.composer.conversation_id
        picture = await asyncio.to_thread(_read, path)
        if self.chat.composer.conversation_id == home:
            self.chat.composer.attach(picture)

    @on(PicturePasted)
    def _picture_named(self, event: PicturePasted) -> None:
        async def attach() -> None:
            try:
                await self.attach_picture(event.path)
            except ChatError:
                # What was pasted is not lost: it may have been meant as words.
                self.chat.prompt.put_in(event.text or "")
                raise

        self.act(attach())

    @on(PicturesRestored)
    def _pictures_kept(self, event: PicturesRestored) -> None:
        async def attach() -> None:
            for path in event.paths:
                try:
                    if self.chat.composer.conversation_id == event.conversation:
                        await self.attach_picture(Path(path))
                except ChatError as error:
                    self.notify(str(error), title="Not done", severity="error", timeout=LONG, markup=False)

        self.act(attach())

    @on(PasteTruncated)
    def _paste_cut(self, event: PasteTruncated) -> None:
        self.notify(f"{event.dropped:,} characters of what was pasted were too many", severity="warning")


def _read(path: Path) -> Picture:
    return Picture(path.absolute(), read_image(path))
