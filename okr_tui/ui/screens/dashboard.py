"""The dashboard: what the panes are told to do."""

from textual import on

from okr_tui.domain.favourites import following
from okr_tui.ui.keyed import KeyedApp
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.model import FavourAsked, ModelScreen
from okr_tui.ui.screens.panes import Panes
from okr_tui.ui.screens.record import record_screen
from okr_tui.ui.widgets.feed_list import FeedList
from okr_tui.ui.widgets.keys import KeysPane
from okr_tui.ui.widgets.models import ModelTable
from okr_tui.ui.widgets.rows import RowList


class Dashboard(Panes):
    """The panes, and the actions on them that need no service."""

    @on(RowList.Chosen)
    def _row_chosen(self, event: RowList.Chosen) -> None:
        if isinstance(event.rows, ModelTable) and event.rows.selected:
            self.talk_to(event.rows.selected.model.id)
        elif isinstance(event.rows, KeysPane):
            self.open_key()
        elif isinstance(event.rows, FeedList) and event.rows.selected and self.snapshot:
            pool = self.snapshot.pool
            self.app.push_screen(record_screen(event.rows.selected, pool, self.clock(), self.zone))

    def open_key(self) -> None:
        """Everything about the selected key."""
        if row := self.keys.selected:
            self.app.push_screen(KeyDetails(row.fingerprint, self.zone, self.clock))

    def talk_to(self, model: str) -> None:
        """Go to the prompt and ask this model from now on."""
        self.go("#prompt")
        self.chat.choose(model)

    def action_filter(self) -> None:
        """Type a filter for the models."""
        self.go("#model-table")
        self.models.open_filter()

    def action_prompt(self) -> None:
        """Type a question."""
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
        row = self.models.table.selected
        if row and isinstance(self.app, KeyedApp):
            self.app.copy(row.model.id, row.model.id)

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
            self.app.push_screen(ModelScreen(row.model.id, self.snapshot, self.zone))

    def action_favourite(self) -> None:
        """Make the selected model a favourite, or none."""
        if row := self.models.table.selected:
            self.post_message(FavourAsked(row.model.id, wanted=not row.favourite))

    def action_next_favourite(self) -> None:
        """Talk to the next favourite, from wherever the focus is."""
        rows = self.snapshot.models.rows if self.snapshot else ()
        favourites = [row.model.id for row in rows if row.favourite and row.model.status == "listed"]
        name = following(favourites, self.chat.model)
        if name is None:
            key = self.app.key_of("favourite") if isinstance(self.app, KeyedApp) else ""
            self.notify(f"No model is a favourite yet: {key} in Models makes one", severity="warning")
            return
        focused = self.focused
        self.chat.choose(name)
        if focused is not None and focused.region:
            focused.focus()
        self.notify(f"Chat with {name}", timeout=2, markup=False)

    async def action_new_chat(self) -> None:
        """Begin a new conversation."""
        await self.chat.begin_anew()
        self.go("#prompt")

    async def action_back(self) -> None:
        """One step back: the running answer, the filter, the large pane, the prompt."""
        if self.chat.running:
            self.chat.stop()
        elif self.chat.has_focus_within and await self.chat.back():
            self.say_back()
        elif self.live.filtering and self.live.has_focus_within:
            self.live.clear_filter()
        elif self.models.has_class("-filtering") and self._filter_in_sight:
            self.models.clear_filter()
        elif self.maximized is not None:
            self.minimize()
        elif self.focused is self.chat.prompt:
            self.go("#model-table" if not self.has_class("-narrow") else "#keys")

    @property
    def _filter_in_sight(self) -> bool:
        """Whether escape may mean the models' filter: not while typing, nor behind another large pane."""
        return self.focused is not self.chat.prompt and self.maximized in (None, self.models)
