"""The dashboard: its panes, where the focus is, and the actions on panes that need no service."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import ClassVar, Final, Literal

from textual import events, on
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.containers import Container
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from okr_tui.domain.models import following
from okr_tui.domain.words import sentence
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import ACTIONS, FooterContext, bindings
from okr_tui.ui.chat.messages import ChatChanged
from okr_tui.ui.chat.pane import ChatPane
from okr_tui.ui.keymap import ActiveKeymap, KeyOf
from okr_tui.ui.lines import QUIET, Line, called, content
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.model import FavouriteRequested, ModelScreen
from okr_tui.ui.screens.text import record_screen
from okr_tui.ui.widgets.banner import Banner, Broken, FirstRun
from okr_tui.ui.widgets.caption import Caption
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import Header
from okr_tui.ui.widgets.keys import KeysFilter, KeysPane
from okr_tui.ui.widgets.live import FeedList, LivePane
from okr_tui.ui.widgets.models import ModelsPane, ModelTable
from okr_tui.ui.widgets.rows import RowList
from okr_tui.ui.widgets.usage_strip import UsageStripPane

WIDTHS = [
    (0, "-narrow"),
    (100, "-medium"),
    (140, "-wide"),
    (160, "-large"),
    (220, "-huge"),
]
HEIGHTS = [(0, "-short"), (22, "-high"), (36, "-tall")]
STOPS: Final = ("#keys", "#feed", "#model-table", "#turns", "#prompt")
FOOTER_CONTEXTS: Final[dict[str, FooterContext]] = {
    "keys": "keys",
    "feed": "live",
    "feed-words": "filter",
    "model-table": "models",
    "turns": "chat",
    "prompt": "prompt",
    "filter": "filter",
    "keys-words": "filter",
    "first": "first",
    "broken": "broken",
}
FILTERED: Final = {"#filter": "#model-table", "#feed-words": "#feed", "#keys-words": "#keys"}
"""The list that a filter is for."""
TAB_OF: Final = {"turns": "chat", "prompt": "chat", "filter": "models", "feed-words": "live"}
"""The tab of a stop if it differs from its context."""
ON_PANES: Final = frozenset(action.name for action in ACTIONS if action.owner == "screen")
Tab = Literal["live", "models", "chat"]
TABS: Final[tuple[Tab, ...]] = ("live", "models", "chat")


class TabRow(Static):
    """The names of the lower panes, the shown one marked; a click chooses another."""

    tab: var[Tab] = var("live")
    snapshot: var[Snapshot | None] = var(None)

    @dataclass
    class Picked(Message):
        """Another pane was picked with the mouse."""

        tab: Tab

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="tabs")
        self._key_of = key_of
        self._line: Line = ()

    def draw(self) -> None:
        """Draw the names, the shown one marked, and the key that leads on, where they are new."""
        parts = []
        for name in TABS:
            style = "bold reverse $text-accent" if name == self.tab else QUIET
            parts += [(f" {name.capitalize()} ", style), (" ", "")]
        line: Line = (*parts, (f"{self._key_of('next-pane')} ⇥", QUIET))
        if line != self._line:
            self._line = line
            self.update(content(line))

    watch_tab = draw
    watch_snapshot = draw  # a new keymap comes with one

    def on_click(self, event: events.Click) -> None:
        """Pick the name under the mouse."""
        left = 0
        for name in TABS:
            right = left + len(name) + 3
            if left <= event.get_content_offset_capture(self).x < right:
                self.post_message(self.Picked(name))
            left = right


class Dashboard(Screen[None]):
    """Holds what the panes show; `copy` puts a text on the clipboard under a name."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("screen")]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ESCAPE_TO_MINIMIZE = False
    ALLOW_IN_MAXIMIZED_VIEW = "#footer, ToastRack"

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)
    log_progress: var[str] = var("")
    tab: var[Tab] = var[Tab]("live")

    def __init__(
        self,
        zone: tzinfo,
        clock: Callable[[], float],
        keymap: ActiveKeymap,
        copy: Callable[[str, str], None],
        *,
        demo: bool,
    ) -> None:
        super().__init__()
        self.zone = zone
        self.clock = clock
        self.keymap = keymap
        self.demo = demo
        self._copy = copy
        self._size_behind: Size | None = None
        """The size that it was drawn with when another screen came in front of it."""

    def compose(self) -> ComposeResult:
        """Header, banner, panes, footer, and what may replace them."""
        shown = (Dashboard.snapshot, Dashboard.now, Dashboard.failure)
        key_of = self.keymap.key_of
        yield Header(self.zone, demo=self.demo).data_bind(*shown)
        if self.demo:
            yield Caption(key_of).data_bind(Dashboard.snapshot, Dashboard.now)
        yield Banner(self.zone, key_of).data_bind(*shown)
        with Container(id="panes"):
            with Container(id="left"):
                yield KeysFilter()
                yield KeysPane(self.zone, key_of).data_bind(Dashboard.snapshot, Dashboard.now)
                yield UsageStripPane(self.zone).data_bind(Dashboard.snapshot)
                yield TabRow(key_of).data_bind(Dashboard.snapshot, Dashboard.tab)
                yield LivePane(self.zone, key_of).data_bind(
                    Dashboard.snapshot, Dashboard.now, Dashboard.log_progress
                )
            with Container(id="right"):
                yield ModelsPane(key_of).data_bind(Dashboard.snapshot, Dashboard.now)
                yield ChatPane(key_of).data_bind(Dashboard.snapshot)
        yield FirstRun(key_of).data_bind(Dashboard.snapshot)
        yield Broken(key_of).data_bind(Dashboard.failure)
        yield FootLine(self.keymap).data_bind(Dashboard.snapshot)

    def on_mount(self) -> None:
        """Begin with the keys."""
        self.add_class("-tab-live")
        self.query_one(KeysPane).focus()
        self.watch(self, "maximized", self.say_back, init=False)

    def picture(self) -> list[str]:
        """Return the lines of the screen as a terminal gets them, without what the chat and toasts show.

        Nothing while anything else is shown in place of the panes, or over them.
        """
        hidden = self.maximized is not None or self.has_class("-first") or self.has_class("-broken")
        if hidden or not self.is_current or not self.query(ChatPane):
            return []
        lines = self._compositor.render_strips()
        for region in (self.chat.content_region, *(toast.region for toast in self.query("Toast"))):
            blank = Strip.blank(region.width, self.chat.rich_style)
            for y in range(max(0, region.y), min(region.bottom, len(lines))):
                line = lines[y]
                parts = [line.crop(0, region.x), blank, line.crop(region.right, line.cell_length)]
                lines[y] = Strip.join(parts).crop(0, line.cell_length)
        return [line.render(self.app.console) for line in lines]

    @property
    def chat(self) -> ChatPane:
        """The conversation."""
        return self.query_one(ChatPane)

    @property
    def models(self) -> ModelsPane:
        """The models."""
        return self.query_one(ModelsPane)

    @property
    def live(self) -> LivePane:
        """The live feed."""
        return self.query_one(LivePane)

    @property
    def keys(self) -> KeysPane:
        """The pool."""
        return self.query_one(KeysPane)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide actions on panes while something else is shown in their place."""
        return action not in ON_PANES or not (self.has_class("-first") or self.has_class("-broken"))

    def on_screen_suspend(self) -> None:
        """Remember what is drawn behind another screen, once there is something."""
        self._size_behind = self.size if self.snapshot is not None else None

    def _compositor_refresh(self) -> None:
        """Draw what changed; behind the palette, or a screen that covers it, only after a resize.

        Textual draws all of the screen in front again for any change behind it, and a key press waits for it.
        Behind a dialog, which may be open for long, what can be seen of the dashboard stays true.
        """
        front = self.app.screen
        hides = isinstance(front, CommandPalette) or (front is not self and not front.is_modal)
        if hides and self._size_behind == self.size:
            self._compositor._dirty_regions.clear()
            self._dirty_widgets.clear()
        else:
            super()._compositor_refresh()

    def on_screen_resume(self) -> None:
        """Show the keys that apply now that nothing lies over the dashboard."""
        self.query_one(FootLine).draw()

    def watch_snapshot(self) -> None:
        """Show the first-run text as long as there is no key."""
        self._stand_in()

    def watch_failure(self) -> None:
        """Show the reason where nothing else can be shown."""
        self._stand_in()

    def _stand_in(self) -> None:
        first = self.snapshot is not None and not self.snapshot.pool.keys
        broken = self.failure is not None and self.snapshot is None
        changed = first != self.has_class("-first") or broken != self.has_class("-broken")
        self.set_class(first, "-first")
        self.set_class(broken, "-broken")
        if first or broken:
            self.minimize()
        if changed:
            stop = "#first" if first else "#broken" if broken else "#keys"
            self.call_after_refresh(self.query_one(stop).focus)

    def watch_tab(self, before: Tab, after: Tab) -> None:
        """Show the other lower pane where there is room for one only."""
        self.remove_class(f"-tab-{before}")
        self.add_class(f"-tab-{after}")

    @on(events.DescendantFocus)
    def _focus_moved(self) -> None:
        # Of two moves one after the other, the message of the first may come last.
        name = self.focused.id or "" if self.focused else ""
        context = FOOTER_CONTEXTS.get(name)
        if context is None:
            return
        self.query_one(FootLine).context = self.chat.footer_context(context)
        self.say_back()
        tab = TAB_OF.get(name, context)
        if tab in TABS:
            self.tab = tab

    @on(ChatChanged)
    def _chat_changed(self) -> None:
        foot = self.query_one(FootLine)
        if foot.context in ("prompt", "cut", "compare"):
            foot.context = self.chat.footer_context("prompt")
        self.say_back()

    def say_back(self) -> None:
        """Say in the footer what escape does where the focus is."""
        foot, chat = self.query_one(FootLine), self.chat
        last_step = foot.context in ("prompt", "cut") and chat.composer.editing is None
        large = self.maximized is not None
        if chat.running:
            foot.back = "stop"
        elif chat.transcript.notice is not None:
            foot.back = "close"
        else:
            foot.back = "restore" if large and last_step else "back"

    @on(TabRow.Picked)
    def _tab_picked(self, event: TabRow.Picked) -> None:
        self.go({"live": "#feed", "models": "#model-table", "chat": "#prompt"}[event.tab])

    def take_paste(self, text: str) -> bool:
        """Put a paste that no field took into the prompt; return False where there is none."""
        if self.has_class("-first") or self.has_class("-broken"):
            return False
        self.go("#prompt")
        self.chat.prompt.post_message(events.Paste(text))
        return True

    def go(self, stop: str) -> None:
        """Focus a stop, bringing its tab to the front and keeping a large pane large."""
        widget = self.query_one(stop)
        context = FOOTER_CONTEXTS[widget.id or ""]
        tab = TAB_OF.get(widget.id or "", context)
        if tab in TABS:
            self.tab = tab
        if self.maximized is not None:
            self.maximize(_pane_of(widget), container=False)
        # Widget.focus() would do it later, and a second tab that arrived with the first would start here too.
        self.set_focus(widget)

    def action_next_pane(self, direction: int) -> None:
        """Focus the next pane, and each of two conversations."""
        if self.chat.views.next_side(direction):
            return
        stops = [stop for stop in STOPS if stop != "#turns" or self.chat.has_class("-talking")]
        focused = f"#{self.focused.id}" if self.focused else ""
        focused = FILTERED.get(focused, focused)
        following = stops.index(focused) + direction if focused in stops else 0
        self.go(stops[following % len(stops)])

    def action_maximise(self) -> None:
        """Maximise the focused pane, or restore all panes."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(_pane_of(self.focused), container=False)

    @on(RowList.Chosen)
    def _row_chosen(self, event: RowList.Chosen) -> None:
        if isinstance(event.rows, ModelTable) and event.rows.selected:
            self.chat_with(event.rows.selected.model.id)
        elif isinstance(event.rows, KeysPane):
            self.open_key()
        elif isinstance(event.rows, FeedList) and event.rows.selected and self.snapshot:
            pool = self.snapshot.pool
            self.app.push_screen(record_screen(event.rows.selected, pool, self.clock(), self.zone))

    def open_key(self, fingerprint: str | None = None) -> None:
        """Show everything about a key, else about the selected one."""
        if fingerprint is None and self.keys.selected:
            fingerprint = self.keys.selected.fingerprint
        if fingerprint is not None:
            self.app.push_screen(KeyDetails(fingerprint, self.zone, self.clock, self.keymap))

    def palette(self) -> Iterator[SystemCommand]:
        """Yield the palette's commands that lead to a key or a model by its name."""
        if self.snapshot is None:
            return
        for key in self.snapshot.pool.keys:
            words = f"everything about it: {sentence(key.verdict, self.now, self.zone)}"
            yield SystemCommand(f"key {called(key)}", words, partial(self.open_key, key.fingerprint))
        for row in self.snapshot.models.rows:
            name = row.model.id
            yield SystemCommand(f"model {name}", "chat with it", partial(self.chat_with, name))

    def chat_with(self, model: str) -> None:
        """Go to the prompt and ask this model from now on."""
        self.go("#prompt")
        self.chat.choose(model)

    def action_filter(self) -> None:
        """Type a filter for the models."""
        self.go("#model-table")
        self.models.open_filter()

    def action_filter_keys(self) -> None:
        """Type a filter for the keys."""
        if self.maximized is self.keys:
            self.minimize()
        words = self.query_one(KeysFilter)
        words.display = True
        words.focus()

    @on(Input.Changed, "#keys-words")
    def _keys_words_changed(self, event: Input.Changed) -> None:
        self.keys.words = event.value

    def clear_keys_filter(self) -> None:
        """Show all keys again, none of them marked."""
        words = self.query_one(KeysFilter)
        words.value = ""
        words.display = False
        self.keys.unmark_all()
        self.keys.focus()

    def action_sort_keys(self) -> None:
        """Sort the keys by the next column."""
        self.keys.sort_by_next()

    def action_sort_keys_reverse(self) -> None:
        """Sort the keys the other way round."""
        self.keys.sort_reverse()

    def action_mark_key(self) -> None:
        """Mark the selected key, or take its mark away."""
        self.keys.mark_selected()

    def action_prompt(self) -> None:
        """Focus the prompt."""
        self.go("#prompt")

    def action_faults(self) -> None:
        """Faults only, or everything."""
        self.live.faults_only = not self.live.faults_only

    def action_feed_key(self) -> None:
        """Only the lines of the next key."""
        self.live.next_key()

    def action_filter_feed(self) -> None:
        """Type a filter for the lines of Live."""
        self.go("#feed")
        self.live.open_filter()

    def action_thinking(self) -> None:
        """Show or fold what models thought."""
        self.chat.unfolded = not self.chat.unfolded

    def action_copy_model(self) -> None:
        """Copy the selected model's name."""
        if row := self.models.table.selected:
            self._copy(row.model.id, row.model.id)

    def action_sort(self) -> None:
        """Sort the models by the next column."""
        self.models.sort_by_next()

    def action_sort_reverse(self) -> None:
        """Sort the models the other way round."""
        self.models.sort_reverse()

    def action_model_info(self) -> None:
        """Everything about the selected model."""
        row = self.models.table.selected
        if row and self.snapshot:
            key_of = self.keymap.key_of
            self.app.push_screen(ModelScreen(row.model.id, self.snapshot, self.zone, key_of, self._copy))

    def action_favourite(self) -> None:
        """Add the selected model to the favourites, or remove it."""
        if row := self.models.table.selected:
            self.post_message(FavouriteRequested(row.model.id, wanted=not row.favourite))

    def action_next_favourite(self) -> None:
        """Chat with the next favourite, wherever the focus is."""
        rows = self.snapshot.models.rows if self.snapshot else ()
        favourites = [row.model.id for row in rows if row.favourite and row.model.status == "listed"]
        name = following(favourites, self.chat.model)
        if name is None:
            key = self.keymap.key_of("favourite")
            self.notify(f"No model is a favourite yet: {key} in Models makes one", severity="warning")
            return
        self.chat.choose(name)
        self.notify(f"Chat with {name}", timeout=2, markup=False)

    async def action_new_chat(self) -> None:
        """Start a new conversation."""
        await self.chat.start_over()
        self.go("#prompt")

    async def action_back(self) -> None:
        """One step back: the running answer, the filter, the large pane, the prompt."""
        if self.chat.running:
            self.chat.stop()
        elif self.focused is self.chat.prompt and self.chat.prompt.stays:
            self.chat.prompt.stays = False
        elif self.chat.has_focus_within and await self.chat.back():
            self.say_back()
        elif self.live.filtering and self.live.has_focus_within:
            self.live.clear_filter()
        elif self._keys_narrowed:
            self.clear_keys_filter()
        elif self.models.has_class("-filtering") and self._filter_in_sight:
            self.models.clear_filter()
        elif self.maximized is not None:
            self.minimize()
        elif self.focused is self.chat.prompt:
            self.go("#model-table" if not self.has_class("-narrow") else "#keys")

    @property
    def _keys_narrowed(self) -> bool:
        """Whether escape may mean the filter or the marks of the keys."""
        words = self.query_one(KeysFilter)
        return (
            self.maximized is None
            and (words.display or bool(self.keys.marked))
            and self.focused in (words, self.keys)
        )

    @property
    def _filter_in_sight(self) -> bool:
        """Whether escape may mean the models' filter: not while typing, nor behind another large pane."""
        return self.focused is not self.chat.prompt and self.maximized in (None, self.models)


def _pane_of(widget: Widget) -> Widget:
    return next(
        node for node in widget.ancestors_with_self if isinstance(node, Widget) and node.has_class("pane")
    )
