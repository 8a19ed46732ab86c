"""The command palette: every action of the table, and lists to choose from."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from okr_tui.ui.actions import Action

Option = tuple[str, Callable[[], Any]]
"""A name, and what choosing it does."""


def action_commands(
    actions: Sequence[Action], applies: Callable[[Action], bool], run: Callable[[str], Any]
) -> Iterator[SystemCommand]:
    """Yield the actions that have a title and apply now; `run` runs a Textual action by its target."""
    for action in actions:
        if action.title and applies(action):
            tip = f"{action.tooltip} ({action.shown})"
            yield SystemCommand(action.title, tip, partial(run, action.target))


def picker(options: Sequence[Option], placeholder: str) -> CommandPalette:
    """Return a palette of a few options. Their names may be outside text, so they are never markup."""

    class Options(Provider):
        async def discover(self) -> Hits:
            for name, choose in options:
                yield DiscoveryHit(Content(name), choose, text=name)

        async def search(self, query: str) -> Hits:
            matcher = self.matcher(query)
            for name, choose in options:
                if (score := matcher.match(name)) > 0:
                    yield Hit(score, matcher.highlight(name), choose, text=name)

    return CommandPalette(providers=[Options], placeholder=placeholder)
