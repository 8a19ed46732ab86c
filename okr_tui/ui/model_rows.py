"""Models as rows of a list: what their cells say, which words find them, in which order they stand."""

from collections.abc import Iterable
from typing import Final, Literal

from okr_tui.domain.models import Model
from okr_tui.services.service import ModelRow
from okr_tui.ui.lines import NOTICE, STAR, WARNING, Part

Order = Literal["", "model", "size", "context", "abilities", "keys"]
"""A column; "" is favourites first, then as the cloud lists them."""
LARGEST_FIRST: Final = frozenset({"size", "context", "abilities", "keys"})
WORDS: Final = (("vision", "vision"), ("thinking", "think"), ("tools", "tools"))
KEYS: Final = 5
"""The cells of the column that says which keys may use a model."""


def abilities(model: Model, *, aligned: bool = True) -> str:
    """The capabilities as words, each in its own place so that they line up."""
    if model.capabilities is None:
        return "-"
    words = [word if model.can(name) else " " * len(word) * aligned for name, word in WORDS]
    return " ".join(words).rstrip() if aligned else " ".join(word for word in words if word)


def keys_text(keys: tuple[int, ...], total: int) -> str:
    """Which keys may use a model: "all", "1 2", "5/9" or "none"."""
    if not keys:
        return "none"
    if len(keys) == total:
        return "all"
    listed = " ".join(map(str, keys))
    return listed if len(listed) <= KEYS else f"{len(keys)}/{total}"


def mark(row: ModelRow) -> Part:
    """What stands in front of a name."""
    if row.model.status == "gone" or row.replaced_by:
        return ("† ", WARNING)
    return (f"{STAR} ", NOTICE) if row.favourite else ("  ", "")


def fate(row: ModelRow) -> str:
    """What became of a model, or is to become of it; "" as a rule."""
    if row.model.status == "gone":
        return f"gone, use {row.replaced_by}" if row.replaced_by else "gone"
    return f"retiring, use {row.replaced_by}" if row.replaced_by else ""


def about(row: ModelRow) -> str:
    """What becomes of a model, its size, its context and what it can do, on one line."""
    model = row.model
    parts = [fate(row), model.parameters_text, model.context_text and f"{model.context_text} context"]
    return " · ".join(part for part in [*parts, abilities(model, aligned=False)] if part)


def matches(row: ModelRow, words: str) -> bool:
    """Whether every word is in the model's name, family, capabilities or marks: "fav" finds favourites."""
    marks = f"{'favourite' if row.favourite else ''} {fate(row).partition(',')[0]}"
    return all(word in marks or row.model.matches(word) for word in words.lower().split())


def ordered(rows: Iterable[ModelRow], order: Order, *, falling: bool) -> list[ModelRow]:
    """The rows sorted; what is not known comes last either way, and after it what is gone."""
    if not order:
        found = sorted(rows, key=lambda row: not row.favourite)
    else:
        values = [(_value(row, order), row) for row in rows]
        known = [(value, row) for value, row in values if value is not None]
        known.sort(key=lambda pair: pair[0], reverse=falling)
        found = [row for _, row in known] + [row for value, row in values if value is None]
    return sorted(found, key=lambda row: row.model.status == "gone")


def _value(row: ModelRow, order: Order) -> tuple[float | str, ...] | None:
    model = row.model
    match order:
        case "size":
            return None if model.parameters is None else (model.parameters,)
        case "context":
            return None if model.context_length is None else (model.context_length,)
        case "abilities":
            able = [model.can(name) for name, _ in WORDS]
            return None if model.capabilities is None else (sum(able), *able)
        case "keys":
            return (len(row.keys),)
        case _:
            return (model.id.lower(),)
