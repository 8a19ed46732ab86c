"""The dashboard: four panes whose arrangement follows the terminal's width."""

from collections.abc import Callable
from datetime import tzinfo
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget

from okr_tui.services.service import Snapshot
from okr_tui.ui.action import Place
from okr_tui.ui.actions import ACTIONS, bindings
from okr_tui.ui.widgets.banner import Banner
from okr_tui.ui.widgets.chat import ChatPane
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.header import Header
from okr_tui.ui.widgets.keys import KeysPane
from okr_tui.ui.widgets.live import LivePane
from okr_tui.ui.widgets.models import ModelsPane, ModelTable
from okr_tui.ui.widgets.places import LEAST, Broken, FirstRun, TooSmall
from okr_tui.ui.widgets.rows import RowList
from okr_tui.ui.widgets.tabs import TABS, Tab, TabRow

WIDTHS = [(0, "-tiny"), (LEAST[0], "-narrow"), (100, "-medium"), (140, "-wide")]
HEIGHTS = [(0, "-low"), (LEAST[1], "-short"), (22, "-high")]
STOPS: Final = ("#keys", "#live", "#model-table", "#turns", "#prompt")
PLACES: Final[dict[str, Place]] = {
    "keys": "keys",
    "live": "live",
    "model-table": "models",
    "turns": "chat",
    "prompt": "prompt",
    "filter": "filter",
    "first": "first",
    "broken": "broken",
}
ON_PANES: Final = frozenset(action.name for action in ACTIONS if action.owner == "screen")


class Dashboard(Screen[None]):
    """Holds what the panes show and where the focus is; knows nothing of the service."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("screen")]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ESCAPE_TO_MINIMIZE = False

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)
    tab: var[Tab] = var[Tab]("live")

    def __init__(self, zone: tzinfo, clock: Callable[[], float], *, demo: bool) -> None:
        super().__init__()
        self.zone = zone
        self.clock = clock
        self.demo = demo

    def compose(self) -> ComposeResult:
        """Header, banner, panes, footer, and what may stand in their place."""
        shown = (Dashboard.snapshot, Dashboard.now, Dashboard.failure)
        yield Header(self.zone, demo=self.demo).data_bind(*shown)
        yield Banner(self.zone).data_bind(*shown)
        with Container(id="panes"):
            with Container(id="left"):
                yield KeysPane(self.zone).data_bind(Dashboard.snapshot, Dashboard.now)
                yield TabRow().data_bind(Dashboard.tab)
                yield LivePane(self.zone).data_bind(Dashboard.snapshot)
            with Container(id="right"):
                yield ModelsPane(self.zone).data_bind(Dashboard.snapshot, Dashboard.now)
                yield ChatPane(self.clock).data_bind(Dashboard.snapshot)
        yield FirstRun().data_bind(Dashboard.snapshot)
        yield Broken().data_bind(Dashboard.failure)
        yield TooSmall()
        yield FootLine().data_bind(Dashboard.snapshot)

    def on_mount(self) -> None:
        """Begin with the keys."""
        self.add_class("-tab-live")
        self.query_one(KeysPane).focus()

    @property
    def chat(self) -> ChatPane:
        """The conversation."""
        return self.query_one(ChatPane)

    @property
    def models(self) -> ModelsPane:
        """The models."""
        return self.query_one(ModelsPane)

    @property
    def keys(self) -> KeysPane:
        """The pool."""
        return self.query_one(KeysPane)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Leave out what happens on panes while something else stands in their place."""
        return action not in ON_PANES or not (self.has_class("-first") or self.has_class("-broken"))

    def on_screen_resume(self) -> None:
        """What stood in front is gone: other keys apply."""
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
        if changed:
            stop = "#first" if first else "#broken" if broken else "#keys"
            self.call_after_refresh(self.query_one(stop).focus)

    def watch_tab(self, before: Tab, after: Tab) -> None:
        """Show the other lower pane where there is room for one only."""
        self.remove_class(f"-tab-{before}")
        self.add_class(f"-tab-{after}")

    @on(events.DescendantFocus)
    def _focus_moved(self, event: events.DescendantFocus) -> None:
        place = PLACES.get(event.widget.id or "")
        if place is None:
            return
        self.query_one(FootLine).place = place
        tab = "chat" if place in ("chat", "prompt") else "models" if place == "filter" else place
        if tab in TABS:
            self.tab = tab

    @on(ChatPane.RunningChanged)
    def _running_changed(self, event: ChatPane.RunningChanged) -> None:
        self.query_one(FootLine).answering = event.running

    @on(TabRow.Picked)
    def _tab_picked(self, event: TabRow.Picked) -> None:
        self._go({"live": "#live", "models": "#model-table", "chat": "#prompt"}[event.tab])

    @on(RowList.Chosen)
    def _row_chosen(self, event: RowList.Chosen) -> None:
        if isinstance(event.rows, ModelTable) and event.rows.selected:
            self._go("#prompt")
            self.chat.choose(event.rows.selected.model.id)

    def _go(self, stop: str) -> None:
        """Focus a stop, bringing its tab to the front and keeping a large pane large."""
        widget = self.query_one(stop)
        place = PLACES[widget.id or ""]
        tab = "chat" if place in ("chat", "prompt") else place
        if tab in TABS:
            self.tab = tab
        if self.maximized is not None:
            self.maximize(_pane_of(widget), container=False)
        widget.focus()

    def action_next_pane(self, direction: int) -> None:
        """Go round the panes."""
        stops = [stop for stop in STOPS if stop != "#turns" or self.chat.has_class("-talking")]
        focused = f"#{self.focused.id}" if self.focused else ""
        focused = "#model-table" if focused == "#filter" else focused
        place = stops.index(focused) + direction if focused in stops else 0
        self._go(stops[place % len(stops)])

    def action_maximise(self) -> None:
        """The focused pane over the whole screen, or all panes again."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(_pane_of(self.focused), container=False)

    def action_filter(self) -> None:
        """Type a filter for the models."""
        self._go("#model-table")
        self.models.open_filter()

    def action_prompt(self) -> None:
        """Type a question."""
        self._go("#prompt")

    def action_faults(self) -> None:
        """Faults only, or everything."""
        live = self.query_one(LivePane)
        live.faults_only = not live.faults_only

    def action_thinking(self) -> None:
        """Show or fold what models thought."""
        self.chat.unfolded = not self.chat.unfolded

    def action_copy_model(self) -> None:
        """Copy the selected model's name."""
        row = self.models.table.selected
        if row:
            self.app.copy_to_clipboard(row.model.id)
            self.notify(f"Copied {row.model.id}", markup=False)

    async def action_new_chat(self) -> None:
        """Begin a new conversation."""
        await self.chat.begin_anew()
        self._go("#prompt")

    def action_back(self) -> None:
        """One step back: the running answer, the filter, the large pane, the prompt."""
        if self.chat.running:
            self.post_message(ChatPane.StopAsked())
        elif self.models.has_class("-filtering") and self.focused is not self.chat.prompt:
            self.models.clear_filter()
        elif self.maximized is not None:
            self.minimize()
        elif self.focused is self.chat.prompt:
            self._go("#model-table" if not self.has_class("-narrow") else "#keys")


def _pane_of(widget: Widget) -> Widget:
    return next(
        node for node in widget.ancestors_with_self if isinstance(node, Widget) and node.has_class("pane")
    )
