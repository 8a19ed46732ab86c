"""The style sheet of the application, each source of which is parsed once a theme.

Textual 8.2.8 parses all of them again where a mode begins, and where a theme is taken up: four times for a
start. It also forgets what was parsed once there are more than 64 sources, each a class of widgets that was
on a screen.
"""

from typing import Final

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES: Final = 1000


class CachedStylesheet(Stylesheet):
    """Textual's style sheet, which keeps what it has parsed until its variables change."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take other variables; with the same ones nothing is parsed again."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse what is not parsed with these variables. Errors leave the rules as they were."""
        self.parse()
