"""Secrets taken out of text from outside: keys and tokens, plain or encoded, and e-mail addresses.

A server that echoes a request may repeat its key anywhere: cut short, in base64, URL-encoded, in JSON
escapes. So no secret is looked for as a whole: every run of RUN characters of one counts, in each of these
forms, and what is shorter says too little. Where a text was cut before does not matter for the same reason.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Final

from okr_tui.domain.keys import mask

RUN: Final = 10
"""Characters of a secret in a row that are never shown."""
BLOCK: Final = 6
STRIDE: Final = RUN - BLOCK + 1
"""Blocks of BLOCK characters, one at every STRIDE-th, are indexed: each run of a secret holds one of them."""
EMAIL: Final = "[e-mail]"
"""Stands where an e-mail address was."""

# Keys are printable ASCII without blanks, and so are all their encodings.
_WORD: Final = re.compile(rf"[!-~]{{{RUN},}}")
_ESCAPE: Final = re.compile(
    r"%(?:25)*([0-9a-f]{2})|\\{1,8}u00([0-9a-f]{2})|\\{1,8}x([0-9a-f]{2})|&#x0*([0-9a-f]{1,2});|&#0*(\d{1,3});"
    r"|\\{1,8}([!-/:-@])",
    re.IGNORECASE,
)
_DECIMAL: Final = 5
_LITERAL: Final = 6
_ESCAPED: Final = re.compile(r"[%\\&]")
_PART: Final = r"[\w.%+\x80-\xff-]"
_EMAIL: Final = re.compile(
    rf"{_PART}{{1,64}}(?:@|%40|\\u0040|&#64;|&#x40;)[\w\x80-\xff-]{{1,63}}(?:\.[\w\x80-\xff-]{{1,63}}){{1,8}}",
    re.IGNORECASE,
)
_AT: Final = re.compile(r"@|40")
"""Without one of these a text has no address."""


class Scrubber:
    """Hides the secrets it knows. One that was added stays known, also after its key has left the pool."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._learning = Lock()
        self._known: set[str] = set()
        self._new: list[str] = []
        """Secrets that are indexed once a text is long enough to hold a run of one."""
        self._forms = ""
        """Every form of a secret, in lower case, each after a newline."""
        self._blocks: dict[str, list[int]] = {}
        """The positions in these of every block."""
        self._starts: list[int] = []
        self._masks: list[str] = []
        """Where the forms of each secret begin, and what is shown instead of it."""
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these texts from now on. Those shorter than RUN are taken for words."""
        for secret in secrets:
            if secret not in self._known:
                with self._learning:
                    self._known.add(secret)
                    self._new.append(secret)

    def scrub(self, text: str) -> str:
        """Return a text without secrets and e-mail addresses."""
        text = self.mask_keys(text)
        return _EMAIL.sub(EMAIL, text) if _AT.search(text) else text

    def mask_keys(self, text: str) -> str:
        """Return a text with the secrets in it masked; e-mail addresses stay."""
        return _WORD.sub(self._masked, text) if self._known else text

    def scrub_bytes(self, raw: bytes) -> bytes:
        """Return bytes, of any encoding that extends ASCII, without secrets and e-mail addresses."""
        # The masks are the only letters beyond ASCII that are added.
        text = raw.decode("latin-1")
        scrubbed = self.scrub(text)
        return raw if scrubbed == text else b"".join(map(_encoded, scrubbed))

    def _masked(self, word: re.Match[str]) -> str:
        if self._new:
            self._learn()
        text = word[0]
        plain, positions = _plain(text)
        parts: list[str] = []
        end = 0
        for start, stop, shown in self._found(plain):
            parts += (text[end : positions[start]], shown)
            end = positions[stop]
        return "".join((*parts, text[end:])) if parts else text

    def _learn(self) -> None:
        """Index new secrets. Any thread may be the first that needs them."""
        with self._learning:
            length, added = len(self._forms), []
            for secret in self._new:
                self._starts.append(length)
                self._masks.append(mask(secret))
                for form in dict.fromkeys(_forms(secret)):
                    added.append(f"\n{form}")
                    for at in range(0, len(form) - BLOCK + 1, STRIDE):
                        self._blocks.setdefault(form[at : at + BLOCK], []).append(length + 1 + at)
                    length += 1 + len(form)
            self._forms += "".join(added)
            self._new = []

    def _found(self, plain: str) -> Iterator[tuple[int, int, str]]:
        """Yield where parts of secrets begin and end, and what is shown instead."""
        position, blocks = 0, self._blocks
        while True:
            hits = (at for at in range(position, len(plain) - BLOCK + 1) if plain[at : at + BLOCK] in blocks)
            hit = next(hits, None)
            if hit is None:
                return
            for start in range(max(position, hit - STRIDE + 1), hit + 1):
                if (shown := self._run_at(plain, start)) is not None:
                    last = start
                    while self._run_at(plain, last + 1) is not None:
                        last += 1
                    yield start, last + RUN, shown
                    position = last + RUN
                    break
            else:
                position = hit + 1

    def _run_at(self, plain: str, start: int) -> str | None:
        """Return what is shown for the run that begins there, if it is one of a secret."""
        run = plain[start : start + RUN]
        positions = [
            at - before
            for before in range(STRIDE)
            for at in self._blocks.get(run[before : before + BLOCK], ())
            if self._forms.startswith(run, at - before) and at >= before
        ]
        if len(run) < RUN or not positions:
            return None
        return self._masks[bisect_right(self._starts, min(positions)) - 1]


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is and in base64, after any other bytes, in lower case."""
    yield secret.lower()
    raw = secret.encode(errors="replace")
    for before in range(3):
        # Of a character that also holds bits of what precedes it, nothing is known.
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")[(0, 2, 3)[before] :].lower()
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """Return a text in lower case without escapes, and where in the text each of its characters begins."""
    if not _ESCAPED.search(text):
        return text.lower(), range(len(text) + 1)
    characters: list[str] = []
    positions: list[int] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        group = found.lastindex or 0
        value = found[group]
        character = value if group == _LITERAL else chr(int(value, 10 if group == _DECIMAL else 16) & 0xFF)
        characters += (*text[end : found.start()], character)
        positions += range(end, found.start() + 1)
        end = found.end()
    characters += text[end:]
    positions += range(end, len(text) + 1)
    return "".join(characters).lower(), positions


def _encoded(character: str) -> bytes:
    return character.encode("latin-1" if character <= "\xff" else "utf-8")
