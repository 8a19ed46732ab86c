"""Text from outside: what may be kept of it, and what may be drawn.

Names, labels, errors and titles are cleaned once, where they enter (`clean_line`). Prompts, answers and tool
results are kept as they are. Whatever leaves for a terminal passes `drawable`, which removes only what a
terminal would act on or what reorders its neighbours; the joiners of Persian, Hindi and emoji stay.
"""

import re
from collections.abc import Mapping
from typing import Final

LINE_LIMIT: Final = 240
"""Characters of a name, label, error or title that are kept."""

_CONTROLS: Final = "\x00-\x1f\x7f-\x9f"
_LINES: Final = "\u2028\u2029"
_SURROGATES: Final = "\ud800-\udfff"
_DIRECTIONS: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE: Final = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
)
_JOINERS: Final = "\u200c\u200d"
_TAGS: Final = "\U000e0000-\U000e0fff"
_FLAG: Final = "\U0001f3f4[\U000e0020-\U000e007e]{1,16}\U000e007f"
"""The flag of a region, such as Scotland's: the one use of tag characters that draws something (UTS #51)."""

_HIDDEN: Final = re.compile(f"[{_CONTROLS}{_LINES}{_SURROGATES}{_DIRECTIONS}{_INVISIBLE}{_JOINERS}{_TAGS}]")
_UNDRAWABLE: Final = re.compile(f"{_FLAG}|[{_CONTROLS}{_LINES}{_SURROGATES}{_DIRECTIONS}{_TAGS}]")
_REMOVED: Final = re.compile(f"[{_SURROGATES}{_DIRECTIONS}{_INVISIBLE}{_TAGS}]")
_BREAKS: Final = re.compile(f"[{_CONTROLS}{_LINES}\\s]+")
_LONE_JOINER: Final = re.compile(f"(?:^|(?<=[\x00-\x7f]))[{_JOINERS}]+|[{_JOINERS}]+(?=[\x00-\x7f]|$)")


def has_hidden(text: str) -> bool:
    """Return whether a name has controls, surrogates, or characters that are invisible or reorder others."""
    return not (text.isascii() and text.isprintable()) and _HIDDEN.search(text) is not None


def clean_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return outside text as one line of at most `limit` characters that hides and reorders nothing.

    Controls and line breaks become single blanks; surrogates, direction marks, zero-width and tag characters
    are removed; joiners stay where they join. What is cut ends with an ellipsis.
    """
    # No more is looked at than can be kept; a text of hidden characters alone may so end up shorter.
    text = text[: 4 * limit + 64]
    if not (text.isascii() and text.isprintable()):
        text = _LONE_JOINER.sub("", _REMOVED.sub("", _BREAKS.sub(" ", text)))
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def drawable(text: str) -> str:
    """Return text without what a terminal acts on: controls, surrogates, direction marks and lone tags.

    Line breaks and tabs go too, so the caller splits lines first. The width in cells does not change: a lone
    surrogate, which takes a cell, becomes U+FFFD, and all others take none.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNDRAWABLE.sub(_drawn, text)


def drawable_lines(text: str) -> str:
    """Return prose of several lines as `drawable` does each, with line feeds and tabs kept."""
    if text.isascii() and text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(drawable, line.split("\t"))) for line in lines)


def _drawn(found: re.Match[str]) -> str:
    character = found[0]
    if len(character) > 1:
        return character
    return "\ufffd" if "\ud800" <= character <= "\udfff" else ""


def printable(text: str, limit: int | None = None) -> str:
    """Return a text for a person to judge: what hides or reorders letters is shown as U+FFFD.

    At most `limit` characters are kept; what is cut ends with an ellipsis.
    """
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:limit])
    return shown if len(shown) == len(text) else f"{shown}…"


QUOTES: Final = "\"'"


def unquoted(text: str) -> str:
    """Return a text without surrounding blanks and one pair of quotes around all of it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES and text[0] not in text[1:-1]:
        return text[1:-1].strip()
    return text


def variable(environment: Mapping[str, str], name: str) -> str:
    """Return the value of a variable without blanks and quotes around it; "" where it is not set."""
    return unquoted(environment.get(name, ""))
