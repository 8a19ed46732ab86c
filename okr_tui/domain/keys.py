"""An API key as the program handles it: a secret text, a stable fingerprint, a mask for people."""

import hashlib
import re
from dataclasses import field
from typing import Final

from okr_tui.domain.values import dataclass

SHORT_KEY = 20
SHORTEST_KEY = 16
"""Characters of the shortest text that is taken for a key: no part of a shorter one differs from a word."""
LONGEST_KEY = 4096
"""Characters of the longest: it goes into one header, and servers take about twice that for all of them."""


def fingerprint(text: str) -> str:
    """Return the identity of a key: the first 12 hexadecimal digits of the SHA-256 of its text."""
    # JSON can write half of a surrogate pair, which is not a key, but is reported as one that is ignored.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def mask(text: str) -> str:
    """Return what may be shown of a key: its first and last four characters; of a short one the last two."""
    if len(text) < SHORT_KEY:
        return f"…{text[-2:] if len(text) > 4 else ''}"  # what is not a key at all is not shown whole
    return f"{text[:4]}…{text[-4:]}"


KEY_WORD: Final = re.compile(
    r"(?<![\w./+=-])(?=[\w.+=-]*?(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{16})[\w.+=-]{24,}(?![/\w])",
    re.ASCII | re.IGNORECASE,
)
"""A word that may be a key: long, with letters and digits mixed for a while, unlike our own names."""


def mask_key_words(text: str) -> str:
    """Return a text in which words that may be keys are masked, as where one was put in the wrong place."""
    return KEY_WORD.sub(lambda word: mask(word[0]), text)


@dataclass(frozen=True, slots=True)
class SecretStr:
    """A text that no representation shows."""

    _text: str = field(repr=False)

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._text


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the pool. Its position in the pool says nothing of its identity; the fingerprint does.

    `trusted` is False for a key that only the file of a project brings which the user has not vouched for:
    it is shown, and nothing is sent with it. `missing` says why a reference gives no key, "" where it does:
    such a key keeps its position, so that numbers mean the same in every shell.
    """

    secret: SecretStr
    fingerprint: str
    masked: str
    origin: str
    label: str | None = None
    trusted: bool = True
    missing: str = ""

    @property
    def usable(self) -> bool:
        """Whether anything may be sent with it."""
        return self.trusted and not self.missing

    @classmethod
    def of(cls, text: str, origin: str, label: str | None = None, *, trusted: bool = True) -> "Key":
        """Make a key from its text; `origin` names the layer it was read from ("global", "project", ...)."""
        return cls(SecretStr(text), fingerprint(text), mask(text), origin, label, trusted)

    @classmethod
    def absent(cls, reference: str, shown: str, origin: str, label: str | None, why: str) -> "Key":
        """Make the key of a reference that gives none; `shown` is what people see of the reference."""
        identity = fingerprint(f"missing {reference}")
        return cls(SecretStr(""), identity, shown, origin, label, missing=why)
