"""Favourite models: pi's setting `enabledModels`, patterns of the models that it cycles through.

An entry is an id ("gpt-oss:20b"), an id of one provider ("ollama-cloud/gpt-oss:20b"), or either with `*`,
`?` or `[...]`; each may end in a thinking level (":high"). An empty list means the same as none: all models.
pi also takes a part of a name and picks one model by it, from all its providers; that is not known here.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from okr_tui.domain.models import PROVIDER

LEVELS: Final = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
PATTERN: Final = re.compile(r"\*\*|[*?]|\[[^\]/]+\]")


def is_favourite(entries: Sequence[str], model: str) -> bool:
    """Whether any entry names the model, which is given by its id without a provider."""
    return any(names(entry, model) for entry in entries)


def names(entry: str, model: str) -> bool:
    """Whether one entry names the model."""
    texts = (model.lower(), f"{PROVIDER}/{model}".lower())
    for wanted in _with_and_without_level(entry.strip().lower()):
        if wanted in texts:
            return True
        if PATTERN.search(wanted) and any(_expression(wanted).fullmatch(text) for text in texts):
            return True
    return False


def own_entries(entries: Sequence[str], model: str) -> list[int]:
    """The places of the entries that mean this model of this provider and nothing else, last one first."""
    whole = f"{PROVIDER}/{model}".lower()
    return [
        place
        for place in reversed(range(len(entries)))
        if whole in _with_and_without_level(entries[place].strip().lower())
    ]


def others(entries: Sequence[str], model: str) -> list[str]:
    """The entries that name the model among others: patterns, and ids without a provider."""
    own = set(own_entries(entries, model))
    return [entry for place, entry in enumerate(entries) if place not in own and names(entry, model)]


def following(favourites: Sequence[str], present: str | None) -> str | None:
    """The favourite after the present model, from the first again after the last; None without any."""
    if not favourites:
        return None
    place = favourites.index(present) + 1 if present in favourites else 0
    return favourites[place % len(favourites)]


def _with_and_without_level(entry: str) -> tuple[str, ...]:
    base, _, level = entry.rpartition(":")
    return (entry, base) if level in LEVELS else (entry,)


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as pi reads it: only `**` goes over a slash."""
    parts, end = [], 0
    for found in PATTERN.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        parts.append(_part(found[0]))
        end = found.end()
    return re.compile("".join((*parts, re.escape(pattern[end:]))))


def _part(wildcard: str) -> str:
    match wildcard:
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    letters = wildcard[1:-1]
    inverse = letters[0] in "!^" and len(letters) > 1
    escaped = re.sub(r"([\\^\[\]&~|])", r"\\\1", letters[inverse:])
    try:
        re.compile(f"[{escaped}]")
    except re.error:
        return re.escape(wildcard)  # a range that runs backwards
    return f"[{'^' if inverse else ''}{escaped}]"
