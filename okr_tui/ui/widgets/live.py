"""The live pane: the feed under its filter."""

from datetime import datetime, tzinfo
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Input

from okr_tui.domain.feed import FeedFilter
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import QUIET, STRONG, WARNING, entitle
from okr_tui.ui.widgets.feed_list import FeedList


class FeedWords(Input):
    """The words a line has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="429 #3 gateway gpt, !ok", id="feed-words", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the lines."""
        self.screen.query_one("#feed", FeedList).focus()


class LivePane(Vertical):
    """What happened, the newest at the end; filtered by words, by key, to faults only; paused."""

    ALLOW_MAXIMIZE = True

    snapshot: var[Snapshot | None] = var(None)
    faults_only: var[bool] = var(False)
    fingerprint: var[str | None] = var(None)

    def __init__(self, zone: tzinfo, key_of: KeyOf) -> None:
        super().__init__(id="live", classes="pane")
        self._key_of = key_of
        self.zone = zone
        self.border_title = "Live"

    def compose(self) -> ComposeResult:
        """Yield the filter, hidden until it is opened, and the lines."""
        yield FeedWords()
        yield FeedList(self.zone, id="feed")

    @property
    def feed(self) -> FeedList:
        """The lines."""
        return self.query_one(FeedList)

    @property
    def words(self) -> str:
        """The words of the filter."""
        return self.query_one(FeedWords).value

    def open_filter(self) -> None:
        """Show the filter and type into it."""
        self.add_class("-filtering")
        self.query_one(FeedWords).focus()

    def clear_filter(self) -> None:
        """Show every line again."""
        self.query_one(FeedWords).value = ""
        self.remove_class("-filtering")
        self.fingerprint = None
        self.faults_only = False
        self.feed.focus()

    @property
    def filtering(self) -> bool:
        """Whether lines are left out, or a filter is being typed."""
        return self.has_class("-filtering") or not self.feed.wanted.everything

    def next_key(self) -> None:
        """Show only the first key's lines, then the next's, finally all."""
        keys = [row.fingerprint for row in self.snapshot.pool.keys] if self.snapshot else []
        place = keys.index(self.fingerprint) + 1 if self.fingerprint in keys else 0
        self.fingerprint = keys[place] if place < len(keys) else None

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Take over new lines."""
        if snapshot is not None:
            self.feed.empty = self._nothing()
            self.feed.show_news(snapshot.entries, datetime.fromtimestamp(snapshot.at, self.zone).date())
            self.show_titles()

    def watch_faults_only(self) -> None:
        """Draw the other selection."""
        self._want()

    def watch_fingerprint(self) -> None:
        """Draw the other selection."""
        self._want()

    @on(Input.Changed, "#feed-words")
    def _words_changed(self) -> None:
        self._want()

    @on(FeedList.Changed)
    def _feed_changed(self) -> None:
        self.show_titles()

    @property
    def _wanted(self) -> FeedFilter:
        return FeedFilter(self.faults_only, self.fingerprint, self.words)

    def _want(self) -> None:
        if self.is_mounted:
            self.feed.empty = self._nothing()
            self.feed.want(self._wanted)
            self.show_titles()

    def _nothing(self) -> str:
        if self.snapshot is None:
            return ""
        wanted = self._wanted
        if wanted.everything:
            return "no requests, faults or recoveries yet"
        key_of = self._key_of
        if not (wanted.words or wanted.fingerprint):
            return f"no faults; {key_of('faults')} shows all traffic"
        return f"no lines match; {key_of('cursor-up')} looks further back, {key_of('back')} shows all"

    def show_titles(self) -> None:
        """Show in the title how many lines match, and how many are held back."""
        feed = self.feed
        words = self._selection()
        if not feed.wanted.everything:
            words.append(f"{feed.matched} of {feed.total}")
        waiting = f" · {feed.unseen} new" if feed.unseen else ""
        held = ""
        if feed.paused:
            held = f" · paused{waiting}"
        elif not feed.following and (waiting or not feed.window.latest):
            held = f" · reading back{waiting}"
        entitle(self, title=(("Live", STRONG), (f" {' · '.join(words)}", QUIET), (held, WARNING)))
        entitle(self, subtitle=(("reading the log …" if feed.reading else "", QUIET),))

    def _selection(self) -> list[str]:
        words = ["faults"] if self.faults_only else []
        keys = self.snapshot.pool.keys if self.snapshot else ()
        words += [f"#{row.index}" for row in keys if row.fingerprint == self.fingerprint]
        words += [f"“{self.words.strip()}”"] if self.words.strip() else []
        return words or ["all traffic"]


class Filter(Input):
    """The words a model has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="name, vision, think, tools, fav, gone", id="filter", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the list."""
        self.screen.query_one("#model-table").focus()
