"""Which lines of the feed a person wants to see: words, one key, faults only. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from okr_tui.domain.feed import Entry

FAULTS: Final = frozenset({"fault", "warning"})
KEY_NUMBER: Final = re.compile(r"#(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """What a line has to be. Every word must be in it: "429 #3 gpt"; "!gpt" is a word it must not have.

    `#3` is a line about the key at that place, not about #31. `fingerprint` is one key wherever it stands.
    """

    faults_only: bool = False
    fingerprint: str | None = None
    words: str = ""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.faults_only or self.fingerprint or self.words.strip())

    def matches(self, entry: Entry) -> bool:
        """Whether a line is wanted."""
        if self.faults_only and entry.tone not in FAULTS:
            return False
        if self.fingerprint is not None and entry.fingerprint != self.fingerprint:
            return False
        return all(_has(entry, word) for word in self.words.lower().split())


def _has(entry: Entry, word: str) -> bool:
    if word.startswith("!"):
        return len(word) == 1 or not _has(entry, word[1:])
    if number := KEY_NUMBER.fullmatch(word):
        return entry.key == int(number[1])
    return word in _said(entry)


@lru_cache(maxsize=4096)
def _said(entry: Entry) -> str:
    """Everything that words are looked for in."""
    parts = (entry.text, entry.detail, entry.client, entry.model, entry.tone)
    return " ".join(part for part in parts if part).lower()
