"""The application: it opens the service, holds the newest snapshot and hands actions to its controllers."""

import os
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events, on
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker, WorkerCancelled, WorkerFailed, WorkerState

from okr_tui.domain.errors import OkrError
from okr_tui.domain.view import KeyView
from okr_tui.services.service import Service, Snapshot
from okr_tui.ui import bridge
from okr_tui.ui.actions import Action, bindings
from okr_tui.ui.chat import messages
from okr_tui.ui.chat.pane import ChatPane
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.controllers.alerts import AlertsController
from okr_tui.ui.controllers.application import LONG, NEEDS_SERVICE, available
from okr_tui.ui.controllers.chat import ChatController
from okr_tui.ui.controllers.conversations import ConversationsController, DraftController
from okr_tui.ui.controllers.pool import PoolController
from okr_tui.ui.controllers.settings import SettingsController
from okr_tui.ui.controllers.slash import SlashController
from okr_tui.ui.controllers.usage import UsageController
from okr_tui.ui.external_programs import EditFile, clipboard_tool, copy_with, edit_file
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.last_screen import LastScreen
from okr_tui.ui.palette import PaletteProvider, action_commands
from okr_tui.ui.screens.dashboard import Dashboard
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.model import ChatRequested, FavouriteRequested
from okr_tui.ui.screens.text import TextScreen, record_screen
from okr_tui.ui.terminal_app import DescribeCrash, TerminalApp, describe_briefly
from okr_tui.ui.themes import DARK, DEFAULT, LIGHT, THEMES, BackgroundReported, theme_names
from okr_tui.ui.widgets.live import FeedList

if TYPE_CHECKING:
    from rich.console import RenderableType

    from okr_tui.chat.service import ConversationService
    from okr_tui.services.last_snapshot import LastSnapshot
    from okr_tui.ui.screens.settings import SettingsScreen

TICK: Final = 1.0
"""Seconds between two looks at the clock, while something counts down."""
KEY_LIKE: Final = re.compile(r"(?=\S*\d)(?=\S*[a-z])[\w.-]{24,}", re.ASCII | re.IGNORECASE)
"""One word of letters and digits, as long as keys are."""
SAVE_AFTER: Final = 15.0
"""Seconds between a change and the moment at which it is kept for the next run."""
MOST_HELD: Final = 1000
QUIT_AGAIN: Final = 2.0
"""Seconds within which pressing the same key again quits."""


