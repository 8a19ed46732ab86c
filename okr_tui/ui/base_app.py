"""What the application owes its keys: the person's keymap, leaving only on purpose, and copying."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from textual.app import App
from textual.reactive import var
from textual.screen import Screen

from okr_tui.domain.errors import SettingsError
from okr_tui.ui import clipboard
from okr_tui.ui.actions import ACTIONS, Action
from okr_tui.ui.keymap import keymap, shown_keys

KeyOf = Callable[[str], str]
"""Names the key that does an action, as people write it."""
AGAIN: Final = 2.0
"""Seconds in which the same key once more means it."""


class LeaveByKey(Screen[Any]):
    """A modal screen, which keeps the application's keys out, where ctrl+c still says how to quit."""

    def action_copy_text(self) -> None:
        """Copy what is selected; without a selection ctrl+c means to leave."""
        if self.get_selected_text() is None and isinstance(self.app, KeyedApp):
            self.app.action_help_quit()
        else:
            super().action_copy_text()


class KeyedApp(App[str]):
    """An application whose keys come from the table of actions."""

    actions: var[tuple[Action, ...]] = var(ACTIONS)
    """The table with the person's own keys."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.clock = clock
        self._asked_to_leave: tuple[str, float] = ("", 0.0)

    def use_keymap(self, entries: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Take over the person's keys; answers what was not taken, by action."""
        taken = keymap(entries)
        if taken.actions != self.actions:
            self.set_keymap({name: ",".join(keys) for name, keys in taken.changed})
            self.actions = taken.actions
        return taken.problems

    def check_keymap_entry(self, name: str, text: str | None) -> None:
        """Whether an action could have these keys beside all others; raises SettingsError with the reason."""
        others = {action.id: ",".join(action.keys) for action in self.actions if action not in ACTIONS}
        tried = keymap(tuple({**others, name: text}.items()) if text else ())
        if reason := dict(tried.problems).get(name):
            raise SettingsError(f"keymap.{name}: {reason}")

    def key_of(self, name: str) -> str:
        """The key that does an action, as people write it."""
        return _key_in(self.actions, name)

    @property
    def is_answering(self) -> bool:
        """Whether leaving now would cut something short."""
        return False

    async def action_quit(self) -> None:
        """Leave; while an answer comes, only when asked twice."""
        if not self.is_answering or self._means_it("quit"):
            await super().action_quit()
        else:
            stop = f"{self.key_of('back')} stops the answer"
            self.notify(f"An answer is still coming. Press it again to quit now, {stop}.", timeout=AGAIN)

    def action_help_quit(self) -> None:
        """What ctrl+c does where nothing is selected to copy: twice means to leave."""
        if self._means_it("ctrl+c"):
            self.exit()
        else:
            self.notify(
                f"ctrl+c again quits; so does {self.key_of('quit')}, or ctrl+q while typing", timeout=AGAIN
            )

    def _means_it(self, key: str) -> bool:
        """Whether the same was asked a moment ago."""
        before, at = self._asked_to_leave
        now = self.clock()
        self._asked_to_leave = (key, now)
        return before == key and now - at <= AGAIN

    def copy_to_clipboard(self, text: str) -> None:
        """Copy through the terminal and, where there is one, the system's own tool."""
        super().copy_to_clipboard(text)
        if command := clipboard.tool(os.environ):
            self.run_worker(clipboard.copy(text, command), group="clipboard", exit_on_error=False)

    def copy(self, text: str, words: str) -> None:
        """Copy a text that is no secret and say by which way it went; `words` name it."""
        super().copy_to_clipboard(text)
        command = clipboard.tool(os.environ)

        async def tell() -> None:
            way = "" if command and await clipboard.copy(text, command) else " through the terminal"
            self.notify(f"Copied {words}{way}", markup=False)

        self.run_worker(tell(), group="clipboard", exit_on_error=False)


def keys_of(app: App[Any]) -> KeyOf:
    """Names keys as the person's keymap has them; in an application without one, as the table has them."""
    return app.key_of if isinstance(app, KeyedApp) else partial(_key_in, ACTIONS)


def _key_in(actions: Sequence[Action], name: str) -> str:
    return shown_keys(next(action for action in actions if action.id == name).keys[:1])
