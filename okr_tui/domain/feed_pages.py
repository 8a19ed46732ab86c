"""A stretch of the feed while a person reads it back: pages of the log joined to one window of lines."""

from dataclasses import replace
from typing import Final

from okr_tui.domain.feed import Entry
from okr_tui.domain.values import dataclass

MOST: Final = 2000
"""Lines kept while the user reads back; lines further away are read again when reached."""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the log in lines, oldest first, and the positions (inclusive) of the records looked at.

    `seen` counts all lines of the stretch, wanted or not; `ends`: the log has nothing beyond it.
    """

    entries: tuple[Entry, ...]
    first: int | None
    last: int | None
    seen: int
    ends: bool


@dataclass(frozen=True, slots=True)
class FeedWindow:
    """Lines from oldest to newest. `latest`: it reaches the newest line; `whole`: it begins with the log.

    `left_out` counts the lines of older stretches that were read and not wanted.
    """

    entries: tuple[Entry, ...] = ()
    latest: bool = True
    whole: bool = False
    first: int | None = None
    last: int | None = None
    left_out: int = 0

    def with_news(self, news: tuple[Entry, ...], most: int = MOST) -> "FeedWindow":
        """Return the window with the newest lines after its own, if they join on and there is room."""
        if not self.latest or not news:
            return self
        start = _index(self.entries, news[0]) if self.entries else 0
        if start is None or start + len(news) > max(most, len(news)):
            return replace(self, latest=False)
        return replace(self, entries=(*self.entries[:start], *news))

    def with_older(self, page: Page, most: int = MOST) -> "FeedWindow":
        """Return the window with an older stretch before it; surplus lines are dropped at the newer end."""
        entries = (*page.entries, *self.entries)
        cut = len(entries) > most
        kept = entries[:most]
        return replace(
            self,
            entries=kept,
            latest=self.latest and not cut,
            whole=page.ends,
            first=page.first if page.first is not None else self.first,
            last=_last(kept) if cut else self.last,
            left_out=self.left_out + page.seen - len(page.entries),
        )

    def with_newer(self, page: Page, news: tuple[Entry, ...], most: int = MOST) -> "FeedWindow":
        """Return the window with a newer stretch after it, joined to the newest once it reaches them."""
        begin = next((entry.sequence for entry in news if entry.sequence is not None), None)
        reached = page.ends or (begin is not None and page.last is not None and page.last >= begin)
        more = page.entries
        if reached:
            older = (e for e in more if begin is None or (e.sequence is not None and e.sequence < begin))
            more = (*older, *news)
        entries = (*self.entries, *more)
        kept = entries[-most:]
        cut = len(kept) < len(entries)
        return replace(
            self,
            entries=kept,
            latest=reached,
            whole=self.whole and not cut,
            first=_first(kept) if cut else self.first,
            last=None if reached else page.last,
            left_out=0 if cut else self.left_out + page.seen - len(page.entries),
        )

    @property
    def before(self) -> int | None:
        """The position in the log before which older lines are read."""
        return self.first if self.first is not None else _first(self.entries)

    @property
    def after(self) -> int | None:
        """The position in the log after which newer lines are read."""
        return self.last if self.last is not None else _last(self.entries)

    def unseen(self, news: tuple[Entry, ...]) -> int:
        """Return how many of the newest lines are not in the window."""
        if not self.entries:
            return len(news)
        index = _index(news, self.entries[-1])
        return len(news) if index is None else len(news) - index - 1


def _index(entries: tuple[Entry, ...], wanted: Entry) -> int | None:
    return next((index for index in range(len(entries) - 1, -1, -1) if entries[index] == wanted), None)


def _first(entries: tuple[Entry, ...]) -> int | None:
    return next((entry.sequence for entry in entries if entry.sequence is not None), None)


def _last(entries: tuple[Entry, ...]) -> int | None:
    return next((entry.sequence for entry in reversed(entries) if entry.sequence is not None), None)
