"""What stands in the dashboard's place when it cannot be shown: first run, broken service, too small."""

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import FAULT, QUIET, STRONG, content, one_line

KEY = "bold $text-accent"
EXAMPLE = '{"pi-ollama": {"apiKeys": ["first", "second"]}}'


class FirstRun(Static, can_focus=True):
    """Says what to do while no key is configured."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="first")
        self._key_of = key_of

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Name the file that is really read."""
        if snapshot is None or snapshot.pool.keys:
            return
        add, demo, edit = map(self._key_of, ("add-key", "demo", "edit-settings"))
        width = max(map(len, (add, demo, edit)))
        self.update(
            Content.assemble(
                ("No Ollama Cloud key is configured.\n\n", STRONG),
                (f"{add:<{width}}", KEY),
                "  add one here\n",
                (f"{demo:<{width}}", KEY),
                "  look around on a simulated cloud\n",
                (f"{edit:<{width}}", KEY),
                "  edit the settings file yourself:\n\n",
                (f"{snapshot.settings.global_file}\n", KEY),
                (f"{EXAMPLE}\n\n", QUIET),
                "or set ",
                ("OLLAMA_API_KEYS", KEY),
                ("=first,second in the environment.\n", QUIET),
                ("Keys are made at ollama.com/settings/keys.", QUIET),
            )
        )


class Broken(Static, can_focus=True):
    """Says why the service cannot be opened."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("broken")]

    failure: var[str | None] = var(None)

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="broken")
        self._key_of = key_of

    def watch_failure(self, failure: str | None) -> None:
        """Show the reason and the ways out."""
        if failure is not None:
            again, leave = map(self._key_of, ("open-again", "quit"))
            width = max(len(again), len(leave))
            self.update(
                content(
                    (
                        ("✖ okr-tui cannot open its keys and its log.\n\n", f"bold {FAULT}"),
                        (f"{one_line(failure)}\n\n", ""),
                        (f"{again:<{width}}", KEY),
                        ("  try again, once that is put right\n", ""),
                        (f"{leave:<{width}}", KEY),
                        ("  quit\n\n", ""),
                        ("okr-tui --store memory:", KEY),
                        ("  goes on without a log, and remembers nothing\n", QUIET),
                        ("okr-tui doctor", KEY),
                        ("           says what is configured, and from where\n", QUIET),
                    )
                )
            )
