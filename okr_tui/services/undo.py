"""Changes a person made to the pool in this process, each with the way back.

In memory only, since the text of a removed key is among them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from okr_tui.domain.errors import NoKeyError, SettingsError
from okr_tui.domain.values import dataclass

REMEMBERED: Final = 50
"""Changes that can be taken back."""

WayBack = Callable[[], Awaitable[str]]
"""Takes a change back and returns what was done. Raises OkrError when that is not possible now."""


@dataclass(frozen=True, slots=True)
class _Change:
    words: str
    back: WayBack


class UndoHistory:
    """The changes that can be taken back, the last first. `announce` is called after each change."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._changes: list[_Change] = []
        self._one_at_a_time = asyncio.Lock()

    @property
    def words(self) -> tuple[str, ...]:
        """What can be taken back, in words, the last change first."""
        return tuple(change.words for change in reversed(self._changes))

    def note(self, words: str, back: WayBack) -> None:
        """Remember a change that was made."""
        self._changes = [*self._changes, _Change(words, back)][-REMEMBERED:]
        self._announce()

    async def undo(self) -> str:
        """Take the last change back and return what was done.

        Raises SettingsError when there is none, and what keeps it from being taken back; it can be tried
        again then, unless its key is gone.
        """
        async with self._one_at_a_time:
            if not self._changes:
                raise SettingsError("nothing was changed since this program started")
            change = self._changes[-1]
            try:
                done = await change.back()
            except NoKeyError:
                self._drop(change)
                raise
            self._drop(change)
            return done

    def _drop(self, change: _Change) -> None:
        self._changes.remove(change)
        self._announce()
