"""What stands in the dashboard's place when it cannot be shown: first run, broken service, too small."""

from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from okr_tui.services.service import Snapshot
from okr_tui.ui.lines import FAULT, QUIET, STRONG, content, one_line

LEAST = (60, 16)
EXAMPLE = '{"pi-ollama": {"apiKeys": ["first", "second"]}}'


class FirstRun(Static, can_focus=True):
    """Says what to do while no key is configured."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self) -> None:
        super().__init__(id="first")

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        """Name the file that is really read."""
        if snapshot is None or snapshot.pool.keys:
            return
        key = "bold $text-accent"
        self.update(
            Content.assemble(
                ("No Ollama Cloud key is configured.\n\n", STRONG),
                ("a", key),
                "  add one here\n",
                ("d", key),
                "  look around on a simulated cloud\n",
                ("e", key),
                "  edit the settings file yourself:\n\n",
                (f"{snapshot.settings.global_file}\n", key),
                (f"{EXAMPLE}\n\n", QUIET),
                "or set ",
                ("OLLAMA_API_KEYS", key),
                ("=first,second in the environment.\n", QUIET),
                ("Keys are made at ollama.com/settings/keys.", QUIET),
            )
        )


class Broken(Static, can_focus=True):
    """Says why the service cannot be opened."""

    failure: var[str | None] = var(None)

    def __init__(self) -> None:
        super().__init__(id="broken")

    def watch_failure(self, failure: str | None) -> None:
        """Show the reason and the ways out."""
        if failure is not None:
            self.update(
                content(
                    (
                        ("✖ okr-tui cannot open its service.\n\n", f"bold {FAULT}"),
                        (f"{one_line(failure)}\n\n", ""),
                        ("`okr-tui doctor` says what is configured and what is wrong.\n", QUIET),
                        ("q quits.", QUIET),
                    )
                )
            )


class TooSmall(Static):
    """Says how large the terminal has to be."""

    def __init__(self) -> None:
        super().__init__(id="too-small")

    def on_resize(self) -> None:
        """Say the present size."""
        width, height = self.app.size
        words = f"{width}x{height} is too small.\nokr-tui needs {LEAST[0]}x{LEAST[1]}."
        self.update(content(((words, STRONG),)))