def failure_line(error: BaseException | None) -> str:
    """Describe a failure in one line; an error that is not ours by its type too."""
    if isinstance(error, OkrError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"


def counts_down(snapshot: Snapshot) -> bool:
    """Return whether a text on the screen changes with time alone."""
    pool = snapshot.pool
    ages = snapshot.models.error is not None or any(row.read_at for row in pool.keys)
    waits = pool.outage is not None or any(row.verdict.until for row in pool.keys)
    return ages or waits or bool(snapshot.running)


class OkrApp(TerminalApp):
    """The dashboard. Its result is "demo" if the user wants the demo."""

    CSS_PATH = "okr.tcss"
    TITLE = "okr-tui"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    COMMANDS = {PaletteProvider}  # noqa: RUF012  as Textual declares it

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)
    log_progress: var[str] = var("")

    def __init__(
        self,
        open_service: bridge.OpenService,
        *,
        theme: str | None = None,
        zone: tzinfo | None = None,
        demo: bool = False,
        edit_file: EditFile = edit_file,
        clock: Callable[[], float] = time.time,
        describe_crash: DescribeCrash = describe_briefly,
        last: "LastSnapshot | None" = None,
        last_screen: LastScreen | None = None,
    ) -> None:
        super().__init__(describe_crash, last_screen)
        self.zone: tzinfo = zone or datetime.now(UTC).astimezone().tzinfo or UTC
        self.clock = clock
        self.keymap = ActiveKeymap()
        self.service: Service | None = None
        self.conversations: ConversationService | None = None
        self.edit_file = edit_file
        self._open_service = open_service
        self._last = last
        self._saving: Timer | None = None
        self._held: list[events.Event] = []
        """What was typed after a key that waits, the key first."""
        self._laid_out = self._typing = False
        self._demo = demo
        self._own_theme = theme is not None
        self._dark = True
        self._serving: Worker[None] | None = None
        self._quit_pressed: tuple[str, float] = ("", 0.0)
        self.recent: list[str] = []
        """The titles of the palette's commands that were used last, the last first."""
        for each in THEMES:
            self.register_theme(each)
        self.theme = DEFAULT
        self._wanted_theme = theme
        self.alerts = AlertsController(self, self.write_sequence, os.environ)
        self.usage = UsageController(self)
        self.pool = PoolController(self, self.selected_key, self.chosen_keys)
        self.settings = SettingsController(self, self, lambda path: self.edit_file(self, path))
        self.chat = ChatController(self, lambda: self.pane)
        self.drafts = DraftController(self, lambda: self.pane, self.chat.show_notice)
        self.conversations_controller = ConversationsController(
            self, self.chat, self.drafts, lambda: self.dashboard.action_prompt()
        )
        self.slash = SlashController(self, self.chat, self.drafts, self.conversations_controller)

    def get_default_screen(self) -> Screen[None]:
        """Return the dashboard, fed with the newest snapshot."""
        self._dashboard = Dashboard(self.zone, self.clock, self.keymap, self.copy, demo=self._demo)
        return self._dashboard.data_bind(OkrApp.snapshot, OkrApp.now, OkrApp.failure, OkrApp.log_progress)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield what the palette offers."""

        def applies(action: Action) -> bool:
            on_screen = action.owner == "screen" or action.command.startswith("screen.")
            owner = screen if on_screen else self
            return (
                hasattr(owner, f"action_{action.name}") and owner.check_action(action.name, ()) is not False
            )

        yield from action_commands(self.keymap.actions, applies, self.run_action)
        yield from self.settings.palette()
        if screen is self.dashboard:
            yield from self.dashboard.palette()
        yield from self.pool.palette()

    @property
    def dashboard(self) -> Dashboard:
        """The screen at the bottom."""
        return self._dashboard

    @property
    def pane(self) -> ChatPane:
        """The chat pane."""
        return self.dashboard.chat

    def selected_key(self) -> KeyView | None:
        """Return the key whose details are open, else the one under the cursor."""
        details = [screen for screen in self.screen_stack if isinstance(screen, KeyDetails)]
        return details[-1].row if details else self.dashboard.keys.selected

    def chosen_keys(self) -> Sequence[KeyView]:
        """Return the keys that are marked, or the one that actions apply to."""
        row = self.selected_key()
        if self.screen is self.dashboard and self.dashboard.keys.marked:
            return self.dashboard.keys.chosen
        return (row,) if row else ()

    def on_mount(self) -> None:
        """Show at once what the last run left, and open the service meanwhile."""
        self.use_theme(self._wanted_theme)
        self.now = self.clock()
        self._ticking = self.set_interval(TICK, self._tick, pause=True)
        if self._last and (last := self._last.load()):
            self._take(last)
        # The second layout knows the width.
        self.call_after_refresh(self.call_after_refresh, self._begin)

    def _begin(self) -> None:
        """Draw, take keys, and load the service, which takes the processor for a while."""
        self._laid_out = True
        self.uncover()
        self.call_after_refresh(self._type_held)
        self.call_after_refresh(self._serve)

    def _serve(self) -> None:
        serving = bridge.serve(self._open_service, self.post_message, self.drafts.keep)
        self._serving = self.start(serving, group="service")

    async def on_unmount(self) -> None:
        """Wait until the service has closed. Raises what failed while it closed."""
        self.alerts.close()
        serving = self._serving
        if serving is None or serving.state is WorkerState.ERROR:
            return
        await self.chat.end_answers()
        serving.cancel()
        try:
            await serving.wait()
        except WorkerCancelled:
            return
        except WorkerFailed as failed:
            raise failed.error from None

    def _tick(self) -> None:
        self.now = self.clock()

    @property
    def themes(self) -> Sequence[str]:
        """The names of all themes, the program's own first."""
        return theme_names(self.available_themes)

    def use_theme(self, name: str | None) -> None:
        """Use a theme; if there is none of that name, one that is as light or dark as the terminal."""
        fitting = DARK.name if self._dark else LIGHT.name
        self.theme = name if name in self.available_themes else fitting

    @on(BackgroundReported)
    def _background_reported(self, event: BackgroundReported) -> None:
        """Follow the terminal, unless a theme was chosen."""
        self._dark = event.dark
        if self._wanted_theme not in self.available_themes:
            self.use_theme(None)

    def use_keymap(self, entries: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Apply the user's keys; return the rejected entries by action, with the reason."""
        before = self.keymap.actions
        taken = self.keymap.apply(entries)
        if taken.actions != before:
            self.set_keymap({name: ",".join(keys) for name, keys in taken.changed})
        return taken.problems

    def start(self, work: Coroutine[Any, Any, None], group: str = "command") -> Worker[None]:
        """Run a coroutine in the background. A failure in the group "command" is shown as a toast."""
        return self.run_worker(work, group=group, exit_on_error=False)

    def copy(self, text: str, name: str) -> None:
        """Copy a text that is not a secret and say so under its name, and which way it went."""
        super().copy_to_clipboard(text)
        command = clipboard_tool(os.environ)

        async def copy() -> None:
            way = "" if command and await copy_with(text, command) else " through the terminal"
            self.notify(f"Copied {name}{way}", markup=False)

        self.start(copy(), group="clipboard")

    def copy_to_clipboard(self, text: str) -> None:
        """Copy through the terminal and, where there is one, the system's own tool."""
        super().copy_to_clipboard(text)
        if command := clipboard_tool(os.environ):
            self.run_worker(copy_with(text, command), group="clipboard", exit_on_error=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide or disable actions that cannot run now."""
        service = self.service is not None
        return available(action, self.snapshot, service=service, over_settings=self.settings.shown)

    def exit(
        self, result: str | None = None, return_code: int = 0, message: "RenderableType | None" = None
    ) -> None:
        """Exit after storing what was typed last, and what is shown."""
        self.drafts.note_last()
        self._save()
        super().exit(result, return_code, message)

    def _means_to_quit(self, key: str) -> bool:
        """Return whether the same key was pressed a moment ago."""
        before, at = self._quit_pressed
        now = self.clock()
        self._quit_pressed = (key, now)
        return before == key and now - at <= QUIT_AGAIN

    @on(bridge.ServiceOpened)
    def _service_opened(self, event: bridge.ServiceOpened) -> None:
        self.service, self.conversations = event.service, event.conversations
        self.drafts.restore()

    @on(bridge.LogRead)
    def _log_read(self, event: bridge.LogRead) -> None:
        self.log_progress = event.words

    @on(bridge.SnapshotArrived)
    def _snapshot_arrived(self, event: bridge.SnapshotArrived) -> None:
        first = self.snapshot is None or self.snapshot.remembered
        snapshot = self._take(event.snapshot)
        self.alerts.show(snapshot)
        self.log_progress = ""
        if self._last and self._saving is None:
            self._saving = self.set_timer(SAVE_AFTER, self._save)
        if first:
            self.call_after_refresh(self._type_held)
        if first and snapshot.gateway.autostart and snapshot.gateway.url is None:
            # Importing it takes a moment; the keys should be on the screen first.
            self.call_after_refresh(self.action_switch_gateway)
        self.settings.ask_once(alone=isinstance(self.screen, Dashboard))
        if counts_down(snapshot):
            self._ticking.resume()
        else:
            self._ticking.pause()

    def _take(self, snapshot: Snapshot) -> Snapshot:
        """Show a snapshot; return it with the problems of keymap and theme."""
        snapshot = replace(snapshot, settings=self.settings.checked(snapshot.settings))
        theme = snapshot.settings.theme
        if not self._own_theme and theme != self._wanted_theme:
            self._wanted_theme = theme
            self.use_theme(theme)
        with self.batch_update():
            now = self.clock()
            if now // TICK != self.now // TICK:  # else all that counts down would be drawn twice
                self.now = now
            self.snapshot = snapshot
        return snapshot

    def _save(self) -> None:
        """Keep the newest snapshot for the next run."""
        self._saving = None
        snapshot = self.snapshot
        if snapshot is None or snapshot.remembered:
            return
        if self._last:
            self._last.save(snapshot)
        if self.last_screen and (lines := self.dashboard.picture()):
            self.last_screen.save(lines, (self.size.width, self.size.height), snapshot.at)

    async def on_event(self, event: events.Event) -> None:
        """Hold back a key until the screen is laid out, and one that needs the service until that is open.

        All that is typed after it waits too.
        """
        typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if typed and (self._held or self._waits(event)):
            if len(self._held) < MOST_HELD:
                self._held.append(event)
        else:
            await super().on_event(event)

    def _waits(self, event: events.Event) -> bool:
        if not self._laid_out:
            return True
        is_open = self.snapshot is not None and not self.snapshot.remembered
        if is_open or self.failure is not None or not isinstance(event, events.Key):
            return False
        if self.focused and self.focused.check_consume_key(event.key, event.character):
            return False
        bound = self.screen.active_bindings.get(event.key)
        return (
            bound is not None and bound.binding.action.rpartition(".")[2].partition("(")[0] in NEEDS_SERVICE
        )

    async def _type_held(self) -> None:
        """Let through what was held back and waits no more, each once the one before has been handled."""
        if self._held and not self._typing and not self._waits(self._held[0]):
            self._typing = True
            where = self.focused or self.screen
            await super().on_event(self._held.pop(0))
            where.post_message(bridge.KeyHandled())  # it takes the key's way, and arrives after it

    @on(bridge.KeyHandled)
    def _key_handled(self) -> None:
        self._typing = False
        self.call_after_refresh(self._type_held)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        """Handle the end of every worker, so that no failure is lost."""
        worker, state = event.worker, event.state
        # While the screen is being torn down there is no pane left to show an answer's end.
        if self.dashboard.query(ChatPane) and self.chat.answer_ended(worker, failure_line(worker.error)):
            return
        if worker is self._serving and state in (WorkerState.ERROR, WorkerState.SUCCESS):
            self.service = self.conversations = None
            self._held.clear()
            if self.snapshot and self.snapshot.remembered:
                self.snapshot = None
            self.failure = failure_line(worker.error) if worker.error else "it closed by itself"
        elif state is WorkerState.ERROR and worker.group == "command":
            line = failure_line(worker.error)
            self.notify(line, title="Failed", severity="error", timeout=LONG, markup=False)

    @on(bridge.AnswerArrived)
    async def _answer_arrived(self, event: bridge.AnswerArrived) -> None:
        if self.is_running:  # else the screen is being taken down
            await self.chat.show_answer(event)

    # Requests of screens and panes, and results of the service; each goes to its controller.

    @on(FeedList.PageRequested)
    def _page_requested(self, event: FeedList.PageRequested) -> None:
        self.pool.read_page(event)

    @on(FeedList.CopyRequested)
    def _line_copied(self, event: FeedList.CopyRequested) -> None:
        if self.snapshot is not None:
            shown = record_screen(event.group, self.snapshot.pool, self.clock(), self.zone)
            self.copy(shown.text.plain, "the line of Live")

    @on(TextScreen.CopyRequested)
    def _text_copied(self, event: TextScreen.CopyRequested) -> None:
        self.copy(event.text, "the text")

    @on(messages.LinkChosen)
    def _link_chosen(self, event: messages.LinkChosen) -> None:
        self.chat.open_links((event.address,))

    @on(bridge.PageArrived)
    def _page_arrived(self, event: bridge.PageArrived) -> None:
        self.pool.show_page(event)

    @on(KeyDetails.HistoryRequested)
    def _history_requested(self, event: KeyDetails.HistoryRequested) -> None:
        self.pool.read_history(event)

    @on(bridge.HistoryArrived)
    def _history_arrived(self, event: bridge.HistoryArrived) -> None:
        self.pool.show_history(event)

    @on(bridge.UsageRequested)
    def _usage_requested(self, event: bridge.UsageRequested) -> None:
        self.usage.read(event)

    @on(bridge.UsageArrived)
    def _usage_arrived(self, event: bridge.UsageArrived) -> None:
        self.usage.show(event)

    @on(bridge.ExportRequested)
    def _export_requested(self, event: bridge.ExportRequested) -> None:
        self.usage.export(event)

    @on(ChatRequested)
    def _chat_requested(self, event: ChatRequested) -> None:
        self.dashboard.chat_with(event.model)

    @on(FavouriteRequested)
    def _favourite_requested(self, event: FavouriteRequested) -> None:
        self.pool.set_favourite(event)

    def on_settings_screen_change_requested(self, event: "SettingsScreen.ChangeRequested") -> None:
        """Ask for the new value of a setting."""
        self.settings.change(event)

    @on(messages.AnswerRequested)
    def _answer_requested(self, event: messages.AnswerRequested) -> None:
        self.chat.ask(event)

    @on(messages.ComparisonRequested)
    def _comparison_requested(self, event: messages.ComparisonRequested) -> None:
        self.chat.begin_sides(event)

    @on(messages.StopRequested)
    def _stop_requested(self) -> None:
        self.chat.stop()

    @on(messages.ConversationConfigured)
    def _configured(self, event: messages.ConversationConfigured) -> None:
        self.chat.configure(event)

    @on(messages.ModelMissing)
    def _no_model(self) -> None:
        self.dashboard.go("#model-table")  # from where the prompt, with what was typed, is one key away
        self.chat.explain_no_model()

    @on(messages.CommandEntered)
    def _commanded(self, event: messages.CommandEntered) -> None:
        self.slash.run(event)

    @on(messages.PromptReady)
    def _prompt_ready(self) -> None:
        self.drafts.prompt_ready()

    @on(messages.DraftChanged)
    def _drafted(self, event: messages.DraftChanged) -> None:
        self.drafts.note(event)

    @on(messages.PicturePasted)
    def _picture_named(self, event: messages.PicturePasted) -> None:
        self.drafts.attach_named(event)

    @on(messages.PicturesRestored)
    def _pictures_kept(self, event: messages.PicturesRestored) -> None:
        self.drafts.attach_again(event)

    @on(events.Paste)
    def _pasted_elsewhere(self, event: events.Paste) -> None:
        """Bring a paste that no field took to the prompt, but never a key, which drafts would keep."""
        add = self.keymap.key_of("add-key")
        if KEY_LIKE.fullmatch(event.text.strip()):
            words = f"That looks like a key: {add} adds one. It was not put into the prompt."
        elif not event.text or (self.screen is self.dashboard and self.dashboard.take_paste(event.text)):
            return
        else:
            words = "Nothing on this screen takes a paste"
        self.notify(words, severity="warning")

    @on(messages.PasteTruncated)
    def _paste_cut(self, event: messages.PasteTruncated) -> None:
        self.notify(f"The paste was too long: {event.dropped:,} characters were left out", severity="warning")

    @on(Transcript.Chosen)
    def _turn_chosen(self) -> None:
        self.chat.edit_turn()

    # The actions of the table (ui/actions.py) that are the application's.

    def action_open_again(self) -> None:
        """Try to open the service again after a failure."""
        if self.failure is not None and self.snapshot is None:
            self.failure = None
            self._serve()

    async def action_quit(self) -> None:
        """Quit; while an answer is running, only when asked twice."""
        if not self.pane.running or self._means_to_quit("quit"):
            await super().action_quit()
        else:
            stop = f"{self.keymap.key_of('back')} stops the answer"
            self.notify(
                f"An answer is still coming. Press it again to quit anyway; {stop}.", timeout=QUIT_AGAIN
            )

    def action_help_quit(self) -> None:
        """Say how to quit; ctrl+c twice quits. It comes here where nothing is selected to copy."""
        if self._means_to_quit("ctrl+c"):
            self.exit()
        else:
            key = self.keymap.key_of("quit")
            self.notify(
                f"Press ctrl+c again to quit; {key} also quits, or ctrl+q while typing", timeout=QUIT_AGAIN
            )

    def action_demo(self) -> None:
        """Leave for the simulated cloud."""
        self.exit(result="demo")

    def action_help(self) -> None:
        """Show every key and mark."""
        from okr_tui.ui.screens.help import HelpScreen

        focused = self.focused.id if self.focused else None
        self.push_screen(HelpScreen(self.keymap.actions, focused, self.keymap.key_of))

    def action_key_details(self) -> None:
        """Show everything about the selected key."""
        self.dashboard.open_key()

    def action_use_key(self, index: int) -> None:
        """Prefer the key of that number."""
        self.pool.type_digit(index)

    def action_use_selected(self) -> None:
        """Prefer the selected key; after another digit it is a 0."""
        self.pool.type_digit(0)

    def action_rotate(self) -> None:
        """Prefer the next key."""
        self.pool.rotate()

    def action_test_key(self) -> None:
        """Read quota and identity of the selected key."""
        self.pool.test()

    def action_reset_key(self) -> None:
        """Forget the blocks of the selected key."""
        self.pool.reset()

    def action_toggle_key(self) -> None:
        """Switch the selected key on or off."""
        self.pool.toggle()

    def action_add_key(self) -> None:
        """Ask for a key's text."""
        self.pool.add()

    def action_remove_key(self) -> None:
        """Ask whether to remove the selected key."""
        self.pool.remove()

    def action_label_key(self) -> None:
        """Ask for the selected key's label."""
        self.pool.label()

    def action_undo(self) -> None:
        """Take back the last change of the pool."""
        self.pool.undo()

    def action_refresh_models(self) -> None:
        """Read the model list again."""
        self.pool.refresh_models()

    def action_switch_gateway(self) -> None:
        """Start the gateway in this process, or stop it."""
        self.pool.switch_gateway()

    def action_show_usage(self) -> None:
        """Show where the quota goes."""
        self.usage.open()

    def action_show_settings(self) -> None:
        """Show every value and where it comes from."""
        self.settings.show()

    def action_edit_settings(self) -> None:
        """Open the settings file in the person's editor."""
        self.settings.edit_file()

    def action_make_file_private(self) -> None:
        """Make the settings file readable by its owner only."""
        self.settings.make_file_private()

    def action_answer_trust(self) -> None:
        """Ask whether to trust the project's settings file."""
        self.settings.answer_trust()

    def action_change_theme(self) -> None:
        """Ask for a theme."""
        self.settings.pick_theme()

    def action_continue_answer(self) -> None:
        """Continue an answer that was cut off."""
        self.chat.ask_again("continue")

    def action_again_elsewhere(self) -> None:
        """Ask the last question again on another account's key."""
        self.chat.ask_again("other")

    def action_keep_side(self, index: int) -> None:
        """Keep one of two conversations."""
        self.chat.keep_side(index)

    def action_think_level(self) -> None:
        """Set the next think level of the model."""
        self.chat.next_think_level()

    def action_edit_turn(self) -> None:
        """Edit the selected question."""
        self.chat.edit_turn()

    def action_copy_turn(self) -> None:
        """Copy the selected answer, or the question that has none."""
        self.chat.copy_turn()

    def action_copy_code(self) -> None:
        """Copy a code block of the selected answer."""
        self.chat.copy_code()

    def action_copy_conversation(self) -> None:
        """Copy the whole conversation."""
        self.chat.copy_conversation()

    def action_open_link(self) -> None:
        """Show the links of the selected answer."""
        self.chat.open_link()

    def action_find_turn(self) -> None:
        """Ask for words to find in the conversation."""
        self.chat.ask_what_to_find()

    def action_branch_turn(self) -> None:
        """Start a new conversation from the selected turn."""
        self.chat.branch()

    def action_conversations(self) -> None:
        """Show earlier conversations."""
        self.conversations_controller.list()
