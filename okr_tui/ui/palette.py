"""The command palette: what fits the focus first, then what was used last, then everything else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from textual.app import SystemCommand
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.markup import escape

from okr_tui.domain.values import dataclass
from okr_tui.ui.actions import Action

RECENT: Final = 5
"""Commands that are remembered, the last first; in memory only."""
WEIGHTS: Final = (1.5, 1.2, 1.0, 1.0)
"""What the score of a match is multiplied by, by rank: fits the focus, used lately, ours, the original's."""
PREFIXES: Final = {
    "keys": "key",
    "feed": "live",
    "feed-words": "live",
    "model-table": "model",
    "filter": "model",
    "turns": "chat",
    "prompt": "chat",
    "settings": "setting",
}
"""By the widget with the focus, how the titles of the commands begin that fit there."""
ORIGINAL: Final = "ollama"
"""How the names of the original's commands begin; ours come first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A command and its rank: the smaller, the further up."""

    command: SystemCommand
    rank: int


def ranked(commands: Iterable[SystemCommand], focused: str | None, recent: Sequence[str]) -> list[Ranked]:
    """Return the commands in the palette's order; `focused` is the id of the widget with the focus."""
    prefix = PREFIXES.get(focused or "")

    def rank(command: SystemCommand) -> int:
        title = command.title
        if prefix and title.startswith(prefix):
            return 0
        if title in recent:
            return 1
        return 3 if title.startswith(ORIGINAL) else 2

    found = [Ranked(command, rank(command)) for command in commands]
    last = {title: index for index, title in enumerate(recent)}
    return sorted(found, key=lambda each: (each.rank, last.get(each.command.title, RECENT)))


class PaletteProvider(Provider):
    """Yields the application's commands, and remembers which were used."""

    def _ranked(self) -> list[Ranked]:
        app: Any = self.app
        focused = self.focused.id if self.focused else None
        return ranked(app.get_system_commands(self.screen), focused, app.recent)

    def _run(self, command: SystemCommand) -> Callable[[], Any]:
        def run() -> Any:
            app: Any = self.app
            kept = [title for title in app.recent if title != command.title]
            app.recent[:] = [command.title, *kept][:RECENT]
            return command.callback()

        return run

    async def discover(self) -> Hits:
        """Yield the commands that are shown before anything is typed, in their order."""
        for each in self._ranked():
            if each.command.discover:
                title = each.command.title
                yield DiscoveryHit(Content(title), self._run(each.command), title, escape(each.command.help))

    async def search(self, query: str) -> Hits:
        """Yield the commands whose title or description holds the letters."""
        matcher = self.matcher(query)
        for each in self._ranked():
            title, words = each.command.title, each.command.help
            score = matcher.match(title) or matcher.match(words) / 4
            if score > 0:
                score *= WEIGHTS[each.rank]
                yield Hit(score, marked(matcher, title), self._run(each.command), title, escape(words))


def marked(matcher: Matcher, text: str) -> Content:
    """Return a text with the letters that match marked. It may be outside text, so it is never markup."""
    content = Content(text)
    for index in matcher.fuzzy_search.match(matcher.query, text)[1]:
        if not text[index].isspace():
            content = content.stylize(matcher.match_style, index, index + 1)
    return content


def action_commands(
    actions: Sequence[Action], applies: Callable[[Action], bool], run: Callable[[str], Any]
) -> Iterator[SystemCommand]:
    """Yield the actions that have a title and apply now; `run` runs a Textual action by its target."""
    for action in actions:
        if action.title and applies(action):
            tip = f"{action.tooltip} ({action.shown})"
            yield SystemCommand(action.title, tip, partial(run, action.target))


Option = tuple[str, Callable[[], Any]]
"""A name, and what choosing it does."""


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
                    yield Hit(score, marked(matcher, name), choose, text=name)

    return CommandPalette(providers=[Options], placeholder=placeholder)
