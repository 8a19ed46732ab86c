"""What a person can do with the pool: its keys, its models, its gateway and the pages of its log."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, Literal

from textual.app import SystemCommand
from textual.content import Content
from textual.timer import Timer

from okr_tui.chat.slash import keys_text, models_text, status_text
from okr_tui.domain.errors import NoKeyError
from okr_tui.domain.health import State
from okr_tui.domain.view import KeyView
from okr_tui.services.service import Service, Snapshot
from okr_tui.ui import bridge
from okr_tui.ui.controllers.application import LONG, SHORT, Application, send
from okr_tui.ui.lines import called
from okr_tui.ui.palette import picker
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.model import FavouriteRequested, ModelScreen
from okr_tui.ui.screens.text import TextScreen
from okr_tui.ui.widgets.live import FeedList

NEXT_DIGIT: Final = 0.6
"""Seconds within which the next digit of a number is typed."""


class PoolController:
    """Sends the pool's commands.

    `selected_key` returns the key that actions apply to, `chosen_keys` those of an action on several; without
    it that is the selected one.
    """

    def __init__(
        self,
        app: Application,
        selected_key: Callable[[], KeyView | None],
        chosen_keys: Callable[[], Sequence[KeyView]] | None = None,
    ) -> None:
        self.app = app
        self.selected_key = selected_key
        self._chosen_keys = chosen_keys
        self._typed = ""
        self._waiting: Timer | None = None

    async def _undoable(self, service: Service, command: Awaitable[str]) -> str:
        """Run a command; where it can be taken back, say with which key."""
        before = service.snapshot.undoable
        done = await command
        if service.snapshot.undoable == before:
            return done
        return f"{done}; {self.app.keymap.key_of('undo')} undoes it"

    def use(self, index: int) -> None:
        """Prefer the key at the 1-based index."""
        if service := self.app.service:
            send(self.app, self._undoable(service, service.use_key(index)))

    def type_digit(self, digit: int) -> None:
        """Prefer the key of a number that is typed digit by digit; 0 alone is the selected key.

        Only where the pool has keys of more digits a short number waits for the next one.
        """
        row = self.selected_key()
        if digit == 0 and not self._typed:
            if row:
                self.use(row.index)
            return
        if self._waiting:
            self._waiting.stop()
        self._typed += str(digit)
        keys = len(self.app.snapshot.pool.keys) if self.app.snapshot else 0
        if int(self._typed) * 10 > keys:
            self._use_typed()
        else:
            self._waiting = self.app.set_timer(NEXT_DIGIT, self._use_typed)

    def _use_typed(self) -> None:
        number, self._typed, self._waiting = int(self._typed), "", None
        self.use(number)

    def rotate(self) -> None:
        """Prefer the next key."""
        if service := self.app.service:
            send(self.app, self._undoable(service, service.rotate()))

    def test(self) -> None:
        """Read quota and identity of the selected key."""
        if (service := self.app.service) and (row := self.selected_key()):
            send(self.app, service.test_key(row.index))

    def reset(self) -> None:
        """Forget the blocks of the selected key."""
        if (service := self.app.service) and (row := self.selected_key()):
            send(self.app, self._undoable(service, service.reset_key(row.index)))

    def toggle(self) -> None:
        """Switch the chosen keys off, or on where all of them are off."""
        row = self.selected_key()
        rows = self._chosen_keys() if self._chosen_keys else (row,) if row else ()
        if (service := self.app.service) and rows:
            off = all(each.state is State.OFF for each in rows)
            switch = service.set_enabled(*(each.index for each in rows), enabled=off)
            send(self.app, self._undoable(service, switch))

    def add(self) -> None:
        """Ask for a key's text."""
        if service := self.app.service:
            from okr_tui.ui.screens.dialogs import AddKey

            self.app.push_screen(AddKey(service))

    def remove(self) -> None:
        """Ask whether to remove the selected key."""
        service, row, snapshot = self.app.service, self.selected_key(), self.app.snapshot
        if service and row and snapshot:
            from okr_tui.ui.screens.dialogs import RemoveKey

            async def remove() -> str:
                return await self._undoable(service, service.remove_key(self._index_of(row)))

            self.app.push_screen(RemoveKey(row, _origin(row, snapshot), remove))

    def label(self) -> None:
        """Ask for the selected key's label."""
        service, row = self.app.service, self.selected_key()
        if service and row:
            from okr_tui.ui.screens.dialogs import LabelKey

            async def label(text: str | None) -> str:
                return await self._undoable(service, service.label_key(self._index_of(row), text))

            self.app.push_screen(LabelKey(row, label))

    def undo(self) -> None:
        """Take back the last change of the pool."""
        if service := self.app.service:
            send(self.app, service.undo())

    def _index_of(self, chosen: KeyView) -> int:
        """Return the index of a key now: while a dialog waited, another program may have moved it."""
        for row in self.app.snapshot.pool.keys if self.app.snapshot else ():
            if row.fingerprint == chosen.fingerprint:
                return row.index
        raise NoKeyError(f"{chosen.masked} is no longer in the pool")

    def switch_gateway(self) -> None:
        """Start the gateway in this process, or stop it."""
        service, snapshot = self.app.service, self.app.snapshot
        if service and snapshot:
            send(self.app, service.switch_gateway(), LONG if snapshot.gateway.url is None else SHORT)

    def refresh_models(self) -> None:
        """Read the model list again."""
        if service := self.app.service:
            self.app.notify("Refreshing Ollama cloud models…", timeout=SHORT)
            send(self.app, service.refresh_models())

    def set_favourite(self, event: FavouriteRequested) -> None:
        """Change a favourite; ask before the first one, since pi then offers no other models."""
        service, snapshot = self.app.service, self.app.snapshot
        if service and snapshot:

            async def change() -> str:
                return await self._undoable(service, service.set_favourite(event.model, wanted=event.wanted))

            if event.wanted and not snapshot.models.favourites_only:
                from okr_tui.ui.screens.dialogs import FirstFavourite

                self.app.push_screen(FirstFavourite(event.model, change))
            else:
                send(self.app, change(), LONG)

    def show_model(self, name: str) -> None:
        """Show the original's `ollama-info`."""
        if snapshot := self.app.snapshot:
            app = self.app
            app.push_screen(ModelScreen(name, snapshot, app.zone, app.keymap.key_of, app.copy))

    def pick_model(self) -> None:
        """Ask which model `ollama-info` is about."""
        rows = self.app.snapshot.models.rows if self.app.snapshot else ()
        options = [(row.model.id, partial(self.show_model, row.model.id)) for row in rows]
        self.app.push_screen(picker(options, "Which model?"))

    def show_text(self, name: Literal["status", "keys", "models"]) -> None:
        """Show the text of one of the original's commands."""
        if snapshot := self.app.snapshot:
            match name:
                case "status":
                    start = self.app.keymap.key_of("switch-gateway")
                    text = status_text(snapshot, self.app.zone, f"{start} starts it")
                case "keys":
                    text = keys_text(snapshot, self.app.zone)
                case "models":
                    text = models_text(snapshot, self.app.zone)
            self.app.push_screen(TextScreen(f"ollama-{name}", Content(text)))

    def palette(self) -> Iterator[SystemCommand]:
        """Yield the original's commands; those for single models show once something is typed."""
        snapshot = self.app.snapshot
        yield SystemCommand(
            "ollama-status", "keys, active key, models, address", partial(self.show_text, "status")
        )
        yield SystemCommand("ollama-models", "the cloud's models", partial(self.show_text, "models"))
        yield SystemCommand("ollama-refresh", "read the model list again", self.refresh_models)
        yield SystemCommand("ollama-info MODEL", "everything about one model", self.pick_model)
        yield SystemCommand("ollama-keys", "the pool and each key's health", partial(self.show_text, "keys"))
        yield SystemCommand("ollama-rotate", "prefer the next key that is not blocked", self.rotate)
        for key in snapshot.pool.keys if snapshot else ():
            tip = f"prefer {called(key)} and remember it"
            yield SystemCommand(f"ollama-use-key {key.index}", tip, partial(self.use, key.index))
        for row in snapshot.models.rows if snapshot else ():
            show = partial(self.show_model, row.model.id)
            yield SystemCommand(
                f"ollama-info {row.model.id}", "everything about this model", show, discover=False
            )
        if snapshot and (url := snapshot.gateway.url):
            copy = partial(self.app.copy, url, f"{url}; `okr-tui connect CLIENT` shows how to use it")
            yield SystemCommand("gateway: copy the address", url, copy)

    def read_page(self, event: FeedList.PageRequested) -> None:
        """Read the page of the log that a list requested."""
        if service := self.app.service:
            self.app.start(bridge.page(service, event, self.app.post_message))
        else:
            event.feed.failed()

    def show_page(self, event: bridge.PageArrived) -> None:
        """Pass a page to the list that requested it, unless its filter has changed since."""
        feed, request = event.request.feed, event.request
        if event.page is None or feed.wanted != request.wanted:
            feed.failed()
        elif feed.is_attached:
            feed.take(event.page, older=request.after is None)

    def read_history(self, event: KeyDetails.HistoryRequested) -> None:
        """Read the history of a key for its details."""
        if service := self.app.service:
            self.app.start(bridge.history(service, event, self.app.post_message))

    def show_history(self, event: bridge.HistoryArrived) -> None:
        """Pass the history of a key to its details, unless they are closed."""
        if event.request.details.is_attached:
            event.request.details.show_history(event.request.fingerprint, event.history)


def _origin(row: KeyView, snapshot: Snapshot) -> str:
    if row.origin == "global":
        return str(snapshot.settings.global_file)
    return "the environment" if row.origin == "environment" else f"the {row.origin} settings"
