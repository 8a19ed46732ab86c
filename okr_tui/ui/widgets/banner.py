"""The banner over the panes, and what replaces them: the first run, a failed start."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from okr_tui.services.service import GatewayView, Snapshot
from okr_tui.ui.actions import bindings, borrowed
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import FAULT, QUIET, STRONG, WARNING, Line, content, one_line
from okr_tui.ui.widgets.pool_notices import key_notices, pool_notices, settings_notices

PROBLEMS = 2
LEAST_WIDTH = 10
"""Cells that lines are wrapped at where a terminal is too narrow for any."""
MOST, PART = 8, 5
"""The banner has so many lines at most, and no larger part of the screen's height."""


def banner_lines(
    snapshot: Snapshot, failure: str | None, now: float, zone: tzinfo, key_of: KeyOf
) -> list[Line]:
    """Return the lines, the most serious first."""
    lines: list[Line] = []
    if failure:
        lines.append(((f"✖ the service ended: {failure}; quit and start again", FAULT),))
    lines += [(notice,) for notice in pool_notices(snapshot, now, zone, key_of)]
    lines += [((f"▲ {words}", FAULT),) for words in snapshot.log]
    if words := snapshot.clock_problem(now):
        lines.append(((f"▲ {words}", WARNING),))
    lines += [((f"▲ {words}", WARNING),) for words in settings_problems(snapshot.settings.problems, key_of)]
    lines += [((f"▲ {notice}", WARNING),) for notice in settings_notices(snapshot.settings, key_of)]
    lines += [((f"▲ {words}", WARNING),) for words in gateway_notices(snapshot.gateway, key_of)]
    lines += [(notice,) for notice in key_notices(snapshot, now, key_of)]
    return lines


def settings_problems(problems: Sequence[str], key_of: KeyOf) -> Iterator[str]:
    """Yield the first problems of the settings, and which keys lead on from there."""
    if not problems:
        return
    *first, last = problems[:PROBLEMS]
    more = len(problems) - PROBLEMS
    edit = f"{key_of('edit-settings')} edits the file"
    yield from first
    yield last if more > 0 else f"{last}; {edit}"
    if more > 0:
        yield f"and {more} more in the settings; {key_of('show-settings')} shows them, {edit}"


def gateway_notices(gateway: GatewayView, key_of: KeyOf) -> Iterator[str]:
    """Yield the gateway's problems, with the key that fixes them."""
    key = key_of("switch-gateway")
    if gateway.error:
        again = "" if gateway.url else f"; {key} tries again"
        yield f"gateway: {gateway.error}{again}"
    if gateway.outdated:
        yield f"gateway: its settings changed and apply at its next start; press {key} twice to restart it"


class Banner(Static):
    """The lines under the header; without any it takes no room."""

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)

    def __init__(self, zone: tzinfo, key_of: KeyOf) -> None:
        super().__init__(id="banner")
        self.zone = zone
        self._key_of = key_of
        self._lines: list[Line] = []

    def draw(self) -> None:
        """Draw the lines, wrapped for the width, where they are new."""
        if self.snapshot is None:
            return
        width = max(LEAST_WIDTH, self.content_size.width or self.app.size.width - 2)
        found = banner_lines(self.snapshot, self.failure, self.now, self.zone, self._key_of)
        lines: list[Line] = [
            ((part, style),)
            for ((text, style),) in found
            for part in textwrap.wrap(text, width, max_lines=2, placeholder=" …", subsequent_indent="  ")
        ]
        room = min(MOST, max(2, self.app.size.height // PART))
        if len(lines) > room:
            taller = "; a taller terminal shows them" if room < MOST else ""
            more = f"▲ and {len(lines) - room + 1} more lines{taller}"
            lines = [*lines[: room - 1], ((more, WARNING),)]
        if lines != self._lines:
            self._lines = lines
            parts = [part for line in lines for part in (*line, ("\n", ""))][:-1]
            self.update(content(tuple(parts)))
            self.display = bool(lines)

    watch_snapshot = watch_now = watch_failure = on_resize = draw


KEY = "bold $text-accent"
EXAMPLE = '{"pi-ollama": {"apiKeys": ["first", "second"]}}'


class FirstRun(Static, can_focus=True):
    """Says what to do while no key is configured."""

    BINDINGS: ClassVar[list[BindingType]] = [*borrowed("undo", "app.undo")]

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
                "  try a simulated cloud\n",
                (f"{edit:<{width}}", KEY),
                "  edit the settings file yourself:\n\n",
                (f"{snapshot.settings.global_file}\n", KEY),
                (f"{EXAMPLE}\n\n", QUIET),
                "or set ",
                ("OLLAMA_API_KEYS", KEY),
                ("=first,second in the environment.\n", QUIET),
                ("Create keys at ollama.com/settings/keys.", QUIET),
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
                        ("✖ okr-tui cannot open its keys and log.\n\n", f"bold {FAULT}"),
                        (f"{one_line(failure)}\n\n", ""),
                        (f"{again:<{width}}", KEY),
                        ("  try again once that is fixed\n", ""),
                        (f"{leave:<{width}}", KEY),
                        ("  quit\n\n", ""),
                        ("okr-tui --store memory:", KEY),
                        ("  starts without a log and remembers nothing\n", QUIET),
                        ("okr-tui doctor", KEY),
                        ("           shows what is configured, and where\n", QUIET),
                    )
                )
            )
